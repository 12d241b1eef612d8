//! One timer for whatever a connection waits for next.
//!
//! Most deadlines never come: an answer moves them on. So the timer is left running and looked at again
//! when it fires, and set anew only when something is due sooner than it.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::time::{Instant, Sleep};

/// See the module's comment. Costs nothing until something is due.
#[derive(Debug, Default)]
pub(crate) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready when `due` has come; never if there is none.
    pub(crate) fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else { return Poll::Pending };
        let sleep = self.0.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(due)));
        if due < sleep.deadline() {
            sleep.as_mut().reset(due);
        }
        while sleep.as_mut().poll(cx).is_ready() {
            if due <= sleep.deadline() {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_goes_off_when_the_latest_deadline_has_come() {
        let start = Instant::now();
        let mut alarm = Alarm::default();
        let at = |seconds| Some(start + Duration::from_secs(seconds));
        // A deadline that was moved on twice, and then forward.
        for due in [30, 120, 60] {
            let polled = poll_fn(|cx| Poll::Ready(alarm.poll(at(due), cx))).await;
            assert!(polled.is_pending());
        }

        poll_fn(|cx| alarm.poll(at(60), cx)).await;

        assert_eq!(start.elapsed(), Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_has_passed_goes_off_at_once_and_none_never() {
        let mut alarm = Alarm::default();
        let due = Some(Instant::now());

        poll_fn(|cx| alarm.poll(due, cx)).await;

        let never = poll_fn(|cx| alarm.poll(None, cx));
        assert!(tokio::time::timeout(Duration::from_secs(9_999), never).await.is_err());
    }
}
