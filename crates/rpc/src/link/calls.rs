//! Calls of ours that wait, and which of them an error without an id is about.
//!
//! A server that cannot make sense of a message answers with the id null, and may keep the connection
//! open: whoever waits for that message would wait for ever. Which one it was is not said, but each
//! such error stands for one message that will never be answered, so in the end it is clear:
//!
//! ```text
//!   sent       1    [2,3]    4            a message is a call, or a batch of some
//!   came       error, id null             one of 1, [2,3], 4 is lost
//!   came       1, 4                       it was [2,3]: both fail with that error
//! ```
//!
//! Guessing earlier would fail a call whose answer is under way.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use tokio::sync::oneshot;

use super::{Asked, Outcome};
use crate::{ClientError, RpcError};

/// See the module's comment.
#[derive(Debug, Default)]
pub(super) struct Calls {
    // bound: MAX_OUTSTANDING, then a call is an error
    waiting: HashMap<u64, Call>,
    /// Calls that nobody waits for any more, and that may still be answered; with their message.
    // bound: MAX_GIVEN_UP, then the oldest is forgotten
    given_up: BTreeMap<u64, u64>,
    // bound: MAX_OBJECTIONS, then one more is ignored
    objections: VecDeque<Objection>,
    last_id: u64,
}

/// A call that has not been answered.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) answer: oneshot::Sender<Outcome>,
    /// The id of the first call in the message that it is in; ids rise from message to message.
    pub(super) message: u64,
    /// Whether that message is a batch.
    pub(super) batch: bool,
    /// A subscription's values may come right behind its id: where they go must be known by then.
    pub(super) asked: Option<Box<Asked>>,
}

/// An error without an id.
#[derive(Debug)]
struct Objection {
    /// It is about a message up to this one.
    up_to: u64,
    error: RpcError,
}

impl Calls {
    /// The first of `count` new ids.
    ///
    /// # Errors
    ///
    /// [`ClientError::TooManyCalls`].
    pub(super) fn numbers(&mut self, count: usize) -> Result<u64, ClientError> {
        if self.waiting.len().saturating_add(count) > MAX_OUTSTANDING {
            return Err(ClientError::TooManyCalls { limit: MAX_OUTSTANDING });
        }
        let first = self.last_id.saturating_add(1);
        self.last_id = self.last_id.saturating_add(count as u64);
        Ok(first)
    }

    /// An id for a call whose answer nobody wants.
    pub(super) fn unwanted(&mut self) -> u64 {
        self.last_id = self.last_id.saturating_add(1);
        self.forget(self.last_id, self.last_id);
        self.last_id
    }

    /// The id that was given out last.
    pub(super) fn last_id(&self) -> u64 {
        self.last_id
    }

    pub(super) fn insert(&mut self, id: u64, call: Call) {
        self.waiting.insert(id, call);
    }

    /// Takes the call out that was answered.
    pub(super) fn answered(&mut self, id: u64) -> Option<Call> {
        let call = self.waiting.remove(&id);
        if call.is_none() {
            self.given_up.remove(&id);
        }
        call
    }

    /// Nobody waits for this call any more; `false` if it has been answered.
    ///
    /// A call that asked for a subscription stays, or nobody could end what it began.
    pub(super) fn give_up(&mut self, id: u64) -> bool {
        match self.waiting.get(&id) {
            None => false,
            Some(Call { asked: Some(_), .. }) => true,
            Some(&Call { message, .. }) => {
                self.waiting.remove(&id);
                self.forget(id, message);
                true
            }
        }
    }

    fn forget(&mut self, id: u64, message: u64) {
        self.given_up.insert(id, message);
        if self.given_up.len() > MAX_GIVEN_UP {
            self.given_up.pop_first();
        }
    }

    /// Notes an error without an id.
    pub(super) fn object(&mut self, error: RpcError) {
        if self.objections.len() < MAX_OBJECTIONS {
            self.objections.push_back(Objection { up_to: self.last_id, error });
        }
    }

    /// Takes out the calls that will never be answered, as far as that is certain, each with the error
    /// that is about it.
    pub(super) fn settle(&mut self) -> Vec<(Call, RpcError)> {
        let mut failed = Vec::new();
        while let Some((messages, count)) = self.certain() {
            let objections: Vec<_> = self.objections.drain(..count).collect();
            for (message, Objection { error, .. }) in messages.into_iter().zip(objections) {
                let calls = self.take_message(message).into_iter();
                failed.extend(calls.map(|call| (call, error.clone())));
                self.given_up.retain(|_, of| *of != message);
            }
        }
        failed
    }

    /// The messages that the first so many objections are about, if there are no more left than those.
    fn certain(&self) -> Option<(BTreeSet<u64>, usize)> {
        (1..).zip(&self.objections).find_map(|(count, Objection { up_to, .. })| {
            let waiting = self.waiting.values().map(|call| call.message);
            let given_up = self.given_up.values().copied();
            let left: BTreeSet<u64> =
                waiting.chain(given_up).filter(|message| message <= up_to).collect();
            (left.len() <= count).then_some((left, count))
        })
    }

    /// Takes out what is left of a message.
    pub(super) fn take_message(&mut self, message: u64) -> Vec<Call> {
        self.waiting.extract_if(|_, call| call.message == message).map(|(_, call)| call).collect()
    }

    /// Takes out all of them.
    pub(super) fn take_all(&mut self) -> impl Iterator<Item = Call> + use<> {
        self.given_up.clear();
        self.objections.clear();
        std::mem::take(&mut self.waiting).into_values()
    }
}

/// How many calls of ours may wait for answers on one connection.
pub(crate) const MAX_OUTSTANDING: usize = 16_384;

/// How many calls are remembered that nobody waits for.
const MAX_GIVEN_UP: usize = 1_024;

/// How many errors without an id are remembered.
const MAX_OBJECTIONS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a message of so many calls; the receivers must live as long as the calls are wanted.
    fn send(calls: &mut Calls, count: usize) -> Vec<oneshot::Receiver<Outcome>> {
        let message = calls.numbers(count).expect("under the limit");
        let call = |id| {
            let (answer, receiver) = oneshot::channel();
            calls.insert(id, Call { answer, message, batch: count > 1, asked: None });
            receiver
        };
        (message..).take(count).map(call).collect()
    }

    fn object(calls: &mut Calls, text: &str) -> Vec<(u64, String)> {
        calls.object(RpcError::parse(text));
        settled(calls)
    }

    fn answer(calls: &mut Calls, id: u64) -> Vec<(u64, String)> {
        calls.answered(id);
        settled(calls)
    }

    fn settled(calls: &mut Calls) -> Vec<(u64, String)> {
        let settled = calls.settle().into_iter();
        let mut settled: Vec<_> =
            settled.map(|(call, error)| (call.message, error.message().to_owned())).collect();
        settled.sort_unstable();
        settled
    }

    fn lost(message: u64, text: &str) -> (u64, String) {
        (message, text.to_owned())
    }

    #[test]
    fn an_error_without_an_id_is_about_the_only_message_there_is() {
        let mut calls = Calls::default();
        let _receivers = send(&mut calls, 2);

        assert_eq!(object(&mut calls, "a"), [lost(1, "a"), lost(1, "a")]);
        // Nothing is left that another could be about, nor what comes later.
        assert_eq!(object(&mut calls, "b"), []);
        let _receiver = send(&mut calls, 1);
        assert_eq!(settled(&mut calls), []);
    }

    #[test]
    fn of_several_messages_it_is_the_one_that_is_never_answered() {
        let mut calls = Calls::default();
        let _receivers = [send(&mut calls, 1), send(&mut calls, 2), send(&mut calls, 1)];

        assert_eq!(object(&mut calls, "a"), []);
        assert_eq!(answer(&mut calls, 1), []);
        let _later = send(&mut calls, 1);
        assert_eq!(answer(&mut calls, 4), [lost(2, "a"), lost(2, "a")]);
        // What was sent later is answered.
        assert!(calls.answered(5).is_some());
    }

    #[test]
    fn as_many_errors_as_messages_settle_all_of_them() {
        let mut calls = Calls::default();
        let _receivers = [send(&mut calls, 1), send(&mut calls, 1)];

        assert_eq!(object(&mut calls, "a"), []);
        assert_eq!(object(&mut calls, "b"), [lost(1, "a"), lost(2, "b")]);
    }

    #[test]
    fn a_call_that_was_given_up_may_be_the_one() {
        let mut calls = Calls::default();
        let _receivers = [send(&mut calls, 1), send(&mut calls, 1)];
        assert!(calls.give_up(1));

        assert_eq!(object(&mut calls, "a"), [], "1 or 2");
        assert_eq!(answer(&mut calls, 2), [], "it was 1, for which nobody waits");
        let _later = send(&mut calls, 1);
        assert_eq!(object(&mut calls, "b"), [lost(3, "b")]);
    }

    #[test]
    fn a_call_that_was_answered_cannot_be_given_up() {
        let mut calls = Calls::default();
        let _receiver = send(&mut calls, 1);

        assert!(calls.answered(1).is_some());
        assert!(!calls.give_up(1));
        assert!(calls.answered(1).is_none());
    }

    #[test]
    fn a_server_that_only_complains_or_never_answers_makes_nothing_grow() {
        let mut calls = Calls::default();
        let _receivers = [send(&mut calls, 1), send(&mut calls, 1)];
        for _ in 0..10_000 {
            calls.object(RpcError::parse("no"));
        }
        assert_eq!(calls.objections.len(), MAX_OBJECTIONS);

        for _ in 0..10_000 {
            let id = calls.numbers(1).expect("nobody waits");
            let (answer, _) = oneshot::channel();
            calls.insert(id, Call { answer, message: id, batch: false, asked: None });
            assert!(calls.give_up(id));
            calls.unwanted();
        }
        assert_eq!(calls.given_up.len(), MAX_GIVEN_UP);
        assert_eq!(calls.waiting.len(), 2);
    }

    #[test]
    fn one_call_more_than_may_wait_is_refused() {
        let mut calls = Calls::default();
        let _receivers = send(&mut calls, MAX_OUTSTANDING);

        assert!(matches!(calls.numbers(1), Err(ClientError::TooManyCalls { limit: 16_384 })));
        calls.answered(1);
        assert_eq!(calls.numbers(1).expect("a place"), 16_385);
    }
}
