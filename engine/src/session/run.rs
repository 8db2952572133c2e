//! From an analysed plan to rows.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use datafusion::{
    common::{
        Result,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    execution::{SendableRecordBatchStream, SessionState, TaskContext, runtime_env::RuntimeEnv},
    logical_expr::LogicalPlan,
    physical_plan::{
        ExecutionPlan, ExecutionPlanProperties, execute_stream, joins::HashJoinExec, sorts::sort::SortExec,
    },
};

use crate::engine::Opening;

/// What one session may use: memory and disk of its own.
#[derive(Clone)]
pub(super) struct Share {
    pub environment: Arc<RuntimeEnv>,
    pub bytes: usize,
}

/// The ways to run a plan: as the optimiser likes it, and with joins that spill. A hash join keeps one side in
/// memory; where that is too much, it fails before its first row, and sorting both sides costs only time.
pub(super) fn ways(state: &SessionState, share: &Share, plan: LogicalPlan) -> Vec<Opening> {
    let hashed = Arc::new(AtomicBool::new(false));
    let (first, again) = (state.clone(), state.clone());
    let (first_share, share) = (share.clone(), share.clone());
    let (noted, first_plan) = (Arc::clone(&hashed), plan.clone());
    let preferred: Opening = Box::pin(async move {
        let physical = physical(&first, first_plan).await?;
        noted.store(contains_hash_join(&physical)?, Ordering::Relaxed);
        Ok(Some(open(first, physical, &first_share)?))
    });
    let spilling: Opening = Box::pin(async move {
        if !hashed.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let mut state = again;
        let options = state.config_mut().options_mut();
        options.optimizer.prefer_hash_join = false;
        // With a single part DataFusion hashes all the same.
        options.execution.target_partitions = options.execution.target_partitions.max(2);
        let physical = physical(&state, plan).await?;
        Ok(Some(open(state, physical, &share)?))
    });
    vec![preferred, spilling]
}

async fn physical(state: &SessionState, plan: LogicalPlan) -> Result<Arc<dyn ExecutionPlan>> {
    let optimised = state.optimizer().optimize(plan, state, |_, _| {})?;
    state.query_planner().create_physical_plan(&optimised, state).await
}

fn contains_hash_join(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    plan.exists(|node| Ok(node.downcast_ref::<HashJoinExec>().is_some()))
}

/// Two thirds of the share are for merging what was sorted, divided among all that sort: a merge needs up to one
/// and a half times as much as was sorted at once, and cannot spill.
fn open(mut state: SessionState, plan: Arc<dyn ExecutionPlan>, share: &Share) -> Result<SendableRecordBatchStream> {
    let mut sorting = 0;
    plan.apply(|node| {
        if let Some(sort) = node.downcast_ref::<SortExec>()
            && sort.fetch().is_none()
        {
            sorting += sort.input().output_partitioning().partition_count();
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    if let Some(reserve) = (share.bytes / 3 * 2).checked_div(sorting) {
        state.config_mut().options_mut().execution.sort_spill_reservation_bytes = reserve;
    }
    let context = TaskContext::from(&state).with_runtime(Arc::clone(&share.environment));
    execute_stream(plan, Arc::new(context))
}
