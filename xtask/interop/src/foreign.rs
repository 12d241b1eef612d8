//! One running foreign peer: commands in, events out, and what it complained about.
//!
//! ```text
//!   command ──▶ stdin  ┐
//!   event  ◀── stdout  ├─ child process, killed when this value is dropped
//!   last lines ◀ stderr┘
//! ```
//!
//! Events are taken by kind, not by place: two things that happen at once may be reported in either
//! order, so what one step does not ask for is kept for the next.

use std::{
    collections::VecDeque,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader},
    process::{Child, ChildStdin, Command},
    sync::mpsc,
    time::{Instant, timeout_at},
};

use crate::program::{Program, shown};

/// A foreign peer that was started and reported itself ready.
#[derive(Debug)]
pub(crate) struct ForeignPeer {
    name: String,
    child: Child,
    stdin: ChildStdin,
    events: mpsc::Receiver<Value>,
    kept: Vec<Value>,
    complaints: Complaints,
    started: Value,
}

impl ForeignPeer {
    /// Starts the program and waits until it listens, or, as a bare dialer, until it runs.
    ///
    /// # Errors
    ///
    /// When it cannot be started, dies or stays silent; with its last words.
    pub(crate) async fn start(program: &Program, arguments: &[&str]) -> Result<Self> {
        let (executable, first) = program.command.split_first().context("empty command")?;
        let mut child = Command::new(executable)
            .args(first)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", shown(&program.command)))?;
        let stdin = child.stdin.take().context("no stdin")?;
        let stdout = child.stdout.take().context("no stdout")?;
        let complaints = Complaints::default();
        tokio::spawn(complaints.clone().collect(child.stderr.take().context("no stderr")?));
        // bound: events of one scenario; a full queue stops reading, which stops the child's prints.
        let (sender, events) = mpsc::channel(EVENT_QUEUE);
        tokio::spawn(read_events(stdout, sender));
        let name = program.kind.to_string();
        let started = Value::Null;
        let mut peer = Self { name, child, stdin, events, kept: Vec::new(), complaints, started };
        peer.started = peer.expect_any(&["listening", "started"]).await?;
        Ok(peer)
    }

    /// Where it listens.
    ///
    /// # Errors
    ///
    /// When it does not listen.
    pub(crate) fn enode(&self) -> Result<&str> {
        self.started("enode")
    }

    /// A member of the event by which it reported itself ready, such as an address.
    ///
    /// # Errors
    ///
    /// When there is none of this name.
    pub(crate) fn started(&self, member: &str) -> Result<&str> {
        let value = self.started[member].as_str();
        value.with_context(|| format!("{} does not listen: no {member}", self.name))
    }

    /// Implementation, version and runtime, as the program itself knows them.
    pub(crate) fn versions(&self) -> String {
        let part = |name| self.started[name].as_str().unwrap_or("?");
        format!("{} {} ({})", part("implementation"), part("version"), part("runtime"))
    }

    /// Gives it a command.
    ///
    /// # Errors
    ///
    /// When it has gone.
    pub(crate) async fn command(&mut self, command: Value) -> Result<()> {
        let line = format!("{command}\n");
        match self.stdin.write_all(line.as_bytes()).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.gone("did not take a command").await),
        }
    }

    /// Gives it a command and waits for the event that answers it.
    ///
    /// # Errors
    ///
    /// As [`Self::command`] and [`Self::expect`].
    pub(crate) async fn ask(&mut self, command: Value, kind: &str) -> Result<Value> {
        self.command(command).await?;
        self.expect(kind).await
    }

    /// Tells it to dial.
    ///
    /// # Errors
    ///
    /// When it has gone.
    pub(crate) async fn dial(&mut self, enode: &str) -> Result<()> {
        self.command(json!({ "cmd": "dial", "enode": enode })).await
    }

    /// The next event of this kind.
    ///
    /// # Errors
    ///
    /// When it does not come in time, or the program dies first; with its last words.
    pub(crate) async fn expect(&mut self, kind: &str) -> Result<Value> {
        self.expect_any(&[kind]).await
    }

    /// The next event of one of these kinds.
    ///
    /// # Errors
    ///
    /// As [`Self::expect`].
    pub(crate) async fn expect_any(&mut self, kinds: &[&str]) -> Result<Value> {
        self.expect_within(kinds, EVENT_WAIT).await
    }

    /// As [`Self::expect_any`], with a wait of one's own.
    ///
    /// # Errors
    ///
    /// As [`Self::expect`].
    pub(crate) async fn expect_within(&mut self, kinds: &[&str], wait: Duration) -> Result<Value> {
        let wanted = |event: &Value| event["event"].as_str().is_some_and(|k| kinds.contains(&k));
        if let Some(at) = self.kept.iter().position(wanted) {
            return Ok(self.kept.remove(at));
        }
        let deadline = Instant::now() + wait;
        loop {
            match timeout_at(deadline, self.events.recv()).await {
                Ok(Some(event)) if wanted(&event) => return Ok(event),
                Ok(Some(event))
                    if event["event"] == "failed" || event["event"] == "bad-command" =>
                {
                    bail!("{} says {event}", self.name)
                }
                Ok(Some(event)) => self.kept.push(event),
                Ok(None) => return Err(self.gone(&format!("ended before {kinds:?}")).await),
                Err(_) => {
                    let what = format!("was silent about {kinds:?} for {} s", wait.as_secs());
                    return Err(self.complaint(&what));
                }
            }
        }
    }

    /// Fails if an event of this kind has come by without being asked for.
    ///
    /// # Errors
    ///
    /// When one has.
    pub(crate) fn expect_none_so_far(&mut self, kind: &str) -> Result<()> {
        while let Ok(event) = self.events.try_recv() {
            self.kept.push(event);
        }
        match self.kept.iter().find(|event| event["event"] == kind) {
            None => Ok(()),
            Some(event) => bail!("{} says {event}, which should not have happened", self.name),
        }
    }

    async fn gone(&mut self, what: &str) -> anyhow::Error {
        // Its last words may still be on their way.
        let status = tokio::time::timeout(LAST_WORDS, self.child.wait()).await;
        match status {
            Ok(Ok(status)) => self.complaint(&format!("{what} ({status})")),
            _ => self.complaint(what),
        }
    }

    fn complaint(&self, what: &str) -> anyhow::Error {
        let unread: Vec<String> = self.kept.iter().map(Value::to_string).collect();
        let mut text = format!("{} {what}", self.name);
        if !unread.is_empty() {
            text.push_str(&format!("\n    it said: {}", unread.join("\n             ")));
        }
        for line in self.complaints.lines() {
            text.push_str(&format!("\n    stderr: {line}"));
        }
        anyhow!(text)
    }
}

/// The last lines of a child's standard error.
#[derive(Debug, Clone, Default)]
struct Complaints(Arc<Mutex<VecDeque<String>>>);

impl Complaints {
    async fn collect(self, from: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(from).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // bound: the oldest line makes room.
            if kept.len() == COMPLAINT_LINES {
                kept.pop_front();
            }
            kept.push_back(line);
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

async fn read_events(from: impl AsyncRead + Unpin, to: mpsc::Sender<Value>) {
    let mut lines = BufReader::new(from).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let event = serde_json::from_str(&line)
            .unwrap_or_else(|_| json!({ "event": "failed", "error": "not JSON", "line": line }));
        if to.send(event).await.is_err() {
            return;
        }
    }
}

const EVENT_QUEUE: usize = 256;
const COMPLAINT_LINES: usize = 12;
/// Enough for a loaded machine, and above the five seconds after which go-ethereum gives up a
/// handshake.
const EVENT_WAIT: Duration = Duration::from_secs(15);
const LAST_WORDS: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Kind;

    fn shell(script: &str) -> Program {
        Program::new(Kind::Js, vec!["sh".into(), "-c".into(), script.into()])
    }

    #[tokio::test]
    async fn a_child_that_dies_is_reported_with_its_last_words() {
        let program = shell("echo 'no such luck' >&2; exit 7");

        let error = ForeignPeer::start(&program, &[]).await.unwrap_err().to_string();

        assert!(error.contains("no such luck"), "{error}");
        assert!(error.contains('7'), "{error}");
    }

    #[tokio::test]
    async fn a_silent_child_is_reported_after_the_wait() {
        let program = shell(r#"echo '{"event":"started"}'; echo 'busy' >&2; cat >/dev/null"#);
        let mut peer = ForeignPeer::start(&program, &[]).await.unwrap();

        let wait = Duration::from_millis(50);
        let error = peer.expect_within(&["peer"], wait).await.unwrap_err().to_string();

        assert!(error.contains("silent about"), "{error}");
    }

    #[tokio::test]
    async fn events_are_found_in_any_order() {
        let program = shell(
            r#"echo '{"event":"started"}'; echo '{"event":"b","n":1}'; echo '{"event":"a"}'; cat"#,
        );
        let mut peer = ForeignPeer::start(&program, &[]).await.unwrap();

        peer.expect("a").await.unwrap();
        let b = peer.expect("b").await.unwrap();

        assert_eq!(b["n"], 1);
    }

    #[tokio::test]
    async fn a_line_that_is_not_json_is_an_error() {
        let program = shell(r#"echo '{"event":"started"}'; echo oops; cat"#);
        let mut peer = ForeignPeer::start(&program, &[]).await.unwrap();

        let error = peer.expect("peer").await.unwrap_err().to_string();

        assert!(error.contains("oops"), "{error}");
    }
}
