//! A definition as large as definitions get.

use std::{fmt::Write, fs, time::Instant};

use tidemill_stories::Project;

#[test]
fn ten_thousand_tasks_are_proved() {
    let project = Project::examples();
    let mut text = String::from("pipeline: large\ntasks:\n");
    for n in 0..5_000 {
        writeln!(
            text,
            "  t{n}:\n    sql: |\n      SELECT carrier, name AS name_{n} FROM nyc.airlines WHERE carrier <> '{n}'\n  \
             l{n}:\n    load: {{input: t{n}, connection: out, table: copy_{n}, mode: replace}}"
        )
        .expect("memory suffices");
    }
    fs::write(project.path().join("large.yaml"), &text).expect("a file");
    let begun = Instant::now();
    let said = project.run(&["validate", "large.yaml"]);
    let took = begun.elapsed();
    assert_eq!(said.code, 0, "{}{}", said.out, said.err);
    println!("timed: `tidemill validate` of 10,000 tasks, half of them SQL that is typed: {took:?}");

    let wrong = text.replace("name AS name_4321", "nam AS name_4321");
    fs::write(project.path().join("large.yaml"), &wrong).expect("a file");
    let said = project.run(&["validate", "large.yaml"]);
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.err.contains("t4321") && said.err.contains("nam"), "{}", said.err);
}
