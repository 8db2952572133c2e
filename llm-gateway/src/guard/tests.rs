use proptest::prelude::*;

use super::{Reason, Verdict, compare};

/// Requests of one meaning in other words.
const SAME: &[(&str, &str)] = &[
    (
        "Load orders from Postgres into Parquet every day at 6am",
        "Please load orders from Postgres into Parquet daily at 6:00",
    ),
    ("Show the top 10 customers by revenue", "Display the top ten customers by revenue"),
    ("Export paid invoices over 500 euros to CSV", "export paid invoices over €500 to CSV, please"),
    ("Count orders per customer each month", "Count orders per customer every month"),
    ("Sum of amount where status is 'paid'", "sum of amount where status is \"paid\""),
    ("At 07:30 each day, copy users to the lake", "Copy users to the lake at 7.30am every day"),
    ("Keep rows with price > 100", "Keep rows with price greater than 100"),
    ("Remove duplicates by email and keep the latest", "Remove duplicates by e-mail and keep the latest"),
    ("Could you tell me the average order value per country?", "The average order value per country"),
    ("How do I cancel my subscription?", "hi, how can I cancel my subscription please? thanks"),
    ("How do I change the address?", "How do I change the adress?"),
    ("On my phone, how do I set up voicemail?", "How do I set up voicemail on my phone?"),
];

/// One word away, another answer.
const OTHER: &[(&str, &str, Reason)] = &[
    ("Load orders every day at 6am", "Load orders every day at 6pm", Reason::Time),
    ("Load orders daily", "Load orders hourly", Reason::Words),
    ("Copy users from staging to production", "Copy users from production to staging", Reason::Order),
    ("Show the top 10 customers by revenue", "Show the top 100 customers by revenue", Reason::Number),
    ("Show the top 10 customers by revenue", "Show the bottom 10 customers by revenue", Reason::Aggregation),
    ("Orders before 2026-01-01", "Orders after 2026-01-01", Reason::Opposite),
    ("Keep rows with price > 100", "Keep rows with price < 100", Reason::Aggregation),
    ("Keep rows with price >= 100", "Keep rows with price > 100", Reason::Aggregation),
    ("Sum of amount where status is 'paid'", "Sum of amount where status is 'Paid'", Reason::Quoted),
    ("Average amount per day", "Maximum amount per day", Reason::Aggregation),
    ("Join orders and customers on customer_id", "Join orders and customers on user_id", Reason::Identifier),
    ("Delete rows where email is null", "Delete rows where email is not null", Reason::Negation),
    ("Orders shipped to Berlin", "Orders shipped from Berlin", Reason::Direction),
    ("Run the job in 2 hours", "Run the job for 2 hours", Reason::Words),
    ("Sales this month", "Sales last month", Reason::Aggregation),
    ("Does Alice owe Bob money", "Does Bob owe Alice money", Reason::Order),
    ("How much do I owe you", "How much do you owe me", Reason::Person),
    ("Total in $500 orders", "Total in £500 orders", Reason::Number),
    ("Copy table order_items", "Copy table order_item", Reason::Identifier),
    ("Load files newer than 3 days", "Load files newer than 3 weeks", Reason::Number),
    ("Only paid orders", "All paid orders", Reason::Negation),
    ("Count distinct users", "Count users", Reason::Aggregation),
    ("Rows with a and b", "Rows with a or b", Reason::Words),
    ("Divide revenue by cost", "Divide cost by revenue", Reason::Order),
    ("Write to /data/A", "Write to /data/a", Reason::Identifier),
    ("Backfill from March 3 to March 5", "Backfill from March 3 to March 15", Reason::Time),
    ("Does the contract cover it", "Does the contact cover it", Reason::Words),
    ("Load the free trial users", "Load the free trail users", Reason::Words),
    ("Is A larger than B", "Is B larger than A", Reason::Order),
    ("Enable the feature", "Disable the feature", Reason::Opposite),
    ("Visa for Peru", "Visa for Cuba", Reason::Entity),
    ("", "", Reason::Words),
];

#[test]
fn other_words_same_request() {
    for (a, b) in SAME {
        assert_eq!(compare(a, b), Verdict::Same, "{a} | {b}");
        assert_eq!(compare(b, a), Verdict::Same, "{b} | {a}");
    }
}

#[test]
fn one_word_away_is_another_request() {
    for (a, b, reason) in OTHER {
        assert_eq!(compare(a, b), Verdict::Different(*reason), "{a} | {b}");
        assert_eq!(compare(b, a), Verdict::Different(*reason), "{b} | {a}");
    }
}

proptest! {
    /// A text with any words is itself; a number more or less is not.
    #[test]
    fn any_text_is_like_itself_and_unlike_itself_with_another_number(text in "\\PC{1,80}", a in 2u32..9999, b in 2u32..9999) {
        let with = |n: u32| format!("report {text} {n} rows");
        prop_assert_eq!(compare(&with(a), &with(a)), Verdict::Same);
        if a != b {
            prop_assert_ne!(compare(&with(a), &with(b)), Verdict::Same);
        }
    }

    /// It does not matter which of the two came first.
    #[test]
    fn the_order_of_the_two_does_not_matter(a in "([a-c]| |from|to|not|5|,|'x'){0,12}", b in "([a-c]| |from|to|not|5|,|'x'){0,12}") {
        prop_assert_eq!(compare(&a, &b) == Verdict::Same, compare(&b, &a) == Verdict::Same);
    }
}
