//! Under a clock that only moves when it is told to.

use tidemill_dag::id::WorkerId;

use super::*;
use crate::tests::bed::{MINUTE, START, World};

#[tokio::test]
async fn a_moment_fires_once_and_the_next_one_is_known() {
    let world = World::new().await;
    world.apply("*/10 * * * *", "latest", "true").await;
    let mut scheduler = world.scheduler();
    let first = scheduler.look().await.expect("a look");
    assert!(first.fired.is_empty());
    assert_eq!(first.next, Some(Timestamp(START + 10 * MINUTE)));
    world.at(10);
    assert_eq!(scheduler.look().await.expect("a look").fired.len(), 1);
    assert!(scheduler.look().await.expect("a look").fired.is_empty());
    let runs = world.runs().await;
    let interval = runs[0].interval.expect("an interval");
    assert_eq!((interval.start.0, interval.end.0), (START, START + 10 * MINUTE));
    assert_eq!(runs[0].trigger, TriggerKind::Cron);
}

#[tokio::test]
async fn two_schedulers_fire_one_run_per_moment() {
    let world = World::new().await;
    world.apply("* * * * *", "all", "true").await;
    let (mut one, mut two) = (world.scheduler(), world.scheduler());
    for minute in 0..5 {
        world.at(minute);
        let (a, b) = tokio::join!(one.look(), two.look());
        a.expect("a look");
        b.expect("a look");
    }
    assert_eq!(world.moments().await, [1, 2, 3, 4]);
}

#[tokio::test]
async fn what_was_missed_while_nobody_watched_follows_catch_up() {
    for (rule, want) in
        [("all", vec![10, 20, 30, 40]), ("latest", vec![40]), ("none", vec![]), ("{window: 20m}", vec![30, 40])]
    {
        let world = World::new().await;
        world.apply("*/10 * * * *", rule, "true").await;
        world.scheduler().look().await.expect("a look");
        world.at(45);
        // Another process after a restart: what was dealt with is in the store.
        let mut later = world.scheduler();
        later.look().await.expect("a look");
        assert_eq!(world.moments().await, want, "{rule}");
        world.at(50);
        later.look().await.expect("a look");
        assert_eq!(world.moments().await.last(), Some(&50), "{rule}");
    }
}

#[tokio::test]
async fn a_clock_that_jumps_back_fires_nothing_twice() {
    let world = World::new().await;
    world.apply("*/10 * * * *", "all", "true").await;
    let mut scheduler = world.scheduler();
    scheduler.look().await.expect("a look");
    world.at(20);
    scheduler.look().await.expect("a look");
    world.at(5);
    scheduler.look().await.expect("a look");
    world.scheduler().look().await.expect("a look");
    world.at(21);
    scheduler.look().await.expect("a look");
    assert_eq!(world.moments().await, [10, 20]);
}

#[tokio::test]
async fn another_expression_begins_anew_and_another_command_does_not() {
    let world = World::new().await;
    world.apply("*/10 * * * *", "all", "true").await;
    world.scheduler().look().await.expect("a look");
    world.at(25);
    world.apply("*/10 * * * *", "all", "exit 0").await;
    world.scheduler().look().await.expect("a look");
    assert_eq!(world.moments().await, [10, 20], "what was missed is owed by the new version too");
    world.at(29);
    world.apply("* * * * *", "all", "exit 0").await;
    world.scheduler().look().await.expect("a look");
    world.at(30);
    world.scheduler().look().await.expect("a look");
    assert_eq!(world.moments().await, [10, 20, 30], "nobody promised the minutes before");
}

#[tokio::test]
async fn the_tasks_of_the_dead_start_again_at_once() {
    let world = World::new().await;
    world.apply("* * * * *", "all", "true").await;
    let folder = tempfile::tempdir().expect("a folder");
    let presence = Arc::new(Presence::announce(folder.path(), WorkerId("me".into())).expect("announced"));
    let mut scheduler = world.scheduler_beside(Some(presence));
    scheduler.look().await.expect("a look");
    world.at(1);
    let run = scheduler.look().await.expect("a look").fired[0];
    let task = &world.store.tasks(run).await.expect("tasks")[0];
    let ticket = tidemill_dag::id::Ticket { task: task.key(), attempt: task.attempt };
    let gone = WorkerId("gone".into());
    let claimed = world.store.claim(&[ticket], &gone, Duration::from_secs(600)).await.expect("claimed");
    assert_eq!(claimed.len(), 1);
    assert_eq!(scheduler.look().await.expect("a look").expired, 0, "nothing is known about its owner yet");
    std::fs::write(folder.path().join("gone.lock"), "").expect("written");
    assert_eq!(scheduler.look().await.expect("a look").expired, 1);
    let task = &world.store.tasks(run).await.expect("tasks")[0];
    assert_eq!((task.state, task.crashes), (tidemill_dag::state::TaskState::Ready, 1));
    assert!(!folder.path().join("gone.lock").exists());
}

#[tokio::test]
async fn the_loop_ends_when_it_is_told_to_and_looks_when_the_bell_rings() {
    let world = World::new().await;
    world.apply("* * * * *", "all", "true").await;
    let mut scheduler = world.scheduler();
    scheduler.settings.period = Duration::from_secs(3_600);
    scheduler.look().await.expect("a look");
    let bell = scheduler.bell();
    let shutdown = CancellationToken::new();
    world.at(1);
    let running = tokio::spawn(scheduler.run(shutdown.clone()));
    bell.notify_one();
    let seen = async {
        while world.runs().await.is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), seen).await.expect("it looked");
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(30), running).await.expect("it ended").expect("without a panic");
}
