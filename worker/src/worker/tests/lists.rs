//! `for_each`: lists of every kind, what their items give, and what becomes of them.

use std::time::Instant;

use serde_json::{Value, json};
use tidemill_dag::{
    id::TaskKey,
    state::{RunState, TaskState},
};
use tidemill_store::TaskRecord;

use super::bed::Bed;
use crate::WorkerConfig;

fn result(task: &TaskRecord) -> &Value {
    task.output.as_ref().and_then(|output| output.get("result")).expect("a result")
}

async fn items(bed: &Bed, of: &TaskRecord) -> Vec<TaskRecord> {
    bed.store.items(TaskKey { run: of.run, ordinal: of.ordinal }, 0, 20_000, &[]).await.expect("items")
}

#[tokio::test]
async fn a_list_runs_once_per_item_and_is_collected_in_order() {
    let bed = Bed::new().await;
    let tasks = bed
        .success(
            "
pipeline: p
params: {word: {type: string, default: c}}
tasks:
  letters:
    for_each: [a, b, '{{ params.word }}', {deep: '{{ params.word }}'}]
    max_parallel: 2
    shell:
      command: 'echo \"{\\\"got\\\": $ITEM, \\\"at\\\": $INDEX}\" >> \"$TIDEMILL_RESULT\"'
      env: {ITEM: '{{ item | tojson }}', INDEX: '{{ index }}'}
  last:
    shell:
      command: 'echo \"$ALL\" >> \"$TIDEMILL_RESULT\"'
      env: {ALL: '{{ {\"all\": tasks.letters.result} | tojson }}'}
",
        )
        .await;
    let got = [
        json!({"got": "a", "at": 0}),
        json!({"got": "b", "at": 1}),
        json!({"got": "c", "at": 2}),
        json!({"got": {"deep": "c"}, "at": 3}),
    ];
    assert_eq!(result(&tasks[0]), &json!(got));
    assert_eq!(result(&tasks[1]), &json!({"all": got}));
    assert_eq!(tasks[0].items.as_ref().map(|items| (items.total, items.of(TaskState::Succeeded))), Some((4, 4)));
    assert_eq!(items(&bed, &tasks[0]).await[3].name, "letters[3]");
    assert_eq!(tasks[0].attempt.0, 2, "one attempt knows the list, another collects");
}

#[tokio::test]
async fn rows_and_results_are_lists_and_data_sets_of_items_become_one() {
    let bed = Bed::new().await;
    bed.file("data/shops.csv", "shop,low\nnorth,1\nsouth,3\n");
    let tasks = bed
        .success(
            "
pipeline: p
tasks:
  shops:
    sql: SELECT shop, low FROM data.shops ORDER BY shop
    materialize: dataset
  each:
    for_each: {rows: shops}
    sql: SELECT {{ item.shop }} AS shop, {{ item.low }} + n AS n FROM (VALUES (1), (2)) AS t (n)
  again:
    for_each: '{{ tasks.counted.result }}'
    max_parallel: 1
    python: {code: 'def run(n): return n * 10', args: {n: '{{ item }}'}}
  counted:
    python: {code: 'def run(): return [3, 4]'}
  all:
    sql: SELECT shop, sum(n) AS n FROM each GROUP BY 1 ORDER BY 1
  seen:
    python:
      inputs: [all]
      code: |
        def run(all):
            rows = all.to_pylist() if hasattr(all, 'to_pylist') else list(all)
            return [[row['shop'], row['n']] for row in rows]
",
        )
        .await;
    let by_name = |name: &str| tasks.iter().find(|task| task.name == name).expect("a task");
    assert_eq!(by_name("each").output.as_ref().expect("output")["manifest"]["rows"], 4);
    assert_eq!(result(by_name("again")), &json!([30, 40]));
    assert_eq!(result(by_name("seen")), &json!([["north", 5], ["south", 9]]));
}

#[tokio::test]
async fn items_that_do_not_apply_are_left_out_and_an_empty_list_is_done() {
    let bed = Bed::new().await;
    let tasks = bed
        .success(
            "
pipeline: p
tasks:
  odd:
    for_each: [1, 2, 3]
    when: '{{ item % 2 == 1 }}'
    python: {code: 'def run(n): return n', args: {n: '{{ item }}'}}
  none:
    for_each: '{{ tasks.odd.result | select(\"string\") | list }}'
    python: {code: 'def run(n): return n', args: {n: '{{ item }}'}}
  never:
    for_each: [1, 2]
    when: '{{ tasks.none.result | length > 0 }}'
    shell: {command: 'exit 1'}
",
        )
        .await;
    assert_eq!(result(&tasks[0]), &json!([1, null, 3]));
    assert_eq!(items(&bed, &tasks[0]).await[1].state, TaskState::Skipped);
    assert_eq!((result(&tasks[1]), tasks[1].items.is_none()), (&json!([]), true));
    assert_eq!((tasks[2].state, tasks[2].items.is_none()), (TaskState::Skipped, true));
}

#[tokio::test]
async fn every_item_of_a_load_counts_once() {
    let bed = Bed::new().await;
    let tasks = bed
        .success(
            "
pipeline: p
tasks:
  rows:
    sql: SELECT 1 AS n
    materialize: dataset
  append:
    for_each: [a, b, c]
    max_parallel: 1
    load: {input: rows, connection: out, table: grown, mode: append}
",
        )
        .await;
    let append = tasks.iter().find(|task| task.name == "append").expect("a task");
    assert_eq!(append.output.as_ref().expect("output")["receipt"]["rows"], 3);
}

#[tokio::test]
async fn failed_items_fail_the_task_and_a_resume_repeats_only_them() {
    let bed = Bed::new().await;
    let text = "
pipeline: p
tasks:
  each:
    for_each: [0, 1, 2, 3]
    retries: 1
    backoff: {initial: 10ms, max: 10ms}
    shell:
      command: 'echo \"$N\" >> ran; test \"$N\" != 2 || test -e mended'
      env: {N: '{{ item }}'}
  after:
    needs: [each]
    shell: {command: 'true'}
";
    let (run, tasks) = bed.run(text).await;
    assert_eq!(run.state, RunState::Failed);
    let error = tasks[0].error.as_ref().expect("an error");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("TM0721", "1 of 4 items failed: each[2]"));
    assert_eq!(tasks[1].state, TaskState::UpstreamFailed);
    assert_eq!(items(&bed, &tasks[0]).await[2].failures, 2, "with tries of its own");
    bed.file("mended", "");
    bed.file("ran", "");
    bed.store.resume_run(run.id).await.expect("a resumed run");
    let worker = bed.worker("w2");
    assert_eq!(bed.finished(run.id).await.state, RunState::Succeeded);
    worker.stop().await;
    assert_eq!(std::fs::read_to_string(bed.folder.path().join("ran")).expect("text"), "2\n");
}

#[tokio::test]
async fn lists_that_are_none_or_too_long_are_refused() {
    let bed = Bed::new().await;
    for (list, code, message) in [
        ("'{{ {\"a\": 1} }}'", "TM0715", "`for_each`: it gives an object, and a list is needed"),
        ("'{{ range(4) }}'", "TM0722", "the list of `for_each` has 4 items or more; at most 3 are allowed"),
        ("{rows: many}", "TM0722", "the list of `for_each` has 5 items or more; at most 3 are allowed"),
    ] {
        let text = format!(
            "
pipeline: p
tasks:
  many:
    sql: SELECT * FROM (VALUES (1), (2), (3), (4), (5)) AS t (n)
    materialize: dataset
  each:
    for_each: {list}
    needs: [many]
    shell: {{command: 'true'}}
"
        );
        let worker = bed.start(WorkerConfig { max_items: 3, ..bed.config("w") });
        let run = bed.create(&text).await;
        assert_eq!(bed.finished(run).await.state, RunState::Failed);
        worker.stop().await;
        let tasks = bed.store.tasks(run).await.expect("tasks");
        let error = tasks[1].error.as_ref().expect("an error");
        assert_eq!((error.code.as_str(), error.message.as_str()), (code, message));
    }
}

/// What long lists of tasks that do nothing cost from end to end. Prints; asserts only that the work was done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists() {
    for count in [100, 10_000] {
        let bed = Bed::new().await;
        let text = format!(
            "
pipeline: p
tasks:
  each:
    for_each: '{{{{ range({count}) }}}}'
    wait: {{until: 2020-01-01T00:00:00Z}}
"
        );
        let worker = bed.start(WorkerConfig { slots: 64, ..bed.config("w") });
        let since = Instant::now();
        let run = bed.create(&text).await;
        let record = bed.finished_within(run, 300).await;
        println!("timed: worker: for_each of {count} items in {:?}", since.elapsed());
        worker.stop().await;
        assert_eq!((record.state, record.tasks_total), (RunState::Succeeded, count + 1));
    }
}
