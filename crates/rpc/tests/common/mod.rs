//! What the tests of dialogues share: a server to talk to, and a wire to talk over.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of it")]

pub mod foreign;
pub mod http;
#[cfg(feature = "admin")]
pub mod node;
pub mod service;
pub mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

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
    answers: Vec<Message>,
    /// By the name that the file gives the subscription.
    notifications: BTreeMap<String, VecDeque<Message>>,
    /// Names of subscriptions in the file, by the id that our server gave.
    names: BTreeMap<String, String>,
    /// What was sent and is no whole message yet.
    unfinished: String,
    /// The ids of the calls that asked for a subscription.
    subscribes: Vec<Value>,
    /// Members that differ from run to run.
    normalise: fn(&mut Value),
}

/// A message as it was written, and what it says.
struct Message {
    text: String,
    value: Value,
}

impl Message {
    fn parse(text: &str) -> Self {
        let value = serde_json::from_str(text).unwrap_or_else(|_| panic!("no JSON: {text}"));
        Self { text: text.to_owned(), value }
    }
}

impl Expectations {
    pub fn new(normalise: fn(&mut Value)) -> Self {
        Self {
            answers: Vec::new(),
            notifications: BTreeMap::new(),
            names: BTreeMap::new(),
            unfinished: String::new(),
            subscribes: Vec::new(),
            normalise,
        }
    }

    pub fn add(&mut self, message: &str) {
        let message = Message::parse(message);
        match subscription_of(&message.value) {
            Some(name) => self.notifications.entry(name).or_default().push_back(message),
            None => self.answers.push(message),
        }
    }

    pub fn is_met(&self) -> bool {
        self.answers.is_empty() && self.notifications.values().all(VecDeque::is_empty)
    }

    /// What to send for the file's request: the ids of our server stand where the file has its own.
    pub fn request(&mut self, request: &str) -> String {
        let replace = |text: String, (ours, theirs): (&String, &String)| text.replace(theirs, ours);
        let request = self.names.iter().fold(request.to_owned(), replace);
        self.unfinished.push_str(&request);
        self.take_requests();
        request
    }

    /// Whether what was sent ends between two messages. A number has no end of its own.
    pub fn is_between_messages(&self) -> bool {
        self.unfinished.is_empty()
    }

    /// Notes which of the finished requests ask for a subscription.
    fn take_requests(&mut self) {
        let ends_open = self.unfinished.ends_with(|last: char| last.is_ascii_digit());
        let mut values = serde_json::Deserializer::from_str(&self.unfinished).into_iter::<Value>();
        let mut finished = 0;
        while let Some(Ok(request)) = values.next() {
            if values.byte_offset() == self.unfinished.len() && ends_open {
                break;
            }
            finished = values.byte_offset();
            let calls = request.as_array().cloned().unwrap_or_else(|| vec![request]);
            let subscribes = |call: &Value| {
                call["method"].as_str().is_some_and(|method| method.ends_with("_subscribe"))
            };
            let asks = calls.iter().filter(|call| subscribes(call));
            self.subscribes.extend(asks.map(|call| call["id"].clone()));
        }
        self.unfinished = self.unfinished[finished..].trim().to_owned();
    }

    pub fn take(&mut self, got: &str) {
        let got = Message::parse(got.trim_end());
        match subscription_of(&got.value) {
            Some(id) => self.take_notification(&id, got),
            None => self.take_answer(got),
        }
    }

    fn take_notification(&mut self, id: &str, mut got: Message) {
        let name = self.names.get(id).unwrap_or_else(|| panic!("before its id: {}", got.text));
        let queue = self.notifications.get_mut(name);
        let expected = queue.and_then(VecDeque::pop_front);
        let expected = expected.unwrap_or_else(|| panic!("unexpected: {}", got.text));
        got.value["params"]["subscription"] = json!(name);
        self.compare(got, expected);
    }

    fn take_answer(&mut self, got: Message) {
        let same_id = |expected: &Message| ids_of(&expected.value) == ids_of(&got.value);
        let at = self.answers.iter().position(same_id);
        let expected =
            self.answers.remove(at.unwrap_or_else(|| panic!("unexpected: {}", got.text)));
        self.learn_names(&got.value, &expected.value);
        self.compare(got, expected);
    }

    fn compare(&self, got: Message, expected: Message) {
        assert_eq!(members(&got.text), members(expected.text.trim_end()), "{}", got.text);
        let comparable = |mut value: Value| {
            (self.normalise)(&mut value);
            self.comparable(value)
        };
        assert_eq!(comparable(got.value), comparable(expected.value));
    }

    fn learn_names(&mut self, got: &Value, expected: &Value) {
        if let (Some(got), Some(expected)) = (got.as_array(), expected.as_array()) {
            for (got, expected) in got.iter().zip(expected) {
                self.learn_names(got, expected);
            }
        }
        if let (Some(ours), Some(theirs)) = (self.subscription(got), self.subscription(expected)) {
            self.names.insert(ours.to_owned(), theirs.to_owned());
        }
    }

    /// The id of a subscription that an answer gives.
    fn subscription<'a>(&self, answer: &'a Value) -> Option<&'a str> {
        let id = answer["result"].as_str().filter(|text| is_subscription_id(text))?;
        self.subscribes.contains(&answer["id"]).then_some(id)
    }

    /// Texts that name types or a parser's states are not compared, nor ids that are random.
    fn comparable(&self, mut message: Value) -> Value {
        if let Some(items) = message.as_array_mut() {
            return items.iter().cloned().map(|item| self.comparable(item)).collect();
        }
        if self.subscription(&message).is_some() {
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
}

/// A message without its values: the names of the members in their order, and white space if any.
fn members(text: &str) -> String {
    let mut members = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '"' => {
                let mut name = String::new();
                while let Some(c) = rest.next_if(|c| *c != '"') {
                    name.push(c);
                    name.extend((c == '\\').then(|| rest.next()).flatten());
                }
                rest.next();
                if rest.peek() == Some(&':') {
                    members.push_str(&name);
                }
            }
            '{' | '}' | '[' | ']' | ',' | ':' => members.push(c),
            _ if c.is_whitespace() => members.push(c),
            _ => {}
        }
    }
    members
}

fn is_subscription_id(text: &str) -> bool {
    let hex = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    text.strip_prefix("0x")
        .is_some_and(|digits| !digits.is_empty() && digits.len() <= 32 && hex(digits))
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
