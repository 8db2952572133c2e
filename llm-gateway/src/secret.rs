//! Keys of providers and servers: read from their places at the start, never printed.

use serde::{Deserialize, Serialize};
pub use tidemill_dag::secret::Secret;
use tidemill_dag::secret::{self, Ways};

use crate::error::GatewayError;

const WAYS: Ways = Ways { env: |name| std::env::var_os(name), file: |path| std::fs::read_to_string(path) };

/// A text of the configuration that names secret places, as `${env:OPENAI_API_KEY}`. Printed as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Place(pub String);

impl Place {
    /// Reads it.
    ///
    /// # Errors
    /// The place is not understood or cannot be read.
    pub fn read(&self) -> Result<Secret, GatewayError> {
        secret::read(&self.0, &WAYS).map_err(|error| GatewayError::Secret { place: error.place, reason: error.reason })
    }

    /// Whether it has no secret place: a key written out in the configuration.
    pub fn is_plain(&self) -> bool {
        secret::find(&self.0).is_none()
    }
}
