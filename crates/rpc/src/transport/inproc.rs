//! In process: the same session, over a pipe in memory.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;

use super::stream;
use crate::{
    Caller, Limits, TransportKind, api::Api, link::Link, scan::ScanLimits, session::Session,
};

/// Serves one caller at the other end of `stream`, until it ends or `stop` is cancelled.
pub(crate) fn serve<S>(
    stream: S,
    api: Arc<Api>,
    limits: &Limits,
    stop: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let counted = api.watch.connection(TransportKind::InProcess);
    let link = Arc::new(Link::new(Caller::new(TransportKind::InProcess, None), true, false));
    let session_limits = Arc::new(super::session_limits(limits));
    let session = Session::new(Arc::clone(&link), api, session_limits, false);
    let run = stream::run(stream, session, link, ScanLimits::from(limits), stop);
    async move {
        let _counted = counted;
        run.await;
    }
}

/// How many bytes the pipe of a client in process holds each way.
pub(crate) const PIPE: usize = 64 * 1024;
