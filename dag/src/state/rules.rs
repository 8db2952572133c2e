//! What `run_if` makes of the tasks before.

use crate::{
    spec::RunIf,
    state::{TaskState, Upstream},
};

/// Where a task goes once every task before it has finished.
pub(super) fn verdict(run_if: RunIf, before: Upstream) -> TaskState {
    let fits = match run_if {
        RunIf::AllSucceeded => before.failed == 0 && before.skipped == 0,
        RunIf::AllDone => true,
        RunIf::AnyFailed => before.failed > 0,
        RunIf::AnySucceeded => before.succeeded > 0,
        RunIf::NoneFailed => before.failed == 0,
    };
    match (fits, before.failed) {
        (true, _) => TaskState::Ready,
        (false, 0) => TaskState::Skipped,
        (false, _) => TaskState::UpstreamFailed,
    }
}
