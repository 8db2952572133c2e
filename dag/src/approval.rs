//! Who may answer a question, and what an answer makes of it. Until identities come, names and roles are
//! what people say they are.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{spec::OnExpiry, time::Timestamp};

/// What a role is written with among `approvers`.
pub const ROLE: &str = "role:";

/// What people are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Question {
    /// In words.
    pub message: String,
    /// What is to be approved: outputs of tasks, by name.
    pub subject: Value,
    /// Who may answer: names, and roles with `role:` before them; anybody if empty.
    pub approvers: Vec<String>,
    /// How many different people must approve.
    pub required: u32,
    /// Who must not answer: the one who started the run, where the definition says so.
    pub excluded: Option<String>,
    /// When it runs out.
    pub expires_at: Timestamp,
    /// What happens then.
    pub on_expiry: OnExpiry,
}

/// One person's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who.
    pub who: String,
    /// Their roles, without `role:`.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Yes or no.
    pub approve: bool,
    /// Why.
    #[serde(default)]
    pub reason: Option<String>,
}

/// What an answer makes of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It counts; so many more people must approve.
    Counted {
        /// How many.
        missing: u32,
    },
    /// Enough people approved.
    Approved,
    /// One refused.
    Rejected,
}

/// Why an answer does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else must answer.
    #[error("`{who}` may not answer this; {} may", listed(.approvers))]
    NotAllowed {
        /// Who answered.
        who: String,
        /// Who may.
        approvers: Vec<String>,
    },
    /// The one who started the run.
    #[error("`{0}` started the run and must not answer")]
    Starter(String),
    /// The same answer again.
    #[error("`{0}` gave this answer before")]
    Twice(String),
    /// Another answer of the same person.
    #[error("`{who}` {} before, and an answer is not taken back", if *.approved { "approved" } else { "refused" })]
    Conflict {
        /// Who.
        who: String,
        /// What they said first.
        approved: bool,
    },
    /// It had run out.
    #[error("the question ran out at {0}")]
    Late(Timestamp),
}

fn listed(approvers: &[String]) -> String {
    approvers.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// What an answer makes of a question that others answered before.
///
/// # Errors
/// It does not count.
pub fn answer(question: &Question, before: &[Answer], new: &Answer, now: Timestamp) -> Result<Verdict, Refusal> {
    let who = || new.who.clone();
    if now >= question.expires_at {
        return Err(Refusal::Late(question.expires_at));
    }
    if question.excluded.as_ref() == Some(&new.who) {
        return Err(Refusal::Starter(who()));
    }
    let fits = |allowed: &String| match allowed.strip_prefix(ROLE) {
        Some(role) => new.roles.iter().any(|mine| mine == role),
        None => *allowed == new.who,
    };
    if !question.approvers.is_empty() && !question.approvers.iter().any(fits) {
        return Err(Refusal::NotAllowed { who: who(), approvers: question.approvers.clone() });
    }
    match before.iter().find(|earlier| earlier.who == new.who) {
        Some(earlier) if earlier.approve == new.approve => return Err(Refusal::Twice(who())),
        Some(earlier) => return Err(Refusal::Conflict { who: who(), approved: earlier.approve }),
        None => {}
    }
    if !new.approve {
        return Ok(Verdict::Rejected);
    }
    let given = before.iter().filter(|earlier| earlier.approve).count() + 1;
    let missing = question.required.saturating_sub(u32::try_from(given).unwrap_or(u32::MAX));
    Ok(if missing == 0 { Verdict::Approved } else { Verdict::Counted { missing } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            message: "Publish?".to_owned(),
            subject: Value::Null,
            approvers: vec!["ann".to_owned(), "bob".to_owned(), "role:finance".to_owned()],
            required: 2,
            excluded: Some("bob".to_owned()),
            expires_at: Timestamp(10),
            on_expiry: OnExpiry::Fail,
        }
    }

    fn says(who: &str, approve: bool) -> Answer {
        Answer { who: who.to_owned(), roles: Vec::new(), approve, reason: None }
    }

    fn finance(who: &str) -> Answer {
        Answer { roles: vec!["finance".to_owned()], ..says(who, true) }
    }

    #[test]
    fn four_eyes_are_those_of_different_people() {
        let now = Timestamp(9);
        let (one, two) = (says("ann", true), finance("eve"));
        assert_eq!(answer(&question(), &[], &one, now), Ok(Verdict::Counted { missing: 1 }));
        assert_eq!(answer(&question(), std::slice::from_ref(&one), &two, now), Ok(Verdict::Approved));
        let again = answer(&question(), std::slice::from_ref(&one), &one, now);
        assert_eq!(again, Err(Refusal::Twice("ann".to_owned())));
        let otherwise = answer(&question(), &[one], &says("ann", false), now);
        assert_eq!(otherwise, Err(Refusal::Conflict { who: "ann".to_owned(), approved: true }));
    }

    #[test]
    fn one_refusal_is_enough() {
        assert_eq!(answer(&question(), &[finance("eve")], &says("ann", false), Timestamp(0)), Ok(Verdict::Rejected));
    }

    #[test]
    fn strangers_starters_and_latecomers_do_not_count() {
        let refused = |answered: &Answer, now| answer(&question(), &[], answered, Timestamp(now)).unwrap_err();
        assert!(matches!(refused(&says("eve", true), 0), Refusal::NotAllowed { .. }));
        assert_eq!(refused(&says("bob", true), 0), Refusal::Starter("bob".to_owned()));
        assert_eq!(refused(&says("ann", true), 10), Refusal::Late(Timestamp(10)));
        let open = Question { approvers: Vec::new(), required: 1, ..question() };
        assert_eq!(answer(&open, &[], &says("anybody", true), Timestamp(0)), Ok(Verdict::Approved));
    }
}
