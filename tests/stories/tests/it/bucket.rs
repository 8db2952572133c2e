//! Data sets in a bucket instead of a folder: nothing else changes, whatever the server does now and then.

use std::process::Command;

use serde_json::Value;
use tidemill_stories::{Project, Said, oracle, rows};
use tidemill_testkit::{Conditions, S3Fault, S3Server};

const SECRET: &str = "STORY_S3_SECRET";

/// The example project with its data sets in a bucket.
fn in_bucket(server: &S3Server) -> Project {
    let project = Project::examples();
    let file = project.path().join("tidemill.yaml");
    let section = format!(
        "blobs:\n  kind: s3\n  bucket: {}\n  prefix: story\n  endpoint: {}\n  access_key: {}\n  secret_key: ${{env:{SECRET}}}\n",
        S3Server::BUCKET,
        server.endpoint(),
        S3Server::KEYS.0
    );
    let settings = std::fs::read_to_string(&file).expect("settings") + &section;
    std::fs::write(&file, settings).expect("settings");
    project
}

fn with_key(project: &Project, args: &[&str]) -> Command {
    let mut command = project.command(args);
    command.env(SECRET, S3Server::KEYS.1);
    command
}

fn say(project: &Project, args: &[&str]) -> Said {
    Said::of(with_key(project, args).output().expect("the binary starts"))
}

#[test]
fn a_pipeline_runs_over_a_bucket_as_over_a_folder() {
    let server = S3Server::start(Conditions::Kept);
    let project = in_bucket(&server);
    server.fail_next("PUT", [S3Fault::Busy, S3Fault::Busy, S3Fault::LoseAnswer]);
    server.fail_next("GET", [S3Fault::Busy, S3Fault::Cut(20)]);
    let said = say(&project, &["run", "pipelines/daily_revenue.yaml", "--json"]).ok();
    assert_eq!(said.json()["run"]["state"], "succeeded", "{}", said.out);
    assert_eq!(server.faults_left(), 0, "every fault was met on the way");
    let truth = "SELECT date(ordered_at), country, sum(quantity * unit_price)
         FROM (SELECT DISTINCT * FROM orders WHERE status <> 'cancelled')
         JOIN customers USING (customer_id) JOIN order_items USING (order_id) WHERE quantity > 0 GROUP BY 1, 2";
    let wanted = rows::cells_of_arrays(&oracle(&[truth.to_owned()])[0]);
    assert!(rows::same(&rows::cells_of_objects(&project.loaded("daily_revenue")), &wanted), "the rows differ");
    let local = project.path().join(".tidemill/blobs");
    assert!(!local.exists(), "nothing is kept in a folder");

    let files = say(&project, &["show", "last.revenue", "--links", "--json"]).ok().json();
    let link = files["files"][0]["link"].as_str().expect("a link");
    assert!(link.starts_with(&server.endpoint()) && link.contains("story/runs/run_"), "{link}");

    let would = say(&project, &["gc", "--dry-run", "--json"]).ok().json();
    assert_eq!((&would["blobs"], &would["runs_marked"]), (&Value::from(0), &Value::from(0)), "all of it is young");
    say(&project, &["gc"]).ok();
    println!("counted: {} requests to S3 for one run and three looks at it", server.requests());
}

#[test]
fn a_bucket_that_cannot_be_used_is_told_with_advice() {
    let server = S3Server::start(Conditions::Kept);
    let project = in_bucket(&server);
    let told = |key: Option<&str>| {
        let mut command = project.command(&["run", "pipelines/daily_revenue.yaml"]);
        match key {
            Some(key) => command.env(SECRET, key),
            None => command.env_remove(SECRET),
        };
        let said = Said::of(command.output().expect("the binary starts"));
        assert_eq!(said.code, 2, "{}{}", said.out, said.err);
        said.err
    };
    let denied = told(Some("not-the-key-at-all"));
    assert!(denied.contains("TM1422") && !denied.contains("not-the-key-at-all"), "{denied}");
    assert!(told(None).contains(SECRET), "the place is named");
    let printed = say(&project, &["config", "print"]).ok().out;
    assert!(!printed.contains(S3Server::KEYS.1) && printed.contains(SECRET), "{printed}");
}

#[test]
fn two_installations_do_not_share_a_prefix() {
    let server = S3Server::start(Conditions::Kept);
    let (one, two) = (in_bucket(&server), in_bucket(&server));
    say(&one, &["run", "pipelines/flights_per_carrier.yaml"]).ok();
    let refused = say(&two, &["run", "pipelines/flights_per_carrier.yaml"]);
    assert!(refused.code != 0 && refused.err.contains("TM1424"), "{}", refused.err);
    assert!(say(&two, &["gc"]).err.contains("TM1424"), "nothing of the other one is removed");
    say(&two, &["gc", "--adopt"]).ok();
    say(&two, &["run", "pipelines/flights_per_carrier.yaml"]).ok();
}
