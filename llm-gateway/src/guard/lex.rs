//! Text to tokens: quoted strings, numbers with units, times, dates, identifiers, words.

use super::numbers;

/// What a token is; two tokens of different kinds are never the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Word,
    /// A number with its unit, currency or per cent sign.
    Number,
    /// A time of day or a date.
    Time,
    /// A name that a machine reads: `user_id`, `a.b`, `/tmp/x`, `orderId`, `x@y`.
    Identifier,
    /// What stood between quotation marks, letter by letter.
    Quoted,
    /// A sign: `<`, `=`, `+`.
    Sign,
}

/// One token in canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub kind: Kind,
    pub text: String,
    /// A comma or another pause stands before it.
    pub pause: bool,
    /// Written with a capital inside a sentence: a name.
    pub name: bool,
    /// Part of a hyphenated word, whose prepositions carry meaning.
    pub joined: bool,
}

impl Token {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), pause: false, name: false, joined: false }
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text == word
    }
}

const CLOSING: [(char, char); 7] =
    [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’'), ('«', '»'), ('„', '“')];

/// Splits a text. Case is kept where it may matter (quoted strings, identifiers) and recorded for words.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let shouting = !text.chars().any(char::is_lowercase);
    let mut out: Vec<Token> = Vec::new();
    let (mut rest, mut pause, mut start) = (text, false, true);
    while let Some(first) = rest.chars().next() {
        if first.is_whitespace() {
            pause |= first == '\n';
            rest = &rest[first.len_utf8()..];
            continue;
        }
        if let Some((inner, after)) = quoted(rest) {
            let mut token = Token::new(Kind::Quoted, inner);
            token.pause = pause;
            out.push(token);
            (rest, pause, start) = (after, false, false);
            continue;
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (chunk, after) = rest.split_at(end);
        rest = after;
        let core = chunk.trim_matches(is_punctuation);
        if core.is_empty() {
            pause |= !chunk.chars().all(|c| matches!(c, '.' | '!' | '?'));
            start |= chunk.contains(['.', '!', '?']);
            continue;
        }
        let lead = chunk.len() - chunk.trim_start_matches(is_punctuation).len();
        pause |= lead > 0;
        let before = out.len();
        chunk_tokens(core, start || shouting, &mut out);
        if let Some(token) = out.get_mut(before) {
            token.pause = pause;
        }
        let tail = &chunk[lead + core.len()..];
        pause = tail.contains([',', ';', ':', '(', ')', '.', '!', '?', '…', '—']);
        start = tail.contains(['.', '!', '?']);
    }
    out
}

fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        ',' | '.'
            | ';'
            | ':'
            | '!'
            | '?'
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '…'
            | '—'
            | '–'
            | '¿'
            | '¡'
            | '"'
            | '“'
            | '”'
    ) || matches!(c, '\'' | '’' | '‘' | '`' | '«' | '»')
}

/// A quoted string at the start of `rest` that also ends at the end of a word, and what follows it.
fn quoted(rest: &str) -> Option<(&str, &str)> {
    let open = rest.chars().next()?;
    let (_, close) = CLOSING.iter().find(|(o, _)| *o == open)?;
    let body = &rest[open.len_utf8()..];
    if body.starts_with(char::is_whitespace) {
        return None;
    }
    body.match_indices(*close).find_map(|(at, sign)| {
        let after = &body[at + sign.len()..];
        let ends = after.chars().next().is_none_or(|c| !c.is_alphanumeric());
        (at > 0 && ends).then(|| (&body[..at], after))
    })
}

fn chunk_tokens(core: &str, start: bool, out: &mut Vec<Token>) {
    if let Some(number) = numbers::read(core) {
        out.push(number);
        return;
    }
    if !core.contains(char::is_alphanumeric) {
        out.push(Token::new(Kind::Sign, core));
        return;
    }
    if let Some(at) = core.find(['<', '>', '=', '≤', '≥', '→']).filter(|_| !core.contains("://")) {
        comparison(core, at, start, out);
        return;
    }
    if is_identifier(core) {
        let keep = core.contains(['/', '\\', '_', '.', '@']);
        out.push(Token::new(Kind::Identifier, if keep { core.to_owned() } else { core.to_lowercase() }));
        return;
    }
    let parts: Vec<&str> = core.split(['-', '‐', '‑']).filter(|part| !part.is_empty()).collect();
    let joined = parts.len() > 1;
    for (place, part) in parts.into_iter().enumerate() {
        let mut token =
            numbers::read(part).unwrap_or_else(|| Token::new(Kind::Word, part.to_lowercase().replace('’', "'")));
        token.name = !(start && place == 0)
            && part.chars().next().is_some_and(char::is_uppercase)
            && part != "I"
            && !part.starts_with("I'");
        token.joined = joined && place > 0;
        out.push(token);
    }
}

/// `a>=5` is three tokens.
fn comparison(core: &str, at: usize, start: bool, out: &mut Vec<Token>) {
    let (left, rest) = core.split_at(at);
    let sign = rest.find(|c: char| !matches!(c, '<' | '>' | '=' | '≤' | '≥' | '→')).unwrap_or(rest.len());
    if !left.is_empty() {
        chunk_tokens(left, start, out);
    }
    out.push(Token::new(Kind::Sign, rest[..sign].replace('≤', "<=").replace('≥', ">=")));
    if sign < rest.len() {
        chunk_tokens(&rest[sign..], start, out);
    }
}

fn is_identifier(core: &str) -> bool {
    let inner_sign = core.contains(['_', '/', '\\', '@', '#', '$', '%', '&', '*', '+', '|', '~', '^', ':', '.']);
    let digits = core.chars().any(|c| c.is_ascii_digit());
    let letters = core.chars().any(char::is_alphabetic);
    let hump = core.as_bytes().windows(2).any(|w| w[0].is_ascii_lowercase() && w[1].is_ascii_uppercase());
    inner_sign || hump || (digits && letters && !core.contains('-'))
}
