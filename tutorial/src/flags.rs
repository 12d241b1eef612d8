//! The flags that all chapters share.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use clap::{Parser, ValueEnum};

/// One chapter of the tutorial: peers on this machine that say what happens and check it
///
/// It ends with exit code 0 if everything it promises held.
#[derive(Debug, Parser)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Flags {
    /// What stdout gets; what people read is on stderr
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "terminal")]
    pub(crate) log: Format,

    /// Show what each layer below does, and when
    #[arg(short, long)]
    pub(crate) verbose: bool,

    /// Listen for peers on this port instead of any free one; the original has 31234, and 30100
    /// from C1 on
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,

    /// Show what crosses the wire: bytes between nodes, with keys and a seed that are the same in
    /// every run, and the text of RPC messages
    #[arg(long)]
    pub(crate) wire: bool,
}

/// What stdout gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Nothing
    Terminal,
    /// One JSON object a line
    Json,
    /// One line of name=value pairs
    Logfmt,
}

/// Where a node listens: on this machine only, on a free port unless `--port` names one.
pub fn listen_addr() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, FLAGS.port))
}

/// What the command line says. Ends the program if it says nonsense.
pub(crate) static FLAGS: LazyLock<Flags> = LazyLock::new(Flags::parse);

const EXAMPLES: &str = "\
Examples:
  cargo run --bin a4_message                what happens
  cargo run --bin a4_message -- -v          and how, layer by layer
  cargo run --bin a4_message -- --wire      and the bytes that moved
  cargo run --bin a4_message -- --log json  for programs

Environment:
  RUST_LOG  what to show instead, as in demo=info,p2p_server=debug
  NO_COLOR  no colours on a terminal, whatever its value";
