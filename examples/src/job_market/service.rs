//! The market in a node: its protocol, and the namespace `demo`.
//!
//! | method | arguments | result |
//! |---|---|---|
//! | `demo_submit` | data in Base64, difficulty in bits | the request's id, 16 hex digits |
//! | `demo_setDifficulty` | the hardest request it takes from now on | null |
//! | `demo_stop` | | null, when no conversation is left |

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use p2p_server::Protocol;
use rpc::{Module, RpcError};
use service_node::{BoxError, Service};

use super::Market;
use super::messages::spec;

impl Service for Market {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let market = Arc::clone(self);
        vec![Arc::new(spec().protocol(move |_peer, messages| {
            let market = Arc::clone(&market);
            async move { market.talk(messages).await }
        }))]
    }

    fn apis(self: &Arc<Self>) -> Vec<Module> {
        let worker = Arc::clone(&self.worker);
        vec![
            Module::new("demo")
                .method_of(self, "submit", Self::submit)
                .method("setDifficulty", move |difficulty: u8| {
                    worker.set_difficulty(difficulty);
                    async { rpc::Result::Ok(()) }
                })
                .method_of(self, "stop", Self::stop_talking),
        ]
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        self.close().await;
        Ok(())
    }
}

impl Market {
    async fn submit(self: Arc<Self>, data: String, difficulty: u8) -> rpc::Result<String> {
        let data = BASE64_STANDARD.decode(data);
        let data = data.map_err(|error| RpcError::invalid_params(error.to_string()))?;
        let submitted = self.moocher.submit(data.into(), difficulty).await;
        let id = submitted.map_err(RpcError::other)?;
        Ok(const_hex::encode(id))
    }

    async fn stop_talking(self: Arc<Self>) -> rpc::Result<()> {
        self.close().await;
        Ok(())
    }
}
