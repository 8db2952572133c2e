//! Every kind, end to end.

use serde_json::{Value, json};
use tidemill_dag::state::{RunState, TaskState};

use super::bed::Bed;

const ORDERS: &str = "id,country,total\n1,de,10\n2,fr,20\n3,de,5\n4,,7\n";

fn output<'t>(tasks: &'t [tidemill_store::TaskRecord], name: &str) -> &'t Value {
    tasks.iter().find(|task| task.name == name).and_then(|task| task.output.as_ref()).expect("an output")
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_flow_from_a_file_through_sql_checks_and_python_into_files() {
    let bed = Bed::new().await;
    bed.file("data/orders.csv", ORDERS);
    let tasks = bed
        .success(
            r#"
pipeline: flow
params: {least: {type: integer, default: 6}}
tasks:
  orders: {extract: {connection: data, table: orders}}
  big: {sql: "SELECT country, total FROM orders WHERE total >= {{ params.least }}", materialize: dataset}
  sane: {check: {input: big, expect: [{row_count: {min: 1}}, {between: {column: total, min: 0}}]}}
  doubled:
    python:
      inputs: {rows: big}
      returns: rows
      code: |
        def run(rows):
            rows = rows.to_pylist() if hasattr(rows, 'to_pylist') else rows
            return [{'country': r['country'], 'total': r['total'] * 2} for r in rows]
    needs: [sane]
  publish: {load: {input: doubled, connection: out, table: result, mode: replace}}
"#,
        )
        .await;
    assert_eq!(output(&tasks, "big")["manifest"]["rows"], json!(3));
    assert_eq!(output(&tasks, "sane")["check"]["passed"], json!(true));
    assert_eq!(output(&tasks, "doubled")["manifest"]["rows"], json!(3));
    assert_eq!(output(&tasks, "publish")["receipt"]["rows"], json!(3));
    let again = bed
        .success(
            r#"
pipeline: look
tasks:
  total: {sql: "SELECT CAST(sum(total) AS BIGINT) AS total FROM out.result", materialize: dataset}
  value:
    python:
      inputs: [total]
      code: |
        def run(total):
            rows = total.to_pylist() if hasattr(total, 'to_pylist') else list(total)
            return rows[0]['total']
"#,
        )
        .await;
    assert_eq!(output(&again, "value")["result"], json!(74));
    assert!(bed.files("worker").is_empty(), "scratch folders are gone: {:?}", bed.files("worker"));
}

#[tokio::test(flavor = "multi_thread")]
async fn views_are_folded_into_their_reader() {
    let bed = Bed::new().await;
    bed.file("data/orders.csv", ORDERS);
    let tasks = bed
        .success(
            r#"
pipeline: views
tasks:
  orders: {extract: {connection: data, table: orders}}
  german: {sql: "SELECT * FROM orders WHERE country = 'de'"}
  publish: {load: {input: german, connection: out, table: german}}
"#,
        )
        .await;
    assert_eq!(tasks.len(), 1, "views have no rows of their own");
    assert_eq!(output(&tasks, "publish")["receipt"]["rows"], json!(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_warns_or_sets_aside() {
    for (on_fail, state) in
        [("fail", RunState::Failed), ("warn", RunState::Succeeded), ("quarantine", RunState::Succeeded)]
    {
        let bed = Bed::new().await;
        bed.file("data/orders.csv", ORDERS);
        let text = format!(
            r#"
pipeline: checked
tasks:
  orders: {{extract: {{connection: data, table: orders}}, materialize: dataset}}
  sane: {{check: {{input: orders, expect: [{{not_null: country}}], on_fail: {on_fail}}}}}
  publish: {{load: {{input: sane, connection: out, table: sane}}}}
"#
        );
        let (record, tasks) = bed.run(&text).await;
        assert_eq!(record.state, state, "{on_fail}: {tasks:#?}");
        let sane = tasks.iter().find(|task| task.name == "sane").expect("the check");
        match on_fail {
            "fail" => {
                let error = sane.error.as_ref().expect("an error");
                assert_eq!(error.code, "TM0713");
                assert!(error.message.contains("not_null(country): 1 of 4 rows"), "{}", error.message);
                assert!(bed.files("out").is_empty(), "nothing is loaded");
            }
            "warn" => assert_eq!(output(&tasks, "publish")["receipt"]["rows"], json!(4)),
            _ => {
                assert_eq!(output(&tasks, "sane")["quarantine"]["rows"], json!(1));
                assert_eq!(output(&tasks, "publish")["receipt"]["rows"], json!(3));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shell_tasks_give_results_logs_and_exit_codes() {
    let bed = Bed::new().await;
    let worker = bed.worker("w");
    let run = bed
        .create(
            r#"
pipeline: shells
params: {name: {type: string, default: "a b; exit 9"}}
tasks:
  text:
    shell:
      command: |
        echo "hello $NAME"; echo careful >&2; pwd
        echo 'not json' > $TIDEMILL_RESULT; echo '{"rows": 3}' >> $TIDEMILL_RESULT
      env: {NAME: "{{ params.name }}"}
  list:
    shell: {command: [printf, "%s|", "{{ params.name }}", "{{ tasks.text.result.rows }}"]}
"#,
        )
        .await;
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    let tasks = bed.store.tasks(run).await.expect("tasks");
    assert_eq!(output(&tasks, "text")["result"], json!({"rows": 3}));
    let lines: Vec<String> = bed.logs(run).await.into_iter().map(|line| line.line.text).collect();
    let folder = bed.folder.path().display().to_string();
    for expected in ["hello a b; exit 9", "careful", folder.as_str(), "a b; exit 9|3|"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
    let failed = bed.failure("pipeline: bad\ntasks: {x: {shell: {command: \"echo why; exit 3\"}}}").await;
    let error = failed.error.expect("an error");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("TM0703", "the program ended with exit code 3\n  why"));
    let missing = bed.failure("pipeline: none\ntasks: {x: {shell: {command: [no-such-program]}}}").await;
    assert_eq!(missing.error.expect("an error").code, "TM0704");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timeout_stops_the_whole_group_and_counts_as_failed() {
    let bed = Bed::new().await;
    let failed = bed
        .failure("pipeline: slow\ntasks: {x: {shell: {command: \"sleep 1000 & echo $! > pid; wait\"}, timeout: 500ms}}")
        .await;
    assert_eq!(failed.error.expect("an error").code, "TM0702");
    let pid = std::fs::read_to_string(bed.folder.path().join("pid")).expect("a pid");
    let pid: i32 = pid.trim().parse().expect("a number");
    crate::tests::eventually("the grandchild dies", || !crate::tests::alive(pid)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_tried_again_and_false_conditions_skip() {
    let bed = Bed::new().await;
    let tasks = bed
        .success(
            r#"
pipeline: again
tasks:
  flaky:
    shell: {command: "test -e seen || { touch seen; exit 1; }"}
    retries: 2
    backoff: {initial: 10ms}
  never: {shell: {command: "exit 1"}, when: "{{ 1 > 2 }}"}
"#,
        )
        .await;
    assert_eq!((tasks[0].failures, tasks[0].state), (1, TaskState::Succeeded));
    assert_eq!(tasks[1].state, TaskState::Skipped);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_holds_no_slot() {
    let bed = Bed::new().await;
    let config = crate::WorkerConfig { slots: 1, ..bed.config("w") };
    let worker = bed.start(config);
    let run = bed
        .create(
            r#"
pipeline: waits
tasks:
  file: {wait: {file: "there", poll: 20ms}}
  make: {shell: {command: "touch there"}}
  span: {wait: {for: 100ms}}
  past: {wait: {until: "2020-01-01T00:00:00Z"}}
"#,
        )
        .await;
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded, "with one slot, only if waiting takes none");
    let tasks = bed.store.tasks(run).await.expect("tasks");
    let span = tasks.iter().find(|task| task.name == "span").expect("the task");
    let took = span.finished_at.expect("an end").since(span.ready_at.expect("a start"));
    assert!(took.as_millis() >= 100, "{took:?}");
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_scripts_find_what_lies_beside_them() {
    let bed = Bed::new().await;
    std::fs::create_dir(bed.folder.path().join("tasks")).expect("a folder");
    bed.file("tasks/helper.py", "BASE = 40");
    bed.file(
        "tasks/score.py",
        "import helper\n\ndef score(plus):\n    print('scoring')\n    return {'score': helper.BASE + plus}\n",
    );
    let text = r#"
pipeline: scripts
tasks:
  score: {python: {script: tasks/score.py, function: score, args: {plus: "{{ 1 + 1 }}"}}}
"#;
    assert_eq!(output(&bed.success(text).await, "score")["result"], json!({"score": 42}));
    bed.file("tasks/helper.py", "BASE = 0");
    assert_eq!(output(&bed.success(text).await, "score")["result"], json!({"score": 2}), "the helper is read anew");
    bed.file("tasks/score.py", "def score(plus):\n    raise ValueError('no')\n");
    let error = bed.failure(text).await.error.expect("an error");
    assert!(error.message.contains("tasks/score.py, line 2"), "{}", error.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_or_a_missing_input_is_one_failed_task() {
    let bed = Bed::new().await;
    let failed = bed
        .failure(
            r#"
pipeline: gone
tasks:
  rows: {python: {returns: rows, code: "def run(): raise ValueError('no')"}}
  reads: {sql: "SELECT * FROM rows", run_if: all_done, materialize: dataset}
"#,
        )
        .await;
    assert_eq!(failed.error.expect("an error").code, "TM0705");
    let run =
        bed.store.runs(&tidemill_store::RunFilter::default(), tidemill_store::Page::default()).await.expect("runs");
    let tasks = bed.store.tasks(run[0].id).await.expect("tasks");
    let reads = tasks.iter().find(|task| task.name == "reads").expect("the reader");
    assert_eq!(reads.error.as_ref().map(|error| error.code.as_str()), Some("TM0716"), "{reads:#?}");
}
