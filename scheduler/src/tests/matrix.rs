//! What becomes of moments that nobody fired: every rule, in every outage, paused or not, with another definition or the same.

use super::bed::World;
use crate::Scheduler;

/// `*/10 * * * *` fires at these minutes.
fn moments(until: i64) -> Vec<i64> {
    (1..).map(|n| n * 10).take_while(|minute| *minute <= until).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Nothing,
    OtherCommand,
    OtherExpression,
}

/// What should have fired when somebody looks again at `minute`, having looked last at 0.
fn expected(rule: &str, minute: i64, change: Change) -> Vec<i64> {
    let missed = moments(minute);
    let oldest = match (change, rule) {
        // The new expression begins when it is applied: nobody promised what lies before.
        (Change::OtherExpression, _) => return Vec::new(),
        (_, "all") => 0,
        (_, "latest") => return missed.last().copied().into_iter().collect(),
        (_, "none") => minute,
        (_, _) => minute - 20,
    };
    missed.into_iter().filter(|moment| *moment >= oldest).collect()
}

async fn fired(rule: &str, minute: i64, paused: bool, change: Change) -> (Vec<i64>, Vec<i64>) {
    let world = World::new().await;
    world.apply("*/10 * * * *", rule, "true").await;
    let mut scheduler: Scheduler = world.scheduler();
    scheduler.look().await.expect("a look");
    if paused {
        world.store.pause_schedule("p", 0, true).await.expect("paused");
        // Somebody looks all the time, and fires nothing.
        for minute in 1..=minute {
            world.at(minute);
            assert!(scheduler.look().await.expect("a look").fired.is_empty(), "it is paused");
        }
    }
    world.at(minute);
    match change {
        Change::Nothing => {}
        Change::OtherCommand => world.apply("*/10 * * * *", rule, "exit 0").await,
        Change::OtherExpression => world.apply("5-55/10 * * * *", rule, "true").await,
    }
    if paused {
        world.store.pause_schedule("p", 0, false).await.expect("it goes on");
    } else {
        // Another process takes over after the outage.
        scheduler = world.scheduler();
    }
    scheduler.look().await.expect("a look");
    let caught_up = world.moments().await;
    // From then on every moment fires on time, once.
    for minute in minute + 1..=minute + 20 {
        world.at(minute);
        scheduler.look().await.expect("a look");
        scheduler.look().await.expect("a look");
    }
    let all = world.moments().await;
    (caught_up.clone(), all[caught_up.len()..].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missed_moments_follow_the_rule_whatever_happened() {
    let mut cases = 0;
    for rule in ["all", "latest", "none", "{window: 20m}"] {
        for minute in [0, 5, 10, 15, 40, 45] {
            for paused in [false, true] {
                for change in [Change::Nothing, Change::OtherCommand, Change::OtherExpression] {
                    let (caught_up, after) = fired(rule, minute, paused, change).await;
                    let case = format!("{rule} after {minute} minutes, paused: {paused}, {change:?}");
                    assert_eq!(caught_up, expected(rule, minute, change), "{case}");
                    let first = if change == Change::OtherExpression { 5 } else { 0 };
                    let on_time: Vec<i64> = (minute + 1..=minute + 20).filter(|minute| minute % 10 == first).collect();
                    assert_eq!(after, on_time, "{case}, from then on");
                    cases += 1;
                }
            }
        }
    }
    println!("counted: cases of the catch-up matrix: {cases}");
}

/// Two schedulers with clocks that read a moment apart choose from the same state.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_schedulers_on_one_database_fire_each_moment_once() {
    for world in [World::new().await, World::postgres().await] {
        for rule in ["all", "latest", "none", "{window: 1h}"] {
            world.apply("* * * * *", rule, &format!("echo '{rule}'")).await;
            let (mut one, mut two) = (world.scheduler(), world.elsewhere().await);
            one.look().await.expect("a look");
            let (before, start) = (world.moments().await.len(), world.now_in_minutes());
            for minute in start..start + 20 {
                world.at(minute);
                let (a, b) = tokio::join!(one.look(), two.look());
                a.expect("a look");
                b.expect("a look");
            }
            let mut seen = world.moments().await;
            assert_eq!(seen.len() - before, 19, "{rule}: {seen:?}");
            seen.dedup();
            assert_eq!(seen.len() - before, 19, "{rule}: none twice");
            world.at(start + 100);
        }
    }
}

#[tokio::test]
async fn jitter_fires_each_moment_once_and_a_little_later() {
    let world = World::new().await;
    let text =
        "pipeline: p\ntriggers: [{cron: \"*/10 * * * *\", jitter: 5m}]\ntasks:\n  a: {shell: {command: \"true\"}}\n";
    world.apply_text("p", text.to_owned()).await;
    let mut one = world.scheduler();
    one.look().await.expect("a look");
    let mut late = Vec::new();
    for minute in 1..=100 {
        world.at(minute);
        let round = one.look().await.expect("a look");
        for run in round.fired {
            let run = world.store.run(run).await.expect("a run");
            let moment = run.interval.expect("an interval").end;
            late.push(run.created_at.since(moment).as_secs() / 60);
        }
    }
    assert_eq!(world.moments().await, (1..=9).map(|n| n * 10).collect::<Vec<_>>(), "the moments themselves stay");
    assert!(late.iter().all(|minutes| *minutes <= 5), "{late:?}");
    assert!(late.windows(2).any(|pair| pair[0] != pair[1]), "not all are late alike: {late:?}");
}

#[tokio::test]
async fn excepted_days_make_no_runs() {
    let world = World::new().await;
    let text = "pipeline: p\ntriggers: [{cron: \"0 0 * * *\", except: [2026-01-03]}]\ntasks:\n  a: {shell: {command: \"true\"}}\n";
    world.apply_text("p", text.to_owned()).await;
    let mut scheduler = world.scheduler();
    for day in 0..5 {
        world.at(day * 1_440);
        scheduler.look().await.expect("a look");
    }
    let days: Vec<i64> = world.moments().await.iter().map(|minute| minute / 1_440 + 1).collect();
    assert_eq!(days, [2, 4, 5]);
    let intervals: Vec<_> = world.runs().await.iter().filter_map(|run| run.interval).collect();
    assert!(intervals.windows(2).all(|pair| pair[0].end == pair[1].start), "no stretch of time is left out");
}
