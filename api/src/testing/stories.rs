//! People answer, partitions are paged through, parts of runs are done again: what single requests do not show.

use axum::http::StatusCode;
use serde_json::json;

use super::bed::Bed;
use super::example::Request;

fn post(path: &str, body: serde_json::Value) -> Request {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Request { method: "POST", path: path.to_owned(), headers, body: Some(body.to_string()) }
}

#[tokio::test]
async fn two_people_answer_with_their_own_tokens() {
    let bed = Bed::new().await;
    let open = bed.get("/api/v1/approvals").await;
    assert_eq!(open["approvals"].as_array().map(Vec::len), Some(2), "{open}");
    let first = bed.get("/api/v1/approvals?limit=1").await;
    let next = first["next"].as_str().expect("a cursor");
    let second = bed.get(&format!("/api/v1/approvals?limit=1&cursor={next}")).await;
    assert_eq!(json!([first["approvals"][0], second["approvals"][0]]), open["approvals"]);
    let yes = post("/api/v1/approvals/{approval}/answers", json!({"approve": true}));
    let first = bed.send(&yes, Some(&bed.tokens[1])).await.json();
    assert_eq!((&first["verdict"], &first["missing"]), (&json!("counted"), &json!(1)), "{first}");
    let again = bed.send(&yes, Some(&bed.tokens[1])).await;
    assert_eq!((again.status, again.json()["code"].clone()), (StatusCode::CONFLICT, json!("TM1254")));
    let other = post("/api/v1/approvals/{approval}/answers", json!({"approve": true, "who": "run"}));
    let other = bed.send(&other, Some(&bed.tokens[2])).await;
    assert_eq!(other.status, StatusCode::FORBIDDEN, "nobody speaks for somebody else");
    bed.clock.advance(std::time::Duration::from_millis(5));
    let second = bed.send(&yes, Some(&bed.tokens[2])).await.json();
    assert_eq!(
        (&second["verdict"], &second["approval"]["state"]),
        (&json!("approved"), &json!("succeeded")),
        "{second}"
    );
    let said: Vec<&str> = second["approval"]["answers"]
        .as_array()
        .expect("answers")
        .iter()
        .filter_map(|answer| answer["who"].as_str())
        .collect();
    assert_eq!(said, ["run", "admin"]);
    let third = bed.send(&yes, Some(&bed.tokens[2])).await;
    assert_eq!((third.status, third.json()["code"].clone()), (StatusCode::CONFLICT, json!("TM1251")));
}

#[tokio::test]
async fn a_backfill_is_previewed_made_once_paged_and_ended() {
    let bed = Bed::new().await;
    let order =
        json!({"pipeline": "revenue", "from": "2026-03-01", "to": "2026-03-31", "newest_first": true, "parallel": 3});
    let preview = bed.ask("POST", "/api/v1/backfills/preview", &[], Some(&order.to_string())).await.json();
    // The schedule fires at six, so the thirty days hold 29 whole intervals.
    assert_eq!((&preview["total"], &preview["runs"]), (&json!(29), &json!(29)), "{preview}");
    assert_eq!(preview["intervals"][0]["interval"]["end"], "2026-03-30T06:00:00.000Z");
    let headers = [("idempotency-key", "march")];
    let made = bed.ask("POST", "/api/v1/backfills", &headers, Some(&order.to_string())).await;
    assert_eq!((made.status, made.header("idempotent-replayed")), (StatusCode::CREATED, "false"));
    let again = bed.ask("POST", "/api/v1/backfills", &headers, Some(&order.to_string())).await;
    assert_eq!((again.status, again.header("idempotent-replayed")), (StatusCode::CREATED, "true"));
    assert_eq!(made.json()["id"], again.json()["id"]);
    let address = made.header("location").to_owned();
    let (mut places, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bed.get(&format!("{address}/partitions?limit=10{cursor}")).await;
        places.extend(page["partitions"].as_array().expect("a page").iter().filter_map(|it| it["place"].as_u64()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(places, (0..29).collect::<Vec<u64>>());
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bed.get(&format!("/api/v1/backfills?limit=1{cursor}")).await;
        seen.extend(page["backfills"].as_array().expect("a page").iter().map(|it| it["id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!((seen.len(), seen.contains(&made.json()["id"])), (3, true), "{seen:?}");
    let paused = bed.ask("POST", &format!("{address}/pause"), &[], None).await.json();
    assert_eq!((&paused["state"], &paused["progress"]["pending"]), (&json!("paused"), &json!(29)));
    let ended = bed.ask("POST", &format!("{address}/cancel"), &[], None).await.json();
    assert_eq!(ended["state"], "cancelled");
}

#[tokio::test]
async fn part_of_a_run_is_done_again() {
    let bed = Bed::new().await;
    let earlier = bed.get("/api/v1/runs/{done}").await;
    let before = bed.get("/api/v1/runs/{done}/tasks").await;
    let made = bed.ask("POST", "/api/v1/runs/{done}/rerun", &[], Some(r#"{"tasks": ["second"]}"#)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    let run = made.json();
    assert_eq!(
        (&run["rerun_of"], &run["params"], &run["state"]),
        (&earlier["id"], &earlier["params"], &json!("running"))
    );
    let tasks = bed.get(&format!("{}/tasks", made.header("location"))).await;
    let of = |tasks: &serde_json::Value, name: &str| {
        tasks["tasks"].as_array().expect("tasks").iter().find(|task| task["name"] == name).expect("it is there").clone()
    };
    let first = of(&tasks, "first");
    assert_eq!((&first["state"], &first["output"]), (&json!("succeeded"), &of(&before, "first")["output"]));
    assert_eq!(of(&tasks, "second")["state"], "ready");
    let early = bed.ask("POST", "/api/v1/runs/{run}/rerun", &[], None).await;
    assert_eq!((early.status, early.json()["code"].clone()), (StatusCode::CONFLICT, json!("TM1266")));
    let told = bed.get(&format!("{}/tasks/first/explain", made.header("location"))).await;
    let told = told["sentences"].to_string();
    assert!(told.contains("not done again"), "{told}");
}

#[tokio::test]
async fn a_paused_pipeline_is_explained() {
    let bed = Bed::new().await;
    let paused = bed.ask("POST", "/api/v1/pipelines/sums/pause", &[], Some(r#"{"reason": "month end"}"#)).await.json();
    assert_eq!((&paused["paused_reason"], paused["paused_at"].is_string()), (&json!("month end"), true));
    let made = bed.ask("POST", "/api/v1/runs", &[], Some(r#"{"pipeline": "sums"}"#)).await;
    assert_eq!(made.json()["state"], "queued");
    let told = bed.get(&format!("{}/explain", made.header("location"))).await["sentences"].to_string();
    assert!(told.contains("paused (month end)"), "{told}");
    let resumed = bed.ask("POST", "/api/v1/pipelines/sums/unpause", &[], None).await.json();
    assert_eq!(resumed["paused_at"], json!(null));
    assert_eq!(bed.get(made.header("location")).await["state"], "running");
}
