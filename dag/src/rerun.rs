//! What a re-run does again, and what it takes over from the run before.

use std::collections::{BTreeSet, HashMap};

use crate::{
    id::Ordinal,
    plan::{Plan, PlannedTask, Relation},
    state::{Taken, TaskState},
    suggest,
};

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The tasks, by name; all if empty.
    pub tasks: Vec<String>,
    /// And whatever reads them, and what reads that.
    pub downstream: bool,
}

/// Why a run cannot be done again like that.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RerunError {
    /// There is no such task.
    #[error("the version has no task `{task}`{}", suggest::nearest(.task, .known.iter().map(String::as_str)).map(|it| format!("; did you mean `{it}`?")).unwrap_or_default())]
    NoTask {
        /// What was asked for.
        task: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A task is to run that reads another one, which the earlier run did not do.
    #[error("`{task}` needs `{needs}`, of which the earlier run has no result")]
    NothingToTake {
        /// The task that is to run.
        task: String,
        /// The task that it needs.
        needs: String,
    },
}

/// For each task of the plan, whether it is taken over and how; those that run have nothing. `before` says how the
/// tasks of the earlier run ended, by name.
///
/// # Errors
/// Everything that is wrong with it.
pub fn plan(
    plan: &Plan,
    before: &HashMap<String, TaskState>,
    wanted: &Wanted,
) -> Result<Vec<Option<Taken>>, Vec<RerunError>> {
    let runs = chosen(plan, wanted)?;
    let takes = |task: &PlannedTask| match before.get(&task.name) {
        Some(TaskState::Succeeded) => Some(Taken::Succeeded),
        Some(TaskState::Skipped) => Some(Taken::Skipped),
        Some(_) | None => None,
    };
    let mut wrong = Vec::new();
    for ordinal in &runs {
        let Some(task) = plan.get(*ordinal).filter(|task| !task.hook) else { continue };
        for needs in before_it(task).into_iter().filter(|needs| !runs.contains(needs)) {
            let Some(needs) = plan.get(needs).filter(|needs| takes(needs).is_none()) else { continue };
            wrong.push(RerunError::NothingToTake { task: task.name.clone(), needs: needs.name.clone() });
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    // What nobody needs and was not done is left out.
    let taken = |(ordinal, task)| (!runs.contains(&ordinal)).then(|| takes(task).unwrap_or(Taken::Skipped));
    Ok(plan.iter().map(taken).collect())
}

fn before_it(task: &PlannedTask) -> BTreeSet<Ordinal> {
    let read = task.reads.iter().filter_map(|relation| match relation {
        Relation::Task { ordinal, .. } => Some(*ordinal),
        Relation::View { .. } | Relation::Table { .. } => None,
    });
    task.needs.iter().copied().chain(read).collect()
}

/// The tasks that run: those that are asked for, by their own name or that of a view in them; and whoever tells people how
/// the run ended.
fn chosen(plan: &Plan, wanted: &Wanted) -> Result<BTreeSet<Ordinal>, Vec<RerunError>> {
    if wanted.tasks.is_empty() {
        return Ok(plan.iter().map(|(ordinal, _)| ordinal).collect());
    }
    let ordinals = plan.ordinals();
    let (mut runs, mut wrong) = (BTreeSet::new(), Vec::new());
    for name in &wanted.tasks {
        match ordinals.get(name.as_str()) {
            Some(ordinal) => drop(runs.insert(*ordinal)),
            None => {
                let mut known: Vec<String> = ordinals.keys().map(|name| (*name).to_owned()).collect();
                known.sort();
                wrong.push(RerunError::NoTask { task: name.clone(), known });
            }
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    for (ordinal, task) in plan.iter() {
        // A task stands behind all it needs, so one walk finds every reader.
        let reads = wanted.downstream && before_it(task).iter().any(|needs| runs.contains(needs));
        if reads || task.hook {
            runs.insert(ordinal);
        }
    }
    Ok(runs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::{Known, read};

    const TEXT: &str = "
pipeline: p
on_failure: [{url: 'https://example.org/x'}]
tasks:
  a: {shell: {command: echo 1}}
  b: {shell: {command: echo 2}, needs: [a]}
  c: {shell: {command: echo 3}, needs: [b]}
  d: {shell: {command: echo 4}, needs: [a]}
";

    fn decide(
        wanted: &[&str],
        downstream: bool,
        before: &[(&str, TaskState)],
    ) -> Result<Vec<(String, Option<Taken>)>, Vec<RerunError>> {
        let compiled = read(TEXT, &Known::default()).unwrap_or_else(|found| panic!("{found:#?}"));
        let before = before.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect();
        let wanted = Wanted { tasks: wanted.iter().map(|name| (*name).to_owned()).collect(), downstream };
        let taken = plan(&compiled.plan, &before, &wanted)?;
        Ok(compiled.plan.tasks.iter().filter(|task| !task.hook).map(|task| task.name.clone()).zip(taken).collect())
    }

    fn told(taken: &[(String, Option<Taken>)]) -> Vec<(&str, &str)> {
        let word = |taken: &Option<Taken>| match taken {
            None => "runs",
            Some(Taken::Succeeded) => "taken",
            Some(Taken::Skipped) => "left out",
        };
        let mut told: Vec<_> = taken.iter().map(|(name, taken)| (name.as_str(), word(taken))).collect();
        told.sort_unstable();
        told
    }

    const ALL: [(&str, TaskState); 4] =
        [("a", TaskState::Succeeded), ("b", TaskState::Succeeded), ("c", TaskState::Failed), ("d", TaskState::Skipped)];

    #[test]
    fn what_is_not_asked_for_is_taken_over_as_it_ended() {
        let taken = decide(&["b"], false, &ALL).expect("a plan");
        assert_eq!(told(&taken), [("a", "taken"), ("b", "runs"), ("c", "left out"), ("d", "left out")]);
        let taken = decide(&["b"], true, &ALL).expect("a plan");
        assert_eq!(told(&taken), [("a", "taken"), ("b", "runs"), ("c", "runs"), ("d", "left out")]);
        let taken = decide(&[], false, &[]).expect("a plan");
        assert!(taken.iter().all(|(_, taken)| taken.is_none()), "nothing named means everything");
    }

    #[test]
    fn nothing_runs_on_a_result_that_is_not_there() {
        let wrong = decide(&["c", "d"], false, &[("a", TaskState::Failed)]).expect_err("refused");
        let needs = |task: &str, needs: &str| RerunError::NothingToTake { task: task.into(), needs: needs.into() };
        assert_eq!(wrong.len(), 2);
        assert!(wrong.contains(&needs("c", "b")) && wrong.contains(&needs("d", "a")), "{wrong:?}");
        let wrong = decide(&["bb"], false, &ALL).expect_err("refused");
        assert!(matches!(&wrong[..], [RerunError::NoTask { task, .. }] if task == "bb"), "{wrong:?}");
    }
}
