//! What tasks wait for and whom they tell: other runs, sensors, people.

use std::{fmt::Write as _, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tidemill_dag::{
    id::VersionId,
    state::{RunState, TaskState},
};
use tidemill_store::{Page, RunFilter, RunRecord, TaskRecord};

use super::{bed::Bed, http::serve};

fn result(task: &TaskRecord) -> &Value {
    task.output.as_ref().and_then(|output| output.get("result")).expect("a result")
}

/// Saves a definition as its pipeline's active version.
async fn apply(bed: &Bed, text: &str) -> VersionId {
    let compiled = bed.compile(text);
    bed.save(&compiled).await;
    bed.store.activate(&compiled.pipeline.pipeline, &compiled.version).await.expect("an active version");
    compiled.version
}

async fn runs_of(bed: &Bed, pipeline: &str) -> Vec<RunRecord> {
    let filter = RunFilter { pipeline: Some(pipeline.to_owned()), states: Vec::new() };
    bed.store.runs(&filter, Page::default()).await.expect("runs")
}

const CHILD: &str = "
pipeline: child
params: {n: {type: integer}}
outputs: {doubled: '{{ tasks.double.result }}', of: '{{ params.n }}'}
tasks:
  double:
    python: {code: 'def run(n): return n * 2', args: {n: '{{ params.n }}'}}
  gate:
    shell: {command: 'test -e open || test \"$N\" != 3', env: {N: '{{ params.n }}'}}
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_another_pipeline_gives_its_outputs_once_per_item() {
    let bed = Bed::new().await;
    apply(&bed, CHILD).await;
    let text = "
pipeline: p
tasks:
  each:
    for_each: [1, 2, 3]
    run: {pipeline: child, params: {n: '{{ item }}'}}
  sum:
    python: {code: 'def run(all): return sum(one[\"outputs\"][\"doubled\"] for one in all)', args: {all: '{{ tasks.each.result }}'}}
";
    let (run, tasks) = bed.run(text).await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(tasks[1].state, TaskState::UpstreamFailed);
    let children = runs_of(&bed, "child").await;
    assert_eq!(children.len(), 3);
    assert!(children.iter().all(|child| child.depth == 1 && child.parent.is_some_and(|it| it.run == run.id)));
    bed.file("open", "");
    bed.store.resume_run(run.id).await.expect("a resumed run");
    let worker = bed.worker("w2");
    assert_eq!(bed.finished(run.id).await.state, RunState::Succeeded);
    worker.stop().await;
    assert_eq!(runs_of(&bed, "child").await.len(), 3, "the failed one was resumed, not run anew");
    let tasks = bed.store.tasks(run.id).await.expect("tasks");
    assert_eq!(result(&tasks[1]), &json!(12));
    assert_eq!(result(&tasks[0])[2]["outputs"], json!({"doubled": 6, "of": 3}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelines_that_run_each_other_come_to_an_end() {
    let bed = Bed::new().await;
    for (this, other) in [("ping", "pong"), ("pong", "ping")] {
        apply(&bed, &format!("pipeline: {this}\ntasks: {{again: {{run: {{pipeline: {other}}}}}}}\n")).await;
    }
    let (run, tasks) = bed.run("pipeline: p\ntasks: {first: {run: {pipeline: ping}}}\n").await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(tasks[0].error.as_ref().map(|error| error.code.as_str()), Some("TM0723"));
    let made = runs_of(&bed, "ping").await.len() + runs_of(&bed, "pong").await.len();
    assert_eq!(made, 16);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_takes_too_long_for_its_task_is_cancelled() {
    let bed = Bed::new().await;
    apply(&bed, "pipeline: slow\ntasks: {wait: {wait: {for: 1h}}}\n").await;
    let (run, tasks) = bed.run("pipeline: p\ntasks: {slow: {run: {pipeline: slow}, timeout: 50ms}}\n").await;
    assert_eq!(run.state, RunState::Failed);
    assert_eq!(tasks[0].error.as_ref().map(|error| error.code.as_str()), Some("TM0702"));
    assert_eq!(runs_of(&bed, "slow").await[0].state, RunState::Cancelled);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sensors_see_what_they_wait_for() {
    let (address, _) = serve().await;
    let bed = Bed::new().await;
    bed.file("data/flags.csv", "ready\n1\n");
    bed.file("arrived", "12345");
    apply(&bed, "pipeline: other\ntasks: {a: {shell: {command: 'true'}}}\n").await;
    let (run, tasks) = bed
        .run(&format!(
            "
pipeline: p
tasks:
  first:
    run: {{pipeline: other}}
  row:
    wait: {{sql: SELECT max(ready) = 1 FROM data.flags, poll: 10ms}}
  never:
    wait: {{sql: SELECT count(*) > 1 FROM data.flags, poll: 10ms, on_timeout: skip}}
    timeout: 100ms
  quiet:
    wait: {{file: arrived, stable: 100ms, poll: 10ms, max_poll: 50ms}}
  answer:
    wait: {{http: {{url: '{address}/state', json: {{/state: done}}}}, poll: 10ms}}
  run:
    needs: [first]
    wait: {{run: {{pipeline: other, within: 1h}}, poll: 10ms}}
  in_vain:
    wait: {{file: missing, poll: 10ms}}
    timeout: 50ms
"
        ))
        .await;
    assert_eq!(run.state, RunState::Failed);
    let by_name = |name: &str| tasks.iter().find(|task| task.name == name).expect("a task");
    assert_eq!(result(by_name("row")).as_object().expect("a row").values().next(), Some(&json!(true)));
    assert_eq!(by_name("never").state, TaskState::Skipped);
    assert_eq!(result(by_name("quiet"))["bytes"], 5);
    assert_eq!(result(by_name("answer")), &json!({"state": "done"}));
    assert!(by_name("answer").attempt.0 > 2, "it looked more than twice");
    assert_eq!(result(by_name("run"))["state"], "succeeded");
    let error = by_name("in_vain").error.as_ref().expect("an error");
    assert_eq!((error.code.as_str(), error.retryable), ("TM0724", false));
    assert_eq!(error.message, "waited 50ms in vain until the file missing is there");
}

/// The body of a request, if its signature is right.
fn signed_body(request: &str, secret: &str) -> Value {
    let (head, body) = request.split_once("\r\n\r\n").expect("a body");
    let line = head.lines().find_map(|line| line.strip_prefix("tidemill-signature: ")).expect("a signature");
    let (time, given) = line.split_once(",v1=").expect("two parts");
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{}.{body}", time.strip_prefix("t=").expect("seconds")).as_bytes());
    let mut right = String::new();
    for byte in mac.finalize().into_bytes() {
        write!(right, "{byte:02x}").expect("memory");
    }
    assert_eq!(given, right);
    serde_json::from_str(body).expect("JSON")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_how_a_run_ended() {
    let (address, server) = serve().await;
    let bed = Bed::new().await;
    let key = bed.file("key", "s3cr3t-k3y");
    let key = key.display();
    for (fails, told, untold) in [(false, "/hook", "/alarm"), (true, "/alarm", "/hook")] {
        server.heard.lock().expect("a lock").clear();
        let command = if fails { "exit 3" } else { "exit 0" };
        let (run, tasks) = bed
            .run(&format!(
                "
pipeline: p{fails}
on_success:
  - {{url: '{address}/hook', message: 'all {{{{ tasks.work.state }}}}', secret: '${{file:{key}}}'}}
on_failure:
  - {{url: '{address}/alarm', secret: '${{file:{key}}}'}}
tasks:
  work: {{shell: {{command: {command}}}}}
  after: {{needs: [work], notify: {{url: '{address}/json', message: 'worked'}}}}
"
            ))
            .await;
        assert_eq!(run.state, if fails { RunState::Failed } else { RunState::Succeeded }, "{tasks:#?}");
        let heard = server.heard.lock().expect("a lock").clone();
        assert!(!heard.contains_key(untold), "{heard:?}");
        let body = signed_body(&heard[told], "s3cr3t-k3y");
        let said = if fails { format!("ptrue: run {} failed in work", run.id) } else { "all succeeded".to_owned() };
        assert_eq!((&body["message"], &body["run"]), (&json!(said), &json!(run.id)));
        assert_eq!(body["failed"], if fails { json!(["work"]) } else { json!([]) });
        let texts = format!("{tasks:?}{:?}", bed.logs(run.id).await);
        assert!(!texts.contains("s3cr3t"), "the key is told to nobody");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_out_of_time_is_stopped() {
    let bed = Bed::new().await;
    let (run, _) = bed.run("pipeline: p\ntimeout: 200ms\ntasks: {long: {shell: {command: sleep 60}}}\n").await;
    assert_eq!((run.state, run.reason.as_deref()), (RunState::Cancelled, Some("its timeout passed")));
    assert!(run.finished_at.zip(run.started_at).is_some_and(|(end, start)| end.since(start) < Duration::from_secs(30)));
}
