//! Tokens of the API as rows. What makes and checks them is in the API; here is only what may be kept.

use std::time::Duration;

use serde::Serialize;
use tidemill_dag::time::Timestamp;

use crate::{
    Store, StoreError,
    db::{Columns, Row, tried},
};

/// A token to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The part that may be shown.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do: `read`, `run` or `admin`.
    pub role: String,
    /// SHA-256 of the secret, in hexadecimal.
    pub hash: String,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// A token as it is kept. Its hash is not told to people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TokenRecord {
    /// The part that may be shown.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// What it may do: `read`, `run` or `admin`.
    pub role: String,
    /// SHA-256 of the secret, in hexadecimal.
    #[serde(skip)]
    pub hash: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it opens anything at this moment.
    pub fn lives(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|end| now < end)
    }
}

/// How exactly the last use is known; each note of it is a write.
const USE: Duration = Duration::from_secs(60);

/// A living name is not given twice; that of a token that has expired is free.
const SAVE: &str = "INSERT INTO api_tokens (id, name, role, hash, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6) \
                    ON CONFLICT DO NOTHING RETURNING id";

const EXPIRED: &str =
    "UPDATE api_tokens SET revoked_at = expires_at WHERE name = $1 AND revoked_at IS NULL AND expires_at <= $2";

const ONE: &str =
    "SELECT id, name, role, hash, created_at, expires_at, last_used_at, revoked_at FROM api_tokens WHERE id = $1";

const ALL: &str = "SELECT id, name, role, hash, created_at, expires_at, last_used_at, revoked_at FROM api_tokens ORDER BY created_at, id";

const LIVING: &str =
    "SELECT id FROM api_tokens WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) LIMIT 1";

const USED: &str =
    "UPDATE api_tokens SET last_used_at = $1 WHERE id = $2 AND (last_used_at IS NULL OR last_used_at <= $3)";

const REVOKE: &str =
    "UPDATE api_tokens SET revoked_at = $1 WHERE revoked_at IS NULL AND (name = $2 OR id = $2) RETURNING id";

impl Store {
    /// Keeps a token.
    ///
    /// # Errors
    /// A living token has that name ([`StoreError::TokenTaken`]).
    pub async fn save_token(&self, new: &NewToken) -> Result<TokenRecord, StoreError> {
        let rows = tried!(self.save_token_once(new).await)?;
        if rows.is_empty() {
            return Err(StoreError::TokenTaken(new.name.clone()));
        }
        self.token(&new.id).await?.ok_or_else(|| StoreError::NoToken(new.name.clone()))
    }

    async fn save_token_once(&self, new: &NewToken) -> Result<Vec<Row>, StoreError> {
        let now = self.desk.clock.now();
        let mut tx = self.desk.db.begin().await?;
        tx.run("free a token's name", EXPIRED, &[new.name.as_str().into(), now.into()]).await?;
        let args = [
            new.id.as_str().into(),
            new.name.as_str().into(),
            new.role.as_str().into(),
            new.hash.as_str().into(),
            now.into(),
            new.expires_at.into(),
        ];
        let rows = tx.rows("keep a token", SAVE, &args).await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// A token by the part that may be shown.
    pub async fn token(&self, id: &str) -> Result<Option<TokenRecord>, StoreError> {
        let rows = self.desk.db.read("look for a token", ONE, &[id.into()]).await?;
        rows.first().map(record).transpose()
    }

    /// Every token, oldest first; those that have ended too.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        self.desk.db.read("list tokens", ALL, &[]).await?.iter().map(record).collect()
    }

    /// Whether any token opens anything at this moment.
    pub async fn has_tokens(&self) -> Result<bool, StoreError> {
        let now = self.desk.clock.now();
        Ok(!self.desk.db.read("look for tokens", LIVING, &[now.into()]).await?.is_empty())
    }

    /// Notes that a token was used; at most once a minute.
    pub async fn token_used(&self, token: &TokenRecord) -> Result<(), StoreError> {
        let now = self.desk.clock.now();
        if token.last_used_at.is_some_and(|last| now.since(last) < USE) {
            return Ok(());
        }
        let before = Timestamp(now.0.saturating_sub(i64::try_from(USE.as_micros()).unwrap_or(i64::MAX)));
        let args = [now.into(), token.id.as_str().into(), before.into()];
        tried!(self.desk.db.change("note the use of a token", USED, &args).await).map(drop)
    }

    /// Ends a token, by its name or its id. It opens nothing from this moment on.
    ///
    /// # Errors
    /// No living token is called that.
    pub async fn revoke_token(&self, name: &str) -> Result<TokenRecord, StoreError> {
        let args = [self.desk.clock.now().into(), name.into()];
        let rows = tried!(self.desk.db.change("revoke a token", REVOKE, &args).await)?;
        let Some(row) = rows.first() else { return Err(StoreError::NoToken(name.to_owned())) };
        let id: String = Columns::of(row, "api_tokens").next("id")?;
        self.token(&id).await?.ok_or(StoreError::NoToken(id))
    }
}

fn record(row: &Row) -> Result<TokenRecord, StoreError> {
    let mut columns = Columns::of(row, "api_tokens");
    Ok(TokenRecord {
        id: columns.next("id")?,
        name: columns.next("name")?,
        role: columns.next("role")?,
        hash: columns.next("hash")?,
        created_at: columns.next("created_at")?,
        expires_at: columns.next("expires_at")?,
        last_used_at: columns.next("last_used_at")?,
        revoked_at: columns.next("revoked_at")?,
    })
}
