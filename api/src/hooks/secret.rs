//! Secrets of webhooks: read when they are needed, never printed, never kept.

pub(super) use tidemill_dag::secret::Secret;
use tidemill_dag::secret::{Piece, Ways, split};
use tidemill_dag::spec::Webhook;

const WAYS: Ways = Ways { env: |name| std::env::var_os(name), file: |path| std::fs::read_to_string(path) };

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
        let name = place.to_string();
        match tokio::task::spawn_blocking(move || place.read(&WAYS)).await {
            // Everybody could sign with an empty secret.
            Ok(Ok(secret)) if secret.expose().is_empty() => unread.push(format!("{name}: it is empty")),
            Ok(Ok(secret)) => secrets.push(secret),
            Ok(Err(error)) => unread.push(error.to_string()),
            Err(_) => unread.push(format!("{name}: it could not be read")),
        }
    }
    (secrets, unread)
}
