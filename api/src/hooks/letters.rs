//! Deliveries that started no run: kept, shown, replayed.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::json;
use tidemill_dag::hook::Headers;
use tidemill_dag::time::Timestamp;
use tidemill_store::{LetterKind, NewLetter};

use super::{HookError, Hooks, Received, Site};

/// So much of a body is kept.
const KEPT_BYTES: usize = 256 * 1024;
/// Of a stranger's body, so much.
const KEPT_OF_STRANGERS: usize = 4 * 1024;
/// So many letters of strangers are kept in one minute per webhook; more are only logged.
const STRANGERS_PER_MINUTE: u32 = 20;

/// Keeps strangers from making the database write at their will.
#[derive(Debug, Default)]
pub(super) struct Sparing(Mutex<HashMap<(String, String), (i64, u32)>>);

impl Sparing {
    /// Whether one more may be kept. Only triggers that exist are asked about, so the map stays small.
    fn may(&self, pipeline: &str, hook: &str, now: Timestamp) -> bool {
        let minute = now.0.div_euclid(60_000_000);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (of, count) = counts.entry((pipeline.to_owned(), hook.to_owned())).or_insert((minute, 0));
        if *of != minute {
            (*of, *count) = (minute, 0);
        }
        *count += 1;
        *count <= STRANGERS_PER_MINUTE
    }
}

impl Hooks {
    pub(super) async fn keep_sparingly(&self, letter: NewLetter, now: Timestamp) {
        if !self.sparing.may(&letter.pipeline, &letter.hook, now) {
            return;
        }
        if let Err(error) = self.site.store.bury(&letter).await {
            // The caller is to learn nothing from it.
            tracing::warn!(error = &error as &dyn std::error::Error, "a refused delivery was not kept");
        }
    }
}

/// A stranger's delivery.
pub(super) fn refused(to: (&str, &str), why: (&str, &str), headers: &Headers, body: &[u8]) -> NewLetter {
    letter(LetterKind::Refused, to, why, headers, (body, KEPT_OF_STRANGERS))
}

/// A genuine delivery that cannot be used.
pub(super) fn failed(to: (&str, &str), error: &HookError, headers: &Headers, body: &[u8]) -> NewLetter {
    letter(LetterKind::Failed, to, (error.code(), &error.to_string()), headers, (body, KEPT_BYTES))
}

fn letter(
    kind: LetterKind,
    (pipeline, hook): (&str, &str),
    (code, reason): (&str, &str),
    headers: &Headers,
    (body, most): (&[u8], usize),
) -> NewLetter {
    let (text, whole) = shortened(body, most);
    NewLetter {
        pipeline: pipeline.to_owned(),
        hook: hook.to_owned(),
        kind,
        code: code.to_owned(),
        reason: reason.to_owned(),
        headers: json!(headers),
        body: text,
        body_bytes: u32::try_from(body.len()).unwrap_or(u32::MAX),
        whole,
    }
}

/// The beginning of a body as text, and whether it is all of it, unchanged.
pub fn shortened(body: &[u8], most: usize) -> (String, bool) {
    let text = String::from_utf8_lossy(&body[..body.len().min(most)]).into_owned();
    let whole = text.as_bytes() == body && !text.contains('\0');
    (text, whole)
}

/// Takes a dead letter again, under the active version. Its event still has one run at most.
///
/// # Errors
/// It cannot be replayed, or it fails again.
pub async fn replay(site: &Site, id: i64, trusted: bool) -> Result<Received, HookError> {
    let letter = site.store.letter(id).await?.ok_or(HookError::NoLetter(id))?;
    if !letter.whole {
        let help = "let the sender deliver it again".to_owned();
        return Err(HookError::NotReplayable { id, why: "was too long to be kept whole", help });
    }
    if letter.kind == LetterKind::Refused && !trusted {
        let help = format!("look at it with `tidemill hooks show {id}`; if you trust it, add `--trust`");
        return Err(HookError::NotReplayable { id, why: "was not recognised when it came", help });
    }
    let hooks = Hooks::new(site.clone());
    let missing = || HookError::NoHook { pipeline: letter.pipeline.clone(), hook: letter.hook.clone() };
    let found = hooks.find(&letter.pipeline, &letter.hook).await?.ok_or_else(missing)?;
    let hook = found.hook().ok_or_else(missing)?;
    let headers: Headers = serde_json::from_value(letter.headers.clone()).unwrap_or_default();
    let received = hooks.take(&found, hook, &letter.hook, &headers, letter.body.as_bytes()).await?;
    if let Received::Run { run, .. } = &received {
        site.store.letter_replayed(id, *run).await?;
    }
    Ok(received)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_fill_no_database() {
        let sparing = Sparing::default();
        let kept = |now| (0..1_000).filter(|_| sparing.may("p", "0", Timestamp(now))).count();
        assert_eq!((kept(0), kept(59_999_999), kept(60_000_000)), (20, 0, 20));
        assert!(sparing.may("p", "1", Timestamp(0)), "each webhook has its own");
    }

    #[test]
    fn only_what_is_kept_as_it_came_is_whole() {
        assert_eq!(shortened(b"{}", 2), ("{}".to_owned(), true));
        assert_eq!(shortened(b"{} ", 2), ("{}".to_owned(), false));
        assert!(!shortened(b"\xff", 9).1 && !shortened(b"a\0", 9).1);
        assert!(!shortened("ä".as_bytes(), 1).1);
    }
}
