//! Running other programs so that none of them outlives us.
//!
//! Every program we start is waited for here. Three things end the wait: it exits, its time is
//! over, or the user pressed Ctrl-C; in the last two cases it is killed and reaped first.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// It was still running when its time was over, and was killed.
    OutOfTime,
}

/// The user pressed Ctrl-C, or something asked us to end.
#[derive(Debug)]
pub(crate) struct Interrupted;

impl std::fmt::Display for Interrupted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Turns Ctrl-C and a polite kill into a flag that [`wait`] looks at.
///
/// Without this the process would die at once and leave its temporary directories behind.
pub(crate) fn watch_for_ctrl_c() {
    // A second handler cannot be set; there is none, as this is called once and first.
    let _ = ctrlc::set_handler(|| INTERRUPTED.store(true, Ordering::Relaxed));
}

/// Runs a command to its end, its output going where ours goes, and says whether it succeeded.
///
/// # Errors
///
/// When the program cannot be started, or [`Interrupted`].
pub(crate) fn succeeds(command: &mut Command) -> anyhow::Result<bool> {
    let child = start(command)?;
    match wait(child, None)? {
        End::Exited(status) => Ok(status.success()),
        End::OutOfTime => Ok(false),
    }
}

/// Runs a command to its end and gives its exit code, 1 if a signal ended it.
///
/// # Errors
///
/// When the program cannot be started, or [`Interrupted`].
pub(crate) fn exit_code(command: &mut Command) -> anyhow::Result<u8> {
    let child = start(command)?;
    match wait(child, None)? {
        End::Exited(status) => {
            Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        End::OutOfTime => Ok(1),
    }
}

/// Starts a command.
///
/// # Errors
///
/// Names the program that could not be started.
pub(crate) fn start(command: &mut Command) -> anyhow::Result<Child> {
    let program = command.get_program().to_string_lossy().into_owned();
    command.spawn().with_context(|| format!("cannot start {program}"))
}

/// Waits until the child ends, and ends it when its time is over or the user wants to go.
///
/// # Errors
///
/// [`Interrupted`], or the system's word when waiting fails.
pub(crate) fn wait(child: Child, limit: Option<Duration>) -> anyhow::Result<End> {
    let mut child = KilledOnDrop(child);
    let start = Instant::now();
    loop {
        if let Some(status) = child.0.try_wait()? {
            // The child shares our terminal: Ctrl-C may have ended it before we saw the flag.
            return if interrupted() { Err(Interrupted.into()) } else { Ok(End::Exited(status)) };
        }
        if interrupted() {
            return Err(Interrupted.into());
        }
        if limit.is_some_and(|limit| start.elapsed() >= limit) {
            return Ok(End::OutOfTime);
        }
        thread::sleep(POLL_EVERY);
    }
}

/// Whether the user wants us to end.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

/// A child that does not outlive its owner, whichever way the owner leaves.
struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        let ended: io::Result<Option<ExitStatus>> = self.0.try_wait();
        if !matches!(ended, Ok(Some(_))) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Short beside the 100 ms of a chapter, long enough to cost nothing. The standard library has
/// no wait with a deadline.
const POLL_EVERY: Duration = Duration::from_millis(3);

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn a_program_that_never_ends_is_killed_when_its_time_is_over() {
        let child = start(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null())).unwrap();
        let started = Instant::now();

        let end = wait(child, Some(Duration::from_millis(50))).unwrap();

        assert_eq!(end, End::OutOfTime);
        assert!(started.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn the_exit_code_of_a_program_is_passed_on() {
        let code = exit_code(Command::new("sh").args(["-c", "exit 7"])).unwrap();

        assert_eq!(code, 7);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = succeeds(&mut Command::new("no-such-program-here")).unwrap_err();

        assert!(error.to_string().contains("no-such-program-here"), "{error}");
    }
}
