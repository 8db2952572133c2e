//! Words to their canonical form: courtesy off, contractions apart, phrases to their one form, numbers from words.

use std::{collections::HashMap, sync::OnceLock};

use super::{
    lex::{Kind, Token},
    numbers,
    phrases::{CONTRACTIONS, ENDINGS, OPENINGS, PHRASES},
};

type PhraseIndex = HashMap<&'static str, Vec<(Vec<&'static str>, Vec<&'static str>)>>;

/// Phrases by their first word, longest first.
fn phrase_index() -> &'static PhraseIndex {
    static INDEX: OnceLock<PhraseIndex> = OnceLock::new();
    INDEX.get_or_init(|| {
        let mut index = PhraseIndex::new();
        for (from, to) in PHRASES {
            let from: Vec<&str> = from.split(' ').collect();
            index.entry(from[0]).or_default().push((from, to.split(' ').collect()));
        }
        for list in index.values_mut() {
            list.sort_by_key(|(from, _)| std::cmp::Reverse(from.len()));
        }
        index
    })
}

/// The canonical sequence, and who is spoken of: `i` and `y` in order.
pub(super) fn canonical(tokens: Vec<Token>) -> (Vec<Token>, String) {
    let tokens = number_words(contractions(tokens));
    let tokens = units(courtesy(tokens));
    let tokens = phrases(tokens);
    let mut persons: Vec<char> = tokens.iter().filter_map(person).collect();
    persons.dedup();
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for (at, token) in tokens.iter().enumerate() {
        let number_next = tokens.get(at + 1).is_some_and(|n| matches!(n.kind, Kind::Number | Kind::Time));
        let time_next = tokens.get(at + 1).is_some_and(|n| n.kind == Kind::Word && is_period(&n.text));
        if token.kind != Kind::Word {
            out.push(sign(token));
            continue;
        }
        // "A" in the middle and "a" at the end are names of something, not articles.
        let named = token.text == "a" && (token.name || at + 1 == tokens.len());
        let kept =
            if named { Some(token.text.clone()) } else { word(&token.text, number_next, time_next, token.joined) };
        let Some(text) = kept else {
            continue;
        };
        let pause = token.pause || out.last().is_none() || dropped_with_pause(&tokens, at);
        out.push(Token { text, pause, ..token.clone() });
    }
    (out, persons.into_iter().collect())
}

/// Whether the words dropped right before `at` began after a pause.
fn dropped_with_pause(tokens: &[Token], at: usize) -> bool {
    tokens[..at]
        .iter()
        .rev()
        .take_while(|t| t.kind == Kind::Word && word(&t.text, false, false, t.joined).is_none())
        .any(|t| t.pause)
}

/// A sign of comparison is the word for it.
fn sign(token: &Token) -> Token {
    let word = match token.text.as_str() {
        ">" => "GT",
        "<" => "LT",
        ">=" => "GE",
        "<=" => "LE",
        _ => return token.clone(),
    };
    if token.kind == Kind::Sign {
        Token { kind: Kind::Word, text: word.to_owned(), ..token.clone() }
    } else {
        token.clone()
    }
}

fn is_period(word: &str) -> bool {
    matches!(
        word,
        "day"
            | "week"
            | "month"
            | "year"
            | "quarter"
            | "hour"
            | "morning"
            | "evening"
            | "afternoon"
            | "weekend"
            | "night"
    )
}

fn person(token: &Token) -> Option<char> {
    match token.text.as_str() {
        _ if token.kind != Kind::Word => None,
        "i" | "me" | "my" | "mine" | "we" | "us" | "our" | "myself" => Some('i'),
        "you" | "your" | "yours" => Some('y'),
        _ => None,
    }
}

/// One word: nothing if it carries no meaning here.
fn word(text: &str, number_next: bool, period_next: bool, joined: bool) -> Option<String> {
    let kept = match text {
        "a" | "an" | "the" | "is" | "are" | "am" | "do" | "does" | "i" | "me" | "my" | "you" | "your" | "we"
        | "our" | "us" => return None,
        "um" | "uh" | "er" | "erm" | "hmm" | "please" | "kindly" => return None,
        "this" | "that" | "these" | "those" if !period_next => return None,
        "in" | "on" | "at" if !number_next && !joined => "LOC",
        "was" | "were" | "did" | "had" => "PAST",
        "over" | "above" if number_next => "GT",
        "under" | "below" if number_next => "LT",
        other => return Some(stem(other.strip_suffix("'s").or_else(|| other.strip_suffix('\'')).unwrap_or(other))),
    };
    Some(kept.to_owned())
}

/// Singular and the bare verb. Keeps `-ed`: "closed" is not "close".
fn stem(word: &str) -> String {
    let n = word.chars().count();
    if word.bytes().any(|b| b.is_ascii_uppercase()) || !word.is_ascii() || n < 4 {
        return word.to_owned();
    }
    if let Some(base) = word.strip_suffix("ies").filter(|_| n > 4) {
        return format!("{base}y");
    }
    for ending in ["sses", "shes", "ches", "xes"] {
        if word.ends_with(ending) {
            return word[..word.len() - 2].to_owned();
        }
    }
    if word.ends_with('s') && !word.ends_with("ss") && !word.ends_with("us") && !word.ends_with("is") {
        return word[..word.len() - 1].to_owned();
    }
    match word.strip_suffix("ing") {
        Some(base) if base.len() >= 4 && base.contains(['a', 'e', 'i', 'o', 'u']) => base.to_owned(),
        _ => word.to_owned(),
    }
}

fn contractions(tokens: Vec<Token>) -> Vec<Token> {
    let mut out = Vec::with_capacity(tokens.len());
    for token in tokens {
        let parts =
            (token.kind == Kind::Word).then(|| CONTRACTIONS.iter().find(|(from, _)| *from == token.text)).flatten();
        match parts {
            Some((_, to)) => {
                for (place, part) in to.split(' ').enumerate() {
                    out.push(Token {
                        text: part.to_owned(),
                        pause: token.pause && place == 0,
                        name: false,
                        ..token.clone()
                    });
                }
            }
            None => out.push(token),
        }
    }
    out
}

/// `twenty five` is 25, `fifteen percent` 15 %, `third` the 3rd; `2 hundred` stays two numbers.
fn number_words(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        let value = (token.kind == Kind::Word).then(|| numbers::word_value(&token.text)).flatten();
        let Some(first) = value else {
            let ordinal = (token.kind == Kind::Word).then(|| numbers::ordinal_word(&token.text)).flatten();
            out.push(match ordinal {
                // "first" and "last" are also words of aggregation, so "first" keeps its name.
                Some(n) if n > 1 => Token { kind: Kind::Time, text: format!("{n}th"), ..token.clone() },
                _ => token.clone(),
            });
            at += 1;
            continue;
        };
        let (mut total, mut current, mut next) = (0, first, at + 1);
        while let Some(more) =
            tokens.get(next).filter(|t| t.kind == Kind::Word).and_then(|t| numbers::word_value(&t.text))
        {
            match more {
                100 if current < 10 => current *= 100,
                1_000 | 1_000_000 if current > 0 => {
                    total += current * more;
                    current = 0;
                }
                1..=9 if current % 100 >= 20 && current % 10 == 0 => current += more,
                1..=99 if current >= 100 && current % 100 == 0 => current += more,
                _ => break,
            }
            next += 1;
        }
        out.push(Token { kind: Kind::Number, text: (total + current).to_string(), name: false, ..token.clone() });
        at = next;
    }
    out
}

/// A number and the unit after it become one token; a day and a month one date.
fn units(tokens: Vec<Token>) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let is_word = token.kind == Kind::Word;
        let Some(last) = out.last_mut() else {
            out.push(token);
            continue;
        };
        let bare = last.kind == Kind::Number && last.text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let ordinal = last.kind == Kind::Time && last.text.ends_with("th");
        let half = is_word && bare && matches!(token.text.as_str(), "am" | "pm");
        if let Some(time) = half.then(|| numbers::read(&format!("{}{}", last.text, token.text))).flatten() {
            (last.kind, last.text) = (time.kind, time.text);
            continue;
        }
        let small = last.text.trim_end_matches("th").parse::<u32>().is_ok_and(|day| (1..=31).contains(&day));
        if let Some(month) =
            is_word.then(|| numbers::month(&token.text)).flatten().filter(|_| (bare || ordinal) && small)
        {
            (last.kind, last.text) = (Kind::Time, format!("{month:02}-{:0>2}", last.text.trim_end_matches("th")));
            continue;
        }
        if let Some(month) = (last.kind == Kind::Word).then(|| numbers::month(&last.text)).flatten() {
            let day = token.text.trim_end_matches("th");
            let is_day = matches!(token.kind, Kind::Number | Kind::Time)
                && day.parse::<u32>().is_ok_and(|d| (1..=31).contains(&d));
            if is_day && !token.pause {
                (last.kind, last.text) = (Kind::Time, format!("{month:02}-{day:0>2}"));
                continue;
            }
        }
        match is_word.then(|| numbers::unit(&token.text)).flatten() {
            Some(unit) if bare && token.text.len() > 1 => last.text.push_str(unit),
            _ => out.push(token),
        }
    }
    out
}

/// Takes courtesy off both ends, again and again.
fn courtesy(mut tokens: Vec<Token>) -> Vec<Token> {
    loop {
        let front = OPENINGS.iter().map(|p| starts(&tokens, p)).find(|&n| n > 0 && n < tokens.len()).unwrap_or(0);
        tokens.drain(..front);
        let back = ENDINGS.iter().map(|p| ends(&tokens, p)).find(|&n| n > 0 && n < tokens.len()).unwrap_or(0);
        tokens.truncate(tokens.len() - back);
        if front + back == 0 {
            return tokens;
        }
    }
}

fn starts(tokens: &[Token], phrase: &str) -> usize {
    let n = phrase.split(' ').count();
    let fits = tokens.len() >= n && phrase.split(' ').zip(tokens).all(|(word, token)| token.is_word(word));
    if fits { n } else { 0 }
}

fn ends(tokens: &[Token], phrase: &str) -> usize {
    let n = phrase.split(' ').count();
    let fits = tokens.len() >= n
        && phrase.split(' ').zip(&tokens[tokens.len() - n..]).all(|(word, token)| token.is_word(word));
    if fits { n } else { 0 }
}

fn phrases(tokens: Vec<Token>) -> Vec<Token> {
    let index = phrase_index();
    let mut out = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let found = (tokens[at].kind == Kind::Word)
            .then(|| index.get(tokens[at].text.as_str()))
            .flatten()
            .and_then(|list| list.iter().find(|(from, _)| matches_phrase(&tokens[at..], from)));
        let Some((from, to)) = found else {
            out.push(tokens[at].clone());
            at += 1;
            continue;
        };
        for (place, part) in to.iter().enumerate() {
            out.push(Token {
                text: (*part).to_owned(),
                pause: tokens[at].pause && place == 0,
                name: false,
                ..tokens[at].clone()
            });
        }
        at += from.len();
    }
    out
}

fn matches_phrase(tokens: &[Token], phrase: &[&str]) -> bool {
    tokens.len() >= phrase.len()
        && phrase
            .iter()
            .zip(tokens)
            .enumerate()
            .all(|(place, (word, token))| token.is_word(word) && (place == 0 || !token.pause))
}
