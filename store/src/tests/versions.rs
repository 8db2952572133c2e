//! The life of versions.

use serde_json::json;
use tidemill_dag::{
    diff::Shape,
    id::VersionId,
    state::{Expected, VersionEvent, VersionState, decide_version},
};

use super::bed::Bed;
use crate::{Adopt, NewVersion, StoreError};

fn adopt(pipeline: &str, text: &str, wanted: VersionState, expected: Expected) -> Adopt {
    let new = NewVersion {
        pipeline: pipeline.into(),
        id: id(pipeline, text),
        source: text.into(),
        definition: json!({ "pipeline": pipeline, "text": text }),
        origin: json!({ "from": "test" }),
    };
    Adopt { new, shape: Some(Shape::default()), wanted, expected }
}

fn id(pipeline: &str, text: &str) -> VersionId {
    VersionId(format!("hash-of-{pipeline}-{text}"))
}

use VersionState::{Active, Archived, Draft, Proposed};

pub async fn a_version_lives_and_another_takes_its_place(bed: &Bed) {
    let save = async |text: &str, wanted| {
        let set = [adopt("a", text, wanted, Expected::Any)];
        bed.store.adopt(&set, "ann").await.expect("adopted").remove(0)
    };
    let one = save("one", Draft).await;
    assert_eq!((one.version.state, one.moved, one.before), (Draft, false, None));
    let one = save("one", Proposed).await;
    assert_eq!((one.version.state, one.moved), (Proposed, true));
    let one = save("one", Active).await;
    assert_eq!((one.version.state, one.moved), (Active, true));
    let same = save("one", Active).await;
    assert!(!same.moved && same.before == Some(id("a", "one")));
    let two = save("two", Active).await;
    assert_eq!((two.version.state, two.version.number, two.before), (Active, 2, Some(id("a", "one"))));
    assert_eq!(bed.store.version(&id("a", "one")).await.expect("kept").state, Archived);
    assert_eq!(bed.store.active("a").await.expect("an answer").map(|v| v.id), Some(id("a", "two")));
    let events: Vec<(String, VersionEvent, String)> = bed
        .store
        .version_moves("a", None, 10)
        .await
        .expect("moves")
        .into_iter()
        .map(|m| (m.version.0, m.event, m.actor))
        .collect();
    let told = |text: &str, event| (id("a", text).0, event, "ann".to_owned());
    assert_eq!(
        events,
        [
            told("two", VersionEvent::Activate),
            told("one", VersionEvent::Supersede),
            told("one", VersionEvent::Activate),
            told("one", VersionEvent::Propose),
        ]
    );
    assert_eq!(bed.store.version_shape(&id("a", "one")).await.expect("an answer"), Some(Shape::default()));
    let found = async |text: &str| bed.store.find_version("a", text).await.expect("an answer").map(|v| v.number);
    assert_eq!((found("1").await, found("2").await, found("3").await), (Some(1), Some(2), None));
    assert_eq!(found("hash-of-a-two").await, Some(2));
    assert_eq!(found("hash-of-a-").await, None, "it fits both");
    let page = bed.store.version_page("a", None, 1).await.expect("a page");
    assert_eq!(page[0].number, 2);
    assert_eq!(bed.store.version_page("a", Some(2), 9).await.expect("a page")[0].number, 1);
}

pub async fn several_are_adopted_together_or_not_at_all(bed: &Bed) {
    let first = [adopt("a", "one", Active, Expected::Nothing), adopt("b", "one", Active, Expected::Nothing)];
    assert_eq!(bed.store.adopt(&first, "ann").await.expect("adopted").len(), 2);
    let stale = [
        adopt("a", "two", Active, Expected::Version(id("a", "one"))),
        adopt("b", "two", Active, Expected::Version(id("b", "never"))),
    ];
    let refused = bed.store.adopt(&stale, "bob").await;
    assert!(
        matches!(&refused, Err(StoreError::Stale { pipeline, active }) if pipeline == "b" && *active == Some(id("b", "one"))),
        "{refused:?}"
    );
    assert!(matches!(bed.store.version(&id("a", "two")).await, Err(StoreError::NoVersion(_))), "nothing was saved");
    for name in ["a", "b"] {
        assert_eq!(bed.store.active(name).await.expect("an answer").map(|v| v.id), Some(id(name, "one")));
    }
}

pub async fn of_two_people_at_once_one_wins(bed: &Bed) {
    bed.store.adopt(&[adopt("a", "base", Active, Expected::Any)], "ann").await.expect("adopted");
    let base = || Expected::Version(id("a", "base"));
    let names: Vec<String> = (0..8).map(|n| format!("edit{n}")).collect();
    let all = names.iter().map(|name| {
        let set = [adopt("a", name, Active, base())];
        async move { bed.store.adopt(&set, name).await }
    });
    let ends = futures::future::join_all(all).await;
    assert_eq!(ends.iter().filter(|end| end.is_ok()).count(), 1);
    assert!(ends.iter().all(|end| matches!(end, Ok(_) | Err(StoreError::Stale { .. }))), "{ends:?}");
    assert_eq!(bed.store.version_page("a", None, 99).await.expect("versions").len(), 2, "losers leave nothing");
}

/// Every event in every state does what the table says, and nothing else.
pub async fn versions_move_as_the_table_says(bed: &Bed) {
    for (n, state) in VersionState::ALL.iter().enumerate() {
        for event in VersionEvent::ALL.iter().filter(|event| **event != VersionEvent::Supersede) {
            let name = format!("p{n}{event}");
            bring(bed, &name, *state).await;
            let version = id(&name, "x");
            let moved = bed.store.move_version(&name, (&version, *event), &Expected::Any, "ann").await;
            let expected = decide_version(*state, *event);
            if (*state, *event) == (Active, VersionEvent::Activate) {
                assert_eq!(moved.expect("nothing to do").state, Active);
                continue;
            }
            match expected {
                Ok(to) => {
                    assert_eq!(moved.expect("moved").state, to, "{state} on {event}");
                    let active = bed.store.active(&name).await.expect("an answer").map(|v| v.id);
                    assert_eq!(active, (to == Active).then(|| version.clone()));
                }
                Err(_) => {
                    assert!(matches!(moved, Err(StoreError::VersionMove { .. })), "{state} on {event}: {moved:?}")
                }
            }
        }
    }
    let stranger = id("a", "nobody");
    let gone = bed.store.move_version("p0propose", (&stranger, VersionEvent::Archive), &Expected::Any, "ann").await;
    assert!(matches!(gone, Err(StoreError::NoVersion(_))));
}

async fn bring(bed: &Bed, name: &str, state: VersionState) {
    let wanted = if state == Archived { Active } else { state };
    bed.store.adopt(&[adopt(name, "x", wanted, Expected::Any)], "ann").await.expect("adopted");
    if state == Archived {
        let version = id(name, "x");
        let put_away = bed.store.move_version(name, (&version, VersionEvent::Archive), &Expected::Any, "ann").await;
        assert_eq!(put_away.expect("archived").state, Archived);
    }
}

pub async fn one_goes_back_to_what_was_active_before(bed: &Bed) {
    assert!(matches!(bed.store.version_before("a").await, Err(StoreError::NoEarlier(_))));
    for text in ["one", "two", "three"] {
        bed.store.adopt(&[adopt("a", text, Active, Expected::Any)], "ann").await.expect("adopted");
    }
    assert_eq!(bed.store.version_before("a").await.expect("one").id, id("a", "two"));
    bed.store.activate("a", &id("a", "two")).await.expect("rolled back");
    assert_eq!(bed.store.version_before("a").await.expect("one").id, id("a", "three"));
    let two = id("a", "two");
    let put_away = bed.store.move_version("a", (&two, VersionEvent::Archive), &Expected::Any, "ann").await;
    assert_eq!(put_away.expect("archived").state, Archived);
    assert_eq!(bed.store.active("a").await.expect("an answer"), None);
    assert_eq!(bed.store.version_before("a").await.expect("one").id, two);
}
