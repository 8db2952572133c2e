//! The life of a version of a definition: written, proposed, the one that runs, put away. Its content never changes.

use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{UnknownState, named, table::Arrow};
use crate::id::VersionId;

/// Where a version is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// Kept; nobody asked for it to run by itself.
    Draft,
    /// Somebody asks for it to become active.
    Proposed,
    /// Schedules, triggers and bare names run it; at most one per pipeline.
    Active,
    /// It was active, or was turned down. It can still be run, compared and activated again.
    Archived,
}

named!(VersionState { Draft = "draft", Proposed = "proposed", Active = "active", Archived = "archived" });

impl FromStr for VersionState {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|state| state.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

/// Something that happens to a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionEvent {
    /// Somebody asks for it to become active.
    Propose,
    /// Whoever proposed it takes that back.
    Withdraw,
    /// It becomes the one that runs.
    Activate,
    /// Another version of the pipeline became active.
    Supersede,
    /// It is put away: turned down, or the pipeline stops running by itself.
    Archive,
}

named!(VersionEvent {
    Propose = "propose",
    Withdraw = "withdraw",
    Activate = "activate",
    Supersede = "supersede",
    Archive = "archive",
});

impl FromStr for VersionEvent {
    type Err = UnknownState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|event| event.name() == text).ok_or_else(|| UnknownState(text.to_owned()))
    }
}

const fn arrow(
    from: VersionState,
    on: VersionEvent,
    to: &'static [VersionState],
    because: &'static str,
) -> Arrow<VersionState, VersionEvent> {
    Arrow { from, on, to, because }
}

use VersionState::{Active, Archived, Draft, Proposed};

/// Every arrow of a version's life. What is not here is refused.
pub const VERSIONS: &[Arrow<VersionState, VersionEvent>] = &[
    arrow(Draft, VersionEvent::Propose, &[Proposed], "somebody asks for it to become active"),
    arrow(Draft, VersionEvent::Activate, &[Active], "applied by somebody who may"),
    arrow(Draft, VersionEvent::Archive, &[Archived], "put away"),
    arrow(Proposed, VersionEvent::Withdraw, &[Draft], "taken back"),
    arrow(Proposed, VersionEvent::Activate, &[Active], "approved"),
    arrow(Proposed, VersionEvent::Archive, &[Archived], "turned down"),
    arrow(Active, VersionEvent::Supersede, &[Archived], "another version became active"),
    arrow(Active, VersionEvent::Archive, &[Archived], "the pipeline stops running by itself"),
    arrow(Archived, VersionEvent::Propose, &[Proposed], "asked for again"),
    arrow(Archived, VersionEvent::Activate, &[Active], "rolled back to"),
];

/// A move that the table does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version that is {state} takes no `{event}`")]
pub struct IllegalVersionMove {
    /// Where the version is.
    pub state: VersionState,
    /// What was asked of it.
    pub event: VersionEvent,
}

/// Moves a version, or says why not.
///
/// # Errors
/// The table has no such arrow.
pub fn decide_version(state: VersionState, event: VersionEvent) -> Result<VersionState, IllegalVersionMove> {
    let found = VERSIONS.iter().find(|arrow| arrow.from == state && arrow.on == event);
    found.and_then(|arrow| arrow.to.first().copied()).ok_or(IllegalVersionMove { state, event })
}

/// What leads from a state to another one; nothing where it is there already, or where being saved is all that was asked.
///
/// # Errors
/// No single event leads there.
pub fn way_to(state: VersionState, wanted: VersionState) -> Result<Option<VersionEvent>, IllegalVersionMove> {
    let event = match wanted {
        _ if state == wanted => return Ok(None),
        VersionState::Draft => VersionEvent::Withdraw,
        VersionState::Proposed => VersionEvent::Propose,
        VersionState::Active => VersionEvent::Activate,
        VersionState::Archived => VersionEvent::Archive,
    };
    decide_version(state, event).map(|_| Some(event))
}

/// What somebody who changes a pipeline believes to be its active version.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Expected {
    /// Whatever it is.
    #[default]
    Any,
    /// Some version is.
    Something,
    /// None is.
    Nothing,
    /// This one is.
    Version(VersionId),
}

impl Expected {
    /// Whether the belief is right.
    pub fn holds(&self, active: Option<&VersionId>) -> bool {
        match self {
            Self::Any => true,
            Self::Something => active.is_some(),
            Self::Nothing => active.is_none(),
            Self::Version(version) => active == Some(version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table written out once more, all of it: a row per state, a column per event.
    #[test]
    fn every_pair_is_decided() {
        let expected: [[Option<VersionState>; 5]; 4] = [
            // propose, withdraw, activate, supersede, archive
            [Some(Proposed), None, Some(Active), None, Some(Archived)],
            [None, Some(Draft), Some(Active), None, Some(Archived)],
            [None, None, None, Some(Archived), Some(Archived)],
            [Some(Proposed), None, Some(Active), None, None],
        ];
        for (state, row) in VersionState::ALL.iter().zip(expected) {
            for (event, to) in VersionEvent::ALL.iter().zip(row) {
                assert_eq!(decide_version(*state, *event).ok(), to, "{state} on {event}");
            }
        }
        assert_eq!(VERSIONS.len(), expected.iter().flatten().flatten().count());
    }

    #[test]
    fn names_are_read_back() {
        for state in VersionState::ALL {
            assert_eq!(state.name().parse::<VersionState>().as_ref(), Ok(state));
        }
        for event in VersionEvent::ALL {
            assert_eq!(event.name().parse::<VersionEvent>().as_ref(), Ok(event));
        }
        assert!("gone".parse::<VersionState>().is_err() && "explode".parse::<VersionEvent>().is_err());
    }

    /// Whatever happens in whatever order, a version that is there never leaves the four states, and each can become active.
    #[test]
    fn each_state_can_become_active() {
        for state in VersionState::ALL {
            let way = way_to(*state, Active).expect("a way");
            assert_eq!(way.is_none(), *state == Active);
        }
        assert!(way_to(Active, Proposed).is_err());
        assert!(way_to(Archived, Draft).is_err());
    }

    #[test]
    fn beliefs_are_compared() {
        let (one, two) = (VersionId("1".into()), VersionId("2".into()));
        assert!(Expected::Any.holds(None) && Expected::Any.holds(Some(&one)));
        assert!(Expected::Nothing.holds(None) && !Expected::Nothing.holds(Some(&one)));
        assert!(Expected::Something.holds(Some(&one)) && !Expected::Something.holds(None));
        assert!(Expected::Version(one.clone()).holds(Some(&one)));
        assert!(!Expected::Version(one.clone()).holds(Some(&two)) && !Expected::Version(one).holds(None));
    }
}
