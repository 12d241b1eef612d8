//! jsonrpsee's client and server, as they are by default.

use anyhow::Result;
use jsonrpsee::{
    RpcModule,
    core::{
        client::{BatchResponse, ClientT as _, Error},
        params::BatchRequestBuilder,
    },
    rpc_params,
    server::{Server, ServerHandle},
    types::ErrorObjectOwned,
};
use jsonrpsee_http_client::HttpClient;
use jsonrpsee_ws_client::{WsClient, WsClientBuilder};

use super::METHOD;

/// A client and the server it calls.
pub(super) struct Ends {
    client: Client,
    /// The server lives as long as its handle.
    _server: ServerHandle,
}

enum Client {
    Ws(WsClient),
    Http(HttpClient),
}

impl Ends {
    pub(super) async fn ws() -> Result<Self> {
        let (address, server) = start().await?;
        let client = WsClientBuilder::new().build(format!("ws://{address}")).await?;
        Ok(Self { client: Client::Ws(client), _server: server })
    }

    pub(super) async fn http() -> Result<Self> {
        let (address, server) = start().await?;
        let client = HttpClient::builder().build(format!("http://{address}"))?;
        Ok(Self { client: Client::Http(client), _server: server })
    }

    pub(super) async fn add(&self, a: u64, b: u64) -> Result<u64> {
        Ok(match &self.client {
            Client::Ws(client) => client.request(METHOD, rpc_params![a, b]).await?,
            Client::Http(client) => client.request(METHOD, rpc_params![a, b]).await?,
        })
    }

    /// How many of so many calls in one message succeed.
    pub(super) async fn batch(&self, calls: usize) -> Result<usize> {
        let mut batch = BatchRequestBuilder::new();
        for number in 0..calls {
            batch.insert(METHOD, rpc_params![number, 1])?;
        }
        let answers: Result<BatchResponse<'_, u64>, Error> = match &self.client {
            Client::Ws(client) => client.batch_request(batch).await,
            Client::Http(client) => client.batch_request(batch).await,
        };
        Ok(answers?.num_successful_calls())
    }
}

async fn start() -> Result<(std::net::SocketAddr, ServerHandle)> {
    let mut module = RpcModule::new(());
    module.register_async_method(METHOD, |params, _, _| async move {
        let (a, b): (u64, u64) = params.parse()?;
        Ok::<_, ErrorObjectOwned>(a + b)
    })?;
    let server = Server::builder().build("127.0.0.1:0").await?;
    Ok((server.local_addr()?, server.start(module)))
}
