//! What the product stands on: a file and a channel, or PostgreSQL and Redis.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use tidemill_store::{
    InProcess, Transport,
    transport::redis::{RedisOptions, RedisTransport},
};
use tidemill_testkit::{Durability, Postgres, Redis};

use crate::Outcome;

/// Where state and tickets are.
#[derive(Debug, Clone)]
pub enum Ground {
    /// SQLite on the disk and a channel in the process.
    Embedded,
    /// Real servers on this machine; every commit is flushed.
    Cluster(Arc<Servers>),
}

/// The servers, started once for all measurements.
#[derive(Debug)]
pub struct Servers {
    pub postgres: Postgres,
    pub redis: Redis,
    states: AtomicU32,
}

/// An empty state, and a way for its tickets.
pub struct State {
    pub url: String,
    pub transport: Arc<dyn Transport>,
    /// The names of its keys in Redis, where there are some.
    pub prefix: String,
}

impl Ground {
    /// Starts the servers.
    pub fn cluster() -> Outcome<Self> {
        let postgres = Postgres::start(Durability::Flushed)?;
        let redis = Redis::start(Default::default())?;
        Ok(Self::Cluster(Arc::new(Servers { postgres, redis, states: AtomicU32::new(0) })))
    }

    /// An empty state; embedded, in a folder.
    pub async fn state(&self, folder: &Path) -> Outcome<State> {
        Ok(match self {
            Self::Embedded => State {
                url: format!("sqlite:{}", folder.join("state.db").display()),
                transport: Arc::new(InProcess::new()),
                prefix: String::new(),
            },
            Self::Cluster(servers) => {
                let prefix = format!("bench{}", servers.states.fetch_add(1, Ordering::Relaxed));
                let options = RedisOptions { prefix: prefix.clone(), ..RedisOptions::new(servers.redis.url()) };
                let transport = Arc::new(RedisTransport::new(&options)?);
                State { url: servers.postgres.fresh().await?, transport, prefix }
            }
        })
    }
}
