//! The planner as a whole: requests with their expected queries, definitions that must compile, and what
//! must never happen.

mod definitions;
mod hostile;
mod proved;

use tidemill_dag::compile::{Known, KnownConnection, read};

use crate::{Answer, Catalog, Options, Proposal, Refusal, plan, testdata::catalog};

/// The requests file: a request and what must come of it.
fn expected() -> Vec<(String, String)> {
    let text = include_str!("tests/requests.txt");
    let blocks = text.split("\n\n").filter(|block| block.starts_with("> "));
    blocks
        .map(|block| {
            let (request, rest) = block.split_once('\n').expect("a request and its answer");
            (request[2..].to_owned(), rest.trim_end().to_owned())
        })
        .collect()
}

fn answer(request: &str) -> Answer {
    plan(request, &catalog(), &Options::default())
}

fn proposed(request: &str) -> Proposal {
    match answer(request) {
        Answer::Proposed(proposal) => *proposal,
        Answer::Refused(refusal) => panic!("{request}: refused: {:?}", refusal.problems),
    }
}

fn refused(request: &str) -> Refusal {
    match answer(request) {
        Answer::Proposed(proposal) => panic!("{request}: not refused:\n{}", proposal.definition),
        Answer::Refused(refusal) => refusal,
    }
}

/// The query of a definition: the one block of SQL text.
fn query(definition: &str) -> String {
    let block = definition.split("sql: |\n").nth(1).expect("a block of SQL");
    let lines: Vec<&str> = block.lines().map_while(|line| line.strip_prefix("      ")).collect();
    lines.join("\n")
}

/// What a project with this catalog knows.
fn known(catalog: &Catalog) -> Known {
    let tables =
        |name: &String| catalog.tables.iter().filter(|t| t.connection == *name).map(|t| t.name.clone()).collect();
    let connection = |name: &String| {
        let tables = if name == "out" { None } else { Some(tables(name)) };
        (name.clone(), KnownConnection { kind: "files".to_owned(), tables })
    };
    Known { connections: catalog.connections.iter().map(connection).collect(), ..Known::default() }
}

fn assert_compiles(request: &str, definition: &str, catalog: &Catalog) {
    if let Err(problems) = read(definition, &known(catalog)) {
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        panic!("{request}\n{definition}\n{}", told.join("\n"));
    }
}

#[test]
fn requests_become_what_is_written_down() {
    let mut wrong = Vec::new();
    for (request, expected) in expected() {
        let got = match answer(&request) {
            Answer::Proposed(proposal) => query(&proposal.definition),
            Answer::Refused(refusal) => {
                refusal.problems.iter().map(|p| format!("! {} {}", p.code, p.words)).collect::<Vec<_>>().join("\n")
            }
        };
        if got.trim_end() != expected {
            wrong.push(format!("> {request}\nexpected:\n{expected}\ngot:\n{got}\n"));
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_definition_compiles() {
    let catalog = catalog();
    for (request, expected) in expected() {
        if !expected.starts_with('!') {
            assert_compiles(&request, &proposed(&request).definition, &catalog);
        }
    }
}

#[test]
fn the_same_request_gives_the_same_answer() {
    for (request, _) in expected().into_iter().step_by(10) {
        let text = |answer| serde_json::to_string::<Answer>(&answer).expect("an answer is JSON");
        assert_eq!(text(answer(&request)), text(answer(&request)));
    }
}

#[test]
fn what_is_nearest_can_be_planned() {
    let mut offered = 0;
    for (request, _) in expected() {
        if let Answer::Refused(Refusal { nearest: Some(nearest), .. }) = answer(&request) {
            offered += 1;
            proposed(&nearest);
        }
    }
    assert!(offered > 10, "only {offered} refusals offer something");
}

#[test]
fn a_refusal_quotes_the_request() {
    for (request, expected) in expected() {
        if expected.starts_with('!') {
            for problem in refused(&request).problems {
                assert!(request.contains(&problem.words), "{request}: {:?}", problem.words);
                assert!(!problem.why.is_empty());
            }
        }
    }
}

#[test]
fn misspelled_words_find_the_right_ones() {
    for (request, meant) in [
        ("average departure delay per carier", "carrier"),
        ("number of flihgts per carrier", "flights"),
        ("number of flights per manufactuer", "manufacturer"),
        ("avarage departure delay per carrier", "average"),
    ] {
        let refusal = refused(request);
        assert!(
            refusal.problems.iter().any(|p| p.choices.iter().any(|c| c == meant)),
            "{request}: {:?}",
            refusal.problems
        );
        assert!(refusal.nearest.as_deref().is_some_and(|n| n.contains(meant)), "{request}: {:?}", refusal.nearest);
    }
}

#[test]
fn both_readings_are_named() {
    for (request, readings) in [
        ("average delay per carrier", ["flights.dep_delay", "flights.arr_delay"]),
        ("number of flights per airport", ["flights.origin", "flights.dest"]),
        ("planes made by Airbus", ["\"AIRBUS\"", "AIRBUS INDUSTRIE"]),
    ] {
        let problems = refused(request).problems;
        for reading in readings {
            assert!(problems.iter().any(|p| p.choices.iter().any(|c| c == reading)), "{request}: {problems:?}");
        }
    }
}

#[test]
fn every_word_with_a_meaning_is_explained() {
    let proposal = proposed("top 10 destinations by number of flights from JFK in January 2013, save as busy");
    let words: Vec<&str> = proposal.explanation.iter().map(|m| m.words.as_str()).collect();
    let explained = |part: &str| words.iter().any(|w| w.contains(part));
    for part in ["top 10", "destinations", "number of flights", "JFK", "in January 2013", "save as busy"] {
        assert!(explained(part), "{part}: {words:?}");
    }
}
