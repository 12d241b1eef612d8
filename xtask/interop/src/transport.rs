//! The ways to an RPC server, and running something over each of them.

use std::{fmt, time::Duration};

use anyhow::{Result, bail};
use tokio::time::timeout;

/// A way to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A local socket.
    Ipc,
    /// One request after the other.
    Http,
    /// A WebSocket.
    Ws,
}

impl Transport {
    /// All of them.
    pub(crate) const ALL: &[Self] = &[Self::Ipc, Self::Http, Self::Ws];
    /// Those on which the server can speak first.
    pub(crate) const BOTH_WAYS: &[Self] = &[Self::Ipc, Self::Ws];

    /// As in a URL.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ipc => "ipc",
            Self::Http => "http",
            Self::Ws => "ws",
        }
    }

    /// Whether the server can speak first.
    pub(crate) fn is_both_ways(self) -> bool {
        Self::BOTH_WAYS.contains(&self)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Runs a scenario over each of these transports, whatever becomes of the others. Gives a remark on which
/// of them carried it.
///
/// # Errors
///
/// What failed, each with its transport.
pub(crate) async fn over_each<F: Future<Output = Result<String>>>(
    transports: &[Transport],
    run: impl Fn(Transport) -> F,
) -> Result<String> {
    let (mut passed, mut failed) = (Vec::new(), Vec::new());
    for over in transports {
        match timeout(LIMIT, run(*over)).await {
            Ok(Ok(remark)) => passed.push((*over, remark)),
            Ok(Err(error)) => failed.push(format!("over {over}: {error:#}")),
            Err(_) => {
                failed.push(format!("over {over}: not finished within {} s", LIMIT.as_secs()))
            }
        }
    }
    if failed.is_empty() {
        return Ok(remark(&passed));
    }
    bail!("{}", failed.join("\n"))
}

/// The transports that carried a scenario, each remark after those that it is about.
fn remark(passed: &[(Transport, String)]) -> String {
    let groups = passed.chunk_by(|(_, one), (_, other)| one == other).map(|group| {
        let names: Vec<_> = group.iter().map(|(over, _)| over.name()).collect();
        match group.first() {
            Some((_, remark)) if !remark.is_empty() => format!("{}: {remark}", names.join(", ")),
            _ => names.join(", "),
        }
    });
    groups.collect::<Vec<_>>().join("; ")
}

/// For one scenario over one transport, on a machine that is busy with other things.
const LIMIT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_fails_names_its_transport_and_the_others_still_run() {
        let run = |over| async move {
            match over {
                Transport::Http => bail!("expected 1, got 2"),
                _ => Ok(String::new()),
            }
        };

        let error = over_each(Transport::ALL, run).await.unwrap_err();
        let two_ways = over_each(Transport::BOTH_WAYS, run).await.unwrap();

        assert_eq!(error.to_string(), "over http: expected 1, got 2");
        assert_eq!(two_ways, "ipc, ws");
    }

    #[test]
    fn a_remark_stands_after_the_transports_that_it_is_about() {
        let passed = |ipc: &str, http: &str| {
            remark(&[(Transport::Ipc, ipc.to_owned()), (Transport::Http, http.to_owned())])
        };

        assert_eq!(passed("", ""), "ipc, http");
        assert_eq!(passed("", "refused"), "ipc; http: refused");
        assert_eq!(passed("no data", "no data"), "ipc, http: no data");
    }
}
