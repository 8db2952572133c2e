//! The pieces of a template: plain text, outputs, blocks, comments. Only as much as is needed to say
//! where something came from and to visit every branch.

/// What a piece is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'t> {
    Text,
    /// `{{ … }}`, with what is inside.
    Output(&'t str),
    /// `{% … %}`, with its first word.
    Block(&'t str),
    Comment,
}

/// A piece and where it is, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'t> {
    pub(super) piece: Piece<'t>,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// Splits a template. Anything unfinished at the end is text.
pub(super) fn parts(template: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut at = 0;
    while let Some(start) = next_tag(template, at) {
        let Some((piece, end)) = tag(template, start) else { break };
        if at < start {
            parts.push(Part { piece: Piece::Text, start: at, end: start });
        }
        at = match piece {
            Piece::Block("raw") => raw_end(template, end),
            Piece::Text | Piece::Output(_) | Piece::Block(_) | Piece::Comment => end,
        };
        // A raw block is copied whole.
        parts.push(Part { piece, start, end: at });
    }
    if at < template.len() {
        parts.push(Part { piece: Piece::Text, start: at, end: template.len() });
    }
    parts
}

/// Whether there is anything to render.
pub(super) fn is_template(text: &str) -> bool {
    next_tag(text, 0).is_some()
}

/// What is inside a template that is one `{{ … }}` and nothing else.
pub(super) fn single_output(template: &str) -> Option<&str> {
    match parts(template.trim()).as_slice() {
        [Part { piece: Piece::Output(inside), .. }] => Some(inside),
        _ => None,
    }
}

fn next_tag(template: &str, from: usize) -> Option<usize> {
    template[from..]
        .match_indices('{')
        .map(|(at, _)| from + at)
        .find(|at| matches!(template.as_bytes().get(at + 1), Some(b'{' | b'%' | b'#')))
}

fn tag(template: &str, start: usize) -> Option<(Piece<'_>, usize)> {
    match template.as_bytes().get(start + 1)? {
        b'#' => {
            let end = start + template[start..].find("#}")? + 2;
            Some((Piece::Comment, end))
        }
        b'%' => {
            let close = closing(template, start + 2, "%}")?;
            let inside = inside(&template[start + 2..close]);
            let word = inside.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("");
            Some((Piece::Block(word), close + 2))
        }
        _ => {
            let close = closing(template, start + 2, "}}")?;
            Some((Piece::Output(inside(&template[start + 2..close])), close + 2))
        }
    }
}

/// Without the signs that trim white space.
fn inside(text: &str) -> &str {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    text.strip_suffix(['-', '+']).unwrap_or(text).trim()
}

/// Where a tag ends, strings in it passed over.
fn closing(template: &str, from: usize, sign: &str) -> Option<usize> {
    let bytes = template.as_bytes();
    let mut quote = None;
    let mut at = from;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, _) if bytes[at..].starts_with(sign.as_bytes()) => return Some(at),
            (None, _) => {}
        }
        at += 1;
    }
    None
}

fn raw_end(template: &str, from: usize) -> usize {
    let mut at = from;
    while let Some(start) = template[at..].find("{%").map(|found| at + found) {
        match tag(template, start) {
            Some((Piece::Block("endraw"), end)) => return end,
            Some(_) => at = start + 2,
            None => break,
        }
    }
    template.len()
}

/// Where a dotted name is used inside a template's tags, in bytes.
pub(super) fn find_name(template: &str, name: &str) -> Option<usize> {
    let last = name.rsplit('.').next().unwrap_or(name);
    let first = name.split('.').next().unwrap_or(name);
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let parts = parts(template);
    let tags = || parts.iter().filter(|part| matches!(part.piece, Piece::Output(_) | Piece::Block(_)));
    let find = |wanted: &str, whole: bool| {
        tags().find_map(|part| {
            let text = &template[part.start..part.end];
            let mut found = text.match_indices(wanted).filter(|(at, _)| {
                let (before, after) = (&text[..*at], &text[at + wanted.len()..]);
                let part_of_word = before.ends_with(word) || after.starts_with(word);
                !(part_of_word || whole && after.starts_with('.'))
            });
            found.next().map(|(at, _)| part.start + at)
        })
    };
    find(name, true).or_else(|| [name, last, first].into_iter().find_map(|wanted| find(wanted, false)))
}
