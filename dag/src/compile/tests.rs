use super::*;
use crate::{
    codes::{tm01, tm03, tm04},
    diagnostic::Severity,
    graph::{Edge, Why},
    id::Ordinal,
    plan::Relation,
};

fn known() -> Known {
    let tables = ["orders", "countries", "public.orders"].map(str::to_owned).to_vec();
    Known {
        connections: [
            ("shop".to_owned(), KnownConnection { kind: "files".to_owned(), tables: Some(tables) }),
            ("out".to_owned(), KnownConnection { kind: "files".to_owned(), tables: None }),
        ]
        .into(),
        ..Known::default()
    }
}

fn compile(tasks: &str) -> Compiled {
    let text =
        format!("pipeline: p\nparams: {{n: {{type: integer, default: 1}}, full: {{type: boolean}}}}\ntasks:\n{tasks}");
    read(&text, &known()).unwrap_or_else(|problems| panic!("{text}\n{problems:#?}"))
}

fn codes(text: &str) -> Vec<&'static str> {
    read(text, &known()).expect_err("wrong").into_iter().map(|problem| problem.code).collect()
}

fn edge(from: &str, to: &str, why: Why) -> Edge {
    Edge { from: from.to_owned(), to: to.to_owned(), why }
}

#[test]
fn views_fold_into_their_only_reader() {
    let compiled = compile(
        "  raw: {extract: {connection: shop, table: orders}}
  clean: {sql: SELECT * FROM raw WHERE x > 0}
  total: {sql: 'SELECT count(*) FROM clean, shop.countries'}
  store: {load: {input: total, connection: out, table: t}}
",
    );
    let [store] = compiled.plan.tasks.as_slice() else { panic!("one task: {:#?}", compiled.plan) };
    let views: Vec<_> = store.views.iter().map(|view| view.name.as_str()).collect();
    assert_eq!((store.name.as_str(), views), ("store", vec!["raw", "clean", "total"]));
    let table = |name: &str| Relation::Table {
        connection: "shop".to_owned(),
        table: name.to_owned(),
        written: format!("shop.{name}"),
    };
    let view = |name: &str| Relation::View { name: name.to_owned() };
    assert_eq!(store.reads, [table("orders"), view("raw"), view("clean"), table("countries"), view("total")]);
    assert_eq!(
        compiled.graph.edges(),
        [edge("raw", "clean", Why::Sql), edge("clean", "total", Why::Sql), edge("total", "store", Why::Input)]
    );
}

#[test]
fn what_two_read_or_somebody_checks_is_written_down() {
    let compiled = compile(
        "  out_a: {load: {input: sane, connection: out, table: a}}
  raw: {extract: {connection: shop, table: orders}}
  total: {sql: SELECT * FROM raw}
  sane: {check: {input: total, expect: [{not_null: x}]}}
  other: {sql: SELECT * FROM sane}
",
    );
    let names: Vec<_> = compiled.plan.tasks.iter().map(|task| task.name.as_str()).collect();
    assert_eq!(names, ["total", "sane", "out_a", "other"]);
    let total = Relation::Task { name: "sane".to_owned(), ordinal: Ordinal(0) };
    assert_eq!(compiled.plan.tasks[2].reads, [total]);
    assert_eq!(compiled.plan.tasks[2].needs, [Ordinal(0), Ordinal(1)]);
    assert_eq!(compiled.plan.readers()[0], [Ordinal(1), Ordinal(2), Ordinal(3)]);
}

#[test]
fn a_check_that_sets_rows_aside_gives_its_own_rows() {
    let compiled = compile(
        "  raw: {extract: {connection: shop, table: orders}}
  sane: {check: {input: raw, expect: [{not_null: x}], on_fail: quarantine}}
  after: {sql: SELECT * FROM sane}
",
    );
    let passed = Relation::Task { name: "sane".to_owned(), ordinal: Ordinal(1) };
    assert_eq!(compiled.plan.tasks[2].reads, [passed]);
    assert_eq!(compiled.plan.tasks[2].needs, [Ordinal(1)]);
}

#[test]
fn own_settings_make_a_task_of_its_own() {
    let compiled = compile(
        "  raw: {extract: {connection: shop, table: orders}, retries: 5}
  total: {sql: SELECT * FROM raw}
",
    );
    assert_eq!(compiled.plan.tasks.len(), 2);
    assert_eq!(compiled.plan.tasks[0].task.retries, Some(5));
}

#[test]
fn needs_of_a_view_are_its_readers() {
    let compiled = compile(
        "  first: {wait: {for: 1s}}
  raw: {extract: {connection: shop, table: orders}, needs: [first]}
  total: {sql: SELECT * FROM raw}
",
    );
    assert_eq!(compiled.plan.tasks[1].name, "total");
    assert_eq!(compiled.plan.tasks[1].needs, [Ordinal(0)]);
}

#[test]
fn every_branch_of_a_template_is_looked_into() {
    let compiled = compile(
        "  a: {extract: {connection: shop, table: orders}, materialize: dataset}
  b: {extract: {connection: shop, table: orders}, materialize: dataset}
  c: {extract: {connection: shop, table: orders}, materialize: dataset}
  d: {sql: 'SELECT 1 AS x {% if params.full %}FROM a{% elif params.n > 3 %}{% if params.n == 4 %}FROM b{% else %}FROM shop.countries{% endif %}{% else %}{% for i in [1] %}FROM c{% endfor %}{% endif %}'}
",
    );
    let d = &compiled.plan.tasks[3];
    assert_eq!(d.needs, [Ordinal(0), Ordinal(1), Ordinal(2)]);
    assert_eq!(d.reads.len(), 4);
}

#[test]
fn templates_make_edges() {
    let compiled = compile(
        "  count: {python: {code: 'def run(): return 1'}}
  a: {sql: 'SELECT {{ tasks.count.result.n }} AS x'}
  b: {wait: {for: 1s}, when: tasks.a.rows > 0}
",
    );
    assert_eq!(compiled.graph.edges(), [edge("count", "a", Why::Template), edge("a", "b", Why::Template)]);
}

#[test]
fn layout_and_comments_do_not_change_the_version() {
    let a = compile("  a: {sql: 'SELECT 1', retries: 2}\n");
    let b = compile("  a: # a comment\n    retries: 2\n    sql: |-\n      SELECT 1\n");
    let c = compile("  a: {sql: 'SELECT 2', retries: 2}\n");
    assert_eq!(a.version, b.version);
    assert_ne!(a.version, c.version);
    assert_eq!(a.version.0.len(), 64);
    let again = from_pipeline(a.pipeline.clone(), &known()).expect("the same");
    assert_eq!((again.version, again.plan), (a.version, a.plan));
}

#[test]
fn json_is_read_too() {
    let json = "{\n\t\"pipeline\": \"p\",\n\t\"tasks\": {\"a\": {\"sql\": \"SELECT 1 \\u00e4 \\ud83d\\ude00\"}}\n}";
    let problems = read(json, &known()).expect_err("the SQL is wrong");
    assert_eq!(problems[0].code, tm03::SQL_SYNTAX);
    let json = "\u{feff}{\n\t\"pipeline\": \"p\",\n\t\"tasks\": {\"a\": {\"sql\": \"SELECT 1\"}}\n}";
    assert!(read(json, &known()).is_ok());
}

#[test]
fn huge_and_broken_bytes_are_refused_at_once() {
    let huge = vec![b'a'; 50_000_000];
    let problems = read_bytes(&huge, &known()).expect_err("too large");
    assert_eq!(problems[0].code, tm01::TOO_LARGE);
    let problems = read_bytes(b"pipeline: p\ntasks:\n  a: {sql: SELECT '\xe4'}\n", &known()).expect_err("Latin 1");
    assert_eq!((problems[0].code, problems[0].place.line, problems[0].place.column), (tm01::NOT_UTF8, 3, 20));
    let problems = read_bytes(b"\xff\xfep\0i\0", &known()).expect_err("UTF-16");
    assert!(problems[0].message.contains("UTF-16"));
}

#[test]
fn bombs_do_not_go_off() {
    let mut aliases = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let list = vec![format!("*a{}", level - 1); 10].join(", ");
        aliases.push_str(&format!("a{level}: &a{level} [{list}]\n"));
    }
    assert_eq!(codes(&aliases), [tm01::ALIAS_LIMIT]);
    assert_eq!(codes(&format!("a: {}{}", "[".repeat(100), "]".repeat(100))), [tm01::TOO_DEEP]);
    assert_eq!(codes(&format!("a: {}{}", "[".repeat(100_000), "]".repeat(100_000))), [tm01::TOO_DEEP]);
    assert_eq!(codes("a: &x [*x]"), [tm01::ALIAS_LIMIT]);
}

#[test]
fn a_cycle_of_ten_thousand_is_one_report() {
    let mut text = "pipeline: p\ntasks:\n".to_owned();
    for n in 0..10_000 {
        text.push_str(&format!("  t{n}: {{sql: SELECT * FROM t{}}}\n", (n + 1) % 10_000));
    }
    let found = codes(&text);
    assert_eq!(found, [tm04::CYCLE]);
}

#[test]
fn warnings_do_not_stop_a_definition() {
    let compiled = compile("  a: {wait: {file: x}}\n");
    assert_eq!(compiled.warnings.len(), 1);
    assert_eq!(compiled.warnings[0].severity, Severity::Warning);
}

/// A definition of ten thousand tasks is proved while somebody waits for it.
#[test]
fn ten_thousand_tasks_are_quick() {
    let mut text = "pipeline: big\nparams: {low: {type: integer, default: 0}}\ntasks:\n".to_owned();
    for n in 0..2_500 {
        text.push_str(&format!("  raw_{n}:\n    extract: {{connection: shop, table: orders, columns: [id, total]}}\n"));
        text.push_str(&format!("  sum_{n}:\n    sql: |\n      SELECT id, sum(total) AS total FROM raw_{n}\n      WHERE total >= {{{{ params.low }}}} GROUP BY id\n"));
        text.push_str(&format!(
            "  ok_{n}:\n    check: {{input: sum_{n}, expect: [{{not_null: [id]}}, {{unique: id}}]}}\n"
        ));
        text.push_str(&format!(
            "  put_{n}:\n    load: {{input: ok_{n}, connection: out, table: t_{n}, mode: merge, key: [id]}}\n"
        ));
    }
    let prove = || read(&text, &known()).unwrap_or_else(|problems| panic!("{:#?}", &problems[..1]));
    // The best of some tries: how fast this is must not depend on what else the machine does.
    let (took, compiled) = (0..3)
        .map(|_| {
            let begun = std::time::Instant::now();
            let compiled = prove();
            (begun.elapsed(), compiled)
        })
        .min_by_key(|(took, _)| *took)
        .expect("three tries");
    println!("timed: a definition of 10,000 tasks, {} bytes: {took:?}", text.len());
    assert_eq!(compiled.plan.tasks.len(), 7_500);
    assert!(took.as_secs() < 5, "{took:?}");
}

/// Neither do ten thousand mistakes keep anybody waiting.
#[test]
fn ten_thousand_mistakes_are_quick() {
    let mut text = "pipeline: big\ntasks:\n".to_owned();
    for n in 0..10_000 {
        text.push_str(&format!(
            "  t{n}: {{sql: 'SELECT * FROM u{n} WHERE x > {{{{ tasks.v{n}.rows }}}}', needs: [w{n}]}}\n"
        ));
    }
    let begun = std::time::Instant::now();
    let problems = read(&text, &known()).expect_err("all wrong");
    let took = begun.elapsed();
    println!("timed: 30,000 mistakes: {took:?}");
    assert_eq!(problems.len(), 30_000);
    assert!(took.as_secs() < 30, "{took:?}");
}

/// Texts made to be slow are not.
#[test]
fn hostile_texts_are_quick() {
    let begun = std::time::Instant::now();
    let dollars = "${".repeat(500_000);
    let tags = "{%".repeat(500_000);
    let names = (0..20_000).map(|n| format!("t{n}")).collect::<Vec<_>>().join(", ");
    for sql in [dollars.as_str(), &tags, &format!("{{% raw %}}{tags}"), &format!("SELECT 1 FROM {names}")] {
        let text = serde_json::json!({"pipeline": "p", "tasks": {"a": {"sql": sql}}}).to_string();
        assert!(read(&text, &known()).is_err());
    }
    assert!(begun.elapsed().as_secs() < 30, "{:?}", begun.elapsed());
}

/// What the wrong definitions below `tests/wrong` are compiled against.
fn project() -> Known {
    let files = |tables: Option<&[&str]>| KnownConnection {
        kind: "files".to_owned(),
        tables: tables.map(|tables| tables.iter().map(|table| (*table).to_owned()).collect()),
    };
    Known {
        connections: [
            ("shop".to_owned(), files(Some(&["orders", "customers", "Items"]))),
            ("warehouse".to_owned(), files(None)),
        ]
        .into(),
        pools: Some([("gpu".to_owned(), 2), ("warehouse".to_owned(), 4)].into()),
        ..Known::default()
    }
}

fn report(path: &std::path::Path) -> String {
    let bytes = std::fs::read(path).expect("a readable file");
    let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
    let findings = match read_bytes(&bytes, &project()) {
        Ok(compiled) => compiled.warnings,
        Err(problems) => problems,
    };
    findings.iter().map(|finding| finding.render(name) + "\n").collect()
}

/// Every wrong definition has its report beside it; `UPDATE_GOLDEN=1` writes the reports anew, to be read.
#[test]
fn wrong_definitions_get_their_reports() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wrong");
    let mut wrong: Vec<_> = std::fs::read_dir(&folder)
        .expect("tests/wrong is there")
        .map(|entry| entry.expect("a readable entry").path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "yaml" || kind == "json"))
        .collect();
    wrong.sort();
    assert!(wrong.len() >= 45, "{} wrong definitions", wrong.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut differences = Vec::new();
    for path in wrong {
        let found = report(&path);
        assert!(!found.is_empty(), "{} is not wrong", path.display());
        let golden = path.with_extension("txt");
        if update {
            std::fs::write(&golden, &found).expect("a writable folder");
        } else if std::fs::read_to_string(&golden).unwrap_or_default() != found {
            differences.push(format!("{}:\n{found}", path.display()));
        }
    }
    assert!(differences.is_empty(), "reports differ:\n{}", differences.join("\n"));
}

/// Nothing that the text holds hides a second thing that is wrong.
#[test]
fn every_section_is_read_though_others_are_wrong() {
    let text = "
pipeline: Wrong Name
triggers: [{cron: '61 * * * *'}]
params: {a: {type: strin}}
concurrency: {max_runs: 0}
defaults: {retries: many}
colour: blue
tasks:
  a: {extract: {connection: shp, table: orders}, timeout: 5}
  b: {sql: SELECT * FROM aa, retires: 1}
  c: {check: {input: b, expect: [{not_nul: x}, {unique: []}]}}
  d: {}
  e: {load: {input: x, connection: out, table: t, mode: merge}}
";
    let mut found = codes(text);
    found.sort_unstable();
    let expected = [
        "TM0109", "TM0109", "TM0109", "TM0111", "TM0112", "TM0113", "TM0115", "TM0119", "TM0121", "TM0122", "TM0126",
        "TM0201", "TM0202", "TM0203", "TM0205",
    ];
    assert_eq!(found, expected);
}
