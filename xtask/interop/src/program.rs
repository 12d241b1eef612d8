//! Finding and building the foreign peers: their tool chains, their modules, our programs on top.
//!
//! ```text
//!   go on the PATH? ─▶ version new enough? ─▶ modules to be had? ─▶ build ─▶ target/interop/go/peer, …
//!   node and npm?   ─▶ version new enough? ─▶ npm ci             ─────────▶ target/interop/js/peer.mjs
//!        └────────── any "no" is an absence, with its reason ──────────┘
//! ```
//!
//! What this machine lacks is an [`Absence`] and skips the peer. What it has and does not build is
//! an error of ours and fails the run.

mod go;

use std::{
    ffi::OsStr,
    fmt,
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use tokio::{process::Command, time::timeout};

/// The foreign implementations that this harness knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// go-ethereum's `p2p.Server`, current release.
    Geth,
    /// The RLPx server of `@ethereumjs/devp2p` 10.0.0.
    Js,
    /// go-ethereum's JSON-RPC: client and server of two releases, and its console.
    GethRpc,
    /// Client and server of the older release; goes with `geth-rpc`.
    #[value(skip)]
    GethRpcOld,
    /// The program `geth`, for its console; goes with `geth-rpc`.
    #[value(skip)]
    GethConsole,
    /// A whole node: go-ethereum's container with a service of ours, driven by RPC.
    GethNode,
}

/// Which list of scenarios a peer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    /// Two p2p servers.
    P2p,
    /// RPC clients and servers.
    Rpc,
    /// Two nodes, each with a p2p server and RPC.
    Node,
}

impl Kind {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 6] =
        [Self::Geth, Self::Js, Self::GethRpc, Self::GethRpcOld, Self::GethConsole, Self::GethNode];

    /// Under which of the names that a user may type it is run.
    pub(crate) fn asked_for_as(self) -> Self {
        match self {
            Self::GethRpcOld | Self::GethConsole => Self::GethRpc,
            itself => itself,
        }
    }

    /// Whose work it is.
    pub(crate) fn implementation(self) -> Implementation {
        match self {
            Self::Js => Implementation::Js,
            Self::Geth | Self::GethRpc | Self::GethRpcOld | Self::GethConsole | Self::GethNode => {
                Implementation::Geth
            }
        }
    }

    /// What is done with it.
    pub(crate) fn suite(self) -> Suite {
        match self {
            Self::Geth | Self::Js => Suite::P2p,
            Self::GethRpc | Self::GethRpcOld | Self::GethConsole => Suite::Rpc,
            Self::GethNode => Suite::Node,
        }
    }

    /// Gets the peer program ready to run, or says what is missing for it. Who named it has more
    /// patience.
    ///
    /// # Errors
    ///
    /// When the tool chain and the modules are here and our program still does not build.
    pub(crate) async fn prepare(self, named: bool) -> Result<Result<Program, Absence>> {
        match self {
            Self::Geth => go::Unit::P2P.prepare(self, BUILD).await,
            Self::Js => prepare_js().await,
            Self::GethRpc => go::Unit::RPC.prepare(self, BUILD).await,
            Self::GethRpcOld => go::Unit::RPC_OLD.prepare(self, BUILD).await,
            Self::GethConsole => {
                let limit = if named { BUILD } else { CONSOLE };
                go::Unit::CONSOLE.prepare(self, limit).await
            }
            Self::GethNode => prepare_node(self).await,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Geth => "geth",
            Self::Js => "js",
            Self::GethRpc => "geth-rpc",
            Self::GethRpcOld => "geth-rpc, older release",
            Self::GethConsole => "geth-rpc, console",
            Self::GethNode => "geth-node",
        })
    }
}

/// The projects that the peers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Implementation {
    /// go-ethereum.
    Geth,
    /// ethereumjs.
    Js,
}

/// A foreign peer that can be started.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Which implementation it is.
    pub(crate) kind: Kind,
    /// Executable and first arguments.
    pub(crate) command: Vec<PathBuf>,
    /// The client that goes with it, where ours is to be called by one of theirs.
    pub(crate) client: Option<Box<Self>>,
}

impl Program {
    /// A program alone.
    pub(crate) fn new(kind: Kind, command: Vec<PathBuf>) -> Self {
        Self { kind, command, client: None }
    }
}

/// Why a peer cannot be run on this machine.
#[derive(Debug, Clone)]
pub(crate) struct Absence(pub(crate) String);

/// The node, and the RPC client that drives ours.
async fn prepare_node(kind: Kind) -> Result<Result<Program, Absence>> {
    let client = match go::Unit::RPC.prepare(Kind::GethRpc, BUILD).await? {
        Ok(client) => client,
        Err(absence) => return Ok(Err(absence)),
    };
    let node = go::Unit::NODE.prepare(kind, BUILD).await?;
    Ok(node.map(|node| Program { client: Some(Box::new(client)), ..node }))
}

async fn prepare_js() -> Result<Result<Program, Absence>> {
    let Ok(node) = run(Command::new("node").arg("--version"), QUERY).await else {
        return Ok(Err(Absence("no Node: `node` is not on the PATH".into())));
    };
    let Ok(npm) = run(Command::new("npm").arg("--version"), QUERY).await else {
        return Ok(Err(Absence("no npm: `npm` is not on the PATH".into())));
    };
    let version = text(&node.stdout);
    if !node_is_new_enough(&version) {
        let why = format!("Node {version} is too old, the packages need {OLDEST_NODE}");
        return Ok(Err(Absence(why)));
    }
    progress(&format!("node {version}, npm {}, installing the packages", text(&npm.stdout)));
    let home = target("js")?;
    if let Err(why) = install_packages(&home).await? {
        return Ok(Err(why));
    }
    Ok(Ok(Program::new(Kind::Js, vec!["node".into(), home.join("peer.mjs")])))
}

fn node_is_new_enough(version: &str) -> bool {
    let major = version.trim_start_matches('v').split('.').next().and_then(|n| n.parse().ok());
    major.is_some_and(|major: u32| major >= OLDEST_NODE)
}

/// Installs into a copy, so that the source tree stays as it was checked out.
async fn install_packages(home: &Path) -> Result<Result<(), Absence>> {
    let installed = home.join("package-lock.json");
    let wanted = std::fs::read(source("js").join("package-lock.json"))?;
    let up_to_date = home.join("node_modules").is_dir()
        && std::fs::read(&installed).is_ok_and(|lock| lock == wanted);
    for file in ["package.json", ".npmrc", "peer.mjs"] {
        std::fs::copy(source("js").join(file), home.join(file))
            .with_context(|| format!("copying {file}"))?;
    }
    if up_to_date {
        return Ok(Ok(()));
    }
    std::fs::write(&installed, wanted)?;
    let mut npm = Command::new("npm");
    npm.current_dir(home).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]);
    // Its own patience with an unreachable registry is many minutes.
    npm.args(["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"]);
    let Err(said) = attempt(&mut npm).await else { return Ok(Ok(())) };
    // The lock file doubles as the mark of a finished installation.
    std::fs::remove_file(&installed)?;
    // These two are a lock file at odds with the manifest or with the packages: ours to repair.
    if said.contains("EUSAGE") || said.contains("EINTEGRITY") {
        bail!("npm refuses the lock file: {said}");
    }
    let why = format!("the packages of the Node peer are not to be had: {}", gist(&said));
    Ok(Err(Absence(why)))
}

/// Runs a command that downloads; what it complained about, if it fails or does not end.
async fn attempt(command: &mut Command) -> Result<(), String> {
    match run(command, DOWNLOAD).await {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(text(&output.stderr)),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Runs a command to its end.
///
/// # Errors
///
/// When it cannot be started or does not end in time. Its own failure is in the output.
async fn run(command: &mut Command, limit: Duration) -> Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true);
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    timeout(limit, command.output())
        .await
        .with_context(|| format!("{name} did not end within {} s", limit.as_secs()))?
        .with_context(|| format!("starting {name}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

/// The beginning of a complaint, which names its cause, on one line.
fn gist(said: &str) -> String {
    let lines = said.lines().filter(|line| !line.contains("npm warn")).take(2);
    lines.collect::<Vec<_>>().join(" | ")
}

/// Where the sources of a foreign peer lie.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Where its build products go.
fn target(name: &str) -> Result<PathBuf> {
    let root = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| workspace().join("target"), PathBuf::from);
    let home = std::path::absolute(root.join("interop").join(name))?;
    std::fs::create_dir_all(&home).with_context(|| format!("creating {}", home.display()))?;
    Ok(home)
}

/// The root of the workspace.
pub(crate) fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

#[expect(clippy::print_stderr, reason = "a first build takes a minute; say what it is doing")]
fn progress(what: &str) {
    eprintln!("  {what}");
}

/// Shows the command line of a program.
pub(crate) fn shown(command: &[PathBuf]) -> String {
    let parts: Vec<&OsStr> = command.iter().map(|part| part.as_os_str()).collect();
    parts.join(OsStr::new(" ")).to_string_lossy().into_owned()
}

/// What the packages under `@ethereumjs/devp2p` ask for.
const OLDEST_NODE: u32 = 20;

const QUERY: Duration = Duration::from_secs(20);
const DOWNLOAD: Duration = Duration::from_secs(300);
const BUILD: Duration = Duration::from_secs(900);
/// For building `geth`, which is the largest of all by far, when nobody asked for it.
const CONSOLE: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_unreadable_node_versions_are_refused() {
        assert!(node_is_new_enough("v20.20.2"));
        assert!(node_is_new_enough("v26.0.0"));

        assert!(!node_is_new_enough("v18.19.0"));
        assert!(!node_is_new_enough("weird"));
    }

    #[test]
    fn only_the_cause_of_a_long_complaint_is_kept() {
        let said = "npm warn old\nnpm error code EOFFLINE\nnpm error no network\nnpm error bye";

        assert_eq!(gist(said), "npm error code EOFFLINE | npm error no network");
    }
}
