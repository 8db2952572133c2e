use crate::place::Place;

#[test]
fn live_schemas_are_shown() {
    let place = Place::new();
    place.run(&["schema"]).exits(0).says("data.orders").says("country").says("inferred");
    let all = place.run(&["schema", "data.orders", "--json"]).exits(0).json();
    assert_eq!(all[0]["columns"][0]["name"], "id");
    assert_eq!(all[0]["inferred"], true);
    place.run(&["schema", "dota"]).exits(2).says("did you mean `data`?");
    place.run(&["schema", "data.order"]).exits(1).says("orders");
    let language = place.run(&["schema", "--json-schema"]).exits(0).json();
    assert!(language.get("properties").is_some_and(|p| p.get("tasks").is_some()), "{language}");
}

#[test]
fn inferred_types_are_written_down_for_review() {
    let place = Place::new();
    place.write(
        "tidemill.yaml",
        "# mine\nconnections:\n  data: {kind: files, path: data}\n  out: {kind: files, path: out} # results\n",
    );
    place.run(&["schema", "--write"]).exits(0).says("data.orders");
    let text = place.read("tidemill.yaml");
    assert!(text.starts_with("# mine\n") && text.contains("out} # results") && text.contains("total"), "{text}");
    let all = place.run(&["schema", "data.orders", "--json"]).exits(0).json();
    assert_eq!(all[0]["inferred"], false);
    place.run(&["schema", "--write"]).exits(0).says("nothing to write");
    assert_eq!(place.read("tidemill.yaml"), text);
}

#[test]
fn connections_are_probed() {
    let place = Place::new();
    place.run(&["connections"]).exits(0).says("data (files): ok, 1 tables");
    place.write(
        "tidemill.yaml",
        "connections:\n  data: {kind: files, path: data}\n  gone: {kind: files, path: nowhere/at/all}\n",
    );
    let probes = place.run(&["connections", "--json"]).json();
    assert_eq!(probes[0]["ok"], true);
    assert_eq!(probes[1]["name"], "gone");
}
