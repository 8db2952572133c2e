//! Data-set triggers from the end of a load to the run.

use std::time::Duration;

use serde_json::json;
use tidemill_dag::id::{RunId, WorkerId};
use tidemill_store::{Outcome, Report, TriggerKind};

use super::bed::{MINUTE, World};

fn reader(name: &str, trigger: &str) -> String {
    format!("pipeline: {name}\ntriggers: [{trigger}]\ntasks:\n  a: {{shell: {{command: \"true\"}}}}\n")
}

impl World {
    /// Ends the one task of a run, as a load into a data set.
    async fn load(&self, run: RunId, dataset: &str) {
        let me = WorkerId("w".into());
        let task = &self.store.tasks(run).await.expect("tasks")[0];
        let ticket = tidemill_dag::id::Ticket { task: task.key(), attempt: task.attempt };
        let claimed = self.store.claim(&[ticket], &me, Duration::from_secs(60)).await.expect("a claim");
        assert_eq!(claimed.len(), 1, "{run} is ready");
        let output = json!({"receipt": {"rows": 1}, "dataset": dataset});
        let report = Report { ticket, owner: me, outcome: Outcome::Succeeded { output }, run_next: None };
        assert!(self.store.complete(report).await.expect("a verdict").accepted);
    }

    /// A run of the pipeline `source`, whose only task loaded into a data set.
    async fn loaded(&self, dataset: &str) {
        self.apply_text("source", reader("source", "")).await;
        let version = self.store.active("source").await.expect("an answer").expect("a version");
        let settings = crate::Settings { crons: false, ..self.settings(None) };
        let run = crate::scheduler::run_of(&version, &settings).expect("a run");
        let run = self.store.create_run(run).await.expect("a run").run;
        self.load(run, dataset).await;
    }

    /// Runs that fresh data started.
    async fn woken(&self) -> Vec<tidemill_store::RunRecord> {
        let mut runs = self.runs().await;
        runs.retain(|run| run.trigger == TriggerKind::Dataset);
        runs.sort_by_key(|run| run.created_at);
        runs
    }
}

async fn both(case: impl AsyncFn(World)) {
    case(World::new().await).await;
    case(World::postgres().await).await;
}

#[tokio::test]
async fn a_load_starts_the_runs_of_those_who_watch_it() {
    both(async |world| {
        world.apply_text("exact", reader("exact", "{name: orders, dataset: w.public.orders}")).await;
        world.apply_text("glob", reader("glob", "{dataset: w.public.*}")).await;
        world.apply_text("other", reader("other", "{dataset: w.private.*}")).await;
        let mut scheduler = world.scheduler();
        scheduler.look().await.expect("a look");
        world.loaded("w.public.orders").await;
        assert_eq!(scheduler.look().await.expect("a look").woken.len(), 2);
        assert!(scheduler.look().await.expect("a look").woken.is_empty());
        let mut runs = world.woken().await;
        runs.sort_by_key(|run| run.pipeline.clone());
        let names: Vec<_> = runs.iter().map(|run| run.pipeline.as_str()).collect();
        assert_eq!(names, ["exact", "glob"]);
        let data = &runs[0].trigger_data;
        assert_eq!((&data["dataset"], &data["updates"][0]["dataset"]), (&json!("orders"), &json!("w.public.orders")));
        assert_eq!((&data["updates"][0]["task"], &data["chain"]), (&json!("a"), &json!(1)));
    })
    .await;
}

#[tokio::test]
async fn what_comes_together_makes_one_run() {
    both(async |world| {
        world.apply_text("p", reader("p", "{dataset: w.*, debounce: 2m, max_wait: 5m}")).await;
        let mut scheduler = world.scheduler();
        scheduler.look().await.expect("a look");
        for minute in [0, 1, 2] {
            world.at(minute);
            world.loaded("w.a").await;
            let round = scheduler.look().await.expect("a look");
            assert!(round.woken.is_empty());
            let due = round.next.map(|next| (next.0 - super::bed::START) / MINUTE);
            assert_eq!(due, Some(minute + 2), "it is known when to look again");
        }
        world.at(4);
        assert_eq!(scheduler.look().await.expect("a look").woken.len(), 1);
        let data = &world.woken().await[0].trigger_data;
        assert_eq!(data["updates"].as_array().map(Vec::len), Some(3));
        // It never gets quiet: after the longest wait it runs all the same.
        for minute in 5..10 {
            world.at(minute);
            world.loaded("w.a").await;
            assert!(scheduler.look().await.expect("a look").woken.is_empty());
        }
        world.at(10);
        assert_eq!(scheduler.look().await.expect("a look").woken.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn all_of_several_must_come() {
    both(async |world| {
        world.apply_text("p", reader("p", "{dataset: {all: [w.a, w.b]}}")).await;
        let mut scheduler = world.scheduler();
        scheduler.look().await.expect("a look");
        for (dataset, woken) in [("w.a", 0), ("w.a", 0), ("w.b", 1), ("w.b", 0), ("w.a", 1)] {
            world.loaded(dataset).await;
            // Another process took over meanwhile: what was waiting waits on.
            scheduler = world.elsewhere().await;
            assert_eq!(scheduler.look().await.expect("a look").woken.len(), woken, "{dataset}");
        }
        let sets: Vec<_> =
            world.woken().await.iter().map(|run| run.trigger_data["updates"].as_array().map(Vec::len)).collect();
        assert_eq!(sets.iter().flatten().sum::<usize>(), 5, "each load in one run: {sets:?}");
    })
    .await;
}

/// Several schedulers of several processes look at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn schedulers_beside_each_other_start_one_run_for_each_set() {
    both(async |world| {
        world.apply_text("p", reader("p", "{dataset: w.*}")).await;
        let (mut one, mut two, mut three) = (world.scheduler(), world.elsewhere().await, world.elsewhere().await);
        for _ in 0..20 {
            world.loaded("w.a").await;
            let (a, b, c) = tokio::join!(one.look(), two.look(), three.look());
            for look in [a, b, c] {
                look.expect("a look");
            }
        }
        one.look().await.expect("a look");
        let runs = world.woken().await;
        let loads: usize = runs.iter().filter_map(|run| run.trigger_data["updates"].as_array()).map(Vec::len).sum();
        assert_eq!(loads, 20, "each load is in one run, and in no other");
        assert!(world.store.waiting_updates().await.expect("updates").is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_circle_is_cut() {
    both(async |world| {
        // Nobody can see from the definitions that they load what they watch.
        world.apply_text("p", reader("p", "{name: fresh, dataset: w.q}")).await;
        world.apply_text("q", reader("q", "{dataset: w.p}")).await;
        let mut scheduler = world.scheduler();
        scheduler.look().await.expect("a look");
        world.loaded("w.p").await;
        let mut rounds = 0;
        loop {
            let woken = scheduler.look().await.expect("a look").woken;
            let [run] = woken.as_slice() else { break };
            let pipeline = world.store.run(*run).await.expect("a run").pipeline;
            world.load(*run, &format!("w.{pipeline}")).await;
            rounds += 1;
        }
        assert_eq!(rounds, 16);
        let letters = world.store.letters(None, None, 10).await.expect("letters");
        assert_eq!(letters.len(), 1);
        assert_eq!((letters[0].code.as_str(), letters[0].pipeline.as_str()), ("TM1215", "q"));
        assert!(world.store.waiting_updates().await.expect("updates").is_empty());
    })
    .await;
}

#[tokio::test]
async fn who_no_longer_watches_is_not_woken() {
    both(async |world| {
        world.apply_text("p", reader("p", "{dataset: w.*, debounce: 1m}")).await;
        let mut scheduler = world.scheduler();
        scheduler.look().await.expect("a look");
        world.loaded("w.a").await;
        scheduler.look().await.expect("a look");
        world.apply_text("p", reader("p", "{cron: \"0 0 1 1 *\"}")).await;
        world.at(2);
        assert!(scheduler.look().await.expect("a look").woken.is_empty());
        assert!(world.store.waiting_updates().await.expect("updates").is_empty());
    })
    .await;
}
