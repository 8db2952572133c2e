//! Typed identifiers. A [`RunId`] never fits where a [`TaskKey`] goes, and the text form carries a prefix.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// An identifier in text form that could not be read back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {expected}")]
pub struct ParseIdError {
    /// What was given.
    pub text: String,
    /// What would have been right, for people.
    pub expected: &'static str,
}

/// A UUID of version 7: it sorts by time, so an index over such keys grows at its end. Chance is an argument: 128 random bits, of
/// which 74 are used.
pub fn ordered(now: Timestamp, random: u128) -> Uuid {
    let millis = u64::try_from(now.as_millis()).unwrap_or(0);
    let mut bytes = [0_u8; 10];
    bytes.copy_from_slice(&random.to_be_bytes()[..10]);
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
}

/// One run of one pipeline: an [`ordered`] UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub Uuid);

impl RunId {
    /// Text forms start with this.
    pub const PREFIX: &'static str = "run_";

    /// Builds the id from the creation time and 128 random bits; chance is an argument here.
    pub fn from_parts(now: Timestamp, random: u128) -> Self {
        Self(ordered(now, random))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", Self::PREFIX, self.0.simple())
    }
}

impl FromStr for RunId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix(Self::PREFIX)
            .and_then(|hex| Uuid::try_parse(hex).ok())
            .map(Self)
            .ok_or_else(|| ParseIdError { text: text.to_owned(), expected: "run id (`run_` and 32 hex digits)" })
    }
}

/// The position of a task in its run's plan; together with the run it names one task row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ordinal(pub u32);

/// One task of one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskKey {
    /// The run.
    pub run: RunId,
    /// The task's place in the run's plan.
    pub ordinal: Ordinal,
}

impl fmt::Display for TaskKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task_{}_{}", self.run.0.simple(), self.ordinal.0)
    }
}

impl FromStr for TaskKey {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (run, ordinal) = text.strip_prefix("task_")?.rsplit_once('_')?;
            Some(Self { run: RunId(Uuid::try_parse(run).ok()?), ordinal: Ordinal(ordinal.parse().ok()?) })
        };
        parse().ok_or_else(|| ParseIdError { text: text.to_owned(), expected: "task id (`task_…_n`)" })
    }
}

/// The attempt number of a task, from 1. It is the fencing token: start, heartbeat, complete and
/// publish are refused for any attempt but the current one. Zero means "never offered yet".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attempt(pub u32);

/// "Look at this task, this attempt": all that a queue ever carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket {
    /// The task to look at.
    pub task: TaskKey,
    /// The attempt the ticket was written for.
    pub attempt: Attempt,
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.task, self.attempt.0)
    }
}

impl FromStr for Ticket {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (task, attempt) = text.split_once('#')?;
            Some(Self { task: task.parse().ok()?, attempt: Attempt(attempt.parse().ok()?) })
        };
        parse()
            .ok_or_else(|| ParseIdError { text: text.to_owned(), expected: "task id with an attempt (`task_…_n#1`)" })
    }
}

/// A pipeline version: the content hash (BLAKE3, hex) of its canonical definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(pub String);

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A worker process, as it names itself in leases: unique per process start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkerId(pub String);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! serde_as_text {
    ($($t:ty),*) => {$(
        impl Serialize for $t {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $t {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
serde_as_text!(RunId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_come_back() {
        let run = RunId::from_parts(Timestamp::from_millis(1_700_000_000_000), 42 << 60);
        assert_eq!(run.to_string().parse::<RunId>().as_ref(), Ok(&run));
        let task = TaskKey { run, ordinal: Ordinal(7) };
        assert_eq!(task.to_string().parse::<TaskKey>().as_ref(), Ok(&task));
        assert!("task_zz_1".parse::<TaskKey>().is_err());
        assert!(task.to_string().parse::<RunId>().is_err());
    }

    #[test]
    fn run_ids_sort_by_time() {
        let early = RunId::from_parts(Timestamp::from_millis(1_000), u128::MAX);
        let late = RunId::from_parts(Timestamp::from_millis(2_000), 0);
        assert!(early < late);
    }
}
