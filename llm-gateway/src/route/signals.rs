//! What can be seen of a request at no cost, the same each time: words, signs and shapes. No model is asked.

use serde::Serialize;

use crate::caller::Caller;
use crate::config::WhenSection;
use crate::request::{Format, Part, Request};

/// The scripts that rules may name.
pub const SCRIPTS: [&str; 10] =
    ["latin", "cyrillic", "han", "kana", "hangul", "arabic", "greek", "hebrew", "devanagari", "thai"];

/// What is seen of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Signals {
    /// The prompt in tokens, as estimated.
    pub tokens: u64,
    /// Turns of the conversation, instructions not counted.
    pub turns: usize,
    /// Program code in the last question.
    pub code: bool,
    /// SQL in the last question.
    pub sql: bool,
    /// Tools are offered.
    pub tools: bool,
    /// JSON is asked for.
    pub json: bool,
    /// There are pictures.
    pub images: bool,
    /// The script of most letters of the last question.
    pub script: Option<&'static str>,
    /// The last question in lower case.
    #[serde(skip)]
    pub question: String,
}

impl Signals {
    /// Looks at a request.
    pub fn of(request: &Request, tokens: u64) -> Self {
        let question = request.question().unwrap_or_default();
        let lower = question.to_lowercase();
        let parts = || request.messages.iter().flat_map(|message| &message.parts);
        Self {
            tokens,
            turns: request.messages.iter().filter(|message| message.role != crate::request::Role::System).count(),
            code: code(question),
            sql: sql(&lower),
            tools: !request.tools.is_empty(),
            json: request.format != Format::Text,
            images: parts().any(|part| matches!(part, Part::Image(_))),
            script: script(question),
            question: lower,
        }
    }
}

/// Whether conditions hold.
pub fn holds(when: &WhenSection, signals: &Signals, caller: &Caller) -> bool {
    let is = |wanted: Option<bool>, is: bool| wanted.is_none_or(|wanted| wanted == is);
    let one_of = |list: &[String], value: Option<&str>| {
        list.is_empty() || value.is_some_and(|value| list.iter().any(|item| item == value))
    };
    one_of(&when.task, caller.task.as_deref())
        && one_of(&when.tiers, Some(&caller.tier))
        && one_of(&when.scripts, signals.script)
        && when.min_tokens.is_none_or(|least| signals.tokens >= least)
        && when.max_tokens.is_none_or(|most| signals.tokens <= most)
        && when.min_turns.is_none_or(|least| signals.turns >= least)
        && is(when.code, signals.code)
        && is(when.sql, signals.sql)
        && is(when.tools, signals.tools)
        && is(when.json, signals.json)
        && is(when.images, signals.images)
        && (when.words.is_empty() || when.words.iter().any(|word| signals.question.contains(&word.to_lowercase())))
}

/// A fence, or several lines that look like statements.
fn code(text: &str) -> bool {
    const STARTS: [&str; 14] = [
        "def ",
        "class ",
        "fn ",
        "pub ",
        "import ",
        "from ",
        "#include",
        "function ",
        "const ",
        "let ",
        "var ",
        "public ",
        "package ",
        "return ",
    ];
    let statement = |line: &&str| {
        let line = line.trim();
        STARTS.iter().any(|start| line.starts_with(start)) || line.ends_with([';', '{', '}'])
    };
    text.contains("```") || text.lines().filter(statement).count() >= 3
}

/// A verb of SQL with the word that must follow it somewhere later.
fn sql(lower: &str) -> bool {
    const PAIRS: [(&str, &str); 7] = [
        ("select ", " from "),
        ("insert into ", " values"),
        ("update ", " set "),
        ("delete from ", " where "),
        ("create table ", "("),
        ("with ", " as ("),
        ("alter table ", " "),
    ];
    let flat = lower.replace(['\n', '\t'], " ");
    PAIRS.iter().any(|(verb, then)| {
        let after =
            flat.match_indices(verb).find(|(at, _)| *at == 0 || !flat.as_bytes()[at - 1].is_ascii_alphanumeric());
        after.is_some_and(|(at, _)| flat[at + verb.len() - 1..].contains(then))
            && (*verb != "with " || flat.contains("select "))
    }) || lower.contains(" sql")
        || lower.starts_with("sql")
}

fn script(text: &str) -> Option<&'static str> {
    let mut counts = [0u32; SCRIPTS.len()];
    for sign in text.chars().filter(|sign| sign.is_alphabetic()) {
        let place = match u32::from(sign) {
            0x41..=0x24f | 0x1e00..=0x1eff => 0,
            0x400..=0x52f => 1,
            0x4e00..=0x9fff | 0x3400..=0x4dbf | 0x2_0000..=0x3_ffff => 2,
            0x3040..=0x30ff => 3,
            0xac00..=0xd7af | 0x1100..=0x11ff => 4,
            0x600..=0x6ff | 0x750..=0x77f => 5,
            0x370..=0x3ff => 6,
            0x590..=0x5ff => 7,
            0x900..=0x97f => 8,
            0xe00..=0xe7f => 9,
            _ => continue,
        };
        counts[place] += 1;
    }
    // A Japanese text has more Chinese signs than its own.
    if counts[3] > 0 && counts[2] > 0 {
        counts[3] += counts[2];
    }
    let best = counts.iter().enumerate().filter(|(_, count)| **count > 0).max_by_key(|(_, count)| **count);
    best.map(|(place, _)| SCRIPTS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(question: &str) -> Signals {
        Signals::of(&Request::ask("m", question), 1)
    }

    #[test]
    fn shapes_are_seen() {
        assert!(signals("Please fix:\n```\nx\n```").code);
        assert!(signals("fn main() {\n  let x = 1;\n  return x;\n}").code);
        assert!(!signals("Write me a poem; make it short.").code);
        assert!(signals("SELECT a\nFROM t").sql);
        assert!(signals("why is this slow: with x as (select 1 from t) table x").sql);
        assert!(signals("Translate this into SQL").sql);
        assert!(!signals("I cannot select a gift for my son with this money").sql);
        assert!(!signals("updates are set apart").sql);
    }

    #[test]
    fn scripts_are_seen() {
        for (text, script) in [
            ("Guten Tag, wie spät ist es?", Some("latin")),
            ("Сколько заказов в день?", Some("cyrillic")),
            ("每天有多少订单", Some("han")),
            ("毎日の注文数を教えて", Some("kana")),
            ("하루에 주문이 몇 개", Some("hangul")),
            ("12 + 30 = ?", None),
        ] {
            assert_eq!(signals(text).script, script, "{text}");
        }
    }
}
