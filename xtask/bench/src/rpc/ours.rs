//! Our client and server.

use anyhow::{Context as _, Result};
use rpc::{Client, HttpConfig, Module, Modules, Server, WsConfig};
use tempfile::TempDir;

use super::METHOD;

/// A client and the server it calls.
pub(super) struct Ends {
    client: Client,
    /// They live as long as the client.
    _server: Server,
    _folder: Option<TempDir>,
}

impl Ends {
    pub(super) async fn in_process() -> Result<Self> {
        let server = Server::builder().module(module()).start().await?;
        Ok(Self { client: server.attach(), _server: server, _folder: None })
    }

    pub(super) async fn ipc() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("ipc");
        let server = Server::builder().module(module()).ipc(&path).start().await?;
        let client = Client::connect(path.to_str().context("a path that is text")?).await?;
        Ok(Self { client, _server: server, _folder: Some(folder) })
    }

    pub(super) async fn ws() -> Result<Self> {
        let config = WsConfig::new(ANY_PORT).modules(Modules::all());
        let server = Server::builder().module(module()).ws(config).start().await?;
        let address = server.ws_addr().context("it listens")?;
        let client = Client::connect(&format!("ws://{address}")).await?;
        Ok(Self { client, _server: server, _folder: None })
    }

    pub(super) async fn http() -> Result<Self> {
        let config = HttpConfig::new(ANY_PORT).modules(Modules::all());
        let server = Server::builder().module(module()).http(config).start().await?;
        let address = server.http_addr().context("it listens")?;
        let client = Client::connect(&format!("http://{address}")).await?;
        Ok(Self { client, _server: server, _folder: None })
    }

    pub(super) async fn add(&self, a: u64, b: u64) -> Result<u64> {
        Ok(self.client.call(METHOD, (a, b)).await?)
    }

    /// How many of so many calls in one message succeed.
    pub(super) async fn batch(&self, calls: usize) -> Result<usize> {
        let mut batch = self.client.batch();
        for number in 0..calls {
            batch = batch.call(METHOD, (number, 1));
        }
        Ok(batch.send().await?.iter().filter(|answer| answer.is_ok()).count())
    }
}

fn module() -> Module {
    Module::new("bench").method("add", |a: u64, b: u64| async move { rpc::Result::Ok(a + b) })
}

const ANY_PORT: &str = "127.0.0.1:0";
