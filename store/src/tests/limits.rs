//! Pools, tenants, pipelines' own limits, and who takes turns.

use std::{collections::BTreeMap, time::Duration};

use tidemill_dag::{
    id::RunId,
    limits::Gate,
    spec::{Concurrency, Priority},
    state::{RunState, TaskState},
};

use super::bed::{Bed, LEASE, drain, success, worker};
use crate::{Claimed, NewPool, NewRun, Outcome, Report, StoreError};

async fn pool(bed: &Bed, slots: u32) {
    let pool = NewPool { name: "gpu".into(), slots, description: None };
    bed.store.set_pool(&pool).await.expect("a pool");
}

/// So many tasks without needs, each taking so many slots of the pool.
fn pooled(bed: &Bed, tasks: usize, slots: u32) -> NewRun {
    let mut run = bed.plan(&vec![&[][..]; tasks]);
    for task in &mut run.tasks {
        (task.pool, task.pool_slots) = (Some("gpu".into()), slots);
    }
    run
}

async fn create(bed: &Bed, run: NewRun) -> RunId {
    bed.store.create_run(run).await.expect("a run").run
}

fn names(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|it| it.name.as_str()).collect()
}

pub async fn a_pool_lets_in_what_fits_and_the_next_when_one_leaves(bed: &Bed) {
    pool(bed, 2).await;
    let run = create(bed, pooled(bed, 5, 1)).await;
    let first = bed.claim("w").await;
    assert_eq!(names(&first), ["t0", "t1"], "two tickets for two slots");
    assert_eq!(bed.task(run, 2).await.standby, Some(Gate::Pool("gpu".into())), "it is known what it waits for");
    bed.store.sweep().await.expect("a sweep");
    bed.clock.advance(Duration::from_secs(60));
    bed.store.heartbeat(&worker("w"), LEASE).await.expect("a beat");
    bed.store.sweep().await.expect("a sweep");
    assert_eq!(bed.tickets().await, [], "what waits for a slot is not offered again and again");
    let (held, waiting) = bed.store.pool("gpu").await.map(|pool| (pool.held, pool.waiting)).expect("a pool");
    assert_eq!((held, waiting), (2, 3));
    assert!(bed.complete(&first[0], "w", success()).await.accepted);
    let second = bed.claim("w").await;
    assert_eq!(names(&second), ["t2"], "the freed slot published the next");
    let gate = bed.store.gate(&Gate::Pool("gpu".into())).await.expect("a limit");
    assert_eq!(gate.holders.iter().map(|it| it.task.as_str()).collect::<Vec<_>>(), ["t1", "t2"]);
    bed.holds().await;
    for task in first[1..].iter().chain(&second) {
        bed.complete(task, "w", success()).await;
    }
    assert_eq!(bed.work_off("w").await, 2);
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

pub async fn large_tasks_take_several_slots_and_are_not_overtaken(bed: &Bed) {
    pool(bed, 4).await;
    let mut plan = pooled(bed, 4, 1);
    plan.tasks[1].pool_slots = 3;
    plan.tasks[2].pool_slots = 9;
    let run = create(bed, plan).await;
    let first = bed.claim("w").await;
    assert_eq!(names(&first), ["t0", "t1"]);
    bed.complete(&first[0], "w", success()).await;
    let second = bed.claim("w").await;
    assert_eq!(names(&second), ["t3"], "one that can never fit blocks nobody");
    pool(bed, 9).await;
    assert_eq!(bed.tickets().await, [], "nine slots must be free");
    for task in first[1..].iter().chain(&second) {
        bed.complete(task, "w", success()).await;
    }
    assert_eq!(names(&bed.claim("w").await), ["t2"]);
    assert_eq!(bed.task(run, 2).await.state, TaskState::Running);
}

pub async fn a_pool_that_is_not_there_keeps_tasks_waiting(bed: &Bed) {
    let run = create(bed, pooled(bed, 1, 1)).await;
    bed.store.sweep().await.expect("a sweep");
    assert_eq!(bed.tickets().await, []);
    let gate = bed.store.gate(&Gate::Pool("gpu".into())).await.expect("a limit");
    assert_eq!((gate.size, gate.waiting), (None, 1));
    assert_eq!(bed.task(run, 0).await.standby, Some(Gate::Pool("gpu".into())));
    pool(bed, 1).await;
    assert_eq!(bed.work_off("w").await, 1);
    assert!(matches!(bed.store.remove_pool("cpu").await, Err(StoreError::NoPool(_))));
    let unnamed = NewPool { name: "My Pool".into(), slots: 1, description: None };
    assert!(matches!(bed.store.set_pool(&unnamed).await, Err(StoreError::BadLimit { .. })));
}

/// A pool that was made smaller while tickets for it are out: the claim counts again.
pub async fn a_claim_never_exceeds_a_pool(bed: &Bed) {
    pool(bed, 3).await;
    let run = create(bed, pooled(bed, 3, 1)).await;
    let tickets = bed.tickets().await;
    assert_eq!(tickets.len(), 3);
    pool(bed, 1).await;
    let claimed = bed.store.claim(&tickets, &worker("w"), LEASE).await.expect("a claim");
    assert_eq!(claimed.len(), 1);
    bed.holds().await;
    assert_eq!(bed.tickets().await, [], "those that were refused stand by");
    assert_eq!(bed.count(run).await[&TaskState::Ready], 2);
    bed.complete(&claimed[0], "w", success()).await;
    assert_eq!(bed.work_off("w").await, 2);
}

/// A worker that is lost gives its slot back when its lease ends; there is no counter that could be forgotten.
pub async fn a_lost_worker_gives_its_slots_back(bed: &Bed) {
    pool(bed, 1).await;
    create(bed, pooled(bed, 2, 1)).await;
    let lost = bed.claim_one("w").await;
    bed.clock.advance(LEASE + Duration::from_secs(1));
    bed.store.sweep().await.expect("a sweep");
    let next = bed.claim_one("v").await;
    assert_eq!((lost.name.as_str(), next.name.as_str()), ("t0", "t0"), "the oldest is next, as attempt 2");
    assert!(!bed.complete(&lost, "w", success()).await.accepted);
    bed.complete(&next, "v", success()).await;
    assert_eq!(bed.work_off("v").await, 1);
}

pub async fn cancelled_tasks_give_their_slots_back(bed: &Bed) {
    pool(bed, 1).await;
    let first = create(bed, pooled(bed, 2, 1)).await;
    let second = create(bed, pooled(bed, 1, 1)).await;
    assert_eq!(bed.claim_one("w").await.run.id, first);
    bed.store.cancel_run(first, "enough").await.expect("cancelled");
    assert_eq!(bed.claim_one("w").await.run.id, second);
}

/// Several processes claim at once what was offered to all of them twice.
pub async fn many_workers_at_once_keep_a_pool(bed: &Bed) {
    const SLOTS: u32 = 3;
    pool(bed, SLOTS).await;
    let run = create(bed, pooled(bed, 60, 1)).await;
    let (mut done, mut most) = (0, 0);
    let others = [bed.another().await, bed.another().await, bed.another().await];
    while bed.state(run).await == RunState::Running {
        let mut tickets = bed.tickets().await;
        for (_, transport) in &others {
            tickets.extend(drain(transport).await);
        }
        // Everybody believes that the pool was larger.
        pool(bed, SLOTS * 4).await;
        tickets.extend(bed.tickets().await);
        pool(bed, SLOTS).await;
        let claims = others.iter().enumerate().map(|(n, (store, _))| {
            let (store, tickets) = (store.clone(), tickets.clone());
            tokio::spawn(async move { (n, store.claim(&tickets, &worker(&format!("w{n}")), LEASE).await) })
        });
        let mut claimed = Vec::new();
        for claim in claims.collect::<Vec<_>>() {
            let (n, got) = claim.await.expect("no panic");
            claimed.extend(got.expect("a claim").into_iter().map(|it| (n, it)));
        }
        assert!(claimed.len() <= SLOTS as usize, "{} tasks in {SLOTS} slots", claimed.len());
        bed.holds().await;
        most = most.max(claimed.len());
        for (n, it) in &claimed {
            let report =
                Report { ticket: it.ticket, owner: worker(&format!("w{n}")), outcome: success(), run_next: None };
            assert!(others[*n].0.complete(report).await.expect("a verdict").accepted);
            done += 1;
        }
        bed.store.sweep().await.expect("a sweep");
    }
    assert_eq!((done, most), (60, SLOTS as usize), "each once, and the pool was full");
}

pub async fn a_pipeline_limits_its_tasks(bed: &Bed) {
    let concurrency = Concurrency { max_tasks: Some(2), ..Concurrency::default() };
    let plan = || NewRun { concurrency: concurrency.clone(), ..bed.plan(&[&[], &[], &[0]]) };
    let (first, second) = (create(bed, plan()).await, create(bed, plan()).await);
    let claimed = bed.claim("w").await;
    assert_eq!(claimed.len(), 2, "two of both runs together");
    let gate = bed.task(second, 1).await.standby;
    assert_eq!(gate, Some(Gate::Pipeline("p".into())));
    bed.holds().await;
    for task in &claimed {
        bed.complete(task, "w", success()).await;
    }
    assert_eq!(bed.work_off("w").await, 4);
    assert_eq!((bed.state(first).await, bed.state(second).await), (RunState::Succeeded, RunState::Succeeded));
}

pub async fn a_tenant_limits_its_tasks(bed: &Bed) {
    bed.store.assign_tenant("p", "acme").await.expect("assigned");
    bed.store.set_tenant("acme", Some(1)).await.expect("a limit");
    create(bed, bed.plan(&[&[], &[], &[]])).await;
    let one = bed.claim_one("w").await;
    let tenants = bed.store.tenants().await.expect("tenants");
    assert_eq!((tenants[0].name.as_str(), tenants[0].running, tenants[0].waiting), ("acme", 1, 2));
    bed.store.set_tenant("acme", None).await.expect("no limit");
    assert_eq!(bed.work_off("w").await, 2, "without the limit all go");
    bed.complete(&one, "w", success()).await;
}

/// What passes one limit waits for the next.
pub async fn all_limits_of_a_task_must_have_room(bed: &Bed) {
    pool(bed, 2).await;
    let concurrency = Concurrency { max_tasks: Some(1), ..Concurrency::default() };
    let run = create(bed, NewRun { concurrency, ..pooled(bed, 3, 1) }).await;
    assert_eq!(names(&bed.claim("w").await), ["t0"]);
    assert_eq!(bed.task(run, 1).await.standby, Some(Gate::Pipeline("p".into())));
    bed.store.sweep().await.expect("a sweep");
    assert_eq!(bed.tickets().await, []);
}

/// Ten thousand ready tasks of one tenant, a hundred of another, ten slots: what each gets is counted.
pub async fn a_crowd_does_not_starve_a_tenant(bed: &Bed) {
    pool(bed, 10).await;
    let version = bed.save("q").await;
    bed.store.assign_tenant("p", "crowd").await.expect("assigned");
    bed.store.assign_tenant("q", "few").await.expect("assigned");
    create(bed, pooled(bed, 10_000, 1)).await;
    let few = create(bed, NewRun { pipeline: "q".into(), version, ..pooled(bed, 100, 1) }).await;
    let mut got: BTreeMap<String, usize> = BTreeMap::new();
    let mut rounds = 0;
    while bed.state(few).await == RunState::Running {
        let claimed = bed.claim("w").await;
        assert!(claimed.len() <= 10);
        for task in &claimed {
            *got.entry(task.run.pipeline.clone()).or_default() += 1;
            bed.complete(task, "w", success()).await;
        }
        rounds += 1;
        assert!(rounds < 100, "the few are starved: {got:?}");
    }
    println!("counted: a tenant with 10,000 ready tasks got {} slots while one with 100 got its 100", got["p"]);
    assert_eq!(got["q"], 100);
    assert!(got["p"] <= 130, "half each, but for what ran at the beginning: {got:?}");
}

/// With one slot, tenants alternate; within a tenant priorities are strict, and then age decides.
pub async fn one_slot_alternates_and_priorities_are_strict_within_a_tenant(bed: &Bed) {
    pool(bed, 0).await;
    let version = bed.save("q").await;
    bed.store.assign_tenant("p", "a").await.expect("assigned");
    bed.store.assign_tenant("q", "b").await.expect("assigned");
    let mut plan = pooled(bed, 4, 1);
    (plan.tasks[1].priority, plan.tasks[3].priority) = (Priority::Low, Priority::High);
    create(bed, plan).await;
    create(bed, NewRun { pipeline: "q".into(), version, ..pooled(bed, 2, 1) }).await;
    pool(bed, 1).await;
    let mut order = Vec::new();
    loop {
        let claimed = bed.claim("w").await;
        let Some(task) = claimed.first() else { break };
        order.push(format!("{}.{}", task.run.pipeline, task.name));
        bed.clock.advance(Duration::from_millis(10));
        bed.complete(task, "w", success()).await;
    }
    assert_eq!(order, ["p.t3", "q.t0", "p.t0", "q.t1", "p.t2", "p.t1"]);
}

pub async fn a_paused_pipeline_starts_nothing_new(bed: &Bed) {
    let running = bed.run(&[&[], &[0]]).await;
    bed.store.pause_pipeline("p", Some("the shop moves")).await.expect("paused");
    let waiting = bed.run(&[&[]]).await;
    assert_eq!(bed.state(waiting).await, RunState::Queued);
    assert_eq!(bed.work_off("w").await, 2, "what runs goes on");
    assert_eq!(bed.state(running).await, RunState::Succeeded);
    bed.store.sweep().await.expect("a sweep");
    assert_eq!(bed.state(waiting).await, RunState::Queued);
    bed.holds().await;
    let pipeline = bed.store.pipelines().await.expect("pipelines").remove(0);
    assert!(pipeline.paused_at.is_some() && pipeline.paused_reason.as_deref() == Some("the shop moves"));
    assert_eq!(bed.store.unpause_pipeline("p").await.expect("resumed"), 1);
    assert_eq!(bed.work_off("w").await, 1);
    assert!(matches!(bed.store.pause_pipeline("no", None).await, Err(StoreError::NoPipeline(_))));
}

/// Queued runs start by priority, then by age.
pub async fn runs_of_low_priority_wait_for_others(bed: &Bed) {
    let concurrency = Concurrency { max_runs: 1, ..Concurrency::default() };
    let plan = |priority| NewRun { concurrency: concurrency.clone(), priority, ..bed.plan(&[&[]]) };
    let first = create(bed, plan(Priority::Normal)).await;
    let low = create(bed, plan(Priority::Low)).await;
    let normal = create(bed, plan(Priority::Normal)).await;
    let mut order = Vec::new();
    while let Some(task) = bed.claim("w").await.pop() {
        order.push(task.run.id);
        bed.complete(&task, "w", success()).await;
    }
    assert_eq!(order, [first, normal, low]);
}

/// A task that sleeps holds no slot.
pub async fn sleepers_hold_no_slot(bed: &Bed) {
    pool(bed, 1).await;
    create(bed, pooled(bed, 2, 1)).await;
    let sleeper = bed.claim_one("w").await;
    let wake_at = bed.clock_now().after(Duration::from_secs(60));
    bed.complete(&sleeper, "w", Outcome::Parked { wake_at, reason: "a file".into() }).await;
    assert_eq!(bed.claim_one("w").await.name, "t1");
}
