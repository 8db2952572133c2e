use proptest::prelude::*;

use super::{Encoding, estimate};

/// Ordinary texts of the kinds that pass a gateway.
const SAMPLES: &[(&str, &str)] = &[
    (
        "prose",
        "The two well-known gateways have stopped, and the market leader's users complain of budgets that do not hold, of memory that grows, and of semantic caches that answer the wrong question. Each request reserves what it may spend before the call and settles afterwards, so that a thousand parallel calls never overspend.",
    ),
    (
        "SQL",
        "SELECT c.customer_id, c.name, SUM(o.amount) AS revenue\nFROM customers AS c\nJOIN orders AS o ON o.customer_id = c.customer_id\nWHERE o.status = 'paid' AND o.created_at >= '2026-01-01'\nGROUP BY c.customer_id, c.name\nHAVING SUM(o.amount) > 1000\nORDER BY revenue DESC\nLIMIT 10;",
    ),
    (
        "JSON",
        "{\"pipeline\": \"daily_orders\", \"tasks\": [{\"id\": \"extract\", \"kind\": \"extract\", \"connection\": \"shop\", \"table\": \"orders\"}, {\"id\": \"load\", \"kind\": \"load\", \"target\": \"lake\", \"mode\": \"append\", \"retries\": 3}], \"schedule\": \"0 6 * * *\"}",
    ),
    (
        "code",
        "fn main() {\n    let mut total = 0;\n    for order in orders.iter().filter(|o| o.status == Status::Paid) {\n        total += order.amount;\n    }\n    println!(\"total: {total}\");\n}\n",
    ),
    (
        "German",
        "Die Bestellungen aller Kunden werden jeden Morgen um sechs Uhr aus der Datenbank gelesen, geprüft und in den Datensee geschrieben; fehlerhafte Zeilen kommen in eine eigene Tabelle.",
    ),
    (
        "Russian",
        "Каждое утро в шесть часов заказы всех клиентов читаются из базы данных, проверяются и записываются в озеро данных; строки с ошибками попадают в отдельную таблицу.",
    ),
    ("Chinese", "每天早上六点从数据库读取所有客户的订单，检查后写入数据湖；有错误的行会写入单独的表。"),
    (
        "numbers",
        "2026-11-21 10:15:30,48213,1234.56,EUR\n2026-11-21 10:15:31,48214,99.90,EUR\n2026-11-21 10:15:32,48215,7.00,USD\n",
    ),
];

#[test]
fn the_estimate_is_near_the_tokenizer() {
    for (kind, text) in SAMPLES {
        let (exact, guess) = (Encoding::O200k.count(text), estimate(text));
        let error = 100.0 * (guess as f64 - exact as f64) / exact as f64;
        println!("counted: tokens of {kind}: o200k {exact}, estimate {guess} ({error:+.0} %), bytes {}", text.len());
        assert!(error.abs() <= 25.0, "{kind}: {guess} for {exact}");
    }
}

#[test]
fn models_have_their_tokenizers() {
    assert_eq!(Encoding::of("gpt-4o-mini"), Some(Encoding::O200k));
    assert_eq!(Encoding::of("openai/gpt-5"), Some(Encoding::O200k));
    assert_eq!(Encoding::of("gpt-4-turbo"), Some(Encoding::Cl100k));
    assert_eq!(Encoding::of("text-embedding-3-small"), Some(Encoding::Cl100k));
    assert_eq!(Encoding::of("claude-sonnet-4"), None);
    assert_eq!(Encoding::of("my-gpt-4o"), None);
    assert_eq!(Encoding::Cl100k.count("hello world"), 2);
}

proptest! {
    /// What reservations rest on: no text has more tokens than bytes.
    #[test]
    fn bytes_bound_tokens(text in "\\PC{0,60}") {
        prop_assert!(Encoding::O200k.count(&text) <= text.len() as u64);
        prop_assert!(Encoding::Cl100k.count(&text) <= text.len() as u64);
    }
}
