//! Numbers, amounts with units, times of day and dates in one spelling.

use super::lex::{Kind, Token};

const UNITS: &[(&str, &[&str])] = &[
    ("%", &["%", "percent", "pct"]),
    ("kg", &["kg", "kgs", "kilo", "kilos", "kilogram", "kilograms"]),
    ("g", &["g", "gram", "grams"]),
    ("km", &["km", "kms", "kilometre", "kilometres", "kilometer", "kilometers"]),
    ("cm", &["cm", "centimetre", "centimetres", "centimeter", "centimeters"]),
    ("mm", &["mm", "millimetre", "millimetres", "millimeter", "millimeters"]),
    ("kb", &["kb", "kilobyte", "kilobytes"]),
    ("mb", &["mb", "megabyte", "megabytes"]),
    ("gb", &["gb", "gigabyte", "gigabytes"]),
    ("tb", &["tb", "terabyte", "terabytes"]),
    ("ms", &["ms", "millisecond", "milliseconds"]),
    ("second", &["s", "sec", "secs", "second", "seconds"]),
    ("minute", &["min", "mins", "minute", "minutes"]),
    ("hour", &["h", "hr", "hrs", "hour", "hours"]),
    ("day", &["d", "day", "days"]),
    ("week", &["w", "wk", "wks", "week", "weeks"]),
    ("month", &["month", "months"]),
    ("year", &["y", "yr", "yrs", "year", "years"]),
    ("€", &["€", "eur", "euro", "euros"]),
    ("$", &["$", "usd", "dollar", "dollars"]),
    ("£", &["£", "gbp", "pound", "pounds"]),
];

/// The one spelling of a unit.
pub(super) fn unit(word: &str) -> Option<&'static str> {
    UNITS.iter().find(|(_, names)| names.contains(&word)).map(|(unit, _)| *unit)
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The number of a month: its name, or its first three or four letters. `may` and `march` are only months beside a number.
pub(super) fn month(word: &str) -> Option<usize> {
    MONTHS
        .iter()
        .position(|m| *m == word || (word.len() >= 3 && word.len() <= 4 && m.starts_with(word)))
        .map(|at| at + 1)
}

const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const ORDINALS: [&str; 12] = [
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth", "eleventh",
    "twelfth",
];

/// A number word: `seven`, `twenty`, `hundred`. `a` and `second` are left to their readers.
pub(super) fn word_value(word: &str) -> Option<u64> {
    if let Some(at) = SMALL.iter().position(|w| *w == word) {
        return Some(at as u64);
    }
    if let Some(at) = TENS.iter().position(|w| *w == word) {
        return Some((at as u64 + 2) * 10);
    }
    match word {
        "single" => Some(1),
        "hundred" => Some(100),
        "thousand" => Some(1_000),
        "million" => Some(1_000_000),
        _ => None,
    }
}

/// `third` is `3rd`. Not `second`, which is a unit as often.
pub(super) fn ordinal_word(word: &str) -> Option<usize> {
    ORDINALS.iter().position(|w| *w == word && *w != "second").map(|at| at + 1)
}

/// A chunk that is a number, an amount, a time or a date as a whole.
pub(super) fn read(chunk: &str) -> Option<Token> {
    let lower = chunk.to_lowercase();
    if !lower.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    clock(&lower).or_else(|| date(&lower)).or_else(|| amount(&lower))
}

/// `7am`, `7:30`, `07:30:00`, `7.30pm`.
fn clock(chunk: &str) -> Option<Token> {
    let (body, half) = match chunk.strip_suffix("am").or_else(|| chunk.strip_suffix("a.m")) {
        Some(body) => (body, Some(0)),
        None => match chunk.strip_suffix("pm").or_else(|| chunk.strip_suffix("p.m")) {
            Some(body) => (body, Some(12)),
            None => (chunk, None),
        },
    };
    let parts: Vec<&str> = body.split([':', '.']).collect();
    let colon = body.contains(':');
    if parts.len() > 3 || (!colon && half.is_none()) || parts.iter().any(|p| p.is_empty() || p.len() > 2) {
        return None;
    }
    let numbers: Vec<u32> = parts.iter().map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let (hour, minute) = (numbers[0], numbers.get(1).copied().unwrap_or(0));
    let seconds = numbers.get(2).copied().unwrap_or(0);
    if hour > 24 || minute > 59 || seconds > 59 || (half.is_some() && !(1..=12).contains(&hour)) {
        return None;
    }
    let hour = half.map_or(hour, |half| hour % 12 + half);
    let seconds = if seconds > 0 { format!(":{seconds:02}") } else { String::new() };
    Some(Token::new(Kind::Time, format!("{hour:02}:{minute:02}{seconds}")))
}

/// `2026-11-21` and `2026/11/21`; other orders of day and month are ambiguous and stay as written.
fn date(chunk: &str) -> Option<Token> {
    let parts: Vec<&str> = chunk.split(['-', '/', '.']).collect();
    let all_digits = parts.iter().all(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    if parts.len() != 3 || !all_digits {
        return None;
    }
    if parts[0].len() == 4 {
        return Some(Token::new(Kind::Time, format!("{}-{:0>2}-{:0>2}", parts[0], parts[1], parts[2])));
    }
    Some(Token::new(Kind::Time, chunk))
}

/// `£400,000`, `10GB`, `15%`, `-3.5`, `3rd`, `48213`, `5k`.
fn amount(chunk: &str) -> Option<Token> {
    let (currency, body) = match chunk.chars().next()? {
        c @ ('£' | '$' | '€' | '¥' | '₹' | '₽') => (Some(c), &chunk[c.len_utf8()..]),
        _ => (None, chunk),
    };
    let digits_end = body
        .char_indices()
        .find(|&(at, c)| !(c.is_ascii_digit() || matches!(c, ',' | '.') || (at == 0 && matches!(c, '-' | '+'))))
        .map_or(body.len(), |(at, _)| at);
    let (number, suffix) = body.split_at(digits_end);
    let number = plain(number)?;
    if matches!(suffix, "st" | "nd" | "rd" | "th") {
        return currency.is_none().then(|| Token::new(Kind::Time, format!("{number}th")));
    }
    let (number, suffix) = match suffix {
        "k" if !number.contains('.') => (format!("{number}000"), ""),
        other => (number, other),
    };
    let unit = match (currency, suffix) {
        (Some(sign), "") => sign.to_string(),
        (None, "") => String::new(),
        (None, suffix) => unit(suffix)?.to_owned(),
        (Some(_), _) => return None,
    };
    Some(Token::new(Kind::Number, format!("{number}{unit}")))
}

/// Thousands separators off, trailing zeros of a fraction off.
fn plain(number: &str) -> Option<String> {
    let groups: Vec<&str> = number.split(',').collect();
    let grouped = groups.len() > 1 && groups[1..].iter().all(|g| g.split('.').next().is_some_and(|g| g.len() == 3));
    if groups.len() > 1 && !grouped {
        return None;
    }
    let joined = groups.concat();
    let (whole, fraction) = joined.split_once('.').unwrap_or((&joined, ""));
    if !whole.contains(|c: char| c.is_ascii_digit()) || fraction.contains('.') {
        return None;
    }
    let sign = if whole.starts_with('-') { "-" } else { "" };
    let whole = whole.trim_start_matches(['-', '+']).trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = fraction.trim_end_matches('0');
    Some(if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}
