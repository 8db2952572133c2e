//! What leaves the platform, met by real readers: records in ClickHouse under the dashboard's own queries, metrics, events
//! in Kafka, and the charts.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidemill_stories::{Project, root};
use tidemill_testkit::{ClickHouseServer, KafkaServer, test_python};

fn add(project: &Project, section: &str) {
    let file = project.path().join("tidemill.yaml");
    let settings = std::fs::read_to_string(&file).expect("settings") + section;
    std::fs::write(&file, settings).expect("settings");
}

/// One request; the status and the body.
fn http(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("somebody listens");
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("written");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, body) = text.split_once("\r\n\r\n").expect("an answer of HTTP");
    let status = head.split(' ').nth(1).and_then(|it| it.parse().ok()).expect("a status");
    (status, body.to_owned())
}

#[test]
fn the_dashboard_shows_what_ran() {
    let server = ClickHouseServer::start();
    let project = Project::examples();
    add(&project, &format!("telemetry:\n  clickhouse: {{url: \"{}\"}}\n", server.url()));
    for pipeline in ["daily_revenue", "flights_per_carrier"] {
        project.run(&["run", &format!("pipelines/{pipeline}.yaml")]).ok();
    }
    let stats = project.run(&["stats", "--json"]).ok().json();
    assert_eq!(stats["pipelines"].as_array().map(Vec::len), Some(2), "{stats}");
    assert_eq!(
        (&stats["pipelines"][0]["pipeline"], &stats["pipelines"][0]["runs"]),
        (&json!("daily_revenue"), &json!(1))
    );
    project.run(&["stats"]).ok();

    let text = std::fs::read_to_string(root().join("charts/grafana/tidemill.json")).expect("the dashboard");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let address = server.url().replace("http://", "");
    for panel in panels {
        let sql = panel["targets"][0]["rawSql"].as_str().expect("a query");
        let sql = filled(sql);
        let (status, body) = http(&address, "POST", "/?default_format=JSONCompact", &sql);
        assert_eq!(status, 200, "{}: {body}\n{sql}", panel["title"]);
        let rows: Value = serde_json::from_str(&body).expect("JSON");
        assert!(rows["rows"].as_u64() > Some(0), "{} shows nothing: {sql}", panel["title"]);
    }
    println!("counted: {} panels of the dashboard show rows of real runs", panels.len());
}

/// A query as Grafana would send it.
fn filled(sql: &str) -> String {
    let mut text = sql.replace("$__interval_s", "60");
    while let Some(at) = text.find("$__timeFilter(") {
        let end = at + text[at..].find(')').expect("a closing one");
        let column = text[at + "$__timeFilter(".len()..end].to_owned();
        text.replace_range(at..=end, &format!("{column} >= now() - INTERVAL 1 DAY"));
    }
    assert!(!text.contains("$__"), "a macro is not known: {text}");
    text
}

#[test]
fn without_a_server_the_same_records_are_in_a_file() {
    let project = Project::examples();
    project.run(&["run", "pipelines/daily_revenue.yaml"]).ok();
    for _ in 0..2 {
        let stats = project.run(&["stats", "--json"]).ok().json();
        let of = &stats["pipelines"][0];
        assert_eq!((&of["pipeline"], &of["runs"], &of["runs_failed"]), (&json!("daily_revenue"), &json!(1), &json!(0)));
        assert!(of["tasks"].as_u64() >= Some(2) && of["run_p50"].as_u64() > Some(0), "{of}");
    }
    let sinks = project.run(&["events", "--json"]).ok().json();
    assert_eq!((&sinks[0]["name"], &sinks[0]["behind"]), (&json!("records"), &json!(0)));
    assert!(project.path().join(".tidemill/telemetry.db").is_file());
}

#[test]
fn a_server_shows_its_metrics() {
    let project = Project::examples();
    project.run(&["run", "pipelines/flights_per_carrier.yaml"]).ok();
    let server = project.serve("dev", &[]);
    let since = Instant::now();
    let text = loop {
        let (status, text) = http(server.address(), "GET", "/metrics", "");
        assert_eq!(status, 200);
        if text.contains("tidemill_run_duration_seconds_count") {
            break text;
        }
        assert!(since.elapsed() < Duration::from_secs(60), "the run never shows:\n{text}");
    };
    server.kill();
    for part in
        ["tidemill_database_up 1", "tidemill_tasks{state=\"ready\"} 0", "tidemill_events_behind{sink=\"records\"}"]
    {
        assert!(text.contains(part), "{part} in\n{text}");
    }
    assert!(text.contains("pipeline=\"flights_per_carrier\",state=\"succeeded\""), "{text}");
}

fn rendered(values: &Value) -> Value {
    let said = Command::new(test_python())
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("charts.py"))
        .arg(root().join("charts/tidemill"))
        .arg(values.to_string())
        .output()
        .expect("python runs");
    let err = String::from_utf8_lossy(&said.stderr);
    assert!(said.status.success(), "{err}");
    serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{}{err}", String::from_utf8_lossy(&said.stdout)))
}

#[test]
fn the_helm_chart_renders_what_kubernetes_takes() {
    let values = json!({
        "secrets": {"env": {"S3_SECRET_KEY": {"name": "s3", "key": "secret"}}},
        "worker": {"replicas": 7},
    });
    for values in [json!({}), values] {
        let all = rendered(&values);
        assert_eq!(all["lint"]["errors"], json!([]), "{}", all["lint"]);
        let objects = all["objects"].as_array().expect("objects");
        let parts: Vec<&Value> = objects.iter().filter(|it| it["kind"] == "Deployment").collect();
        assert_eq!(parts.len(), 3, "API, scheduler and worker");
        for part in parts {
            let pod = &part["spec"]["template"]["spec"];
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            let container = &pod["containers"][0];
            assert_eq!(container["securityContext"]["allowPrivilegeEscalation"], false);
            assert_eq!(container["livenessProbe"]["httpGet"]["path"], "/healthz");
            assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
            assert!(container["resources"]["requests"]["memory"].is_string());
            let env = container["env"].as_array().expect("variables");
            assert!(
                env.len() >= 2 && env.iter().all(|it| it["valueFrom"]["secretKeyRef"]["key"].is_string()),
                "{env:?}"
            );
        }
        // Callers reach the API, and nothing else, through its service.
        let service = objects.iter().find(|it| it["kind"] == "Service" && it["metadata"]["name"] == "demo-api");
        let service = &service.expect("a service of the API")["spec"];
        let server = objects.iter().find(|it| it["kind"] == "Deployment" && it["metadata"]["name"] == "demo-server");
        let template = &server.expect("the API")["spec"]["template"];
        for (label, value) in service["selector"].as_object().expect("labels") {
            assert_eq!(template["metadata"]["labels"][label], *value, "{label}");
        }
        let container = &template["spec"]["containers"][0];
        let port = container["ports"].as_array().expect("ports").iter().find(|it| it["name"] == "api").expect("a port");
        assert_eq!(service["ports"][0]["targetPort"], "api");
        let listens = format!("0.0.0.0:{}", port["containerPort"]);
        assert!(container["args"].as_array().expect("words").contains(&json!(listens)), "{}", container["args"]);
        // The settings that the chart writes are ones that the program reads.
        let settings = objects.iter().find(|it| it["kind"] == "ConfigMap").expect("settings");
        let project = tempfile::tempdir().expect("a folder");
        let text = settings["data"]["tidemill.yaml"].as_str().expect("text");
        std::fs::write(project.path().join("tidemill.yaml"), text).expect("a file");
        Project::examples().run(&["-C", &project.path().display().to_string(), "config", "check"]).ok();
    }
}

/// Every leaf of a JSON value with its path.
fn leaves(value: &Value, path: String, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, inner)| leaves(inner, format!("{path}/{key}"), found)),
        leaf => found.push((path, leaf.clone())),
    }
}

#[test]
fn compose_repeats_no_default_of_the_program() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = |dir: &Path| {
        let said = Project::examples().run(&["-C", &dir.display().to_string(), "config", "print", "--json"]).ok();
        said.json()["settings"].clone()
    };
    std::fs::write(folder.path().join("tidemill.yaml"), "# nothing\n").expect("a file");
    let defaults = settings(folder.path());
    let compose = root().join("charts/compose");
    std::fs::copy(compose.join("tidemill.yaml"), folder.path().join("tidemill.yaml")).expect("a copy");
    let effective = settings(folder.path());
    let written: Value = parsed(&compose.join("tidemill.yaml"));
    let mut all = Vec::new();
    leaves(&written, String::new(), &mut all);
    assert!(all.len() >= 5, "{all:?}");
    for (path, value) in all {
        assert_eq!(effective.pointer(&path), Some(&value), "{path} is in effect");
        assert_ne!(defaults.pointer(&path), Some(&value), "{path} repeats the program's default");
    }
    // The commands and variables of the services are the program's own.
    let services = parsed(&compose.join("compose.yaml"));
    for part in ["server", "scheduler", "worker"] {
        let command = services["services"][part]["command"].as_array().expect("a command");
        assert!(command.contains(&json!(part)), "{command:?}");
        Project::examples().run(&[part, "--help"]).ok();
    }
}

/// A YAML file as JSON.
fn parsed(path: &Path) -> Value {
    let code = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let said = Command::new(test_python()).args(["-c", code]).arg(path).output().expect("python runs");
    serde_json::from_slice(&said.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&said.stderr)))
}

#[test]
fn the_alert_rules_are_what_prometheus_takes_and_fire_when_they_should() {
    let folder = root().join("charts/prometheus");
    let promtool = test_python().with_file_name("promtool");
    assert!(promtool.is_file(), "no promtool at {}: run `tests/install` first", promtool.display());
    for args in [["check", "rules", "tidemill.rules.yaml"], ["test", "rules", "tidemill.test.yaml"]] {
        let said = Command::new(&promtool).args(args).current_dir(&folder).output().expect("promtool runs");
        let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
        assert!(said.status.success(), "{text}");
    }
    // Every metric that a rule names is one that the program shows.
    let rules = std::fs::read_to_string(folder.join("tidemill.rules.yaml")).expect("rules");
    let source = std::fs::read_to_string(root().join("telemetry/src/metrics.rs")).expect("metrics");
    let names: Vec<&str> = rules
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("tidemill_"))
        .map(|word| word.trim_end_matches("_count"))
        .collect();
    assert!(names.len() >= 7);
    for name in names {
        assert!(source.contains(&format!("\"{name}\"")), "{name} is no metric of the program");
    }
}

/// Answers every request with 200 and hands its text on.
fn receiver() -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
    let (heard, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut text = Vec::new();
            let mut some = [0; 4_096];
            while !String::from_utf8_lossy(&text).ends_with('}') {
                let read = stream.read(&mut some).expect("bytes");
                text.extend_from_slice(&some[..read]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").expect("written");
            if heard.send(String::from_utf8_lossy(&text).into_owned()).is_err() {
                return;
            }
        }
    });
    (url, told)
}

#[test]
fn a_server_tells_kafka_and_webhooks() {
    const SECRET: &str = "STORY_HOOK_SECRET";
    let (url, told) = receiver();
    let kafka = KafkaServer::start();
    ["pipeline.events", "audit.events", "metrics.events"].iter().for_each(|topic| kafka.topic(topic));
    let project = Project::examples();
    let section = format!(
        "events:\n  kafka: {{brokers: \"{}\"}}\n  webhooks:\n    - {{name: ops, url: \"{url}\", secret: \"${{env:{SECRET}}}\"}}\n",
        kafka.address()
    );
    add(&project, &section);
    let server = project.serve("dev", &[(SECRET, "a-secret-of-the-story")]);
    let since = Instant::now();
    let sinks = |wanted: &dyn Fn(&[Value]) -> bool| loop {
        let all = project.run(&["events", "--json"]).ok().json();
        let all = all.as_array().expect("sinks").clone();
        if wanted(&all) {
            return all;
        }
        assert!(since.elapsed() < Duration::from_secs(120), "{all:?}");
    };
    // New sinks begin with what happens from then on.
    sinks(&|all| all.len() == 3);
    project.run(&["run", "pipelines/flights_per_carrier.yaml"]).ok();
    let text = told.recv_timeout(Duration::from_secs(60)).expect("the end of the run is told");
    assert!(text.contains("tidemill-signature: t=") && text.contains("\"type\":\"run.succeeded\""), "{text}");
    let all = sinks(&|all| all.iter().all(|sink| sink["behind"] == 0));
    assert!(all.iter().all(|sink| sink["failures"] == 0), "the broker has acknowledged everything: {all:?}");
    server.kill();
    assert_eq!(project.run(&["events", "--lost", "--json"]).ok().json(), json!([]));
}
