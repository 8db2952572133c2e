//! From a plan to the rows of a run.

use tidemill_dag::plan::PlannedTask;

use crate::NewTask;

impl From<&PlannedTask> for NewTask {
    fn from(planned: &PlannedTask) -> Self {
        let task = &planned.task;
        Self {
            name: planned.name.clone(),
            needs: planned.needs.clone(),
            run_if: task.run_if,
            retries: task.retries.unwrap_or(0),
            backoff: task.backoff.unwrap_or_default(),
            hook: planned.hook,
            max_parallel: task.for_each.as_ref().and(task.max_parallel),
            priority: task.priority,
            queue: task.queue.clone(),
            pool: task.pool.clone(),
            pool_slots: task.pool_slots.unwrap_or(1),
            taken: None,
            output: None,
        }
    }
}
