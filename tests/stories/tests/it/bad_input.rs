//! Bad input gets one clear report: code, place, remedy; and nothing half-written stays.

use std::{fmt::Write, fs, time::Instant};

use tidemill_stories::{Project, Said};

/// A project whose `data/bad` holds one file of ours, and a pipeline that copies it.
fn with_file(name: &str, bytes: &[u8]) -> Project {
    let project = Project::examples();
    fs::create_dir(project.path().join("bad")).expect("a folder");
    fs::write(project.path().join("bad").join(name), bytes).expect("a file");
    let config = "connections:\n  bad: {kind: files, path: bad}\n  out: {kind: files, path: out}\n";
    fs::write(project.path().join("tidemill.yaml"), config).expect("a config");
    let pipeline = "pipeline: copy\ntasks:\n  all: {extract: {connection: bad, table: t}}\n  publish: {load: {input: all, connection: out, table: copy}}\n";
    fs::write(project.path().join("copy.yaml"), pipeline).expect("a pipeline");
    project
}

fn validate(project: &Project, text: &str) -> Said {
    fs::write(project.path().join("bad.yaml"), text).expect("a file");
    project.run(&["validate", "bad.yaml"])
}

#[track_caller]
fn tells(said: &Said, parts: &[&str]) {
    let text = format!("{}{}", said.out, said.err);
    assert!(said.code != 0, "it went through:\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    let coded =
        text.match_indices("TM").any(|(at, _)| text[at + 2..].bytes().take(4).filter(u8::is_ascii_digit).count() == 4);
    assert!(coded, "no code:\n{text}");
    for part in parts {
        assert!(text.contains(part), "`{part}` is not said:\n{text}");
    }
}

fn nothing_written(project: &Project) {
    let out = project.path().join("out/copy");
    let visible = out.join("_manifest.json").exists();
    assert!(!visible, "half a table is visible");
    if out.exists() {
        let left: Vec<_> = fs::read_dir(&out)
            .expect("it can be read")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| !name.starts_with('.') && !name.starts_with('_'))
            .collect();
        assert!(left.is_empty(), "{left:?} stayed");
    }
}

#[test]
fn a_missing_file_is_named() {
    let project = with_file("other.csv", b"a\n1\n");
    tells(&project.run(&["run", "copy.yaml"]), &["copy.yaml", "`t`"]);
    nothing_written(&project);
}

#[test]
fn a_wrong_encoding_is_told_with_its_line() {
    let project = with_file("t.csv", b"name,city\nada,Paris\nbob,M\xfcnchen\n");
    tells(&project.run(&["run", "copy.yaml"]), &["t.csv", "UTF-8", "3"]);
    nothing_written(&project);
}

#[test]
fn a_ragged_row_is_told_with_its_line() {
    let project = with_file("t.csv", b"a,b\n1,2\n3,4,5\n6,7\n");
    tells(&project.run(&["run", "copy.yaml"]), &["t.csv", "3"]);
    nothing_written(&project);
}

#[test]
fn a_column_that_changes_its_type_late_is_caught() {
    let mut text = String::from("id,amount\n");
    for n in 1..=100_000 {
        let amount = if n == 90_000 { "n/a".to_owned() } else { n.to_string() };
        writeln!(text, "{n},{amount}").expect("memory suffices");
    }
    let project = with_file("t.csv", text.as_bytes());
    let config = "connections:\n  bad: {kind: files, path: bad, tables: {t: {path: t.csv, columns: {id: int64, amount: int64}}}}\n  out: {kind: files, path: out}\n";
    fs::write(project.path().join("tidemill.yaml"), config).expect("a config");
    tells(&project.run(&["run", "copy.yaml"]), &["t.csv", "90001", "amount", "n/a"]);
    nothing_written(&project);
}

#[test]
fn a_compressed_file_that_is_cut_is_an_error() {
    let whole = fs::read(tidemill_stories::root().join("examples/data/nyc/weather.csv.gz")).expect("example data");
    let project = with_file("t.csv.gz", &whole[..whole.len() / 2]);
    tells(&project.run(&["run", "copy.yaml"]), &["t.csv.gz"]);
    nothing_written(&project);
}

#[test]
fn an_unreadable_definition_is_told() {
    let project = Project::examples();
    tells(&project.run(&["validate", "no_such_file.yaml"]), &["no_such_file.yaml"]);
    fs::write(project.path().join("latin.yaml"), b"pipeline: caf\xe9\n").expect("a file");
    tells(&project.run(&["validate", "latin.yaml"]), &["latin.yaml:1:", "UTF-8"]);
}

#[test]
fn an_endless_template_is_stopped() {
    let project = Project::examples();
    let text = "pipeline: endless\ntasks:\n  t:\n    shell:\n      command: [echo, \"{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(10000) %}x{% endfor %}{% endfor %}{% endfor %}\"]\n";
    fs::write(project.path().join("endless.yaml"), text).expect("a file");
    let began = Instant::now();
    tells(&project.run(&["run", "endless.yaml"]), &["template"]);
    assert!(began.elapsed().as_secs() < 60, "it ran for {:?}", began.elapsed());
}

#[test]
fn a_huge_definition_is_refused_before_it_is_read() {
    let project = Project::examples();
    let mut text = String::from("pipeline: huge\ntasks:\n");
    while text.len() < 50_000_000 {
        writeln!(text, "  t{}: {{sql: \"SELECT 1 AS a -- {}\"}}", text.len(), "x".repeat(1_000))
            .expect("memory suffices");
    }
    let began = Instant::now();
    tells(&validate(&project, &text), &["bad.yaml", "5000000"]);
    assert!(began.elapsed().as_secs() < 20, "it took {:?}", began.elapsed());
}

#[test]
fn a_cycle_is_drawn_whole() {
    let text = "pipeline: round\ntasks:\n  a: {sql: SELECT * FROM c}\n  b: {sql: SELECT * FROM a}\n  c: {sql: SELECT * FROM b}\n";
    tells(&validate(&Project::examples(), text), &["bad.yaml:", "circle", "a → b → c → a"]);
}

#[test]
fn a_secret_in_sql_is_refused() {
    let text = "pipeline: leak\ntasks:\n  a: {sql: \"SELECT '${env:HOME}' AS home\"}\n";
    let said = validate(&Project::examples(), text);
    tells(&said, &["bad.yaml:3:", "secret"]);
    let home = std::env::var("HOME").unwrap_or_default();
    assert!(home.len() < 2 || !said.out.contains(&home), "the value itself is shown:\n{}", said.out);
}

#[test]
fn all_errors_come_at_once_with_their_places() {
    let text = "pipeline: many\ntasks:\n  a: {sq: SELECT 1}\n  b: {sql: SELECT * FROM nyc.fligths}\n  c: {load: {input: bb, connection: oot, table: x}}\n";
    let said = validate(&Project::examples(), text);
    tells(&said, &["bad.yaml:3:", "bad.yaml:4:", "bad.yaml:5:", "`sql`", "flights", "`out`"]);
}

#[test]
fn an_unknown_column_is_found_without_reading_data() {
    let text = "pipeline: typo\ntasks:\n  a: {sql: SELECT carier FROM nyc.flights}\n";
    tells(&validate(&Project::examples(), text), &["bad.yaml:3:", "carier", "carrier"]);
}

#[test]
fn every_error_code_can_be_looked_up() {
    let project = Project::examples();
    let pages = fs::read_dir(tidemill_stories::root().join("docs/errors")).expect("there are pages");
    let mut seen = 0;
    for page in pages {
        let name = page.expect("a page").file_name().to_string_lossy().into_owned();
        if let Some(code) = name.strip_suffix(".md").filter(|code| code.starts_with("TM")) {
            let said = project.run(&["errors", code]).ok();
            assert!(said.out.contains(code), "{code}: {}", said.out);
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} pages");
}
