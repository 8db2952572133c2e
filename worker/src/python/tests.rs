use std::{fs, time::Instant};

use arrow::{
    array::{AsArray, Int64Array, StringArray},
    datatypes::{DataType, Field, Int64Type, Schema, TimeUnit},
    record_batch::RecordBatch,
};
use serde_json::json;
use std::sync::Arc;
use tidemill_dag::spec::Limits;
use tidemill_engine::Rows;

use super::*;
use crate::{
    error::TaskError,
    tests::{alive, eventually, log, pool},
};

fn call(code: &str, scratch: &std::path::Path) -> Call {
    Call {
        code: code.to_owned(),
        hash: blake3::hash(code.as_bytes()).to_hex().to_string(),
        file: "tasks.t.code".to_owned(),
        folder: None,
        function: "run".to_owned(),
        args: Map::new(),
        inputs: IndexMap::new(),
        returns: "value",
        scratch: scratch.to_owned(),
        env: IndexMap::new(),
        limit: 1 << 20,
    }
}

fn rows_of(code: &str, scratch: &std::path::Path) -> Call {
    Call { returns: "rows", ..call(code, scratch) }
}

/// One call in a fresh pool.
async fn once(code: &str) -> Result<Reply, TaskError> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let call = call(code, host.scratch());
    host.call(&call, &log()).await
}

async fn value(code: &str) -> Value {
    match once(code).await {
        Ok(Reply::Value(value)) => value,
        other => panic!("no value: {other:?}"),
    }
}

async fn error(code: &str) -> TaskError {
    match once(code).await {
        Err(error) => error,
        Ok(reply) => panic!("no error: {reply:?}"),
    }
}

#[tokio::test]
async fn values_come_back_as_json() {
    assert_eq!(
        value("def run(): return {'a': [1, 2.5, None, True, 'ä']}").await,
        json!({"a": [1, 2.5, null, true, "ä"]})
    );
    assert_eq!(value("def run(): return None").await, Value::Null);
    assert_eq!(value("async def run(): return 7").await, json!(7));
    assert_eq!(value("import datetime\ndef run(): return datetime.date(2024, 2, 29)").await, json!("2024-02-29"));
}

#[tokio::test]
async fn errors_point_at_the_users_line() {
    let error = error("def inner(x):\n    return 1 / x\n\ndef run():\n    return inner(0)\n").await;
    assert_eq!(error.to_string(), "ZeroDivisionError: division by zero (tasks.t.code, line 2)");
    let message = error.failure().message;
    assert!(message.contains("return 1 / x"), "{message}");
    assert!(!message.contains("<tidemill>"), "our own frames are of no use: {message}");
}

#[tokio::test]
async fn every_way_to_fail_has_its_error() {
    let cases = [
        ("def run(:\n  pass", "TM0705", "SyntaxError"),
        ("def other(): pass", "TM0708", "defines no function `run`"),
        ("def run(): return object()", "TM0708", "cannot become JSON"),
        ("def run(): return float('nan')", "TM0708", "cannot become JSON"),
        ("def run(): return 'x' * (2 << 20)", "TM0708", "at most 1048576"),
        ("import sys\ndef run(): sys.exit(3)", "TM0705", "the code called exit(3)"),
        ("import os\ndef run(): os._exit(3)", "TM0706", "ended with exit code 3"),
        ("import os, signal\ndef run(): os.kill(os.getpid(), signal.SIGKILL)", "TM0706", "was killed (signal 9)"),
        ("def run(): return len(bytearray(4 << 30))", "TM0707", "more than 1024 MiB"),
        ("def run(x): return x", "TM0705", "missing 1 required positional argument"),
    ];
    for (code, expected, text) in cases {
        let error = error(code).await;
        assert_eq!(error.code(), expected, "{code}: {error}");
        assert!(error.to_string().contains(text), "{code}: {error}");
    }
}

#[tokio::test]
async fn calls_do_not_see_each_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(folder.path());
    let first = "import os, sys\nSEEN = 1\ndef run():\n  os.environ['LEFT'] = 'x'\n  os.chdir('/')\n  sys.path.append('/left')\n  sys.stdout = None";
    let second = "import os, sys\ndef run(): return [('SEEN' in globals()), os.environ.get('LEFT'), os.getcwd() != '/', '/left' in sys.path, sys.stdout is None]";
    let mut host = pool.acquire(&Limits::default()).await.expect("a host");
    host.call(&call(first, host.scratch()), &log()).await.expect("a first call");
    let env: IndexMap<String, String> = [("LEFT".to_owned(), "own".to_owned())].into();
    let with_env = Call { env, ..call(second, host.scratch()) };
    let reply = host.call(&with_env, &log()).await.expect("a second call");
    assert!(matches!(&reply, Reply::Value(v) if *v == json!([false, "own", true, false, false])), "{reply:?}");
}

#[tokio::test]
async fn a_host_is_reused_until_it_is_spoiled() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(folder.path());
    let pid = "import os\ndef run(): return os.getpid()";
    let mut pids = Vec::new();
    for code in [
        pid,
        pid,
        "import os, threading, time\ndef run():\n  threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n  return os.getpid()",
        pid,
    ] {
        let mut host = pool.acquire(&Limits::default()).await.expect("a host");
        let Reply::Value(pid) = host.call(&call(code, host.scratch()), &log()).await.expect("a value") else {
            panic!("rows")
        };
        pids.push(pid);
        pool.release(host);
    }
    assert!(pids[0] == pids[1] && pids[1] == pids[2], "the same host serves: {pids:?}");
    assert_ne!(pids[2], pids[3], "a host with a thread of a task left in it serves no other");
}

#[tokio::test]
async fn hosts_with_other_limits_are_other_processes() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(folder.path());
    let small = Limits { memory_mb: Some(300), ..Limits::default() };
    let mut host = pool.acquire(&small).await.expect("a host");
    let code = "import resource\ndef run(): return resource.getrlimit(resource.RLIMIT_AS)[0]";
    let reply = host.call(&call(code, host.scratch()), &log()).await.expect("a value");
    assert!(matches!(&reply, Reply::Value(v) if *v == json!(300 << 20)), "{reply:?}");
    pool.release(host);
    let other = pool.acquire(&Limits::default()).await.expect("a host");
    assert_ne!(other.limits(), &small);
}

#[tokio::test]
async fn what_is_printed_is_logged_in_order_and_before_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let log = log();
    let code = "import os\ndef run():\n  for i in range(3): print('line', i)\n  os.system('echo child')\n  print('end', end='')";
    host.call(&call(code, host.scratch()), &log).await.expect("a value");
    log.finish_lines();
    assert_eq!(log.last_lines(), ["line 0", "line 1", "line 2", "child", "end"]);
}

#[tokio::test]
async fn a_flood_of_output_neither_blocks_nor_fills_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let log = log();
    let code = "def run():\n  for i in range(200_000): print('x' * 100)\n  return 'done'";
    let reply = host.call(&call(code, host.scratch()), &log).await.expect("a value");
    assert!(matches!(reply, Reply::Value(v) if v == json!("done")));
    assert!(log.dropped() > 0, "more was printed than is kept");
}

#[tokio::test]
async fn a_dropped_call_kills_the_whole_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let told = host.scratch().join("pid");
    let code = "import subprocess, time\ndef run():\n  p = subprocess.Popen(['sleep', '1000'])\n  open('pid.tmp', 'w').write(str(p.pid))\n  import os; os.rename('pid.tmp', 'pid')\n  time.sleep(1000)";
    let call = call(code, host.scratch());
    let running = tokio::spawn(async move { host.call(&call, &log()).await.map(|_| host) });
    eventually("the grandchild starts", || told.exists()).await;
    let pid: i32 = fs::read_to_string(&told).expect("a pid").parse().expect("a number");
    assert!(alive(pid));
    running.abort();
    eventually("the grandchild dies", || !alive(pid)).await;
}

#[tokio::test]
async fn files_are_written_only_in_the_scratch_folder() {
    let found = crate::sandbox::probe();
    let folder = tempfile::tempdir().expect("a folder");
    let outside = tempfile::tempdir().expect("another folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let code = "import tempfile\ndef run(place):\n  open('inside', 'w').write('x')\n  tempfile.NamedTemporaryFile().write(b'x')\n  try:\n    open(place, 'w').write('x')\n    return 'written'\n  except PermissionError:\n    return open('/etc/hostname').readable()";
    let mut call = call(code, host.scratch());
    let place = outside.path().join("x");
    call.args.insert("place".to_owned(), json!(place));
    let reply = host.call(&call, &log()).await.expect("a value");
    println!("{found:?}");
    if matches!(found.files, crate::sandbox::Holds::Yes(_)) {
        assert!(matches!(&reply, Reply::Value(v) if *v == json!(true)), "{reply:?}");
        assert!(!place.exists());
    }
}

#[tokio::test]
async fn the_network_is_there_only_for_those_who_ask() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(folder.path());
    let code = "import socket\ndef run(port):\n  try:\n    socket.create_connection(('127.0.0.1', port), 5)\n    return True\n  except OSError:\n    return False";
    for network in [false, true] {
        let mut host = pool.acquire(&Limits { network, ..Limits::default() }).await.expect("a host");
        let mut call = call(code, host.scratch());
        call.args.insert("port".to_owned(), json!(port));
        let reply = host.call(&call, &log()).await.expect("a value");
        let closed = !matches!(crate::sandbox::probe().network, crate::sandbox::Holds::No(_));
        if network || closed {
            assert!(matches!(&reply, Reply::Value(v) if *v == json!(network)), "network {network}: {reply:?}");
        }
    }
}

#[tokio::test]
async fn rows_of_dicts_get_types() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let code = r#"
import datetime as d, decimal
def run():
    yield {'i': 1, 'f': 1, 't': 'a', 'b': True, 'd': d.date(2024, 1, 2), 'n': None, 'x': b'\x00\xff', 'j': [1, {'k': 2}],
           'm': d.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=d.timezone(d.timedelta(hours=2))),
           'l': d.datetime(2024, 1, 2, 3, 4, 5), 'c': decimal.Decimal('1.50')}
    yield {'i': -2**63, 'f': float('inf'), 'c': decimal.Decimal('-0.001'), 'late': 5}
"#;
    let call = rows_of(code, host.scratch());
    let Reply::Rows(written) = host.call(&call, &log()).await.expect("rows") else { panic!("a value") };
    assert_eq!(written.rows, 2);
    let rows = rows(&written).expect("readable rows");
    let schema = rows.schema();
    let types: Vec<(String, DataType)> =
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let expected = [
        ("i", DataType::Int64),
        ("f", DataType::Float64),
        ("t", DataType::Utf8),
        ("b", DataType::Boolean),
        ("d", DataType::Date32),
        ("n", DataType::Utf8),
        ("x", DataType::Binary),
        ("j", DataType::Utf8),
        ("m", DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        ("l", DataType::Timestamp(TimeUnit::Microsecond, None)),
        ("c", DataType::Decimal128(38, 3)),
        ("late", DataType::Int64),
    ];
    assert_eq!(types, expected.map(|(name, kind)| (name.to_owned(), kind)));
    let batches = rows.collect().await.expect("batches");
    let text = arrow::util::pretty::pretty_format_batches(&batches).expect("text").to_string();
    let first = text.lines().nth(3).expect("a first row");
    let cells: Vec<&str> = first.split('|').map(str::trim).collect();
    assert_eq!(
        cells[1..13],
        [
            "1",
            "1.0",
            "a",
            "true",
            "2024-01-02",
            "",
            "00ff",
            r#"[1, {"k": 2}]"#,
            "2024-01-02T01:04:05.000006Z",
            "2024-01-02T03:04:05",
            "1.500",
            ""
        ]
    );
    let cells: Vec<&str> = text.lines().nth(4).expect("a second row").split('|').map(str::trim).collect();
    assert_eq!((cells[1], cells[2], cells[11], cells[12]), ("-9223372036854775808", "inf", "-0.001", "5"));
}

#[tokio::test]
async fn rows_that_are_none_are_refused_by_name() {
    let cases = [
        ("def run(): return 5", "returned `int`"),
        ("def run(): return {'a': 1}", "returned `dict`"),
        ("def run(): return [1]", "row 1 is `int`"),
        ("def run(): return [{'p': 1}, {'p': 'x'}]", "column `p` holds int before row 2 and text in it"),
        ("def run(): return [{'p': 2**63}]", "does not fit 64 bits"),
        ("def run(): return [{'p': object()}]", "a value of type `object`"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    for (code, text) in cases {
        let call = rows_of(code, host.scratch());
        let error = host.call(&call, &log()).await.expect_err(code);
        assert!(error.code() == "TM0708" && error.to_string().contains(text), "{code}: {error}");
    }
}

#[tokio::test]
async fn inputs_arrive_with_their_values() {
    let schema =
        Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true), Field::new("t", DataType::Utf8, true)]));
    let columns: [arrow::array::ArrayRef; 2] = [
        Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])),
        Arc::new(StringArray::from(vec![Some("a"), Some("ü"), None])),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns.to_vec()).expect("a batch");
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let rows = Rows::from_batches(schema, vec![batch.clone(), batch]);
    let input = write_input(host.scratch().join("in"), rows, host.arrow()).await.expect("a file");
    assert_eq!(input.rows, 6);
    let code = "def run(data):\n  rows = data.to_pylist() if hasattr(data, 'to_pylist') else list(data)\n  again = len(data) if hasattr(data, '__len__') else data.num_rows\n  return [again, rows[1], rows[2]]";
    let mut call = call(code, host.scratch());
    call.inputs.insert("data".to_owned(), input);
    let reply = host.call(&call, &log()).await.expect("a value");
    let Reply::Value(value) = reply else { panic!("rows") };
    assert_eq!(value, json!([6, {"n": null, "t": "ü"}, {"n": 3, "t": null}]));
}

#[tokio::test]
async fn a_table_goes_in_and_comes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut host = pool(folder.path()).acquire(&Limits::default()).await.expect("a host");
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![Arc::new(Int64Array::from_iter_values(0..10_000))])
        .expect("a batch");
    let rows_in = Rows::from_batches(schema, vec![batch]);
    let mut call = rows_of("def run(data): return data", host.scratch());
    call.inputs.insert(
        "data".to_owned(),
        write_input(host.scratch().join("in"), rows_in, host.arrow()).await.expect("a file"),
    );
    let Reply::Rows(written) = host.call(&call, &log()).await.expect("rows") else { panic!("a value") };
    let batches = rows(&written).expect("readable").collect().await.expect("batches");
    let sum: i64 = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).sum();
    assert_eq!((written.rows, sum), (10_000, 49_995_000));
}

#[tokio::test]
async fn a_thousand_warm_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(folder.path());
    drop(pool.acquire(&Limits::default()).await.map(|host| pool.release(host)));
    let log = log();
    let start = Instant::now();
    for index in 0..1_000 {
        let mut host = pool.acquire(&Limits::default()).await.expect("a host");
        let mut call = call("def run(i): return i + 1", host.scratch());
        call.args.insert("i".to_owned(), json!(index));
        let reply = host.call(&call, &log).await.expect("a value");
        assert!(matches!(reply, Reply::Value(v) if v == json!(index + 1)));
        pool.release(host);
    }
    println!("timed: 1,000 warm Python calls: {:.3} ms each", start.elapsed().as_secs_f64());
}
