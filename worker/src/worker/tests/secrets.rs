//! Secrets reach what needs them and nothing else.

use serde_json::json;
use tidemill_dag::state::RunState;

use super::bed::Bed;

const SECRET: &str = "hunter2-\"quoted\"-väry-secret";

#[tokio::test(flavor = "multi_thread")]
async fn secrets_reach_neither_logs_nor_errors_nor_outputs() {
    let bed = Bed::new().await;
    let file = bed.file("token", &format!("{SECRET}\n"));
    let place = format!("${{file:{}}}", file.display());
    let text = format!(
        r#"
pipeline: s
tasks:
  shown:
    shell:
      command: |
        echo "token $TOKEN" | tee copy >&2; printf '{{"token": "%s"}}\n' 'plain' > $TIDEMILL_RESULT
      env: {{TOKEN: "{place}"}}
  fails: {{shell: {{command: "echo $TOKEN; exit 1", env: {{TOKEN: "{place}"}}}}}}
  told:
    python:
      env: {{TOKEN: "{place}"}}
      code: |
        import os
        def run():
            print('it is', os.environ['TOKEN'])
            return {{'back': os.environ['TOKEN'], os.environ['TOKEN']: 1}}
  raises:
    python:
      env: {{TOKEN: "{place}"}}
      code: |
        import os
        def run():
            raise ValueError(os.environ['TOKEN'])
  clean:
    python:
      code: |
        import os
        def run():
            return os.environ.get('TOKEN')
    needs: [told]
  missing: {{shell: {{command: "true", env: {{X: "${{env:TIDEMILL_NO_SUCH_VARIABLE}}"}}}}}}
"#
    );
    let worker = bed.worker("w");
    let run = bed.create(&text).await;
    assert_eq!(bed.finished(run).await.state, RunState::Failed);
    worker.stop().await;
    let copy = std::fs::read_to_string(bed.folder.path().join("copy")).expect("a copy");
    assert_eq!(copy, format!("token {SECRET}\n"), "the program itself sees it");
    let tasks = bed.store.tasks(run).await.expect("tasks");
    let logs = bed.logs(run).await;
    let all = format!("{tasks:?}{}{logs:?}", serde_json::to_string(&tasks).expect("JSON"));
    for form in ["hunter2", "väry-secret"] {
        assert!(!all.contains(form), "{form} leaks: {all}");
    }
    assert!(logs.iter().any(|line| line.line.text == "token ***"), "{logs:?}");
    let of = |name: &str| tasks.iter().find(|task| task.name == name).expect("a task");
    assert_eq!(of("told").output.as_ref().expect("an output")["result"]["back"], "***");
    assert!(of("raises").error.as_ref().expect("an error").message.contains("ValueError: ***"));
    assert!(of("clean").output.as_ref().expect("an output")["result"].is_null(), "the host forgets it");
    let missing = of("missing").error.as_ref().expect("an error");
    assert_eq!(missing.code, "TM0714");
    assert!(missing.message.contains("TIDEMILL_NO_SUCH_VARIABLE"), "{}", missing.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_looks_like_a_place_is_not_read() {
    let bed = Bed::new().await;
    let file = bed.file("token", SECRET);
    let compiled = bed.compile(
        r#"
pipeline: v
params: {name: {type: string}}
tasks:
  x: {shell: {command: "echo $NAME > copy", env: {NAME: "{{ params.name }}"}}}
"#,
    );
    let worker = bed.worker("w");
    let run = bed.create_with(&compiled, &json!({ "name": format!("${{file:{}}}", file.display()) })).await;
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    let copy = std::fs::read_to_string(bed.folder.path().join("copy")).expect("a copy");
    assert!(copy.starts_with("${file:") && !copy.contains("hunter2"), "{copy}");
}
