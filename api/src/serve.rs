//! The server itself: connections, their limits, and a stop that lets answers under way end.

use std::io;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;

use crate::Api;

/// A caller that has not sent the head of its request by then is hung up on.
const HEAD: Duration = Duration::from_secs(15);
/// What is still under way this long after the stop is cut off.
const DRAIN: Duration = Duration::from_secs(10);
/// How long to wait where the machine has no room for another connection.
const FULL: Duration = Duration::from_millis(100);

/// Serves until [`Api::stopping`] is cancelled; then takes no more connections, ends streams, and waits for answers
/// under way. `beside` holds routes that are not the API's and ask for no token, as `/metrics`.
///
/// # Errors
/// The listener has no address any more.
pub async fn serve(listener: TcpListener, api: Api, beside: Router) -> io::Result<()> {
    let stopping = api.stopping.clone();
    let app = crate::router(api).merge(beside);
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    loop {
        let accepted = tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Too many open files, or a caller that is gone already: neither ends the server.
                tracing::warn!(error = &error as &dyn std::error::Error, "a connection was not accepted");
                tokio::time::sleep(FULL).await;
                continue;
            }
        };
        // Small answers must not wait for more to send.
        let _ = stream.set_nodelay(true);
        let service = TowerToHyperService::new(app.clone());
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            if let Err(error) = watched.await {
                tracing::debug!(error, "a connection broke");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, graceful.shutdown()).await.is_err() {
        tracing::warn!("connections were still open when the server stopped");
    }
    Ok(())
}
