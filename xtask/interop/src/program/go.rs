//! The programs in Go, each a module of its own.

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};
use tokio::{process::Command, time::timeout};

use super::{
    Absence, BUILD, Kind, Program, QUERY, attempt, gist, progress, run, source, target, text,
};

/// One program in Go: where its module is and how it is built.
pub(super) struct Unit {
    /// What it is called in what is printed.
    what: &'static str,
    /// Below this package.
    folder: &'static str,
    /// What chooses another module file or other sources than usual.
    flags: &'static [&'static str],
    package: &'static str,
    binary: &'static str,
    /// How long the first build takes, for who waits.
    costs: &'static str,
}

impl Unit {
    /// go-ethereum's p2p server.
    pub(super) const P2P: Self = Self {
        what: "the Go peer",
        folder: "go",
        flags: &[],
        package: ".",
        binary: "peer",
        costs: "about a minute",
    };
    /// go-ethereum's rpc client and server, current release.
    pub(super) const RPC: Self =
        Self { what: "the Go peer for RPC", folder: "go-rpc", binary: "rpc-peer", ..Self::P2P };
    /// The same of 2019.
    pub(super) const RPC_OLD: Self = Self {
        what: "the Go peer for RPC with go-ethereum 1.9.2",
        flags: &["-modfile=go-1.9.mod", "-tags=geth1.9"],
        binary: "rpc-peer-1.9",
        ..Self::RPC
    };
    /// go-ethereum's container around them.
    pub(super) const NODE: Self = Self {
        what: "the Go node",
        folder: "go-node",
        binary: "node-peer",
        costs: "about two minutes",
        ..Self::P2P
    };
    /// The whole of go-ethereum, for its console.
    pub(super) const CONSOLE: Self = Self {
        what: "geth",
        folder: "go-geth",
        package: "github.com/ethereum/go-ethereum/cmd/geth",
        binary: "geth",
        costs: "two to three minutes",
        ..Self::P2P
    };

    /// Builds it, or says what is missing; a build that takes longer than `limit`, too.
    ///
    /// # Errors
    ///
    /// When everything is here and it does not build.
    pub(super) async fn prepare(
        &self,
        kind: Kind,
        limit: Duration,
    ) -> Result<Result<Program, Absence>> {
        let what = self.what;
        let Ok(version) = run(&mut self.go(&["version"]), QUERY).await else {
            return Ok(Err(Absence("no Go tool chain: `go` is not on the PATH".into())));
        };
        progress(&format!("{}, looking for the modules of {what}", text(&version.stdout)));
        // Resolves and, the first time, downloads every package needed. It compiles nothing, so what
        // goes wrong here is missing on this machine and no fault of the program.
        let mut list = self.go(&["list", "-deps"]);
        if let Err(said) = attempt(list.args(self.flags).arg(self.package)).await {
            let why = format!("the modules of {what} are not to be had: {}", gist(&said));
            return Ok(Err(Absence(why)));
        }
        progress(&format!("building {what} ({} the first time)", self.costs));
        let binary = target("go")?.join(self.binary);
        Ok(self.build(&binary, limit).await?.map(|()| Program::new(kind, vec![binary])))
    }

    async fn build(&self, binary: &Path, limit: Duration) -> Result<Result<(), Absence>> {
        // One compiler at a time: whoever runs this is running other builds as well.
        let mut build = self.go(&["build", "-p", "1", "-trimpath", "-buildvcs=false", "-o"]);
        build.arg(binary).args(self.flags).arg(self.package);
        let Ok(built) = timeout(limit, run(&mut build, BUILD)).await else {
            let (what, seconds) = (self.what, limit.as_secs());
            let why =
                format!("{what} was not built within {seconds} s; the next run goes on there");
            return Ok(Err(Absence(why)));
        };
        let built = built?;
        ensure!(built.status.success(), "{} does not build: {}", self.what, text(&built.stderr));
        Ok(Ok(()))
    }

    /// `go` without cgo, so that no C compiler is needed, and without fetching another tool chain.
    fn go(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("go");
        command.current_dir(source(self.folder)).args(arguments);
        command.env("CGO_ENABLED", "0").env("GOTOOLCHAIN", "local");
        command
    }
}
