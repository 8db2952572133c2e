//! Which tasks become views, and in which order the others stand.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, BinaryHeap, HashSet},
};

use super::{Plan, PlannedTask, Relation, View};
use crate::{
    codes::{tm01, tm04},
    graph::Why,
    id::Ordinal,
    links::{Links, Source, behind_checks},
    report::Report,
    spec::{Materialize, Notify, Pipeline, RunIf, Task, TaskKind},
    time::Span,
};

/// Plans a definition whose links have no circles. Wrong wishes for views are reported.
pub(crate) fn build(pipeline: &Pipeline, links: &[Links], told: &BTreeSet<usize>, report: &mut Report) -> Plan {
    let planner = Planner { pipeline, links, told, users: users(pipeline, links) };
    let views: Vec<bool> = (0..links.len()).map(|index| planner.is_view(index, report)).collect();
    let order = planner.order(&views);
    let mut ordinals = vec![None; links.len()];
    for (ordinal, index) in (0..).map(Ordinal).zip(&order) {
        ordinals[*index] = Some(ordinal);
    }
    let mut tasks: Vec<_> = order.iter().map(|index| planner.planned(*index, &views, &ordinals)).collect();
    let all: Vec<Ordinal> = ordinals.iter().copied().flatten().collect::<BTreeSet<_>>().into_iter().collect();
    tasks.extend(hooks(pipeline, &all));
    Plan { tasks }
}

/// How often somebody is tried to be told, and for how long each time.
const HOOK_TRIES: (u32, Span) = (5, Span::seconds(30));

/// What tells people about the end of a run stands behind all its tasks.
fn hooks(pipeline: &Pipeline, all: &[Ordinal]) -> Vec<PlannedTask> {
    let kinds = [
        ("on_success", RunIf::NoneFailed, &pipeline.on_success),
        ("on_failure", RunIf::AnyFailed, &pipeline.on_failure),
    ];
    let planned = |(word, run_if, hooks): (&str, RunIf, &Vec<Notify>)| {
        let one = |(place, notify): (usize, &Notify)| PlannedTask {
            name: format!("{word}[{place}]"),
            task: Task {
                run_if,
                retries: Some(HOOK_TRIES.0),
                timeout: Some(HOOK_TRIES.1),
                ..Task::of(TaskKind::Notify(notify.clone()))
            },
            needs: all.to_vec(),
            reads: Vec::new(),
            views: Vec::new(),
            hook: true,
        };
        hooks.iter().enumerate().map(one).collect::<Vec<_>>()
    };
    kinds.into_iter().flat_map(planned).collect()
}

/// Who uses a task, and how.
#[derive(Debug, Default, Clone)]
struct Users {
    /// Those that take its rows, directly or through a check that lets them through.
    readers: BTreeSet<usize>,
    /// Those that wait for it or use its outcome: a view has none.
    waiters: BTreeSet<(usize, Why)>,
}

fn users(pipeline: &Pipeline, links: &[Links]) -> Vec<Users> {
    let mut users = vec![Users::default(); links.len()];
    for (user, links) in links.iter().enumerate() {
        for source in &links.reads {
            if let Source::Task(index) = source {
                users[*index].readers.insert(user);
                users[behind_checks(pipeline, *index)].readers.insert(user);
            }
        }
        for (index, why) in &links.edges {
            if matches!(why, Why::Template | Why::Needs) {
                users[*index].waiters.insert((user, *why));
            }
        }
    }
    users
}

struct Planner<'a> {
    pipeline: &'a Pipeline,
    links: &'a [Links],
    /// Tasks that the pipeline's outputs and hooks speak of.
    told: &'a BTreeSet<usize>,
    users: Vec<Users>,
}

impl Planner<'_> {
    fn name(&self, index: usize) -> &str {
        self.pipeline.tasks.get_index(index).map_or("", |(name, _)| name)
    }

    fn is_view(&self, index: usize, report: &mut Report) -> bool {
        let Some((name, task)) = self.pipeline.tasks.get_index(index) else { return false };
        let rows = matches!(task.kind, TaskKind::Extract(_) | TaskKind::Sql(_));
        if !rows {
            self.refuse_materialize(name, task, report);
            return false;
        }
        match task.materialize {
            Some(Materialize::Dataset) => false,
            None => self.obstacle(index, task).is_none() && own_settings(task).is_none(),
            Some(Materialize::View) => {
                let path = format!("tasks.{name}.materialize");
                if let Some(reason) = self.obstacle(index, task) {
                    report
                        .error(tm04::NO_VIEW, path, format!("`{name}` cannot be a view: {reason}"))
                        .advise("leave `materialize` out, or write `materialize: dataset`");
                    return false;
                }
                if let Some(setting) = own_settings(task) {
                    let message = format!("`{setting}` has no effect: a view is part of its reader and runs with it");
                    report
                        .error(tm01::MEANINGLESS, format!("tasks.{name}.{setting}"), message)
                        .only_warn()
                        .advise(format!("move `{setting}` to its reader, or write `materialize: dataset`"));
                }
                true
            }
        }
    }

    fn refuse_materialize(&self, name: &str, task: &Task, report: &mut Report) {
        let Some(wanted) = task.materialize else { return };
        let message = format!("`materialize` has no meaning for a `{}` task", task.kind.name());
        let finding = report.error(tm04::NO_VIEW, format!("tasks.{name}.materialize"), message);
        match wanted {
            Materialize::View => finding.advise("only `extract` and `sql` tasks can be views; leave it out"),
            Materialize::Dataset => finding.advise("leave it out"),
        }
    }

    /// Why a task cannot be part of its reader.
    fn obstacle(&self, index: usize, task: &Task) -> Option<String> {
        let Users { readers, waiters } = &self.users[index];
        let reader = match readers.iter().copied().collect::<Vec<_>>().as_slice() {
            [] => return Some("no task reads it".to_owned()),
            [reader] => *reader,
            [first, second, ..] => {
                let (first, second) = (self.name(*first), self.name(*second));
                return Some(format!("`{first}` and `{second}` both read it, and a view has one reader"));
            }
        };
        let (reader_name, reader_task) = self.pipeline.tasks.get_index(reader)?;
        if self.told.contains(&index) {
            return Some(
                "a template of the pipeline's outputs or hooks uses its outcome, and a view has none".to_owned(),
            );
        }
        if task.for_each.is_some() {
            return Some("it has a `for_each` of its own".to_owned());
        }
        if reader_task.for_each.is_some() {
            return Some(format!("`{reader_name}` runs once per item and would compute it anew for each"));
        }
        match &reader_task.kind {
            TaskKind::Sql(_) | TaskKind::Load(_) | TaskKind::Python(_) => {}
            TaskKind::Check(_) => {
                return Some(format!("`{reader_name}` checks it, and what is checked is written down first"));
            }
            TaskKind::Extract(_)
            | TaskKind::Llm(_)
            | TaskKind::Shell(_)
            | TaskKind::Http(_)
            | TaskKind::Wait(_)
            | TaskKind::Approval(_)
            | TaskKind::Run(_)
            | TaskKind::Notify(_) => return Some(format!("`{reader_name}` reads it")),
        }
        let waiter = waiters.iter().find(|(user, why)| *user != reader || *why == Why::Template);
        if let Some((user, why)) = waiter {
            let user = self.name(*user);
            return Some(match why {
                Why::Template => format!("a template of `{user}` uses its outcome, and a view has none"),
                Why::Sql | Why::Input | Why::Needs => {
                    format!("`{user}` waits for it, and a view never finishes by itself")
                }
            });
        }
        if task.when.is_some() {
            return Some("it has a `when` of its own".to_owned());
        }
        (task.run_if != RunIf::default()).then(|| "it has a `run_if` of its own".to_owned())
    }

    /// The tasks a task waits for once views are part of their readers.
    fn waits(&self, index: usize, views: &[bool]) -> BTreeSet<usize> {
        let mut waits = BTreeSet::new();
        let mut seen = HashSet::new();
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            let links = &self.links[index];
            let behind = links.reads.iter().filter_map(|source| match source {
                Source::Task(read) => Some(behind_checks(self.pipeline, *read)),
                Source::Table { .. } => None,
            });
            for wait in links.edges.keys().copied().chain(behind) {
                if !views[wait] {
                    waits.insert(wait);
                } else if seen.insert(wait) {
                    open.push(wait);
                }
            }
        }
        waits.remove(&index);
        waits
    }

    /// Tasks that run, each behind all it waits for, else in the order of the definition.
    fn order(&self, views: &[bool]) -> Vec<usize> {
        let runs: Vec<usize> = (0..views.len()).filter(|index| !views[*index]).collect();
        let mut missing = vec![0_usize; views.len()];
        let mut readers = vec![Vec::new(); views.len()];
        for index in &runs {
            for wait in self.waits(*index, views) {
                missing[*index] += 1;
                readers[wait].push(*index);
            }
        }
        let mut ready: BinaryHeap<Reverse<usize>> =
            runs.into_iter().filter(|index| missing[*index] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(views.len());
        while let Some(Reverse(index)) = ready.pop() {
            order.push(index);
            for reader in &readers[index] {
                missing[*reader] -= 1;
                if missing[*reader] == 0 {
                    ready.push(Reverse(*reader));
                }
            }
        }
        order
    }

    fn planned(&self, index: usize, views: &[bool], ordinals: &[Option<Ordinal>]) -> PlannedTask {
        let mut task = self.pipeline.tasks[index].clone();
        let defaults = &self.pipeline.defaults;
        task.retries = task.retries.or(defaults.retries);
        task.backoff = task.backoff.or(defaults.backoff);
        task.timeout = task.timeout.or(defaults.timeout);
        let mut needs: Vec<Ordinal> = self.waits(index, views).into_iter().filter_map(|wait| ordinals[wait]).collect();
        needs.sort_unstable();
        let inlined = self.inlined(index, views);
        let mut reads = Vec::new();
        let mut seen = HashSet::new();
        for member in inlined.iter().copied().chain([index]) {
            for relation in self.relations(member, views, ordinals) {
                if seen.insert(relation.clone()) {
                    reads.push(relation);
                }
            }
        }
        let view =
            |index: usize| View { name: self.name(index).to_owned(), kind: self.pipeline.tasks[index].kind.clone() };
        PlannedTask {
            name: self.name(index).to_owned(),
            task,
            needs,
            reads,
            views: inlined.into_iter().map(view).collect(),
            hook: false,
        }
    }

    fn relations(&self, index: usize, views: &[bool], ordinals: &[Option<Ordinal>]) -> Vec<Relation> {
        let relation = |source: &Source| match source {
            Source::Table { connection, table, written } => {
                Some(Relation::Table { connection: connection.clone(), table: table.clone(), written: written.clone() })
            }
            Source::Task(read) if views[*read] => Some(Relation::View { name: self.name(*read).to_owned() }),
            Source::Task(read) => {
                let ordinal = ordinals[behind_checks(self.pipeline, *read)]?;
                Some(Relation::Task { name: self.name(*read).to_owned(), ordinal })
            }
        };
        self.links[index].reads.iter().filter_map(relation).collect()
    }

    /// The views inside a task, each behind those it reads.
    fn inlined(&self, index: usize, views: &[bool]) -> Vec<usize> {
        let mut done = Vec::new();
        let mut seen = HashSet::new();
        // Each entry is met twice: first to open what it reads, then to be put behind that.
        let mut open = vec![(index, false)];
        while let Some((member, opened)) = open.pop() {
            if opened {
                done.push(member);
                continue;
            }
            if !seen.insert(member) {
                continue;
            }
            open.push((member, true));
            for source in self.links[member].reads.iter().rev() {
                if let Source::Task(read) = source
                    && views[*read]
                {
                    open.push((*read, false));
                }
            }
        }
        done.retain(|member| *member != index);
        done
    }
}

/// A setting that only a task of its own can follow.
fn own_settings(task: &Task) -> Option<&'static str> {
    [
        ("retries", task.retries.is_some()),
        ("backoff", task.backoff.is_some()),
        ("timeout", task.timeout.is_some()),
        ("priority", task.priority != crate::spec::Priority::default()),
        ("queue", task.queue.is_some()),
        ("pool", task.pool.is_some()),
    ]
    .into_iter()
    .find_map(|(name, set)| set.then_some(name))
}
