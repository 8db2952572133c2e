//! Answers in Redis, shared by gateways. Whatever goes wrong there is a miss.

use std::time::Duration;

use redis::AsyncCommands;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Timestamp;

use super::key::Key;
use super::semantic::Earlier;
use crate::answer::Answer;
use crate::error::GatewayError;
use crate::secret::Place;

/// A look-up that waits longer than this costs more than it saves.
const PATIENCE: Duration = Duration::from_millis(250);

/// Earlier requests that gateways share under one context.
const MOST_SHARED: isize = 64;

pub(super) struct Remote {
    connection: ConnectionManager,
    prefix: String,
    /// Vectors of different embeddings do not mix.
    embedding: String,
}

/// An answer and until when it may be served.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    pub answer: Answer,
    pub until: Timestamp,
}

impl Remote {
    /// Connects on first use.
    pub(super) fn new(place: &Place, prefix: &str, embedding: &str) -> Result<Self, GatewayError> {
        // The address may hold a password: the message must not repeat it.
        let wrong = |_| GatewayError::Config {
            path: "gateway.cache.redis".to_owned(),
            reason: "it is not an address of Redis, as in redis://127.0.0.1:6379".to_owned(),
        };
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(PATIENCE))
            .set_connection_timeout(Some(PATIENCE))
            .set_number_of_retries(1);
        let client = redis::Client::open(place.read()?.expose()).map_err(wrong)?;
        let connection = ConnectionManager::new_lazy_with_config(client, config).map_err(wrong)?;
        Ok(Self { connection, prefix: prefix.to_owned(), embedding: embedding.to_owned() })
    }

    fn answer_key(&self, key: &Key) -> String {
        format!("{}:answer:{}", self.prefix, hex(key))
    }

    fn near_key(&self, context: &Key) -> String {
        format!("{}:near:{}:{}", self.prefix, self.embedding, hex(context))
    }

    pub(super) async fn get(&self, key: &Key) -> Result<Option<Kept>, String> {
        let name = self.answer_key(key);
        let mut connection = self.connection.clone();
        let text: Option<Vec<u8>> = patiently(async move { connection.get(name).await }).await?;
        text.map(|text| serde_json::from_slice(&text).map_err(|_| "what is kept there is not understood".to_owned()))
            .transpose()
    }

    pub(super) async fn put(&self, key: &Key, kept: &Kept, ttl: Duration) -> Result<(), String> {
        let text = serde_json::to_vec(kept).map_err(|error| error.to_string())?;
        let name = self.answer_key(key);
        let mut connection = self.connection.clone();
        patiently(async move { connection.pset_ex(name, text, millis(ttl)).await }).await
    }

    /// Earlier requests under a context, newest first.
    pub(super) async fn near(&self, context: &Key) -> Result<Vec<Earlier>, String> {
        let name = self.near_key(context);
        let mut connection = self.connection.clone();
        let list: Vec<Vec<u8>> = patiently(async move { connection.lrange(name, 0, MOST_SHARED - 1).await }).await?;
        Ok(list.iter().filter_map(|text| serde_json::from_slice(text).ok()).collect())
    }

    pub(super) async fn add_near(&self, context: &Key, earlier: &Earlier, ttl: Duration) -> Result<(), String> {
        let text = serde_json::to_vec(earlier).map_err(|error| error.to_string())?;
        let name = self.near_key(context);
        let mut connection = self.connection.clone();
        patiently(async move {
            redis::pipe()
                .lpush(&name, text)
                .ignore()
                .ltrim(&name, 0, MOST_SHARED - 1)
                .ignore()
                .pexpire(&name, millis(ttl).cast_signed())
                .ignore()
                .query_async(&mut connection)
                .await
        })
        .await
    }
}

async fn patiently<T>(asked: impl Future<Output = redis::RedisResult<T>>) -> Result<T, String> {
    match tokio::time::timeout(2 * PATIENCE, asked).await {
        Ok(result) => result.map_err(|error| error.category().to_owned()),
        Err(_) => Err("it did not answer in time".to_owned()),
    }
}

fn millis(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX).clamp(1, i64::MAX.unsigned_abs())
}

fn hex(key: &Key) -> String {
    blake3::Hash::from_bytes(*key).to_hex().to_string()
}
