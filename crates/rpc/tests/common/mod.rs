//! What the tests of dialogues share: a server to talk to, and a wire to talk over.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod foreign;
pub mod service;
pub mod wire;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use self::wire::Wire;

/// Waits for something that must come; a test that waits in vain ends.
pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    let waited = tokio::time::timeout(Duration::from_secs(20), future).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// What an answer must be. Answers to calls that were made together may come in any order; the
/// values of one subscription may not.
pub struct Expectations {
    answers: Vec<Value>,
    /// By the name that the file gives the subscription.
    notifications: BTreeMap<String, Vec<Value>>,
    /// Names of subscriptions in the file, by the id that our server gave.
    names: BTreeMap<String, String>,
    /// Members that differ from run to run.
    normalise: fn(&mut Value),
}

impl Expectations {
    pub fn new(normalise: fn(&mut Value)) -> Self {
        Self {
            answers: Vec::new(),
            notifications: BTreeMap::new(),
            names: BTreeMap::new(),
            normalise,
        }
    }

    pub fn add(&mut self, message: &str) {
        let message: Value = serde_json::from_str(message).expect("the file has JSON");
        match subscription_of(&message) {
            Some(name) => self.notifications.entry(name).or_default().push(message),
            None => self.answers.push(message),
        }
    }

    pub fn is_met(&self) -> bool {
        self.answers.is_empty() && self.notifications.values().all(Vec::is_empty)
    }

    /// The ids of our server stand where the file has its own.
    pub fn with_our_ids(&self, request: &str) -> String {
        let replace = |text: String, (ours, theirs): (&String, &String)| text.replace(theirs, ours);
        self.names.iter().fold(request.to_owned(), replace)
    }

    pub fn take(&mut self, got: &str) {
        let got: Value = serde_json::from_str(got).unwrap_or_else(|_| panic!("no JSON: {got}"));
        match subscription_of(&got) {
            Some(id) => self.take_notification(&id, got),
            None => self.take_answer(got),
        }
    }

    fn take_notification(&mut self, id: &str, mut got: Value) {
        let name = self.names.get(id).unwrap_or_else(|| panic!("a value before its id: {got}"));
        let queue = self.notifications.get_mut(name).unwrap_or_else(|| panic!("unexpected: {got}"));
        assert!(!queue.is_empty(), "unexpected: {got}");
        let mut expected = queue.remove(0);
        got["params"]["subscription"] = json!(name);
        (self.normalise)(&mut got);
        (self.normalise)(&mut expected);
        assert_eq!(got, expected);
    }

    fn take_answer(&mut self, mut got: Value) {
        let same_id = |expected: &Value| ids_of(expected) == ids_of(&got);
        let at = self.answers.iter().position(same_id);
        let mut expected = self.answers.remove(at.unwrap_or_else(|| panic!("unexpected: {got}")));
        self.learn_names(&got, &expected);
        (self.normalise)(&mut got);
        (self.normalise)(&mut expected);
        assert_eq!(comparable(got), comparable(expected));
    }

    fn learn_names(&mut self, got: &Value, expected: &Value) {
        if let (Some(got), Some(expected)) = (got.as_array(), expected.as_array()) {
            for (got, expected) in got.iter().zip(expected) {
                self.learn_names(got, expected);
            }
        }
        if let (Some(ours), Some(theirs)) = (got["result"].as_str(), expected["result"].as_str())
            && is_subscription_id(ours)
            && is_subscription_id(theirs)
        {
            self.names.insert(ours.to_owned(), theirs.to_owned());
        }
    }
}

/// Texts that name types or a parser's states are not compared, nor ids that are random.
fn comparable(mut message: Value) -> Value {
    if let Some(items) = message.as_array_mut() {
        return items.iter().cloned().map(comparable).collect();
    }
    if message["result"].as_str().is_some_and(is_subscription_id) {
        message["result"] = json!("[SUBSCRIPTION]");
    }
    let error = &mut message["error"];
    if error["code"] == json!(-32_700) {
        error["message"] = json!("[SYNTAX]");
    }
    let text = error["message"].as_str().unwrap_or_default();
    if let Some(rest) = text.strip_prefix("invalid argument ") {
        let number = rest.split(':').next().unwrap_or_default();
        error["message"] = json!(format!("invalid argument {number}: [CAUSE]"));
    }
    message
}

fn is_subscription_id(text: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    // A hash in an answer has 64 digits.
    text.strip_prefix("0x").is_some_and(|digits| digits.len() <= 32 && hex(digits))
}

fn ids_of(message: &Value) -> Vec<Value> {
    match message.as_array() {
        Some(items) => items.iter().map(|item| item["id"].clone()).collect(),
        None => vec![message["id"].clone(), message["method"].clone()],
    }
}

fn subscription_of(message: &Value) -> Option<String> {
    message["params"]["subscription"].as_str().map(str::to_owned)
}

/// Receives until everything expected is there.
pub async fn receive_expected(wire: &mut Wire, expected: &mut Expectations) {
    while !expected.is_met() {
        let message = soon("an answer", wire.receive()).await;
        expected.take(&message.expect("the connection is open"));
    }
}

/// Nothing more comes than what was expected: the answer to one more call is the next.
pub async fn expect_silence(wire: &mut Wire) {
    const PROBE: &str = r#"{"jsonrpc":"2.0","id":"probe","method":"rpc_modules"}"#;
    wire.send(PROBE).await;
    let answer = soon("the last answer", wire.receive()).await.expect("the connection is open");
    let answer: Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["id"], json!("probe"), "unexpected: {answer}");
}
