//! Secrets of webhooks: read when they are needed, never printed, never kept.

use std::fmt;

use tidemill_dag::secret::{Piece, SecretPlace, split};
use tidemill_dag::spec::Webhook;

/// A secret. It neither prints nor serialises.
pub(super) struct Secret(Vec<u8>);

impl Secret {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes themselves, for the one call that needs them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Every secret of a webhook that can be read, and why the others cannot.
pub(super) async fn all(hook: &Webhook) -> (Vec<Secret>, Vec<String>) {
    let (mut secrets, mut unread) = (Vec::new(), Vec::new());
    for written in hook.secret.list() {
        let place = match split(written).as_deref() {
            Ok([Piece::Secret(place)]) => place.clone(),
            Ok(_) | Err(_) => {
                unread.push("it is not a secret place".to_owned());
                continue;
            }
        };
        match read(&place).await {
            // Everybody could sign with an empty secret.
            Ok(text) if text.is_empty() => unread.push(format!("{place}: it is empty")),
            Ok(text) => secrets.push(Secret::new(text.into_bytes())),
            Err(reason) => unread.push(format!("{place}: {reason}")),
        }
    }
    (secrets, unread)
}

async fn read(place: &SecretPlace) -> Result<String, String> {
    match place {
        SecretPlace::Env(name) => std::env::var(name).map_err(|error| match error {
            std::env::VarError::NotPresent => "the environment variable is not set".to_owned(),
            std::env::VarError::NotUnicode(_) => "its value is not UTF-8".to_owned(),
        }),
        SecretPlace::File(path) => {
            let text = tokio::fs::read_to_string(path).await.map_err(|error| error.to_string())?;
            // Editors and `echo` end a file with a line end that is not part of the secret.
            Ok(text.strip_suffix('\n').map_or(text.as_str(), |cut| cut.trim_end_matches('\r')).to_owned())
        }
        SecretPlace::Stored(_) => Err("this version keeps no secrets of its own yet".to_owned()),
        SecretPlace::Vault { .. } => Err("this version does not talk to Vault yet".to_owned()),
    }
}
