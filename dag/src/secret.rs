//! Secrets are places to read from: `${env:NAME}`, `${file:/run/secrets/x}`, `${secret:name}`,
//! `${vault:path#key}`. Here they are only recognised; reading them is for whoever makes the call.

use std::fmt;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretPlace {
    /// An environment variable.
    Env(String),
    /// A file's content.
    File(String),
    /// Our own encrypted store.
    Stored(String),
    /// A key of a Vault path.
    Vault {
        /// The path.
        path: String,
        /// The key there.
        key: String,
    },
}

/// Text that starts like a secret place and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is not a secret place: {reason}")]
pub struct SecretError {
    /// As written.
    pub written: String,
    /// Where it starts, in bytes of the whole text.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A piece of a text that may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// As it is.
    Text(&'t str),
    /// To be read from there.
    Secret(SecretPlace),
}

/// Splits a text into plain pieces and secret places. `$${` stands for a plain `${`.
///
/// # Errors
/// The first place that is not understood.
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, SecretError> {
    let _ = text;
    unimplemented!()
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
            Self::Stored(name) => write!(f, "${{secret:{name}}}"),
            Self::Vault { path, key } => write!(f, "${{vault:{path}#{key}}}"),
        }
    }
}
