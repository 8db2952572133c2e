//! One suite, two databases. Every case gets an empty database of its own, and ends with the seven invariants.

mod bed;
mod life;

/// Runs every case on both databases.
macro_rules! cases {
    ($($module:ident: $($case:ident),* $(,)?;)*) => {
        mod on_sqlite {$($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bed = super::bed::Bed::sqlite().await;
                super::$module::$case(&bed).await;
                bed.holds().await;
            }
        )*)*}
        mod on_postgres {$($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let bed = super::bed::Bed::postgres().await;
                super::$module::$case(&bed).await;
                bed.holds().await;
            }
        )*)*}
    };
}

cases! {
    life: a_chain_runs_to_its_end, a_failure_is_tried_again_and_then_fails, what_was_parked_wakes_up,
        a_skipped_task_skips_its_readers, a_task_that_is_handed_back_goes_to_the_next, the_same_report_counts_once,
        a_stale_ticket_gets_nothing, only_the_owner_reports, a_worker_goes_on_with_the_next_task,
        a_worker_that_repeats_itself_gets_the_same_next_task, outputs_reach_their_readers, text_with_a_nul_is_stored;
}
