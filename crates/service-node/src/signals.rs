//! Running until the user has had enough (N-06).
//!
//! ```text
//!   SIGINT or SIGTERM   1st  the node stops, as it should
//!                       2nd  nothing is waited for any more
//!                       3rd  the process ends here and now, with status 130
//! ```
//!
//! Signals belong to the process, so a node looks at them only while somebody waits in
//! [`Node::run_until_signal`].

use std::io;

use crate::{Node, RunError, StopError};

impl Node {
    /// Starts the node if it does not run, and stops it at the first SIGINT or SIGTERM; on Windows at
    /// Ctrl-C. Returns, too, when somebody else has stopped it.
    ///
    /// A second signal while it stops aborts what is left, which is [`RunError::Aborted`], and a third
    /// **ends the process** with status 130. Once called, the process's own handling of these signals
    /// does not come back.
    ///
    /// # Errors
    ///
    /// [`RunError`] when it does not start, or does not stop well.
    pub async fn run_until_signal(&self) -> Result<(), RunError> {
        let mut signals = Signals::new().map_err(RunError::Signals)?;
        if !self.is_running() {
            tokio::select! {
                biased;
                () = signals.next() => return self.wind_down(signals).await,
                started = self.start() => started?,
            }
        }
        tokio::select! {
            biased;
            () = signals.next() => self.wind_down(signals).await,
            () = self.stopped() => Ok(()),
        }
    }

    /// The first signal has come.
    async fn wind_down(&self, mut signals: Signals) -> Result<(), RunError> {
        tracing::info!(node = %self.name(), "got interrupt, shutting down");
        tokio::select! {
            biased;
            stopped = self.stop() => return match stopped {
                // It was not up yet, or somebody else was faster.
                Ok(()) | Err(StopError::NotStarted(_)) => Ok(()),
                Err(error) => Err(error.into()),
            },
            () = signals.next() => {}
        }
        tracing::warn!(node = %self.name(), "got interrupt again, aborting; once more ends the process");
        tokio::select! {
            biased;
            () = self.abort() => Err(RunError::Aborted),
            () = signals.next() => std::process::exit(INTERRUPTED),
        }
    }
}

/// The signals that ask a program to end.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(windows)]
    fn new() -> io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    /// The next one.
    async fn next(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(windows)]
        self.interrupt.recv().await;
    }
}

/// What shells give a program that was ended by SIGINT: 128 + 2.
const INTERRUPTED: i32 = 130;
