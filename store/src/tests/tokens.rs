//! Tokens of the API.

use std::time::Duration;

use tidemill_dag::time::Clock;

use super::bed::{Bed, LEASE};
use crate::{NewToken, Pulse, StoreError};

fn new(id: &str, name: &str) -> NewToken {
    NewToken { id: id.into(), name: name.into(), role: "run".into(), hash: "ab".repeat(32), expires_at: None }
}

pub async fn tokens_are_kept_used_and_revoked(bed: &Bed) {
    assert!(!bed.store.has_tokens().await.expect("an answer"));
    let one = bed.store.save_token(&new("aaaaaaaaaaaa", "ci")).await.expect("kept");
    assert!(one.lives(bed.clock.now()) && one.last_used_at.is_none());
    assert!(bed.store.has_tokens().await.expect("an answer"));
    let taken = bed.store.save_token(&new("bbbbbbbbbbbb", "ci")).await;
    assert!(matches!(taken, Err(StoreError::TokenTaken(name)) if name == "ci"));
    assert!(bed.store.token("bbbbbbbbbbbb").await.expect("an answer").is_none());
    bed.clock.advance(Duration::from_secs(5));
    bed.store.token_used(&one).await.expect("noted");
    let first = bed.store.token("aaaaaaaaaaaa").await.expect("an answer").expect("it is there");
    assert_eq!(first.last_used_at, Some(bed.clock.now()));
    bed.clock.advance(Duration::from_secs(59));
    bed.store.token_used(&first).await.expect("nothing to note");
    let again = bed.store.token("aaaaaaaaaaaa").await.expect("an answer").expect("it is there");
    assert_eq!(again.last_used_at, first.last_used_at, "once a minute is enough");
    bed.clock.advance(Duration::from_secs(1));
    bed.store.token_used(&again).await.expect("noted");
    let revoked = bed.store.revoke_token("ci").await.expect("revoked");
    assert_eq!(revoked.last_used_at, Some(bed.clock.now()));
    assert!(!revoked.lives(bed.clock.now()));
    assert!(matches!(bed.store.revoke_token("ci").await, Err(StoreError::NoToken(_))));
    assert!(!bed.store.has_tokens().await.expect("an answer"));
    bed.store.save_token(&new("cccccccccccc", "ci")).await.expect("the name is free again");
    assert_eq!(bed.store.tokens().await.expect("tokens").len(), 2);
}

pub async fn an_expired_token_frees_its_name(bed: &Bed) {
    let end = bed.clock.now().after(Duration::from_secs(10));
    let short = NewToken { expires_at: Some(end), ..new("aaaaaaaaaaaa", "ci") };
    assert!(bed.store.save_token(&short).await.expect("kept").lives(bed.clock.now()));
    bed.clock.advance(Duration::from_secs(10));
    let kept = bed.store.token("aaaaaaaaaaaa").await.expect("an answer").expect("it is there");
    assert!(!kept.lives(bed.clock.now()));
    assert!(!bed.store.has_tokens().await.expect("an answer"));
    bed.store.save_token(&new("bbbbbbbbbbbb", "ci")).await.expect("the name is free");
    bed.store.revoke_token("bbbbbbbbbbbb").await.expect("by its id too");
}

pub async fn the_state_tells_about_itself(bed: &Bed) {
    let facts = bed.store.database().await.expect("facts");
    assert_eq!(facts.schema, facts.known);
    assert_eq!(facts.time.is_some(), facts.kind == "postgres");
    bed.store.ping().await.expect("a sign of life");
    assert_eq!(bed.store.pulse().await.expect("a pulse"), Pulse::default());
    bed.run(&[&[]]).await;
    bed.clock.advance(Duration::from_secs(3));
    let pulse = bed.store.pulse().await.expect("a pulse");
    assert_eq!((pulse.ready, bed.clock.now().since(pulse.ready_since.expect("since"))), (1, Duration::from_secs(3)));
    bed.claim_one("w").await;
    let pulse = bed.store.pulse().await.expect("a pulse");
    assert_eq!((pulse.ready, pulse.overdue_since), (0, None));
    let lease = bed.clock.now().after(LEASE);
    bed.clock.advance(Duration::from_secs(60));
    let overdue = bed.store.pulse().await.expect("a pulse").overdue_since;
    assert_eq!(overdue, Some(lease));
}
