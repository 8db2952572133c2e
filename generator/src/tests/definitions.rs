//! What stands around the query: names, targets, schedules, checks, retries.

use super::{assert_compiles, proposed, refused};
use crate::testdata::catalog;

fn assert_has(request: &str, parts: &[&str]) {
    let definition = proposed(request).definition;
    assert_compiles(request, &definition, &catalog());
    for part in parts {
        assert!(definition.contains(part), "{request}\nlacks {part}\n{definition}");
    }
}

#[test]
fn a_whole_definition_reads_well() {
    let definition = proposed("average departure delay per carrier, worst first").definition;
    assert_eq!(
        definition,
        r#"pipeline: avg_dep_delay_by_carrier
description: "average departure delay per carrier, worst first"
tasks:
  flights: {extract: {connection: nyc, table: flights}}
  avg_dep_delay_by_carrier:
    sql: |
      SELECT
        carrier,
        avg(dep_delay) AS avg_dep_delay
      FROM flights
      GROUP BY carrier
      ORDER BY avg_dep_delay DESC NULLS LAST, carrier NULLS LAST
  publish:
    load: {input: avg_dep_delay_by_carrier, connection: out, table: avg_dep_delay_by_carrier, mode: replace}
"#
    );
}

#[test]
fn schedules() {
    for (said, cron, zone) in [
        ("every weekday at 6 in Berlin, ", "0 6 * * 1-5", "Europe/Berlin"),
        ("hourly, ", "0 * * * *", "UTC"),
        ("on the first of each month at noon UTC, ", "0 12 1 * *", "UTC"),
        ("every day at 06:30 Europe/Berlin: ", "30 6 * * *", "Europe/Berlin"),
        ("every 15 minutes, ", "*/15 * * * *", "UTC"),
        ("run every Monday at 7am New York time: ", "0 7 * * 1", "America/New_York"),
        ("nightly at 2am UTC, ", "0 2 * * *", "UTC"),
        ("every Monday and Thursday at 18:05 in Tokyo, ", "5 18 * * 1,4", "Asia/Tokyo"),
        ("every 2 hours, ", "0 */2 * * *", "UTC"),
        ("at noon every day, ", "0 12 * * *", "UTC"),
        ("every evening at 8 in London, ", "0 20 * * *", "Europe/London"),
        ("on the 15th of every month at 3pm in Paris, ", "0 15 15 * *", "Europe/Paris"),
    ] {
        let request = format!("{said}number of flights per origin");
        assert_has(&request, &[&format!("cron: \"{cron}\""), &format!("timezone: {zone}")]);
    }
}

#[test]
fn a_schedule_that_cron_cannot_keep_is_refused() {
    for request in [
        "every 7 minutes, number of flights per origin",
        "every 5 hours, number of flights per origin",
        "every other day, number of flights per origin",
    ] {
        refused(request);
    }
}

#[test]
fn targets() {
    for (request, parts) in [
        ("save flights from JFK as jfk_flights", ["table: jfk_flights", "connection: out", "mode: replace"]),
        ("append orders since 2024-06-01 to history", ["table: history", "connection: out", "mode: append"]),
        ("load orders into out.orders_copy", ["table: orders_copy", "connection: out", "mode: replace"]),
        (
            "number of flights per day, append it to daily_counts in out",
            ["table: daily_counts", "connection: out", "mode: append"],
        ),
        (
            "flights from JFK, save as jfk in the out connection, replace",
            ["table: jfk", "connection: out", "mode: replace"],
        ),
        ("call it busy: number of flights per origin", ["pipeline: busy", "table: busy", "mode: replace"]),
        (
            "export airlines to a table called airline_names",
            ["table: airline_names", "connection: out", "mode: replace"],
        ),
    ] {
        assert_has(request, &parts);
    }
}

#[test]
fn a_target_said_twice_is_refused() {
    refused("save flights from JFK as a1, save it as b1");
    refused("save flights as csv");
}

#[test]
fn checks() {
    for (request, parts) in [
        (
            "fail if an email is missing: customers",
            ["- not_null: [email]", "on_fail: fail", "needs: [customers_rows_checked]"],
        ),
        (
            "load customers into c and set aside rows with a missing email",
            ["- not_null: [email]", "on_fail: quarantine", "input: c_clean"],
        ),
        (
            "make sure customer ids are unique in customers and load it into dim",
            ["- unique: [customer_id]", "on_fail: fail", "table: dim"],
        ),
        (
            "warn when a price is below 1: products",
            ["- between: {column: price, min: 1}", "on_fail: warn", "products_rows_watched"],
        ),
        (
            "make sure quantity is positive: order_items",
            ["- between: {column: quantity, min: 1}", "on_fail: fail", "needs"],
        ),
        (
            "check that product_id of order_items exists in products, load order_items",
            [
                "references: {column: product_id, to: products, to_column: product_id}",
                "on_fail: fail",
                "products: {extract",
            ],
        ),
        (
            "number of products per category and fail if there are fewer than 5 rows",
            ["- row_count: {min: 5}", "on_fail: fail", "needs"],
        ),
        (
            "make sure status is one of paid, shipped, returned or cancelled, load orders",
            [
                "accepted_values: {column: status, values: [paid, shipped, returned, cancelled]}",
                "on_fail: fail",
                "needs",
            ],
        ),
        (
            "fail if an order id appears twice or status is missing; load orders",
            ["- unique: [order_id]", "- not_null: [status]", "on_fail: fail"],
        ),
    ] {
        assert_has(request, &parts);
    }
}

#[test]
fn rows_are_set_aside_before_they_are_counted() {
    assert_has(
        "set aside order_items with a negative quantity, then total quantity per product_id",
        &[
            "order_items_clean:",
            "input: order_items",
            "- between: {column: quantity, min: 0}",
            "on_fail: quarantine",
            "FROM order_items_clean AS order_items",
        ],
    );
}

#[test]
fn what_cannot_be_set_aside_row_by_row_is_refused() {
    let problems = refused("set aside products where price is above 10 and category is Books, load products").problems;
    assert_eq!(problems[0].code, "TM1003", "{problems:?}");
}

#[test]
fn retries_and_timeouts() {
    assert_has("load customers and retry 3 times", &["defaults: {retries: 3}"]);
    assert_has("load customers with 2 retries", &["defaults: {retries: 2}"]);
    assert_has("load customers, retry up to 5 times, 10 minutes apart", &["retries: 5", "initial: 600s"]);
    assert_has("load customers, time out after 10 minutes", &["timeout: 600s"]);
}

#[test]
fn assumptions_are_told() {
    let told = proposed("number of flights per carrier").assumptions.join("\n");
    for part in ["the result is called `flight_count_by_carrier`", "connection `out`", "replaces the rows"] {
        assert!(told.contains(part), "{told}");
    }
    let told = proposed("hourly, save number of flights per carrier as x").assumptions.join("\n");
    assert!(told.contains("UTC") && !told.contains("is called"), "{told}");
}
