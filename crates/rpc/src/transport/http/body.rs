//! The body of a request, in one piece and within its limits.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used
)]

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::body::{Body, Incoming};

use crate::transport::alarm::Alarm;

/// Why there is no body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// It is over the limit: so many bytes as was said, or as came until that was seen.
    TooLarge { got: u64 },
    /// The connection failed, or the body is no body.
    Broken,
    /// It did not come in time.
    Late,
}

/// Reads the body; the time counts from now.
///
/// # Errors
///
/// [`BodyError`]. What is left of the body is not read then.
pub(super) async fn read(
    mut body: Incoming,
    limit: usize,
    time: Duration,
) -> Result<Bytes, BodyError> {
    // A refusal costs nothing when the request says how long it will be.
    let announced = body.size_hint().lower();
    if announced > as_u64(limit) {
        return Err(BodyError::TooLarge { got: announced });
    }
    let announced = usize::try_from(announced).unwrap_or(limit);
    let mut whole = Whole { limit, announced, first: Bytes::new(), all: Vec::new() };
    let mut alarm = Alarm::default();
    let mut due = None;
    poll_fn(|cx| {
        if let Poll::Ready(read) = whole.poll(&mut body, cx) {
            return Poll::Ready(read);
        }
        // Nearly every body comes together with its head, and needs no clock.
        let due = *due.get_or_insert_with(|| tokio::time::Instant::now().checked_add(time));
        ready!(alarm.poll(due, cx));
        Poll::Ready(Err(BodyError::Late))
    })
    .await
}

/// The parts of a body so far.
struct Whole {
    limit: usize,
    announced: usize,
    /// The first part, as it lies in the connection's buffer: usually all there is.
    first: Bytes,
    /// All parts, once there is a second one.
    all: Vec<u8>,
}

impl Whole {
    fn poll(
        &mut self,
        body: &mut Incoming,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Bytes, BodyError>> {
        loop {
            match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                None => return Poll::Ready(Ok(self.take())),
                Some(Err(_)) => return Poll::Ready(Err(BodyError::Broken)),
                // Trailers mean nothing here.
                Some(Ok(frame)) => {
                    if let Ok(part) = frame.into_data() {
                        self.add(part)?;
                    }
                }
            }
        }
    }

    fn add(&mut self, part: Bytes) -> Result<(), BodyError> {
        let so_far = self.first.len().max(self.all.len());
        let got = so_far.saturating_add(part.len());
        if got > self.limit {
            return Err(BodyError::TooLarge { got: as_u64(got) });
        }
        if so_far == 0 {
            self.first = part;
            return Ok(());
        }
        if self.all.is_empty() {
            self.all.extend_from_slice(&self.first);
        }
        self.make_room(part.len());
        self.all.extend_from_slice(&part);
        Ok(())
    }

    /// Grows with what came, twofold at most, and never beyond what was announced.
    fn make_room(&mut self, needed: usize) {
        let (length, capacity) = (self.all.len(), self.all.capacity());
        if capacity.saturating_sub(length) < needed {
            let left = self.announced.saturating_sub(length);
            self.all.reserve_exact(left.min(length).max(needed));
        }
    }

    fn take(&mut self) -> Bytes {
        if self.all.is_empty() {
            std::mem::take(&mut self.first)
        } else {
            std::mem::take(&mut self.all).into()
        }
    }
}

fn as_u64(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
