//! One suite, two databases. Every case gets an empty database of its own, and ends with the seven invariants.

mod approvals;
mod at_hand;
mod away;
mod backfills;
mod bed;
mod causes;
mod collect;
mod concurrency;
mod crashes;
mod definitions;
mod failover;
mod family;
mod graph;
mod items;
mod leading;
mod life;
mod limits;
mod logs;
mod outbox;
mod plans;
mod races;
mod reruns;
mod schema;
mod secrets;
mod speed;
mod tokens;
mod versions;
mod wakes;

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
        a_worker_that_repeats_itself_gets_the_same_next_task, outputs_reach_their_readers, text_with_a_nul_is_stored, workers_say_who_they_are;
    at_hand: what_is_at_hand_is_claimed_with_the_report, an_item_at_hand_brings_its_value,
        a_report_told_again_gets_the_same_from_its_hand, what_was_at_hand_of_nobody_is_handed_back,
        what_is_at_hand_waits_where_a_limit_is_full;
    graph: bad_news_runs_down_ten_thousand_tasks, bad_news_runs_down_a_long_chain, a_join_waits_for_all,
        a_cleanup_runs_after_a_failure, a_run_without_tasks_is_done, a_plan_out_of_order_is_refused;
    concurrency: queued_runs_start_in_turn, an_overlapping_run_is_skipped, a_newer_run_takes_the_place,
        runs_that_may_overlap_do, one_key_makes_one_run, many_runs_at_once_keep_the_limit, the_sweep_starts_what_may_start;
    crashes: a_lost_lease_is_offered_again, the_fifth_crash_fails_the_task, a_dead_owner_loses_at_once,
        a_heartbeat_keeps_the_lease, the_first_sweep_offers_everything, silence_offers_again,
        a_crash_before_the_commit_leaves_nothing, a_crash_after_the_commit_leaves_all,
        a_claim_that_nobody_heard_of_is_handed_back, a_caller_that_is_gone_holds_nothing;
    races: two_processes_claim_each_task_once, a_thousand_reports_at_once, cancel_against_complete, everything_at_once;
    definitions: versions_are_numbered_and_kept, schedules_fire_each_moment_once, runs_are_listed_page_by_page,
        cancel_and_resume, resume_waits_for_its_place, unknown_things_are_named;
    versions: a_version_lives_and_another_takes_its_place, several_are_adopted_together_or_not_at_all,
        of_two_people_at_once_one_wins, versions_move_as_the_table_says, one_goes_back_to_what_was_active_before;
    tokens: tokens_are_kept_used_and_revoked, an_expired_token_frees_its_name, the_state_tells_about_itself;
    family: the_end_of_a_run_wakes_who_waits_for_it, a_cancelled_run_takes_along_whom_it_waits_for,
        the_sweep_does_what_was_left_undone, a_run_is_late_and_then_out_of_time,
        people_are_told_and_their_absence_changes_nothing;
    items: a_list_is_worked_off_and_collected, no_more_items_run_at_once_than_may, a_resume_repeats_only_what_failed,
        a_cancelled_run_takes_its_items_along, a_list_is_stored_once_or_not_at_all,
        lists_do_not_get_into_each_others_way, long_lists;
    outbox: every_event_is_read_once_in_order, a_sink_is_one_process_at_a_time, a_new_sink_may_begin_with_what_comes,
        a_delivery_that_is_given_up_is_listed, a_reader_passes_over_nothing;
    collect: old_data_sets_go_after_a_time_of_grace, a_resume_keeps_what_was_marked, what_is_removed_cannot_be_resumed,
        what_nobody_names_goes_and_what_is_named_stays, a_data_set_that_another_run_names_stays,
        a_dry_run_changes_nothing, old_lines_and_events_go, another_installations_place_is_left_alone,
        one_process_takes_each_turn, nothing_live_goes_under_concurrent_writers;
    wakes: a_load_reaches_each_of_its_watchers_once, one_set_of_loads_makes_one_run, what_was_taken_is_not_taken_again,
        a_crash_around_the_end_of_a_load_loses_nothing, a_crash_around_the_wake_doubles_nothing;
    causes: a_cause_told_a_thousand_times_makes_one_run, another_request_with_the_same_key_is_refused,
        a_key_is_free_again_when_its_time_is_over, a_crash_around_the_commit_makes_one_run,
        dead_letters_are_kept_within_bounds;
    limits: a_pool_lets_in_what_fits_and_the_next_when_one_leaves, large_tasks_take_several_slots_and_are_not_overtaken,
        a_pool_that_is_not_there_keeps_tasks_waiting, a_claim_never_exceeds_a_pool, a_lost_worker_gives_its_slots_back,
        cancelled_tasks_give_their_slots_back, many_workers_at_once_keep_a_pool, a_pipeline_limits_its_tasks,
        a_tenant_limits_its_tasks, all_limits_of_a_task_must_have_room, a_crowd_does_not_starve_a_tenant,
        one_slot_alternates_and_priorities_are_strict_within_a_tenant, a_paused_pipeline_starts_nothing_new,
        runs_of_low_priority_wait_for_others, sleepers_hold_no_slot;
    backfills: a_backfill_runs_each_partition_in_order, a_backfill_repeats_only_what_is_asked_for,
        a_backfill_is_paused_resumed_and_cancelled, a_crash_between_any_two_steps_loses_and_doubles_nothing,
        many_schedulers_make_one_run_each, live_runs_go_before_a_backfill;
    reruns: a_rerun_takes_over_what_it_does_not_do, a_rerun_is_queued_fails_and_goes_on,
        what_a_rerun_takes_over_is_not_removed;
    approvals: enough_people_let_a_task_succeed, lists_of_questions_go_on_behind_any_of_them, one_refusal_fails_the_task_and_a_resume_asks_again,
        silence_ends_as_the_definition_says, nobody_answers_what_was_not_asked, many_answers_at_once_decide_once,
        a_question_told_twice_is_one_question;
    logs: lines_are_read_where_one_left_off, a_follower_misses_nothing;
}
