//! Logs as users of go-ethereum know them, for programs that run a node.
//!
//! ```text
//!   terminal   INFO [11-21|01:32:23.973] node started                             node=foo
//!   logfmt     t=2026-11-21T01:32:23.973Z lvl=info msg="node started" node=foo
//!   json       {"t":"2026-11-21T01:32:23.973Z","lvl":"info","msg":"node started","node":"foo"}
//! ```
//!
//! In a terminal long ids are shortened, `92f6fa82…dc0912ba`; for programs they are whole. Times are UTC.
//!
//! A log belongs to the process, so no node sets one up by itself: a program calls [`init`], or makes a
//! [`layer`] for a subscriber of its own.
//!
//! ```
//! use service_node::logs::{self, Format};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let format: Format = "json".parse()?;
//! logs::init(format, "info")?;
//! # Ok(())
//! # }
//! ```
//!
//! Spec: ethereum/go-ethereum:log/format.go, log/handler.go.

mod fields;
mod format;
mod time;

use std::{env, fmt, io, io::IsTerminal as _, str::FromStr};

use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt as _, registry::LookupSpan,
    util::SubscriberInitExt as _,
};

use self::format::Lines;

/// How a line looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// For people: level, time, message padded to 40 columns, then the fields.
    #[default]
    Terminal,
    /// Pairs of `key=value`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "terminal" => Ok(Self::Terminal),
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err(UnknownFormat { text: text.to_owned() }),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminal => "terminal",
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        })
    }
}

/// There is no such format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no log format {text:?}, want terminal, logfmt or json")]
pub struct UnknownFormat {
    /// What was given.
    pub text: String,
}

/// Why the log was not set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InitError {
    /// The filter, or `RUST_LOG`, cannot be read.
    #[error("log filter: {0}; want something like info,p2p_server=debug")]
    Filter(String),
    /// The process has a log already.
    #[error("the log is set up already")]
    Twice,
}

/// Sets the process's log up: lines on standard error, for what `filter` lets through, as in `info` or
/// `info,p2p_server=debug`. `RUST_LOG` takes the filter's place if it is set, and `NO_COLOR` keeps a
/// terminal plain.
///
/// # Errors
///
/// [`InitError`] when the filter cannot be read, or the process has a log.
pub fn init(format: Format, filter: &str) -> Result<(), InitError> {
    let from_env = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|text| !text.is_empty());
    let filter = from_env.as_deref().unwrap_or(filter);
    let filter =
        EnvFilter::try_new(filter).map_err(|error| InitError::Filter(error.to_string()))?;
    let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let color = io::stderr().is_terminal() && !no_color;
    let layer = layer(format, color, io::stderr);
    tracing_subscriber::registry().with(filter).with(layer).try_init().map_err(|_| InitError::Twice)
}

/// The lines alone, for a subscriber of one's own: written to `writer`, and in colour if wanted.
pub fn layer<S, W>(format: Format, color: bool, writer: W) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .with_ansi(false)
        .event_format(Lines { format, color })
        .fmt_fields(fields::AsJson)
}
