//! A question through a real worker.

use serde_json::json;
use tidemill_dag::{
    approval::Answer,
    state::{RunState, TaskState},
};
use tidemill_store::{ApprovalFilter, ApprovalRecord};

use super::bed::Bed;

const ASKING: &str = r#"
pipeline: asking
tasks:
  counted: {sql: "SELECT 3 AS n", materialize: dataset}
  number: {python: {code: "def run(): return 42"}}
  agreed:
    approval:
      message: "Publish {{ tasks.counted.rows }} row and {{ tasks.number.result }}?"
      shows: [counted, number]
      approvers: [ann]
      exclude_starter: true
      expires: 1h
  told:
    python:
      args: {by: "{{ tasks.agreed.result.by }}"}
      code: "def run(by): return by"
"#;

async fn asked(bed: &Bed) -> ApprovalRecord {
    for _ in 0..3_000 {
        if let Some(open) = bed.store.approvals(&ApprovalFilter::default()).await.expect("approvals").pop() {
            return open;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody is asked anything");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_asks_and_is_free_until_somebody_answers() {
    let bed = Bed::new().await;
    let worker = bed.worker("w");
    let run = bed.create(ASKING).await;
    let open = asked(&bed).await;
    assert_eq!(open.question.message, "Publish 1 row and 42?");
    assert_eq!(open.question.subject["number"]["result"], json!(42));
    assert_eq!(open.question.subject["counted"]["manifest"]["rows"], json!(1));
    let task = bed.store.tasks(run).await.expect("tasks").into_iter().find(|task| task.name == "agreed");
    let task = task.expect("the task");
    assert_eq!((task.state, task.owner), (TaskState::Waiting, None), "no slot is held");
    let answer = Answer { who: "ann".into(), roles: Vec::new(), approve: true, reason: None };
    bed.store.answer(open.ticket(), &answer).await.expect("it counts");
    assert_eq!(bed.finished(run).await.state, RunState::Succeeded);
    worker.stop().await;
    let told = bed.store.tasks(run).await.expect("tasks").into_iter().find(|task| task.name == "told");
    let result = told.and_then(|task| task.output).map(|output| output["result"].clone());
    assert!(result.as_ref().is_some_and(|by| by.to_string().contains("ann")), "{result:?}");
}
