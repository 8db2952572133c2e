use crate::place::{Place, parquet_rows};

#[test]
fn a_sentence_becomes_a_finished_run() {
    let place = Place::new();
    let gave = place.run(&["ask", "number of orders per country", "--yes"]).exits(0);
    for text in ["Understood", "Definition", "pipeline:", "┌─", "succeeded", "written to"] {
        assert!(gave.stdout.contains(text), "{text} in\n{}", gave.stdout);
    }
    let table = std::fs::read_dir(place.path("out")).expect("a result").next().expect("a table").expect("readable");
    assert!(parquet_rows(&table.path()) >= 2);
    let run = place.run(&["runs", "--json"]).exits(0).json();
    assert_eq!(run[0]["trigger"], "ask");
}

#[test]
fn without_a_terminal_it_only_proposes() {
    let place = Place::new();
    place.run(&["ask", "number of orders per country"]).exits(0).says("pipeline:").says("nothing was run");
    place.run(&["runs"]).exits(0).says("no runs yet");
    let json = place.run(&["ask", "number of orders per country", "--json"]).exits(0).json();
    assert_eq!(json["ran"], false);
    place.run(&["ask", "number of orders per country", "--save", "pipelines/n.yaml"]).exits(0).says("saved as");
    place.run(&["validate", "pipelines/n.yaml"]).exits(0);
    place.run(&["ask", "number of orders per country", "--save", "pipelines/n.yaml"]).exits(2).says("error[TM0913]");
}

#[test]
fn what_is_not_understood_is_said_word_for_word() {
    let place = Place::new();
    place.run(&["ask", "number of flurbs per country", "--yes"]).exits(4).says("flurbs").says("error[TM10");
    let list = place.run(&["ask", "number of flurbs per country", "--json"]).exits(4).json();
    assert!(list[0]["code"].as_str().is_some_and(|c| c.starts_with("TM10")), "{list}");
    place.run(&["runs"]).exits(0).says("no runs yet");
}
