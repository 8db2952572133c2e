//! Loading to files.

use arrow::{
    array::{Int64Array, StringArray},
    datatypes::{DataType, Field, Schema},
};
use futures::stream;
use tidemill_dag::{
    id::Attempt,
    spec::{Contract, LoadMode},
};

use indexmap::IndexMap;

use super::{
    super::manifest::{Done, Manifest},
    *,
};
use crate::{LoadId, LoadRequest, Receipt, Unguarded, conformance};

fn batch(numbers: std::ops::Range<i64>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("s", DataType::Utf8, true)]);
    let text = StringArray::from_iter(numbers.clone().map(|n| Some(format!("row {n}"))));
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(Int64Array::from_iter_values(numbers)), Arc::new(text)])
        .expect("a batch")
}

fn request(table: &str, id: &str, mode: LoadMode) -> LoadRequest {
    LoadRequest {
        load_id: LoadId(id.into()),
        fence: Attempt(1),
        table: table.into(),
        mode,
        key: Vec::new(),
        contract: Contract::Evolve,
        schema: batch(0..1).schema(),
    }
}

async fn load(
    connection: &dyn Connection,
    request: LoadRequest,
    numbers: std::ops::Range<i64>,
) -> Result<Receipt, ConnectorError> {
    connection.load(request, stream::iter([Ok(batch(numbers))]).boxed(), &Unguarded).await
}

fn names(place: &Place, folder: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place.path(folder)) else { return Vec::new() };
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

async fn conforms(settings: serde_json::Value) {
    let place = Place::new();
    let subject = conformance::Subject { connection: place.connect_with(settings), prefix: "c_".into() };
    match conformance::run(&subject).await {
        Ok(held) => assert_eq!(held.len(), 23),
        Err(broken) => panic!("{broken}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_conforms() {
    conforms(json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_conforms() {
    conforms(json!({"format": "csv"})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compressed_json_lines_conform() {
    conforms(json!({"format": "json", "compression": "zstd"})).await;
}

#[tokio::test]
async fn parts_and_a_manifest_are_all_that_stays() {
    let place = Place::new();
    let connection = place.connect();
    let receipt = load(&*connection, request("t", "one", LoadMode::Replace), 0..10).await.expect("a receipt");
    assert_eq!(receipt.places.len(), 1);
    assert!(receipt.places[0].starts_with("data/t/part-") && receipt.places[0].ends_with(".parquet"), "{receipt:?}");
    assert_eq!(names(&place, "t/_staging"), [] as [&str; 0]);
    load(&*connection, request("t", "two", LoadMode::Replace), 10..20).await.expect("a receipt");
    assert_eq!(names(&place, "t/_old").len(), 1, "the version before is kept for its readers");
    load(&*connection, request("t", "three", LoadMode::Replace), 20..30).await.expect("a receipt");
    assert_eq!(names(&place, "t/_old").len(), 1, "and only that one");
    let parts = names(&place, "t").into_iter().filter(|name| name.starts_with("part-")).count();
    assert_eq!(parts, 1);
}

/// Whoever looks while another one makes the table finds it free or made by a load, never somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_loads_of_a_table_do_not_take_each_other_for_strangers() {
    use super::super::{config::TableConfig, find::Root, load::target};
    use std::sync::atomic::{AtomicUsize, Ordering};
    const TABLES: usize = 60;
    let place = Place::new();
    let connection = place.connect();
    let root = Root { path: place.path(""), shown: "data".into() };
    let made = Arc::new(AtomicUsize::new(0));
    let looking = {
        let made = Arc::clone(&made);
        tokio::task::spawn_blocking(move || {
            let mut looks = 0;
            while let now @ ..TABLES = made.load(Ordering::Relaxed) {
                target(&root, &format!("t{now}"), &TableConfig::default()).expect("it is free, or ours");
                looks += 1;
            }
            looks
        })
    };
    for n in 0..TABLES {
        load(&*connection, request(&format!("t{n}"), "one", LoadMode::Append), 0..10).await.expect("a receipt");
        made.store(n + 1, Ordering::Relaxed);
    }
    assert!(looking.await.expect("it looked on") > 0);
}

#[tokio::test]
async fn what_a_killed_writer_left_is_removed_and_never_seen() {
    let place = Place::new();
    let connection = place.connect();
    load(&*connection, request("t", "one", LoadMode::Append), 0..10).await.expect("a receipt");
    let part = names(&place, "t").into_iter().find(|name| name.starts_with("part-")).expect("a part");
    // A writer died while it wrote, another between putting its part in place and the manifest's rename.
    let dead = place.path("t/_staging/0123456789abcdef.1.0");
    fs::create_dir_all(&dead).expect("a folder");
    fs::write(dead.join("part-0123456789abcdef-1-0-00000.parquet"), "half").expect("a file");
    fs::write(place.path("t/_staging/0123456789abcdef.1.0.lock"), "").expect("a file");
    let orphan = place.path("t/part-fedcba9876543210-1-0-00000.parquet");
    fs::copy(place.path("t").join(&part), &orphan).expect("a file");
    fs::write(place.path("t/_manifest.json.tmp"), "{").expect("a file");
    fs::write(place.path("t/notes.txt"), "mine").expect("a file");
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
    load(&*connection, request("t", "two", LoadMode::Append), 10..20).await.expect("a receipt");
    assert!(!dead.exists() && !orphan.exists() && !place.path("t/_manifest.json.tmp").exists());
    assert_eq!(names(&place, "t/_staging"), [] as [&str; 0]);
    assert!(place.path("t").join(part).exists() && place.path("t/notes.txt").exists());
}

#[tokio::test]
async fn the_left_overs_of_a_living_writer_stay() {
    let place = Place::new();
    let connection = place.connect();
    let (give, take) = futures::channel::mpsc::unbounded();
    give.unbounded_send(Ok(batch(0..10))).expect("sent");
    let slow = connection.load(request("t", "slow", LoadMode::Append), take.boxed(), &Unguarded);
    let fast = async {
        // The slow one has begun once its folder is there.
        while names(&place, "t/_staging").len() < 2 {
            tokio::task::yield_now().await;
        }
        load(&*connection, request("t", "fast", LoadMode::Append), 10..20).await.expect("a receipt");
        drop(give);
    };
    let (slow, ()) = futures::join!(slow, fast);
    slow.expect("a receipt");
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 20);
}

#[cfg(unix)]
#[tokio::test]
async fn tables_cannot_leave_the_folder() {
    let place = Place::new().file("orders.csv", "a\n1\n").file("inside/x.txt", "");
    std::os::unix::fs::symlink(place.dir.path(), place.path("link")).expect("a link");
    let connection = place.connect();
    for table in ["", "..", "../out", "a/b", ".hidden", "_old", "link", "orders", "a\u{0}b", "\\x"] {
        let refused = load(&*connection, request(table, "one", LoadMode::Append), 0..1).await;
        assert!(matches!(refused, Err(ConnectorError::TableName { .. })), "{table:?}: {refused:?}");
    }
    let outside = place.connect_with(json!({"tables": {"t": {"path": "../out"}}}));
    let refused = load(&*outside, request("t", "one", LoadMode::Append), 0..1).await;
    assert!(matches!(refused, Err(ConnectorError::TableName { .. })), "{refused:?}");
}

/// The manifest stays small however often a table is loaded, and every load is known again.
#[tokio::test]
async fn loads_of_long_ago_are_known_and_the_manifest_stays_small() {
    const LOADS: u64 = 10_600;
    let place = Place::new();
    let folder = place.path("t");
    fs::create_dir_all(&folder).expect("a folder");
    let id = |n: u64| LoadId(format!("load-{n:05}"));
    let done = |n: u64| Done {
        load: id(n),
        fence: 1,
        mode: LoadMode::Replace,
        version: n + 1,
        rows: n,
        bytes: 1,
        files: vec![format!("part-{n}")],
    };
    let mut now = Manifest::default();
    for n in 0..LOADS {
        let next = now.after(IndexMap::new(), Vec::new(), done(n));
        if let Some(ledger) = next.new_ledger(&now) {
            let text = serde_json::to_vec(&now.loads).expect("JSON");
            fs::write(folder.join(&ledger.file), text).expect("written");
        }
        assert!(next.loads.len() <= 250 && next.earlier.len() <= 40);
        now = next;
    }
    for known in [LOADS - 1, LOADS - 300, LOADS - 5_000, LOADS - 9_900] {
        let receipt = now.receipt(&folder, &id(known)).expect("an answer").expect("it is known");
        assert!(receipt.already && receipt.rows == known, "{receipt:?}");
    }
    for unknown in [LOADS, 0] {
        assert!(now.receipt(&folder, &id(unknown)).expect("an answer").is_none(), "{unknown}");
    }
}

/// Through the connector: a ledger is written on the way, is no table, and what died beside it is removed.
#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_part_of_the_table() {
    let place = Place::new();
    let connection = place.connect();
    for n in 0..252 {
        load(&*connection, request("t", &format!("load-{n:03}"), LoadMode::Replace), n..n + 1)
            .await
            .expect("a receipt");
    }
    let ledgers = || names(&place, "t").into_iter().filter(|name| name.starts_with("_loads-")).collect::<Vec<_>>();
    assert_eq!(ledgers(), ["_loads-250.json"]);
    fs::write(place.path("t/_loads-777.json"), "[]").expect("written");
    let again = load(&*connection, request("t", "load-007", LoadMode::Replace), 0..9).await.expect("a receipt");
    assert!(again.already && again.rows == 1, "{again:?}");
    let found = connection.find_load("t", &LoadId("load-100".into())).await.expect("an answer");
    assert!(found.is_some_and(|receipt| receipt.already));
    load(&*connection, request("t", "load-252", LoadMode::Append), 0..9).await.expect("a receipt");
    assert_eq!(ledgers(), ["_loads-250.json"], "what nobody names is gone");
    let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 10);
}

#[tokio::test]
async fn merging_is_refused_with_advice() {
    let place = Place::new();
    let refused = load(&*place.connect(), request("t", "one", LoadMode::Merge), 0..1).await.expect_err("refused");
    assert_eq!(refused.code(), "TM0617");
    assert!(refused.help().expect("advice").contains("mode: replace"));
    assert!(!place.path("t").exists());
}

#[tokio::test]
async fn a_manifest_that_was_tampered_with_is_refused() {
    let place = Place::new();
    let connection = place.connect();
    load(&*connection, request("t", "one", LoadMode::Replace), 0..10).await.expect("a receipt");
    let manifest = place.path("t/_manifest.json");
    let text = fs::read_to_string(&manifest).expect("text");
    for wrong in [
        "{",
        &text.replace("\"tidemill\": 1", "\"tidemill\": 2"),
        &text.replace("\"file\": \"part-", "\"file\": \"../part-"),
    ] {
        fs::write(&manifest, wrong).expect("written");
        assert_eq!(failure(&*connection, "t").await.code(), "TM0623");
    }
}

#[tokio::test]
async fn csv_is_written_as_others_expect_it() {
    let place = Place::new();
    let connection = place.connect_with(json!({"format": "csv"}));
    load(&*connection, request("t", "one", LoadMode::Replace), 1..3).await.expect("a receipt");
    let part = names(&place, "t").into_iter().find(|name| name.ends_with(".csv")).expect("a part");
    assert_eq!(fs::read_to_string(place.path("t").join(part)).expect("text"), "n,s\n1,row 1\n2,row 2\n");
}

const KILLED: &str = "TIDEMILL_TEST_KILLED";

/// Not a test by itself: the process that the next test kills. Appends a thousand rows at a time, for ever.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn a_writer_to_be_killed() {
    let Some(folder) = std::env::var_os(KILLED) else { return };
    let config: ConnectionConfig =
        serde_json::from_value(json!({"kind": "files", "path": "data"})).expect("a configuration");
    let connection = connect("test", &config, &Folders::at(folder)).expect("a connection");
    for n in 0.. {
        load(&*connection, request("t", &format!("load {n}"), LoadMode::Append), n * 1_000..n * 1_000 + 1_000)
            .await
            .expect("a receipt");
    }
}

#[tokio::test]
async fn killed_at_any_moment_every_load_is_there_once_or_not_at_all() {
    let place = Place::new();
    let connection = place.connect();
    let loads = || {
        let manifest = fs::read(place.path("t/_manifest.json")).ok()?;
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).expect("a whole manifest");
        Some(manifest["loads"].as_array().expect("loads").len())
    };
    for round in 1..=6 {
        let before = loads().unwrap_or(0);
        let mut writer = std::process::Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "files::tests::loads::a_writer_to_be_killed", "--ignored"])
            .env(KILLED, place.dir.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process");
        while loads().unwrap_or(0) < before + round {
            assert!(writer.try_wait().expect("a state").is_none(), "the writer ended by itself");
            std::thread::yield_now();
        }
        writer.kill().expect("killed");
        writer.wait().expect("dead");
        let done = loads().expect("loads");
        let rows = rows_of(&*connection, Scan::table("t")).await.expect("rows");
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), done * 1_000);
    }
    load(&*connection, request("t", "the last", LoadMode::Append), 0..1).await.expect("a receipt");
    let done = loads().expect("loads");
    assert_eq!(names(&place, "t/_staging"), [] as [&str; 0]);
    assert_eq!(names(&place, "t").iter().filter(|name| name.starts_with("part-")).count(), done);
}
