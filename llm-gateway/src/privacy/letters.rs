//! Sensitive values with letters: e-mail, IBAN, identity numbers with letters, IPv6.

use std::net::Ipv6Addr;

use super::checks;
use super::detect::{Finding, Kind};

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    emails(text, found);
    words(text, found);
}

fn emails(text: &str, found: &mut Vec<Finding>) {
    for at in memchr::memchr_iter(b'@', text.as_bytes()) {
        let local = text[..at]
            .char_indices()
            .rev()
            .take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\''))
            .last()
            .map_or(at, |(start, _)| start);
        let local = at - text[local..at].trim_start_matches(['.', '\'', '-', '+']).len();
        let domain = text[at + 1..].char_indices().take_while(|(_, c)| c.is_alphanumeric() || matches!(c, '.' | '-'));
        let end = domain.last().map_or(at + 1, |(place, c)| at + 1 + place + c.len_utf8());
        let host = text[at + 1..end].trim_end_matches(['.', '-']);
        let top = host.rsplit('.').next().unwrap_or_default();
        let fits = local < at
            && host.contains('.')
            && !host.starts_with('.')
            && top.chars().count() > 1
            && top.chars().all(|c| c.is_alphabetic() || c == '-');
        if fits {
            found.push(Finding::new(local..at + 1 + host.len(), Kind::Email, "email"));
        }
    }
}

/// Runs of letters and digits, with what may follow after a space.
fn words(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        let (mut end, mut digits) = (at, false);
        while bytes.get(end).is_some_and(u8::is_ascii_alphanumeric) {
            digits |= bytes[end].is_ascii_digit();
            end += 1;
        }
        let glued = at > 0 && (matches!(bytes[at - 1], b'_' | b'@') || bytes[at - 1] >= 0x80);
        // Most words have no digit in them and none behind them.
        let numbered = digits || (end - at == 2 && bytes.get(end + 1).is_some_and(u8::is_ascii_digit));
        if numbered && !glued && end - at <= 34 {
            word(text, at, end, found);
        }
        if bytes.get(end) == Some(&b':') {
            ipv6(text, at, found);
        }
        at = end;
    }
}

fn word(text: &str, at: usize, end: usize, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let run = &bytes[at..end];
    let (letters, digits) = (run.iter().any(u8::is_ascii_alphabetic), run.iter().any(u8::is_ascii_digit));
    let country = run.len() >= 2 && run[..2].iter().all(u8::is_ascii_alphabetic);
    let spaced = run.len() == 2 && bytes.get(end) == Some(&b' ') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit);
    if country && (spaced || run.get(2).is_some_and(u8::is_ascii_digit)) {
        if let Some(finish) = iban(text, at) {
            found.push(Finding::new(at..finish, Kind::Iban, "iban"));
            return;
        }
        if let Some(finish) = nino(text, at) {
            found.push(Finding::new(at..finish, Kind::NationalId, "uk_nino"));
            return;
        }
    }
    let mut add = |finish: usize, shape| found.push(Finding::new(at..finish, Kind::NationalId, shape));
    if letters && digits {
        let run = &text[at..end];
        match run.len() {
            16 if checks::codice_fiscale(run) => add(end, "it_codice_fiscale"),
            10 if checks::pan(run) => add(end, "in_pan"),
            9 if checks::dni(run) => add(end, "es_dni"),
            9 if checks::nric(run) => add(end, "sg_nric"),
            11 if checks::finland(run) => add(end, "fi_hetu"),
            18 if checks::china(run) => add(end, "cn_resident_id"),
            8 if joined_letter(text, at, end) => add(end + 2, "es_dni"),
            _ => {}
        }
    } else if digits {
        match run.len() {
            8 if joined_letter(text, at, end) => add(end + 2, "es_dni"),
            6 if hetu(text, at) => add(at + 11, "fi_hetu"),
            _ => {}
        }
    }
}

/// `12345678-Z`.
fn joined_letter(text: &str, at: usize, end: usize) -> bool {
    let bytes = text.as_bytes();
    bytes.get(end) == Some(&b'-')
        && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
        && !bytes.get(end + 2).is_some_and(u8::is_ascii_alphanumeric)
        && checks::dni(&format!("{}{}", &text[at..end], bytes[end + 1] as char))
}

/// `131052-308T`.
fn hetu(text: &str, at: usize) -> bool {
    let after = text.as_bytes().get(at + 11);
    text.get(at..at + 11).is_some_and(checks::finland) && !after.is_some_and(u8::is_ascii_alphanumeric)
}

/// The end of an IBAN that begins here, written together or in groups.
fn iban(text: &str, at: usize) -> Option<usize> {
    let wanted = checks::iban_length(&text.get(at..at + 2)?.to_ascii_uppercase())?;
    let mut compact = String::with_capacity(wanted);
    let mut end = at;
    for (place, c) in text[at..].char_indices() {
        match c {
            c if c.is_ascii_alphanumeric() => compact.push(c),
            ' ' | '-' if compact.len() >= 4 && !text[..at + place].ends_with([' ', '-']) => continue,
            _ => break,
        }
        end = at + place + 1;
        if compact.len() == wanted {
            break;
        }
    }
    let whole = !text.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric);
    (whole && checks::iban(&compact)).then_some(end)
}

/// `AB 12 34 56 C` and together.
fn nino(text: &str, at: usize) -> Option<usize> {
    let mut compact = String::with_capacity(9);
    let mut end = at;
    for (place, c) in text[at..].char_indices() {
        match c {
            c if c.is_ascii_alphanumeric() => compact.push(c),
            ' ' if !text[..at + place].ends_with(' ') => continue,
            _ => break,
        }
        end = at + place + 1;
        if compact.len() == 9 {
            break;
        }
    }
    let whole = !text.as_bytes().get(end).is_some_and(u8::is_ascii_alphanumeric);
    (whole && compact[..2.min(compact.len())].bytes().all(|b| b.is_ascii_uppercase()) && checks::nino(&compact))
        .then_some(end)
}

fn ipv6(text: &str, at: usize, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let before = at > 0 && (matches!(bytes[at - 1], b':' | b'.') || bytes[at - 1].is_ascii_alphanumeric());
    let length = bytes[at..].iter().take_while(|b| b.is_ascii_hexdigit() || **b == b':').count();
    let run = text[at..at + length].trim_end_matches(':');
    if before || run.matches(':').count() < 2 {
        return;
    }
    let Ok(ip) = run.parse::<Ipv6Addr>() else { return };
    let first = ip.segments()[0];
    let local = ip.is_loopback() || ip.is_unspecified() || (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80;
    if !local {
        found.push(Finding::new(at..at + run.len(), Kind::Ip, "ipv6"));
    }
}
