//! Tokens: made once, shown once, kept as a hash.
//!
//! A token is `tm_ID_SECRET`: twelve hexadecimal digits that may be shown, and 256 random bits that may not. What is
//! stored is the SHA-256 of the secret; comparing takes the same time wherever two secrets differ.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tidemill_dag::time::{Chance, Clock};
use tidemill_store::{NewToken, Store, StoreError, TokenRecord};

/// Who may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Whoever is on this machine; a token is looked at where one is given. Only for `tidemill dev` on a loopback address.
    Local,
    /// Whoever has a token.
    Tokens,
}

/// What a token may do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look at everything.
    Read,
    /// Start, cancel and resume runs too.
    Run,
    /// Change definitions and everything else too.
    Admin,
}

impl Role {
    /// Every role, the weakest first.
    pub const ALL: [Self; 3] = [Self::Read, Self::Run, Self::Admin];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| format!("`{text}` is not a role: use read, run or admin"))
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's name, or `local`.
    pub name: String,
    /// What they may do.
    pub role: Role,
}

impl Caller {
    /// Somebody on this machine.
    pub fn local() -> Self {
        Self { name: "local".to_owned(), role: Role::Admin }
    }

    /// Their name, where they have one: who is on this machine and shows no token has none.
    pub fn named(&self) -> Option<String> {
        (self.name != Self::local().name).then(|| self.name.clone())
    }

    /// As audit rows name them.
    pub fn actor(&self) -> String {
        format!("api:{}", self.name)
    }
}

/// A token in full. It prints as its part that may be shown.
pub struct Token {
    id: String,
    secret: String,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tm_{}_…", self.id)
    }
}

const PREFIX: &str = "tm_";
const ID: usize = 12;
const SECRET: usize = 64;

impl Token {
    fn new(chance: &dyn Chance) -> Self {
        let id = format!("{:032x}", chance.bits());
        Self { id: id[..ID].to_owned(), secret: format!("{:032x}{:032x}", chance.bits(), chance.bits()) }
    }

    /// The whole token. For the one moment at which it is shown.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}_{}", self.id, self.secret)
    }

    fn hash(&self) -> String {
        hex::encode(Sha256::digest(self.secret.as_bytes()))
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')).ok_or(())?;
        let fits = id.len() == ID && secret.len() == SECRET && hex(id) && hex(secret);
        fits.then(|| Self { id: id.to_owned(), secret: secret.to_owned() }).ok_or(())
    }
}

/// What stands for the hash of a token that is not there, so that looking for one takes as long as comparing one.
const NOBODY: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The living token that a text is, if it is one.
///
/// # Errors
/// The state failed.
pub async fn verify(store: &Store, clock: &dyn Clock, text: &str) -> Result<Option<Caller>, StoreError> {
    let Ok(token) = text.parse::<Token>() else { return Ok(None) };
    let record = store.token(&token.id).await?;
    let stored = record.as_ref().map_or(NOBODY, |record| record.hash.as_str());
    let same = bool::from(token.hash().as_bytes().ct_eq(stored.as_bytes()));
    let Some(record) = record.filter(|record| same && record.lives(clock.now())) else { return Ok(None) };
    let Ok(role) = record.role.parse() else { return Ok(None) };
    // A request is not refused because its time could not be noted.
    if let Err(error) = store.token_used(&record).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the use of a token was not noted");
    }
    Ok(Some(Caller { name: record.name, role }))
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The name.
    #[error("`{0}` cannot name a token: use 1 to 64 letters, digits and `._-`")]
    Name(String),
    /// The length of its life.
    #[error("a token cannot live for {0} days: give 1 to 3650")]
    Expiry(u64),
    /// The state failed, or the name is taken.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a token and keeps its hash. The token itself is in nobody's hands but the caller's.
///
/// # Errors
/// See [`TokenError`].
pub async fn create(
    store: &Store,
    (name, role): (&str, Role),
    expires: Option<Duration>,
    (clock, chance): (&dyn Clock, &dyn Chance),
) -> Result<(Token, TokenRecord), TokenError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(fits) {
        return Err(TokenError::Name(name.to_owned()));
    }
    const DAY: u64 = 86_400;
    if let Some(life) = expires
        && !(1..=3_650 * DAY).contains(&life.as_secs())
    {
        return Err(TokenError::Expiry(life.as_secs() / DAY));
    }
    let token = Token::new(chance);
    let new = NewToken {
        id: token.id.clone(),
        name: name.to_owned(),
        role: role.name().to_owned(),
        hash: token.hash(),
        expires_at: expires.map(|life| clock.now().after(life)),
    };
    let record = store.save_token(&new).await?;
    Ok((token, record))
}

#[cfg(test)]
mod tests {
    use tidemill_testkit::SeededChance;

    use super::*;

    #[test]
    fn a_token_is_read_back_and_shows_nothing_by_itself() {
        let token = Token::new(&SeededChance::new(1));
        let text = token.reveal();
        let read: Token = text.parse().expect("a token");
        assert_eq!((&read.id, &read.secret), (&token.id, &token.secret));
        assert!(!format!("{token:?}").contains(&token.secret));
        assert_eq!(token.secret.len() * 4, 256, "bits");
        let upper = text.to_uppercase();
        for wrong in
            ["", "tm_", "tm__", &text[1..], &text[..text.len() - 1], upper.as_str(), &text.replace("tm_", "tm-")]
        {
            assert!(wrong.parse::<Token>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_include_the_weaker_ones() {
        assert!(Role::Admin > Role::Run && Role::Run > Role::Read);
        for role in Role::ALL {
            assert_eq!(role.name().parse(), Ok(role));
        }
        assert!("root".parse::<Role>().is_err());
    }
}
