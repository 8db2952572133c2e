//! Every command of the README runs, and the first one ends with the truth in a Parquet file.

use tidemill_stories::{Project, oracle, root, rows};

fn commands() -> Vec<String> {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.flat_map(str::lines).map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Splits like a shell does for what the README uses: words, and words in double quotes.
fn words(command: &str) -> Vec<String> {
    let outside_and_inside = command.split('"').enumerate();
    outside_and_inside
        .flat_map(|(n, part)| match n % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

#[test]
fn the_first_command_ends_with_the_truth() {
    let first = commands().remove(0);
    let words = words(first.strip_prefix("cargo run --quiet -- --project examples ").expect("it builds and runs"));
    let project = Project::examples();
    let folder = project.path().to_str().expect("a plain path");
    let mut args = vec!["--project", folder];
    args.extend(words.iter().map(String::as_str));
    let said = project.run(&args).ok();
    let tables: Vec<_> = std::fs::read_dir(project.path().join("out"))
        .expect("something was loaded")
        .map(|entry| entry.expect("a table").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(tables.len(), 1, "{tables:?}\n{}", said.out);
    let truth = oracle(&["SELECT carrier, avg(dep_delay) FROM flights GROUP BY carrier".to_owned()]);
    assert!(rows::same(&rows::cells_of_objects(&project.loaded(&tables[0])), &rows::cells_of_arrays(&truth[0])));
    assert!(said.out.contains(".parquet"), "where the file lies is not said:\n{}", said.out);
}

#[test]
fn the_second_command_is_what_ci_calls() {
    assert_eq!(commands()[1], "tests/run");
    let ci = std::fs::read_to_string(root().join(".ci/run")).expect("CI has a script");
    assert!(ci.contains("exec tests/run"));
}

#[test]
fn every_other_command_works() {
    let project = Project::examples();
    let mut ran = 0;
    for command in &commands()[2..] {
        let words = words(command.strip_prefix("tidemill ").unwrap_or_else(|| panic!("not ours: {command}")));
        let said = project.run(&words.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(said.code, 0, "{command}\n{}\n{}", said.out, said.err);
        assert!(!said.out.trim().is_empty(), "{command} says nothing");
        ran += 1;
    }
    assert!(ran >= 8);
    println!("counted: {} README commands run", ran + 1);
}

#[test]
fn the_definition_shown_is_valid() {
    let readme = std::fs::read_to_string(root().join("README.md")).expect("there is a README");
    let yaml = readme.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a definition");
    let project = Project::examples();
    std::fs::write(project.path().join("shown.yaml"), yaml).expect("a file is written");
    project.run(&["validate", "shown.yaml"]).ok();
    project.run(&["run", "shown.yaml", "--json"]).ok();
    assert_eq!(project.loaded("delays").len(), 16);
}
