//! A request as tokens: words, numbers, dates, times, quoted text and signs, each with its place.

use chrono::NaiveDate;

use crate::words::stem;

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Word,
    Number(f64),
    Ordinal(u32),
    Date(NaiveDate),
    YearMonth(i32, u32),
    Time(u32, u32),
    Quoted,
    Sign,
}

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Token {
    /// As written; for quoted text without the quotes.
    pub(crate) text: String,
    pub(crate) lower: String,
    pub(crate) stem: String,
    pub(crate) shape: Shape,
    /// Bytes of the request.
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Token {
    fn new(text: &str, shape: Shape, start: usize, end: usize) -> Self {
        let lower = text.to_lowercase();
        let stem = if shape == Shape::Word { stem(&lower) } else { lower.clone() };
        Self { text: text.to_owned(), lower, stem, shape, start, end }
    }

    pub(crate) fn is_word(&self) -> bool {
        self.shape == Shape::Word
    }
}

/// Splits a request.
pub(crate) fn tokenise(request: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = request[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let rest = &request[at..];
        let token = quoted(rest, at, request)
            .or_else(|| numeric(rest, at, &tokens))
            .or_else(|| word(rest, at))
            .unwrap_or_else(|| sign(rest, at));
        at = token.end;
        if glue(&token, request) {
            continue;
        }
        push(&mut tokens, token);
    }
    tokens
}

/// `don't` is two words, and so is every other shortened "not".
fn push(tokens: &mut Vec<Token>, token: Token) {
    let base = token.lower.replace('’', "'");
    match base.strip_suffix("n't") {
        Some(verb) if token.is_word() => {
            let verb = match verb {
                "wo" => "will",
                "ca" => "can",
                other => other,
            };
            tokens.push(Token::new(verb, Shape::Word, token.start, token.end));
            tokens.push(Token::new("not", Shape::Word, token.start, token.end));
        }
        _ => tokens.push(token),
    }
}

/// A hyphen inside a compound only separates its parts.
fn glue(token: &Token, request: &str) -> bool {
    let before = request[..token.start].chars().next_back();
    let after = request[token.end..].chars().next();
    token.text == "-" && before.is_some_and(char::is_alphanumeric) && after.is_some_and(char::is_alphanumeric)
}

fn quoted(rest: &str, at: usize, request: &str) -> Option<Token> {
    let open = rest.chars().next()?;
    let close = match open {
        '"' => '"',
        '`' => '`',
        '“' => '”',
        '«' => '»',
        '‘' => '’',
        // An apostrophe opens a quotation only where no word is before it.
        '\'' if !request[..at].ends_with(char::is_alphanumeric) => '\'',
        _ => return None,
    };
    let body = &rest[open.len_utf8()..];
    let len = closing(body, close)?;
    let text = &body[..len];
    let mut token = Token::new(text, Shape::Quoted, at, at + open.len_utf8() + len + close.len_utf8());
    token.stem.clone_from(&token.lower);
    Some(token)
}

fn closing(body: &str, close: char) -> Option<usize> {
    body.match_indices(close)
        .map(|(place, _)| place)
        .find(|place| close != '\'' || !body[place + 1..].starts_with(char::is_alphanumeric))
        .filter(|len| *len > 0 && *len <= 200)
}

fn numeric(rest: &str, at: usize, before: &[Token]) -> Option<Token> {
    let negative = rest.starts_with('-') && before.last().is_none_or(|t| t.end != at);
    let sign = usize::from(negative);
    let run: usize = rest[sign..].chars().take_while(char::is_ascii_digit).count();
    if run == 0 {
        return None;
    }
    let whole = |len: usize, shape: Shape| {
        let free = !rest[len..].starts_with(|c: char| c.is_alphanumeric() || c == '_');
        free.then(|| Token::new(&rest[..len], shape, at, at + len))
    };
    if negative {
        return number(rest, sign).and_then(|(len, value)| whole(len, Shape::Number(-value)));
    }
    date(rest)
        .and_then(|(len, shape)| whole(len, shape))
        .or_else(|| time(rest, run).and_then(|(len, shape)| whole(len, shape)))
        .or_else(|| ordinal(rest, run).and_then(|(len, shape)| whole(len, shape)))
        .or_else(|| number(rest, 0).and_then(|(len, value)| whole(len, Shape::Number(value))))
        .or_else(|| thousands(rest, run).and_then(|(len, shape)| whole(len, shape)))
}

fn date(rest: &str) -> Option<(usize, Shape)> {
    if let Some(date) = rest.get(..10).and_then(|t| NaiveDate::parse_from_str(t, "%Y-%m-%d").ok()) {
        return Some((10, Shape::Date(date)));
    }
    let bytes = rest.get(..7)?;
    let (year, month) = bytes.split_once('-')?;
    if year.len() != 4 || month.len() != 2 || rest[7..].starts_with('-') {
        return None;
    }
    let (year, month) = (year.parse().ok()?, month.parse().ok()?);
    (1..=12).contains(&month).then_some((7, Shape::YearMonth(year, month)))
}

fn time(rest: &str, run: usize) -> Option<(usize, Shape)> {
    let hour: u32 = rest[..run].parse().ok()?;
    let mut len = run;
    let mut minute = 0;
    if let Some(text) = rest[run..].strip_prefix(':').and_then(|t| t.get(..2)) {
        minute = text.parse().ok().filter(|m| *m < 60)?;
        len += 3;
    }
    let suffix = rest[len..].get(..2).map(str::to_ascii_lowercase);
    let hour = match suffix.as_deref() {
        Some("am") if (1..=12).contains(&hour) => (2, hour % 12),
        Some("pm") if (1..=12).contains(&hour) => (2, hour % 12 + 12),
        _ if len > run && hour < 24 => (0, hour),
        _ => return None,
    };
    Some((len + hour.0, Shape::Time(hour.1, minute)))
}

fn ordinal(rest: &str, run: usize) -> Option<(usize, Shape)> {
    let suffix = rest[run..].get(..2)?.to_ascii_lowercase();
    let known = matches!(suffix.as_str(), "st" | "nd" | "rd" | "th");
    known.then(|| rest[..run].parse().ok()).flatten().map(|n| (run + 2, Shape::Ordinal(n)))
}

fn thousands(rest: &str, run: usize) -> Option<(usize, Shape)> {
    let value: f64 = rest[..run].parse().ok()?;
    rest[run..].starts_with(['k', 'K']).then_some((run + 1, Shape::Number(value * 1_000.0)))
}

/// Digits, groups of three behind commas, a decimal part. Length counts from the start of `rest`.
fn number(rest: &str, from: usize) -> Option<(usize, f64)> {
    let bytes = rest.as_bytes();
    let digits = |start: usize| bytes[start..].iter().take_while(|b| b.is_ascii_digit()).count();
    let mut len = from + digits(from);
    if len - from <= 3 {
        while bytes.get(len) == Some(&b',') && digits(len + 1) == 3 {
            len += 4;
        }
    }
    if bytes.get(len) == Some(&b'.') && len + 1 < bytes.len() && digits(len + 1) > 0 {
        len += 1 + digits(len + 1);
    }
    rest[from..len].replace(',', "").parse().ok().map(|value| (len, value))
}

fn word(rest: &str, at: usize) -> Option<Token> {
    let mut end = 0;
    let mut chars = rest.char_indices().peekable();
    while let Some((place, c)) = chars.next() {
        let next = chars.peek().map(|(_, c)| *c);
        let inside = c.is_alphanumeric()
            || c == '_'
            || (end > 0 && c == '.' && next.is_some_and(|n| n.is_alphanumeric() || n == '_'))
            || (end > 0 && matches!(c, '\'' | '’') && shortened_not(rest, place));
        if !inside {
            break;
        }
        end = place + c.len_utf8();
    }
    (end > 0).then(|| Token::new(&rest[..end], Shape::Word, at, at + end))
}

fn shortened_not(rest: &str, apostrophe: usize) -> bool {
    let after = rest[apostrophe..].chars().nth(1);
    let later = rest[apostrophe..].chars().nth(2);
    rest[..apostrophe].ends_with('n') && after == Some('t') && !later.is_some_and(char::is_alphanumeric)
}

fn sign(rest: &str, at: usize) -> Token {
    const PAIRS: [&str; 7] = [">=", "<=", "!=", "<>", "==", "'s", "’s"];
    let len = PAIRS
        .iter()
        .find(|pair| {
            rest.starts_with(**pair) && !(pair.ends_with('s') && rest[pair.len()..].starts_with(char::is_alphanumeric))
        })
        .map_or_else(|| rest.chars().next().map_or(1, char::len_utf8), |pair| pair.len());
    Token::new(&rest[..len], Shape::Sign, at, at + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(request: &str) -> Vec<String> {
        tokenise(request).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn words_signs_and_quotes() {
        assert_eq!(texts("the airline's name, top-10"), ["the", "airline", "'s", "name", ",", "top", "10"]);
        assert_eq!(texts("dep_delay>=60 'New York'"), ["dep_delay", ">=", "60", "New York"]);
        assert_eq!(texts("flights.carrier isn't UA."), ["flights.carrier", "is", "not", "UA", "."]);
        assert_eq!(texts("a - b"), ["a", "-", "b"]);
    }

    #[test]
    fn numbers_dates_and_times() {
        let shapes: Vec<Shape> = tokenise("1,000 2.5 -3 10k 2013-03-01 2013-03 6am 6:30pm 18:05 1st 9E")
            .into_iter()
            .map(|t| t.shape)
            .collect();
        assert_eq!(
            shapes,
            [
                Shape::Number(1000.0),
                Shape::Number(2.5),
                Shape::Number(-3.0),
                Shape::Number(10_000.0),
                Shape::Date(NaiveDate::from_ymd_opt(2013, 3, 1).expect("a day")),
                Shape::YearMonth(2013, 3),
                Shape::Time(6, 0),
                Shape::Time(18, 30),
                Shape::Time(18, 5),
                Shape::Ordinal(1),
                Shape::Word,
            ]
        );
    }

    #[test]
    fn every_byte_that_is_not_space_is_in_a_token_or_glue() {
        let request = "ä→😀 \"open 'x 1e9 2013-13-40 ... -- ;;";
        let tokens = tokenise(request);
        assert!(tokens.windows(2).all(|w| w[0].end <= w[1].start || w[0].start == w[1].start));
        assert_eq!(tokens.iter().map(|t| t.end).max(), Some(request.len()));
    }
}
