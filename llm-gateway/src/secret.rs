//! Keys of providers and servers: read from their places at the start, never printed.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tidemill_dag::secret::{Piece, SecretPlace, split};

use crate::error::GatewayError;

/// A text of the configuration that names secret places, as `${env:OPENAI_API_KEY}`. Printed as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Place(pub String);

/// Text that holds a secret. It neither prints nor serialises.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Place {
    /// Reads it.
    ///
    /// # Errors
    /// The place is not understood or cannot be read.
    pub fn read(&self) -> Result<Secret, GatewayError> {
        let failed = |place: String, reason: String| GatewayError::Secret { place, reason };
        let pieces = split(&self.0).map_err(|error| failed(error.written, error.reason))?;
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Secret(place) => {
                    text.push_str(&read(&place).map_err(|reason| failed(place.to_string(), reason))?);
                }
            }
        }
        Ok(Secret(text.into()))
    }

    /// Whether it has no secret place: a key written out in the configuration.
    pub fn is_plain(&self) -> bool {
        tidemill_dag::secret::find(&self.0).is_none()
    }
}

fn read(place: &SecretPlace) -> Result<String, String> {
    match place {
        SecretPlace::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => "the environment variable is not set".to_owned(),
            std::env::VarError::NotUnicode(_) => "its value is not UTF-8".to_owned(),
        }),
        SecretPlace::File(path) => std::fs::read_to_string(path)
            .map(|text| text.trim_end_matches(['\r', '\n']).to_owned())
            .map_err(|error| error.to_string()),
        SecretPlace::Stored(_) => Err("this version keeps no secrets of its own yet".to_owned()),
        SecretPlace::Vault { .. } => Err("this version does not talk to Vault yet".to_owned()),
    }
}
