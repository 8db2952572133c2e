//! English requests over the example data: each is solved, or refused with a reason; none is answered wrongly.

use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;
use tidemill_stories::{Project, oracle, root, rows};

struct Request {
    ask: String,
    truths: Vec<String>,
    refuse: bool,
    fails: bool,
    table: Option<String>,
    mode: Option<String>,
    crons: Vec<String>,
    timezone: Option<String>,
}

fn strings(node: &Yaml<'_>, key: &str) -> Vec<String> {
    match node.as_mapping_get(key) {
        None => Vec::new(),
        Some(value) => match value.as_str() {
            Some(text) => vec![text.to_owned()],
            None => value
                .as_sequence()
                .expect("a list")
                .iter()
                .filter_map(|item| item.as_str())
                .map(str::to_owned)
                .collect(),
        },
    }
}

fn requests() -> Vec<Request> {
    let text =
        std::fs::read_to_string(root().join("tests/suite/requests/requests.yaml")).expect("the requests are there");
    let documents = Yaml::load_from_str(&text).expect("the requests are YAML");
    documents[0]
        .as_sequence()
        .expect("a list of requests")
        .iter()
        .map(|node| Request {
            ask: strings(node, "ask").remove(0),
            truths: [strings(node, "sql"), strings(node, "accept")].concat(),
            refuse: node.as_mapping_get("refuse").is_some(),
            fails: node.as_mapping_get("fails").is_some(),
            table: strings(node, "table").pop(),
            mode: strings(node, "mode").pop(),
            crons: strings(node, "cron"),
            timezone: strings(node, "timezone").pop(),
        })
        .collect()
}

enum Verdict {
    Solved,
    Refused,
    Wrong(String),
}

fn judge(request: &Request, truths: &[Vec<Value>]) -> Verdict {
    let project = Project::examples();
    let said = project.run(&["ask", &request.ask, "--yes", "--json"]);
    let answer = said.json();
    if said.code == 4 {
        let reason =
            answer.as_array().is_some_and(|reasons| reasons.iter().any(|reason| reason["message"].is_string()));
        return if reason { Verdict::Refused } else { Verdict::Wrong("refused without a reason".into()) };
    }
    if request.refuse {
        return Verdict::Wrong(format!("answered what has no answer: {}", answer["proposal"]["definition"]));
    }
    if request.fails {
        let failed = said.code == 1 && answer["run"]["state"] == "failed";
        return if failed {
            Verdict::Solved
        } else {
            Verdict::Wrong(format!("should have failed, exit {}", said.code))
        };
    }
    if said.code != 0 {
        return Verdict::Wrong(format!("exit {}: {}", said.code, said.err));
    }
    let definition = answer["proposal"]["definition"].as_str().expect("what was run is told");
    let pipeline = &Yaml::load_from_str(definition).expect("a definition is YAML")[0];
    if let Some(fault) = schedule_fault(request, pipeline).or_else(|| load_fault(request, pipeline)) {
        return Verdict::Wrong(fault);
    }
    let table = answer["results"].as_array().and_then(|results| results.last()).expect("something was loaded");
    let table = table["table"].as_str().expect("a table has a name");
    let got = rows::cells_of_objects(&project.loaded(table.trim_start_matches("out.")));
    if truths.iter().any(|truth| rows::same(&got, &rows::cells_of_arrays(truth))) {
        Verdict::Solved
    } else {
        Verdict::Wrong(format!(
            "{} rows, first {:?}\n{}",
            got.len(),
            got.first(),
            answer["definition"].as_str().unwrap_or_default()
        ))
    }
}

fn loads<'a>(pipeline: &'a Yaml<'a>) -> Vec<&'a Yaml<'a>> {
    let tasks = pipeline.as_mapping_get("tasks").and_then(Yaml::as_mapping).expect("a pipeline has tasks");
    tasks.iter().filter_map(|(_, task)| task.as_mapping_get("load")).collect()
}

fn load_fault(request: &Request, pipeline: &Yaml<'_>) -> Option<String> {
    let loads = loads(pipeline);
    let has = |key: &str, wanted: &Option<String>| {
        let is = |load: &&Yaml<'_>, wanted: &str| load.as_mapping_get(key).and_then(Yaml::as_str) == Some(wanted);
        wanted.as_ref().is_none_or(|wanted| loads.iter().any(|load| is(load, wanted)))
    };
    (!has("table", &request.table) || !has("mode", &request.mode)).then(|| format!("loads elsewhere: {loads:?}"))
}

fn schedule_fault(request: &Request, pipeline: &Yaml<'_>) -> Option<String> {
    let trigger = pipeline.as_mapping_get("triggers").and_then(|triggers| triggers.as_sequence_get(0));
    let text = |key: &str| trigger.and_then(|trigger| trigger.as_mapping_get(key)).and_then(Yaml::as_str);
    let cron = request.crons.is_empty() || request.crons.iter().any(|cron| text("cron") == Some(cron));
    let unasked = request.crons.is_empty() && trigger.is_some();
    let zoned = request.timezone.as_deref().is_none_or(|wanted| wanted == text("timezone").unwrap_or("UTC"));
    (!cron || !zoned || unasked).then(|| format!("another schedule: {trigger:?}"))
}

#[test]
fn english_is_solved_or_refused_never_wrong() {
    let requests = requests();
    assert!(requests.len() >= 60, "only {} requests", requests.len());
    let queries: Vec<String> = requests.iter().flat_map(|request| request.truths.clone()).collect();
    let mut answers = oracle(&queries).into_iter();
    let (mut solved, mut refused, mut wrong) = (0, Vec::new(), Vec::new());
    for request in &requests {
        let truths: Vec<_> = answers.by_ref().take(request.truths.len()).collect();
        match judge(request, &truths) {
            Verdict::Solved => solved += 1,
            Verdict::Refused => refused.push((request.ask.as_str(), request.refuse)),
            Verdict::Wrong(why) => wrong.push(format!("`{}`: {why}", request.ask)),
        }
    }
    let rightly = refused.iter().filter(|(_, right)| *right).count();
    println!(
        "counted: {} English requests: {solved} solved, {} refused with a reason ({rightly} of them have no answer), {} wrong",
        requests.len(),
        refused.len(),
        wrong.len()
    );
    for (ask, _) in refused.iter().filter(|(_, right)| !right) {
        println!("refused though it has an answer: {ask}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(solved * 2 > requests.len(), "a planner that solves {solved} of {} is of no use", requests.len());
}
