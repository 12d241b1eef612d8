//! What stands in for metrics where the feature is off: nothing is counted, and nothing served.

/// There is none.
pub(crate) enum MetricsConfig {}

/// The metrics of one run of a node: none.
#[derive(Clone, Default)]
pub(crate) struct Metrics;

impl Metrics {
    pub(crate) fn observe_p2p(
        &self,
        builder: p2p_server::ServerBuilder,
    ) -> p2p_server::ServerBuilder {
        builder
    }

    pub(crate) fn observe_rpc(&self, builder: rpc::ServerBuilder) -> rpc::ServerBuilder {
        builder
    }

    pub(crate) async fn serve(
        &self,
        config: &MetricsConfig,
    ) -> Result<rpc::Server, rpc::StartError> {
        match *config {}
    }
}
