//! Pages stay quick however many runs there are.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::place::{Place, shell};

const RUNS: u32 = 100_000;

/// Copies one finished run and its task so often that there are many, some of them failed; straight into the database,
/// because to run them all would take an hour.
const MULTIPLY: &str = r#"
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1]); many = int(sys.argv[2])
db.execute("PRAGMA synchronous = OFF")
names = lambda table: [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
def copy(table, key, rows):
    columns = names(table)
    first = dict(zip(columns, db.execute(f"SELECT * FROM {table}").fetchone()))
    marks = ",".join("?" * len(columns))
    db.executemany(f"INSERT INTO {table} ({','.join(columns)}) VALUES ({marks})",
                   ([{**first, **row}[c] for c in columns] for row in rows))
start = db.execute("SELECT created_at FROM runs").fetchone()[0]
def ids():
    for n in range(many):
        at = start // 1000 - many + n
        yield n, at, at.to_bytes(6, "big") + b"\x70\x00\x80\x00" + n.to_bytes(6, "big")
copy("runs", "id", ({"id": key, "created_at": at * 1000, "trigger_key": None,
                     **({"state": "failed", "tasks_failed": 1} if n % 5000 == 0 else {})} for n, at, key in ids()))
copy("tasks", "run_id", ({"run_id": key} for n, at, key in ids()))
db.commit()
"#;

fn get(address: &str, path: &str) -> (Value, Duration) {
    let start = Instant::now();
    let mut stream = TcpStream::connect(address).expect("connected");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let took = start.elapsed();
    let body = text.split_once("\r\n\r\n").expect("an answer").1;
    (serde_json::from_str(body).unwrap_or_else(|error| panic!("{path}: {error} in {text}")), took)
}

#[test]
fn pages_over_a_hundred_thousand_runs() {
    let place = Place::new();
    place.write("s.yaml", &shell("s", "true"));
    place.run(&["run", "s.yaml"]).exits(0);
    let python = std::env::var("TIDEMILL_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let filled = Command::new(python)
        .args(["-c", MULTIPLY])
        .arg(place.path(".tidemill/state.db"))
        .arg(RUNS.to_string())
        .output()
        .expect("python starts");
    assert!(filled.status.success(), "{}", String::from_utf8_lossy(&filled.stderr));
    let mut server = place.start(&["dev", "--listen", "127.0.0.1:0", "--json"]);
    let hello: Value = serde_json::from_str(&server.first_line()).expect("a greeting");
    let address = hello["url"].as_str().expect("a URL").trim_start_matches("http://").to_owned();
    let first = get(&address, "/api/v1/runs?limit=1000").0;
    let (next, run) = (first["next"].as_str().expect("more"), first["runs"][999]["id"].as_str().expect("an id"));
    for (what, path, entries) in [
        ("newest 100", "/api/v1/runs".to_owned(), 100),
        ("100 behind a cursor", format!("/api/v1/runs?cursor={next}"), 100),
        ("100 of a pipeline", "/api/v1/runs?pipeline=s".to_owned(), 100),
        ("the 20 failed ones", "/api/v1/runs?state=failed".to_owned(), 20),
        ("the failed ones of a pipeline", "/api/v1/runs?pipeline=s&state=failed".to_owned(), 20),
        ("none in a state", "/api/v1/runs?state=running".to_owned(), 0),
        ("tasks of a run", format!("/api/v1/runs/{run}/tasks"), 1),
    ] {
        let mut times: Vec<Duration> = Vec::new();
        for _ in 0..9 {
            let (page, took) = get(&address, &path);
            let list = page.get("runs").or_else(|| page.get("tasks")).and_then(Value::as_array);
            assert_eq!(list.map(Vec::len), Some(entries), "{path}: {page}");
            times.push(took);
        }
        times.sort_unstable();
        let ms = |at: usize| times[at].as_secs_f64() * 1_000.0;
        println!("timed: {what} of {RUNS} runs over HTTP: p50 {:.1} ms, worst of 9 {:.1} ms", ms(4), ms(8));
    }
    server.signal(libc::SIGTERM);
    server.end().exits(0);
}
