//! Deliveries through the real route, over both databases.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use futures::future::join_all;
use serde_json::{Value, json};
use tempfile::TempDir;
use tidemill_dag::hook::sign;
use tidemill_store::{InProcess, LetterKind, NewVersion, Page, RunFilter, RunRecord};
use tidemill_testkit::{ManualClock, Postgres, SeededChance};
use tower::ServiceExt as _;

use super::secret::Secret;
use super::*;
use crate::routes::hooks::router;

const SECRET: &str = "a-secret-that-nobody-may-see-4711";

struct Bed {
    site: Site,
    clock: ManualClock,
    router: axum::Router,
    folder: TempDir,
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Bed {
    async fn sqlite() -> Self {
        let folder = TempDir::new().expect("a folder");
        let url = format!("sqlite:{}", folder.path().join("state.db").display());
        Self::over(&url, folder).await
    }

    async fn postgres() -> Self {
        let url = Postgres::shared().fresh().await.expect("a database");
        Self::over(&url, TempDir::new().expect("a folder")).await
    }

    async fn over(url: &str, folder: TempDir) -> Self {
        let clock = ManualClock::default();
        let chance = Arc::new(SeededChance::new(1));
        let transport = Arc::new(InProcess::new());
        let store = Store::open(url, Arc::new(clock.clone()), chance.clone(), transport).await.expect("a store");
        let site = Site {
            store,
            known: Known::default(),
            clock: Arc::new(clock.clone()),
            chance,
            bell: Arc::new(Notify::new()),
        };
        std::fs::write(folder.path().join("secret"), format!("{SECRET}\n")).expect("written");
        Self { router: router(site.clone()), site, clock, folder }
    }

    /// Makes a pipeline with one webhook `in` active. `SECRET` stands for the place of the secret.
    async fn apply(&self, pipeline: &str, webhook: &str) {
        let place = format!("\"${{file:{}}}\"", self.folder.path().join("secret").display());
        let text = format!(
            "
pipeline: {pipeline}
params: {{n: {{type: integer, default: 0}}}}
concurrency: {{max_runs: 5000}}
triggers: [{{name: in, webhook: {{{}}}}}]
tasks:
  a: {{sql: SELECT 1 AS one}}
",
            webhook.replace("SECRET", &place)
        );
        let compiled = compile::read(&text, &Known::default()).unwrap_or_else(|found| panic!("{found:#?}"));
        let new = NewVersion {
            pipeline: pipeline.into(),
            id: compiled.version.clone(),
            definition: serde_json::to_value(&compiled.pipeline).expect("JSON"),
            source: text,
            origin: json!({}),
        };
        self.site.store.save_version(new).await.expect("saved");
        self.site.store.activate(pipeline, &compiled.version).await.expect("active");
    }

    async fn hook(&self, pipeline: &str) -> Webhook {
        let version = self.site.store.active(pipeline).await.expect("an answer").expect("a version");
        let pipeline: Pipeline = serde_json::from_value(version.definition).expect("a pipeline");
        let Some(Trigger::Webhook(it)) = pipeline.triggers.into_iter().next() else { panic!("a webhook") };
        it.webhook
    }

    /// The headers of a genuine delivery.
    async fn signed(&self, pipeline: &str, body: &str, secret: &str) -> Headers {
        let hook = self.hook(pipeline).await;
        let text = sign(&hook, body.as_bytes(), self.site.clock.now());
        let signature = recognise::signature(&Secret::new(secret), &text.text);
        text.headers(&hook, &signature)
    }

    async fn post(&self, path: &str, headers: &Headers, body: &str) -> Told {
        let request = headers.iter().fold(Request::post(path), |request, (name, value)| request.header(name, value));
        let Ok(response) =
            self.router.clone().oneshot(request.body(Body::from(body.to_owned())).expect("a request")).await;
        told(response).await
    }

    /// A genuine delivery to the webhook of a pipeline.
    async fn send(&self, pipeline: &str, body: &str, more: &[(&str, &str)]) -> Told {
        let mut headers = self.signed(pipeline, body, SECRET).await;
        headers.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.post(&format!("/hooks/{pipeline}/in"), &headers, body).await
    }

    async fn runs(&self) -> Vec<RunRecord> {
        self.site.store.runs(&RunFilter::default(), Page { before: None, limit: 10_000 }).await.expect("runs")
    }

    async fn letters(&self) -> Vec<tidemill_store::Letter> {
        self.site.store.letters(None, None, 1_000).await.expect("letters")
    }
}

async fn told(response: Response) -> Told {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let bytes = to_bytes(response.into_body(), 1_000_000).await.expect("a body");
    Told { status, headers, body: serde_json::from_slice(&bytes).unwrap_or(Value::Null) }
}

macro_rules! on_both {
    ($($case:ident),* $(,)?) => {
        mod on_sqlite {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&super::Bed::sqlite().await).await;
            }
        )*}
        mod on_postgres {$(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                super::$case(&super::Bed::postgres().await).await;
            }
        )*}
    };
}
on_both! {
    a_thousand_deliveries_of_one_event_make_one_run, each_preset_starts_a_run, strangers_learn_nothing,
    what_a_delivery_says_reaches_its_run, a_secret_is_changed_without_a_gap, what_fails_is_kept_and_replayed,
    a_new_version_takes_the_next_delivery, the_sample_goes_the_whole_way,
}

async fn a_thousand_deliveries_of_one_event_make_one_run(bed: &Bed) {
    bed.apply("p", "preset: github, secret: SECRET").await;
    let headers = bed.signed("p", "{}", SECRET).await;
    let deliver = |n: usize| {
        let mut headers = headers.clone();
        // Every hundredth tells of another event.
        let event = if n.is_multiple_of(100) { format!("other-{n}") } else { "72d3162e-cc78".to_owned() };
        headers.insert("x-github-delivery".into(), event);
        async move { bed.post("/hooks/p/in", &headers, "{}").await }
    };
    let start = std::time::Instant::now();
    let told = join_all((0..1_010).map(deliver)).await;
    let took = start.elapsed();
    assert!(told.iter().all(|it| it.status == 202), "{:?}", told.iter().find(|it| it.status != 202));
    let fresh = told.iter().filter(|it| it.body["duplicate"] == false).count();
    let runs: HashSet<&str> = told.iter().filter_map(|it| it.body["run"].as_str()).collect();
    assert_eq!((fresh, runs.len(), bed.runs().await.len()), (12, 12, 12), "11 others and the one");
    println!("counted: 999 concurrent deliveries of one webhook event: 1 run");
    println!("timed: 1010 webhook deliveries: {} ms", took.as_millis());
}

async fn each_preset_starts_a_run(bed: &Bed) {
    for (n, (webhook, body)) in [
        ("preset: github, secret: SECRET", r#"{"action": "opened"}"#),
        ("preset: stripe, secret: SECRET", r#"{"id": "evt_1"}"#),
        ("preset: slack, secret: SECRET", r#"{"event_id": "Ev1"}"#),
        ("preset: generic, secret: SECRET", "[1, 2]"),
        ("preset: generic, secret: SECRET, signature: {header: X-Sig, encoding: base64, prefix: v1-}, timestamp: X-T", "{}"),
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("p{n}");
        bed.apply(&name, webhook).await;
        let first = bed.send(&name, body, &[]).await;
        assert_eq!((first.status, &first.body["duplicate"]), (202, &json!(false)), "{webhook}: {first:?}");
        let again = bed.send(&name, body, &[]).await;
        assert_eq!((again.status, &again.body["duplicate"]), (202, &json!(true)), "{webhook}: {again:?}");
        assert_eq!(first.body["run"], again.body["run"]);
        // The same body is another event when the time in which it is the same is over; a named one stays.
        bed.clock.advance(Duration::from_secs(601));
        let later = bed.send(&name, body, &[]).await;
        let named = webhook.contains("stripe") || webhook.contains("slack");
        assert_eq!(later.body["duplicate"], json!(named), "{webhook}");
        // A captured delivery that is sent again much later carries its old time.
        let old = bed.signed(&name, body, SECRET).await;
        bed.clock.advance(Duration::from_secs(301));
        let replayed = bed.post(&format!("/hooks/{name}/in"), &old, body).await;
        let timed = !matches!(n, 0 | 3);
        assert_eq!(replayed.status, if timed { 401 } else { 202 }, "{webhook}");
    }
    bed.apply("s", "preset: slack, secret: SECRET").await;
    let challenge = bed.send("s", r#"{"type": "url_verification", "challenge": "3eZb"}"#, &[]).await;
    assert_eq!((challenge.status, challenge.body), (200, json!({"challenge": "3eZb"})));
}

/// One answer for everything, and no run.
async fn strangers_learn_nothing(bed: &Bed) {
    bed.apply("p", "preset: github, secret: SECRET").await;
    bed.apply("unreadable", "preset: github, secret: \"${env:TIDEMILL_TEST_NOT_SET}\"").await;
    bed.apply("timed", "preset: slack, secret: SECRET").await;
    let good = bed.signed("p", "{}", SECRET).await;
    let bad = bed.signed("p", "{}", "a-guess").await;
    let none = Headers::new();
    let mut cut = good.clone();
    cut.insert("x-hub-signature-256".into(), good["x-hub-signature-256"][..40].into());
    let mut answers = Vec::new();
    for (path, headers, body) in [
        ("/hooks/p/in", &bad, "{}"),
        ("/hooks/p/in", &none, "{}"),
        ("/hooks/p/in", &cut, "{}"),
        ("/hooks/p/in", &good, "{ }"),
        ("/hooks/p/1", &good, "{}"),
        ("/hooks/p/none", &good, "{}"),
        ("/hooks/none/in", &good, "{}"),
        ("/hooks/none/in", &none, ""),
        ("/hooks/unreadable/in", &good, "{}"),
        ("/hooks/timed/in", &good, "{}"),
    ] {
        let mut told = bed.post(path, headers, body).await;
        told.headers.remove("date");
        answers.push(told);
    }
    assert_eq!((answers[0].status, &answers[0].body["code"]), (401, &json!("TM1201")));
    assert!(answers.iter().all(|it| *it == answers[0]), "{answers:#?}");
    let large = "x".repeat(MOST_BYTES + 1);
    let told = [bed.post("/hooks/p/in", &none, &large).await, bed.post("/hooks/none/in", &none, &large).await];
    assert_eq!((told[0].status, &told[0]), (413, &told[1]));
    assert!(bed.runs().await.is_empty());
    // What came for triggers that exist is there for the operator, without anything secret.
    let letters = bed.letters().await;
    assert_eq!(letters.len(), 6, "{letters:#?}");
    assert!(letters.iter().all(|it| it.kind == LetterKind::Refused));
    assert!(letters.iter().any(|it| it.code == "TM1207" && it.reason.contains("TIDEMILL_TEST_NOT_SET")));
    let kept = serde_json::to_string(&letters).expect("JSON");
    assert!(!kept.contains("sha256=") && !kept.contains(SECRET), "{kept}");
}

async fn what_a_delivery_says_reaches_its_run(bed: &Bed) {
    bed.apply("p", "preset: generic, secret: SECRET, when: \"payload.kind == 'order'\", params: {n: /lines/0/n}").await;
    let filtered = bed.send("p", r#"{"kind": "ping"}"#, &[]).await;
    assert_eq!((filtered.status, &filtered.body["accepted"]), (200, &json!(false)));
    let body = json!({"kind": "order", "lines": [{"n": 7}]}).to_string();
    let secrets = [("authorization", "Bearer hidden"), ("x-team", "red"), ("cookie", "hidden")];
    let told = bed.send("p", &body, &secrets).await;
    assert_eq!(told.status, 202, "{told:?}");
    let runs = bed.runs().await;
    assert_eq!((runs.len(), runs[0].trigger, &runs[0].params), (1, TriggerKind::Webhook, &json!({"n": 7})));
    let data = &runs[0].trigger_data;
    assert_eq!((&data["webhook"], &data["payload"]["lines"][0]["n"]), (&json!("in"), &json!(7)));
    assert_eq!(data["headers"]["x-team"], "red");
    let stored = serde_json::to_string(&runs[0]).expect("JSON");
    assert!(!stored.contains("hidden") && !stored.contains(SECRET), "{stored}");
    assert!(bed.letters().await.is_empty(), "to be filtered is no failure");
}

async fn a_secret_is_changed_without_a_gap(bed: &Bed) {
    let old = bed.folder.path().join("old");
    std::fs::write(&old, "the-old-one\r\n").expect("written");
    bed.apply("p", &format!("preset: github, secret: [SECRET, \"${{file:{}}}\"]", old.display())).await;
    for (secret, status) in [(SECRET, 202), ("the-old-one", 202), ("another", 401)] {
        let headers = bed.signed("p", "{}", secret).await;
        assert_eq!(bed.post("/hooks/p/in", &headers, "{}").await.status, status, "{secret}");
    }
    std::fs::remove_file(&old).expect("removed");
    for (secret, status) in [(SECRET, 202), ("the-old-one", 401)] {
        let headers = bed.signed("p", "{}", secret).await;
        assert_eq!(bed.post("/hooks/p/in", &headers, "{}").await.status, status, "{secret}, once it is gone");
    }
    // Everybody could sign with an empty secret.
    std::fs::write(&old, "\n").expect("written");
    let headers = bed.signed("p", "{}", "").await;
    assert_eq!(bed.post("/hooks/p/in", &headers, "{}").await.status, 401);
}

async fn what_fails_is_kept_and_replayed(bed: &Bed) {
    bed.apply("p", "preset: github, secret: SECRET, params: {n: /n}, max_bytes: 40").await;
    let failed = [
        bed.send("p", "{", &[("x-github-delivery", "a")]).await,
        bed.send("p", r#"{"n": "many"}"#, &[("x-github-delivery", "b")]).await,
        bed.send("p", &format!("\"{}\"", "x".repeat(50)), &[("x-github-delivery", "c")]).await,
    ];
    let codes: Vec<_> = failed.iter().map(|it| (it.status, it.body["code"].as_str().unwrap_or_default())).collect();
    assert_eq!(codes, [(400, "TM1203"), (422, "TM1205"), (413, "TM1202")]);
    assert!(failed[1].headers["content-type"].to_str().is_ok_and(|kind| kind == "application/problem+json"));
    let letters = bed.letters().await;
    let kept: Vec<_> = letters.iter().map(|it| (it.kind, it.code.as_str())).collect();
    let genuine = LetterKind::Failed;
    assert_eq!(kept, [(genuine, "TM1202"), (genuine, "TM1205"), (genuine, "TM1203")], "newest first");
    let id = letters[1].id;
    let again = replay(&bed.site, id, false).await.expect_err("nothing has changed");
    assert_eq!(again.code(), "TM1205");
    // With a definition that can use it, it makes its run, once however often it is replayed.
    bed.apply("p", "preset: github, secret: SECRET").await;
    let Ok(Received::Run { run, duplicate: false }) = replay(&bed.site, id, false).await else { panic!("a run") };
    let Ok(Received::Run { run: same, duplicate: true }) = replay(&bed.site, id, false).await else { panic!("a run") };
    assert_eq!((run, bed.runs().await.len()), (same, 1));
    let sender = bed.send("p", r#"{"n": "many"}"#, &[("x-github-delivery", "b")]).await;
    assert_eq!(sender.body["duplicate"], json!(true), "the sender's own repetition finds the replayed run");
    assert_eq!(bed.site.store.letter(id).await.expect("an answer").and_then(|it| it.run), Some(run));
    // A stranger's letter needs a word of trust; a cut one cannot be replayed; an unknown one is not there.
    let headers = bed.signed("p", "{}", "another").await;
    bed.post("/hooks/p/in", &headers, "{}").await;
    bed.post("/hooks/p/in", &headers, &" ".repeat(5_000)).await;
    let letters = bed.letters().await;
    let code = async |id, trusted| replay(&bed.site, id, trusted).await.map_err(|error| error.code());
    assert_eq!(code(letters[1].id, false).await, Err("TM1211"));
    assert!(matches!(code(letters[1].id, true).await, Ok(Received::Run { duplicate: false, .. })));
    assert_eq!((letters[0].body.len(), letters[0].body_bytes), (4_096, 5_000));
    assert_eq!(code(letters[0].id, true).await, Err("TM1211"));
    assert_eq!(code(i64::MAX, true).await, Err("TM1210"));
}

async fn a_new_version_takes_the_next_delivery(bed: &Bed) {
    bed.apply("p", "preset: generic, secret: SECRET, key: {payload: /id}").await;
    assert_eq!(bed.send("p", r#"{"id": 1}"#, &[]).await.status, 202);
    bed.apply("p", "preset: generic, secret: SECRET, key: {payload: /event}").await;
    assert_eq!(bed.send("p", r#"{"id": 2}"#, &[]).await.body["code"], "TM1206");
    assert_eq!(bed.send("p", r#"{"event": 2}"#, &[]).await.status, 202);
    let versions: HashSet<_> = bed.runs().await.into_iter().map(|run| run.version).collect();
    assert_eq!(versions.len(), 2);
}

async fn the_sample_goes_the_whole_way(bed: &Bed) {
    for (n, webhook) in [
        "preset: github, secret: SECRET",
        "preset: stripe, secret: SECRET",
        "preset: slack, secret: SECRET",
        "preset: generic, secret: SECRET, timestamp: X-Time",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("p{n}");
        bed.apply(&name, webhook).await;
        let first = try_out(&bed.site, (&name, "in"), None, Headers::new()).await.expect("tried");
        assert_eq!((first.status, &first.answer["duplicate"]), (202, &json!(false)), "{webhook}: {first:?}");
        let second = try_out(&bed.site, (&name, "in"), None, Headers::new()).await.expect("tried");
        assert_eq!(second.answer["duplicate"], json!(false), "each sample is an event of its own");
    }
    let own = try_out(&bed.site, ("p3", "0"), Some(b"not JSON".to_vec()), Headers::new()).await.expect("tried");
    assert_eq!((own.status, own.answer["code"].as_str()), (400, Some("TM1203")), "by its place, too");
    let missing = try_out(&bed.site, ("p3", "out"), None, Headers::new()).await.expect_err("not there");
    assert_eq!(missing.code(), "TM1209");
    std::fs::remove_file(bed.folder.path().join("secret")).expect("removed");
    let secret = try_out(&bed.site, ("p3", "in"), None, Headers::new()).await.expect_err("no secret");
    assert_eq!(secret.code(), "TM1207");
}
