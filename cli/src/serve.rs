//! The API as a part of a process.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tidemill_api::health::{Finding, Probe};
use tidemill_api::{Access, Api, Health, Settings, Workbench};
use tidemill_store::{Store, Transport};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::error::CliError;
use crate::node::{self, Node};
use crate::project::Project;

/// A running API.
pub struct Serving {
    /// Where it listens.
    pub bound: SocketAddr,
    stopping: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Starts to answer.
    pub async fn start(
        project: &Project,
        (node, workbench): (&Node, &Arc<Workbench>),
        listener: TcpListener,
        access: Access,
    ) -> Result<Self, CliError> {
        let bound = listener.local_addr();
        let bound = bound.map_err(|source| CliError::Listen { address: "the address".to_owned(), source })?;
        let (store, blobs, clock) = (node.store.clone(), node::blobs(project).await?, node.store.clock());
        let section = &project.config.server;
        let settings =
            Settings { access, requests_per_minute: section.requests_per_minute, timeout: section.timeout.0 };
        let stopping = CancellationToken::new();
        let mut health = Health::new(&store, &blobs, &clock);
        if let Some(transport) = project.queue_transport()? {
            health = health.with(Queue { transport });
        }
        let api = Api {
            health: Arc::new(health),
            store,
            workbench: workbench.clone(),
            blobs,
            clock,
            chance: clock::chance(),
            bell: node.bell.clone(),
            settings,
            stopping: stopping.clone(),
        };
        let server = tokio::spawn(tidemill_api::serve(listener, api, node.metrics()));
        Ok(Self { bound, stopping, server })
    }

    /// Takes no more requests, and waits for the answers under way.
    pub async fn stop(self) {
        self.stopping.cancel();
        let _ = self.server.await;
    }
}

/// The Redis of a cluster.
struct Queue {
    transport: Arc<dyn Transport>,
}

#[async_trait]
impl Probe for Queue {
    fn name(&self) -> &'static str {
        "queue"
    }

    async fn look(&self) -> Finding {
        match self.transport.condition().await {
            Ok(_) => Finding::healthy(),
            // Nothing is lost: the sweep offers again what does not come through.
            Err(error) => Finding::degraded(format!("{error}; tasks start later than they could")),
        }
    }
}

/// Listens where asked.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, CliError> {
    let failed = |source| CliError::Listen { address: address.to_string(), source };
    TcpListener::bind(address).await.map_err(failed)
}

/// Only an address of this machine alone: nobody is asked for a token there.
pub fn local(address: SocketAddr) -> Result<(), CliError> {
    if address.ip().is_loopback() { Ok(()) } else { Err(CliError::NotLoopback { address: address.to_string() }) }
}

/// Where others can reach it, there must be a token that they need.
pub async fn protected(address: SocketAddr, store: &Store) -> Result<(), CliError> {
    if address.ip().is_loopback() || store.has_tokens().await? {
        return Ok(());
    }
    Err(CliError::Unprotected { address: address.to_string() })
}
