//! `for_each`: the list, the items, and what they gave.
//!
//! The task itself is claimed twice. The first attempt evaluates the list and reports it; the store makes a task of each item.
//! When the last of these has ended, another attempt collects what they gave. Items run as the task would without
//! `for_each`; their templates name `item` and `index` besides.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use futures::StreamExt;
use serde_json::{Map, Value, json};
use tidemill_dag::{
    id::{RunId, TaskKey},
    plan::PlannedTask,
    spec::ForEach,
    state::TaskState,
    template::TaskFacts,
};
use tidemill_engine::{Manifest, json_rows};
use tidemill_store::{Claimed, Upstream};

use crate::{
    attempt::{Attempt, Done, facts},
    error::TaskError,
    session::Tables,
    worker::Site,
};

/// What the items of a list gave is kept together with the task: at most so many bytes.
const MAX_COLLECTED: usize = 8 << 20;
/// The items of a list, as JSON: at most so many bytes.
const MAX_LIST: usize = 32 << 20;
/// How many failed items an error names.
const NAMED: usize = 5;
/// For how many lists what stands before them is kept at hand.
const KEPT: usize = 16;

/// Evaluates the list.
pub(crate) async fn expand(attempt: &Attempt<'_>, for_each: &ForEach) -> Result<Done, TaskError> {
    let limit = attempt.site.config.max_items;
    let items = match for_each {
        ForEach::List(items) => {
            within(items.len(), limit)?;
            list(attempt.value("for_each", &Value::Array(items.clone()))?)?
        }
        ForEach::Template(text) => list(attempt.value("for_each", &Value::String(text.clone()))?)?,
        ForEach::Rows(of) => rows(attempt, &of.rows, limit).await?,
    };
    within(items.len(), limit)?;
    let bytes: usize = items.iter().map(|item| item.to_string().len()).sum();
    if bytes > MAX_LIST {
        let problem = format!("its items are {bytes} bytes together, and at most {MAX_LIST} are kept");
        return Err(TaskError::Setting { field: "for_each", problem });
    }
    attempt.log.say(&format!("{} items", items.len()));
    if items.is_empty() {
        return Ok(Done::Output(json!({ "result": [] })));
    }
    Ok(Done::Expand(items))
}

fn within(found: usize, limit: usize) -> Result<(), TaskError> {
    if found > limit { Err(TaskError::TooManyItems { found, limit }) } else { Ok(()) }
}

fn list(value: Value) -> Result<Vec<Value>, TaskError> {
    let kind = match value {
        Value::Array(items) => return Ok(items),
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Object(_) => "an object",
    };
    Err(TaskError::Setting { field: "for_each", problem: format!("it gives {kind}, and a list is needed") })
}

async fn rows(attempt: &Attempt<'_>, of: &str, limit: usize) -> Result<Vec<Value>, TaskError> {
    let tables = Tables::open(attempt).await?;
    let mut rows = tables.rows(of).await?;
    let mut items = Vec::new();
    while let Some(batch) = rows.next().await {
        items.extend(json_rows(&batch?)?.into_iter().map(Value::Object));
        within(items.len(), limit)?;
    }
    Ok(items)
}

/// Puts together what the items gave, in their order.
pub(crate) fn collect(attempt: &Attempt<'_>) -> Result<Done, TaskError> {
    let items: Vec<&Upstream> = attempt.before.upstream.iter().filter(|task| task.index.is_some()).collect();
    let failed: Vec<&str> =
        items.iter().filter(|item| item.state == TaskState::Failed).map(|item| item.name.as_str()).collect();
    if !failed.is_empty() {
        let more = if failed.len() > NAMED { format!(" and {} more", failed.len() - NAMED) } else { String::new() };
        let names = format!("{}{more}", failed[..failed.len().min(NAMED)].join(", "));
        return Err(TaskError::ItemsFailed { failed: failed.len(), total: items.len(), names });
    }
    let results: Vec<Value> = items.iter().map(|item| facts(item).result).collect();
    let mut output = Map::from_iter([("result".to_owned(), Value::Array(results))]);
    for part in ["manifest", "quarantine"] {
        if let Some(union) = union(&items, part)? {
            output.insert(part.to_owned(), serde_json::to_value(union).unwrap_or_default());
        }
    }
    let receipts: Vec<u64> =
        items.iter().filter_map(|item| item.output.as_ref()?.get("receipt")?.get("rows")?.as_u64()).collect();
    if !receipts.is_empty() {
        output.insert("receipt".to_owned(), json!({ "rows": receipts.iter().sum::<u64>() }));
    }
    let output = Value::Object(output);
    if output.to_string().len() > MAX_COLLECTED {
        return Err(TaskError::TooLarge { limit: MAX_COLLECTED });
    }
    attempt.log.say(&format!("{} items collected", items.len()));
    Ok(Done::Output(output))
}

/// The data sets of all items as one.
fn union(items: &[&Upstream], part: &str) -> Result<Option<Manifest>, TaskError> {
    let mut parts = Vec::new();
    for item in items {
        if let Some(manifest) = item.output.as_ref().and_then(|output| output.get(part)) {
            let manifest: Manifest = serde_json::from_value(manifest.clone())
                .map_err(|error| TaskError::Internal(format!("the manifest of {}: {error}", item.name)))?;
            parts.push(manifest);
        }
    }
    if parts.is_empty() { Ok(None) } else { Ok(Some(Manifest::union(parts)?)) }
}

/// What stands before the items of one list: the same for each of them.
#[derive(Debug)]
pub(crate) struct Before {
    /// The tasks before.
    pub upstream: Vec<Upstream>,
    /// Those of them that the templates mention.
    pub facts: BTreeMap<String, TaskFacts>,
}

/// What stands before lists whose items run here. It is only kept while nothing can change it: success is final.
#[derive(Debug, Default)]
pub(crate) struct Lists(Mutex<VecDeque<(TaskKey, Arc<Before>)>>);

impl Lists {
    fn find(&self, key: TaskKey) -> Option<Arc<Before>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(of, _)| *of == key).map(|(_, before)| Arc::clone(before))
    }

    fn keep(&self, key: TaskKey, before: &Arc<Before>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((key, Arc::clone(before)));
    }
}

/// What stands before a claimed task.
pub(crate) async fn before(
    site: &Site,
    claimed: &mut Claimed,
    planned: &PlannedTask,
) -> Result<Arc<Before>, TaskError> {
    let Some(item) = &claimed.item else {
        let upstream = std::mem::take(&mut claimed.upstream);
        let needs = upstream.iter().filter(|task| task.index.is_none());
        let facts = needs.map(|task| (task.name.clone(), facts(task))).collect();
        return Ok(Arc::new(Before { upstream, facts }));
    };
    let run: RunId = claimed.run.id;
    let key = TaskKey { run, ordinal: item.of };
    if planned.needs.is_empty() {
        return Ok(Arc::new(Before { upstream: Vec::new(), facts: BTreeMap::new() }));
    }
    if let Some(before) = site.lists.find(key) {
        return Ok(before);
    }
    let upstream = site.wiring.store.upstream(key).await?;
    // The list itself may stand in what a task before gave; an item that does not name that task need not carry it.
    let body = serde_json::to_string(&planned.task.kind).unwrap_or_default();
    let when = planned.task.when.as_deref().unwrap_or_default();
    let named = |task: &&Upstream| body.contains(&task.name) || when.contains(&task.name);
    let facts = upstream.iter().filter(named).map(|task| (task.name.clone(), facts(task))).collect();
    let before = Arc::new(Before { upstream, facts });
    if before.upstream.iter().all(|task| task.state == TaskState::Succeeded) {
        site.lists.keep(key, &before);
    }
    Ok(before)
}
