//! The gateway as a server. Each thread has a runtime, connections and a share of the callers of its own, so a call
//! stays on one processor from the first byte to the last.

mod body;
mod handle;
mod headers;
mod models;

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::error::GatewayError;
use crate::gateway::Gateway;

/// A connection that sends no request for so long is closed.
const SILENCE: Duration = Duration::from_secs(75);
/// Calls that run when the server stops have so long to end.
const GRACE: Duration = Duration::from_secs(20);
/// What was spent has so long to reach the ledger.
const SETTLING: Duration = Duration::from_secs(5);

/// A server that listens and does not serve yet.
pub struct Server {
    gateway: Gateway,
    listener: TcpListener,
    address: SocketAddr,
}

/// A caller's connection and its place among all.
type Guest = (TcpStream, OwnedSemaphorePermit);

impl Server {
    /// Listens where the configuration says.
    ///
    /// # Errors
    /// The address is none or taken, or it can be reached from outside and there are no keys.
    pub fn bind(gateway: Gateway) -> Result<Self, GatewayError> {
        let listen = &gateway.config().server.listen;
        let wrong = |reason: String| GatewayError::Config { path: "gateway.server.listen".to_owned(), reason };
        let asked: SocketAddr = listen
            .parse()
            .map_err(|_| wrong(format!("`{listen}` is not an address and port, as in 127.0.0.1:8452")))?;
        if !asked.ip().is_loopback() && gateway.shared.keys.open() {
            return Err(GatewayError::OpenToWorld { address: asked.to_string() });
        }
        let listener = TcpListener::bind(asked).map_err(|error| wrong(format!("cannot listen on {asked}: {error}")))?;
        let ready = listener.set_nonblocking(true).and_then(|()| listener.local_addr());
        let address = ready.map_err(|error| wrong(error.to_string()))?;
        Ok(Self { gateway, listener, address })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets calls that run come to their end.
    ///
    /// # Errors
    /// A thread cannot be made.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> std::io::Result<()> {
        let config = &self.gateway.config().server;
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let stopping = CancellationToken::new();
        let (mut senders, mut threads) = (Vec::new(), Vec::new());
        for number in 0..config.threads.unwrap_or(processors).max(1) {
            let (send, receive) = mpsc::unbounded_channel();
            let gateway = self.gateway.for_thread().map_err(std::io::Error::other)?;
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let stopping = stopping.clone();
            let thread = std::thread::Builder::new().name(format!("gateway-{number}"));
            let thread = thread.spawn(move || runtime.block_on(serve(gateway, receive, stopping)))?;
            senders.push(send);
            threads.push(thread);
        }
        let places = Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS)));
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        tokio::select! {
            () = accept(&listener, &places, &senders) => {}
            () = stop => {}
        }
        drop(listener);
        stopping.cancel();
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok())).await;
        if joined.unwrap_or(false) { Ok(()) } else { Err(std::io::Error::other("a thread of the gateway panicked")) }
    }
}

/// Hands connections to the threads in turn.
async fn accept(listener: &tokio::net::TcpListener, places: &Arc<Semaphore>, threads: &[mpsc::UnboundedSender<Guest>]) {
    let mut turn = 0;
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => {
                let _ = threads[turn % threads.len()].send((stream, place));
                turn += 1;
            }
            Err(error) => {
                // Out of files, most likely: others must close first.
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// One thread's work.
async fn serve(gateway: Gateway, mut guests: mpsc::UnboundedReceiver<Guest>, stopping: CancellationToken) {
    let calls = tokio_util::task::TaskTracker::new();
    loop {
        let guest = tokio::select! {
            guest = guests.recv() => guest,
            () = stopping.cancelled() => None,
        };
        let Some((stream, place)) = guest else { break };
        let (gateway, stopping) = (gateway.clone(), stopping.clone());
        calls.spawn(async move {
            if let Err(error) = connection(gateway, stream, stopping).await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    calls.close();
    let _ = tokio::time::timeout(GRACE, calls.wait()).await;
    let _ = tokio::time::timeout(SETTLING, gateway.settled()).await;
}

async fn connection(gateway: Gateway, stream: TcpStream, stopping: CancellationToken) -> Result<(), hyper::Error> {
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return Ok(()) };
    // Without it, small pieces of a stream would wait for each other's receipt.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let gateway = gateway.clone();
        async move { Ok::<_, std::convert::Infallible>(handle::handle(gateway, request).await) }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(SILENCE);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        done = connection.as_mut() => return done,
        () = stopping.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    connection.await
}
