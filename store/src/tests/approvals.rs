//! What people are asked, and what their answers do.

use std::{collections::BTreeSet, time::Duration};

use serde_json::json;
use tidemill_dag::{
    approval::{Answer, Question, Refusal, Verdict},
    id::{Attempt, RunId, Ticket},
    spec::OnExpiry,
    state::{RunState, TaskState},
};

use super::bed::{Bed, key, success};
use crate::{ApprovalFilter, ApprovalRecord, Claimed, Outcome, StoreError};

fn question(bed: &Bed) -> Question {
    Question {
        message: "Publish 3 rows?".into(),
        subject: json!({ "t0": { "rows": 3 } }),
        approvers: vec!["ann".into(), "bob".into(), "role:finance".into()],
        required: 2,
        excluded: Some("bob".into()),
        expires_at: bed.clock_now().after(Duration::from_secs(60)),
        on_expiry: OnExpiry::Fail,
    }
}

async fn ask(bed: &Bed, question: Question) -> (RunId, Ticket) {
    let run = bed.run(&[&[], &[0]]).await;
    let claimed: Claimed = bed.claim_one("w").await;
    let verdict = bed.complete(&claimed, "w", Outcome::Asked { question: Box::new(question) }).await;
    assert!(verdict.accepted);
    (run, claimed.ticket)
}

fn says(who: &str, approve: bool) -> Answer {
    let roles = if who == "eve" { vec!["finance".into()] } else { Vec::new() };
    Answer { who: who.into(), roles, approve, reason: Some("because".into()) }
}

async fn refusal(bed: &Bed, ticket: Ticket, answer: &Answer) -> Refusal {
    match bed.store.answer(ticket, answer).await {
        Err(StoreError::Answer { why, .. }) => why,
        other => panic!("{other:?}"),
    }
}

pub async fn enough_people_let_a_task_succeed(bed: &Bed) {
    let (run, ticket) = ask(bed, question(bed)).await;
    let asking = bed.task(run, 0).await;
    assert_eq!((asking.state, asking.asks, asking.owner), (TaskState::Waiting, Some(OnExpiry::Fail), None));
    assert!(asking.reason.is_some_and(|why| why.contains("ann or bob or role:finance") && why.contains("Publish")));
    let open = bed.store.approvals(&ApprovalFilter::default()).await.expect("approvals");
    assert_eq!((open.len(), open[0].open, open[0].ticket()), (1, true, ticket));
    assert_eq!(open[0].question, question(bed));

    let first = bed.store.answer(ticket, &says("ann", true)).await.expect("it counts");
    assert_eq!((first.verdict, first.state), (Verdict::Counted { missing: 1 }, TaskState::Waiting));
    bed.holds().await;
    assert_eq!(refusal(bed, ticket, &says("ann", true)).await, Refusal::Twice("ann".into()));
    let otherwise = refusal(bed, ticket, &says("ann", false)).await;
    assert_eq!(otherwise, Refusal::Conflict { who: "ann".into(), approved: true });
    assert_eq!(refusal(bed, ticket, &says("bob", true)).await, Refusal::Starter("bob".into()));
    assert!(matches!(refusal(bed, ticket, &says("joe", true)).await, Refusal::NotAllowed { .. }));
    let second = bed.store.answer(ticket, &says("eve", true)).await.expect("it counts");
    assert_eq!((second.verdict, second.state), (Verdict::Approved, TaskState::Succeeded));

    let output = bed.task(run, 0).await.output.expect("an output");
    assert_eq!(output, json!({ "result": { "approved": true, "by": ["ann", "eve"], "expired": false } }));
    let events = bed.store.events(run, 0, 100).await.expect("a history");
    let decided = events.iter().find(|event| event.event == "answer").expect("an audit row");
    assert_eq!(decided.detail.as_ref().map(|it| &it["by"]), Some(&json!(["ann", "eve"])));
    assert!(matches!(
        bed.store.answer(ticket, &says("eve", true)).await,
        Err(StoreError::NotOpen { state: TaskState::Succeeded, .. })
    ));
    assert_eq!(bed.store.approvals(&ApprovalFilter::default()).await.expect("approvals"), []);
    let all = bed.store.approvals(&ApprovalFilter { all: true, ..ApprovalFilter::default() }).await.expect("all");
    assert_eq!((all.len(), all[0].answers.len(), all[0].open), (1, 2, false));
    assert_eq!(bed.work_off("w").await, 1, "the reader goes on");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}

/// Every question of a list, in pages of two.
async fn walked(bed: &Bed, run: Option<RunId>, all: bool) -> Vec<Ticket> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = bed.store.approvals(&ApprovalFilter { run, all, after, limit: 2 }).await.expect("a page");
        let Some(last) = page.last() else { return found };
        after = Some(last.place().to_string().parse().expect("a place is read back"));
        found.extend(page.iter().map(ApprovalRecord::ticket));
    }
}

pub async fn lists_of_questions_go_on_behind_any_of_them(bed: &Bed) {
    let (mut runs, mut open) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        let run = bed.run(&[&[], &[], &[]]).await;
        runs.push(run);
        for (place, claimed) in (0..).zip(bed.claim("w").await) {
            // Some run out at the same moment.
            let expires_at = bed.clock_now().after(Duration::from_secs(60 - place / 2));
            let question = Question { expires_at, required: 1, ..question(bed) };
            bed.complete(&claimed, "w", Outcome::Asked { question: Box::new(question) }).await;
            open.push(claimed.ticket);
        }
        // Ids of runs sort by the time that the clock tells.
        bed.clock.advance(Duration::from_millis(5));
    }
    let all = walked(bed, None, true).await;
    let newest_first = |a: &Ticket, b: &Ticket| b.task.run.cmp(&a.task.run).then(a.task.ordinal.cmp(&b.task.ordinal));
    assert!(all.is_sorted_by(|a, b| newest_first(a, b).is_lt()) && all.len() == 9, "{all:?}");
    let soonest = walked(bed, None, false).await;
    assert_eq!(soonest.iter().collect::<BTreeSet<_>>(), open.iter().collect());
    assert_eq!(soonest.len(), 9);
    let expiries = bed.store.approvals(&ApprovalFilter::default()).await.expect("approvals");
    assert!(expiries.is_sorted_by_key(|it| it.question.expires_at));
    assert_eq!(expiries.iter().map(ApprovalRecord::ticket).collect::<Vec<_>>(), soonest, "in pages as at once");
    let of_run = walked(bed, Some(runs[1]), true).await;
    assert_eq!(of_run, all.iter().copied().filter(|it| it.task.run == runs[1]).collect::<Vec<_>>());
    // What is decided takes no place from what is open.
    for ticket in &of_run[..2] {
        bed.store.answer(*ticket, &says("ann", true)).await.expect("it counts");
    }
    assert_eq!(walked(bed, Some(runs[1]), false).await, [of_run[2]]);
    let one = ApprovalFilter { run: Some(runs[1]), limit: 1, ..ApprovalFilter::default() };
    assert_eq!(bed.store.approvals(&one).await.expect("approvals").len(), 1);
    assert_eq!(walked(bed, Some(runs[1]), true).await, of_run);
}

pub async fn one_refusal_fails_the_task_and_a_resume_asks_again(bed: &Bed) {
    let (run, ticket) = ask(bed, question(bed)).await;
    let answered = bed.store.answer(ticket, &says("ann", false)).await.expect("it counts");
    assert_eq!((answered.verdict, answered.state), (Verdict::Rejected, TaskState::Failed));
    let error = bed.task(run, 0).await.error.expect("why it failed");
    assert_eq!((error.code.as_str(), error.message.as_str()), ("TM1257", "`ann` refused: because"));
    assert_eq!(bed.state(run).await, RunState::Failed);
    bed.store.resume_run(run).await.expect("resumed");
    let again = bed.claim_one("w").await;
    assert_eq!(again.ticket.attempt, Attempt(ticket.attempt.0 + 1));
    let once_more = Question { required: 1, ..question(bed) };
    bed.complete(&again, "w", Outcome::Asked { question: Box::new(once_more) }).await;
    let stale = bed.store.answer(ticket, &says("eve", true)).await;
    assert!(matches!(stale, Err(StoreError::NotOpen { .. })), "an answer goes to one attempt: {stale:?}");
    let yes = bed.store.answer(again.ticket, &says("ann", true)).await.expect("a new question, a new answer");
    assert_eq!(yes.verdict, Verdict::Approved);
}

pub async fn silence_ends_as_the_definition_says(bed: &Bed) {
    for (on_expiry, state, ended) in [
        (OnExpiry::Fail, TaskState::Failed, RunState::Failed),
        (OnExpiry::Skip, TaskState::Skipped, RunState::Succeeded),
        (OnExpiry::Approve, TaskState::Succeeded, RunState::Succeeded),
    ] {
        let (run, ticket) = ask(bed, Question { on_expiry, ..question(bed) }).await;
        bed.store.answer(ticket, &says("ann", true)).await.expect("it counts");
        bed.store.sweep().await.expect("a sweep");
        assert_eq!(bed.task(run, 0).await.state, TaskState::Waiting, "not before its time");
        bed.clock.advance(Duration::from_secs(60));
        // The sweep has not looked yet, and still it is too late.
        assert!(matches!(refusal(bed, ticket, &says("eve", true)).await, Refusal::Late(_)));
        bed.store.sweep().await.expect("a sweep");
        let task = bed.task(run, 0).await;
        assert_eq!(task.state, state);
        match on_expiry {
            OnExpiry::Fail => assert_eq!(task.error.expect("an error").code, "TM1258"),
            OnExpiry::Skip => assert_eq!(task.reason.as_deref(), Some("nobody answered in time")),
            OnExpiry::Approve => assert_eq!(task.output.expect("an output")["result"]["expired"], true),
        }
        assert!(matches!(refusal(bed, ticket, &says("eve", true)).await, Refusal::Late(_)));
        bed.work_off("w").await;
        assert_eq!(bed.state(run).await, ended);
    }
}

pub async fn nobody_answers_what_was_not_asked(bed: &Bed) {
    let (run, ticket) = ask(bed, question(bed)).await;
    let other = Ticket { attempt: Attempt(7), ..ticket };
    assert!(matches!(bed.store.answer(other, &says("ann", true)).await, Err(StoreError::NoApproval(_))));
    let reader = Ticket { task: key(run, 1), attempt: Attempt(1) };
    assert!(matches!(bed.store.approval(reader).await, Err(StoreError::NoApproval(_))));
    bed.store.cancel_run(run, "enough").await.expect("cancelled");
    assert!(matches!(
        bed.store.answer(ticket, &says("ann", true)).await,
        Err(StoreError::NotOpen { state: TaskState::Cancelled, .. })
    ));
}

/// Thirty people answer at once, half of them twice; one decides, and the others hear why theirs does not count.
pub async fn many_answers_at_once_decide_once(bed: &Bed) {
    let open = Question { approvers: Vec::new(), required: 5, excluded: None, ..question(bed) };
    let (run, ticket) = ask(bed, open).await;
    let others = [bed.another().await, bed.another().await];
    let answers = (0..45).map(|n| {
        let store = others[n % 2].0.clone();
        tokio::spawn(async move { store.answer(ticket, &says(&format!("p{}", n % 30), true)).await })
    });
    let (mut counted, mut decided) = (0, 0);
    for answer in answers.collect::<Vec<_>>() {
        match answer.await.expect("no panic") {
            Ok(answered) => {
                counted += 1;
                decided += usize::from(answered.verdict == Verdict::Approved);
            }
            Err(StoreError::NotOpen { .. } | StoreError::Answer { why: Refusal::Twice(_), .. }) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!((counted, decided), (5, 1));
    assert_eq!(bed.store.approval(ticket).await.expect("an approval").answers.len(), 5);
    assert_eq!(bed.task(run, 0).await.state, TaskState::Succeeded);
}

/// The worker repeats its question because it heard no answer: it counts once.
pub async fn a_question_told_twice_is_one_question(bed: &Bed) {
    let run = bed.run(&[&[]]).await;
    let claimed = bed.claim_one("w").await;
    for _ in 0..2 {
        let asked = Outcome::Asked { question: Box::new(Question { required: 1, ..question(bed) }) };
        assert!(bed.complete(&claimed, "w", asked).await.accepted);
    }
    assert!(!bed.complete(&claimed, "w", success()).await.accepted, "who asked has nothing more to say");
    bed.store.answer(claimed.ticket, &says("ann", true)).await.expect("it counts");
    assert_eq!(bed.state(run).await, RunState::Succeeded);
}
