//! Every definition in `examples/pipelines` runs, and what it writes is what other code computes from the same files.

use tidemill_stories::{Project, oracle, root, rows};

/// Pipeline, table it writes, the truth in SQLite's words.
const TABLES: &[(&str, &str, &str)] = &[
    ("flights_per_carrier", "flights_per_carrier", "SELECT carrier, count(*) FROM flights GROUP BY carrier"),
    (
        "delays_by_airline",
        "delays_by_airline",
        "SELECT name, count(*), avg(dep_delay), avg(arr_delay) FROM flights LEFT JOIN airlines USING (carrier)
         GROUP BY name HAVING count(*) >= 100",
    ),
    ("clean_order_items", "clean_order_items", "SELECT * FROM order_items WHERE quantity >= 1"),
    (
        "daily_revenue",
        "daily_revenue",
        "SELECT date(ordered_at), country, sum(quantity * unit_price)
         FROM (SELECT DISTINCT * FROM orders WHERE status <> 'cancelled')
         JOIN customers USING (customer_id) JOIN order_items USING (order_id) WHERE quantity > 0 GROUP BY 1, 2",
    ),
    (
        "windy_hours",
        "windy_hours",
        "SELECT origin, (wind_speed >= 1) + (wind_speed >= 4) + (wind_speed >= 8) + (wind_speed >= 13)
                      + (wind_speed >= 19) + (wind_speed >= 25) + (wind_speed >= 32) + (wind_speed >= 39)
                      + (wind_speed >= 47) + (wind_speed >= 55) + (wind_speed >= 64) + (wind_speed >= 73) AS force, count(*)
         FROM weather WHERE wind_speed IS NOT NULL GROUP BY 1, 2",
    ),
    ("orders_history", "orders_history", "SELECT * FROM orders WHERE status = 'shipped'"),
    ("report_or_alarm", "origin_delays", "SELECT origin, avg(dep_delay) FROM flights GROUP BY origin"),
    ("wait_a_moment", "biggest_planes", "SELECT manufacturer, max(seats) FROM planes GROUP BY manufacturer"),
    (
        "worst_carriers",
        "worst_carriers",
        "SELECT origin, place, carrier, late FROM (
           SELECT origin, dense_rank() OVER (ORDER BY origin) - 1 AS place, carrier, avg(dep_delay) AS late,
                  row_number() OVER (PARTITION BY origin ORDER BY avg(dep_delay) DESC, carrier) AS n
           FROM flights GROUP BY origin, carrier) WHERE n <= 3",
    ),
    ("wait_for_the_planes", "planes_per_engine", "SELECT engine, count(*) FROM planes GROUP BY engine"),
    ("wait_a_moment", "airports_per_zone", "SELECT tzone, count(*) FROM airports GROUP BY tzone"),
];

fn run(project: &Project, pipeline: &str) -> tidemill_stories::Said {
    project.run(&["run", &format!("pipelines/{pipeline}.yaml"), "--json"])
}

#[test]
fn every_example_validates_and_writes_the_truth() {
    let project = Project::examples();
    project.run(&["validate", "pipelines"]).ok();
    let mut files: Vec<_> = std::fs::read_dir(root().join("examples/pipelines"))
        .expect("examples are there")
        .map(|entry| entry.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    files.sort();
    assert!(files.len() >= 8, "{files:?}");
    for file in &files {
        let said = run(&project, file).ok().json();
        assert_eq!(said["run"]["state"], "succeeded", "{file}: {said}");
    }
    let truths = oracle(&TABLES.iter().map(|(_, _, sql)| (*sql).to_owned()).collect::<Vec<_>>());
    for ((pipeline, table, _), truth) in TABLES.iter().zip(truths) {
        let got = rows::cells_of_objects(&project.loaded(table));
        let wanted = rows::cells_of_arrays(&truth);
        assert!(
            !wanted.is_empty() && rows::same(&got, &wanted),
            "{pipeline}: {:?} is not {:?}",
            got.first(),
            wanted.first()
        );
    }
    println!("counted: {} example pipelines run, {} tables equal to the oracle's", files.len(), TABLES.len());
}

#[test]
fn appending_twice_puts_the_rows_on_top() {
    let project = Project::examples();
    run(&project, "orders_history").ok();
    let once = project.loaded("orders_history").len();
    project.run(&["run", "pipelines/orders_history.yaml", "--param", "status=returned", "--json"]).ok();
    let twice = project.loaded("orders_history");
    let returned = oracle(&["SELECT order_id FROM orders WHERE status = 'returned'".to_owned()]);
    assert_eq!(twice.len(), once + returned[0].len());
}

#[test]
fn a_failed_check_holds_the_report_back_and_raises_the_alarm() {
    let project = Project::examples();
    let said = project.run(&["run", "pipelines/report_or_alarm.yaml", "--param", "max_delay=1", "--json"]);
    assert_eq!(said.code, 1, "{}", said.err);
    let answer = said.json();
    let state = |task: &str| {
        let tasks = answer["tasks"].as_array().expect("tasks are listed");
        tasks.iter().find(|t| t["name"] == task).unwrap_or_else(|| panic!("no {task}: {answer}"))["state"].clone()
    };
    assert_eq!(
        (state("good"), state("report"), state("alarm")),
        ("failed".into(), "upstream_failed".into(), "succeeded".into())
    );
    assert!(!project.path().join("out/origin_delays").exists(), "nothing of the report may be there");
}

#[test]
fn rows_that_make_no_sense_are_set_aside_with_a_reason() {
    let project = Project::examples();
    let answer = run(&project, "clean_order_items").ok().json();
    let tasks = answer["tasks"].as_array().expect("tasks are listed");
    let check = &tasks.iter().find(|task| task["name"] == "good_items").expect("the check ran")["output"]["check"];
    let bad = oracle(&["SELECT count(*) FROM order_items WHERE quantity < 1".to_owned()]);
    let bad = bad[0][0][0].as_u64().expect("a count");
    assert!(bad > 0);
    assert_eq!((&check["passed"], &check["results"][0]["violations"]), (&false.into(), &bad.into()), "{check}");
}
