//! Keys, tokens and passwords: by the prefixes that issuers give them, by the word before them, by their randomness.

use memchr::memmem;

use super::detect::{Finding, Kind};

/// Prefix, least length after it, name.
const PREFIXES: &[(&str, usize, &str)] = &[
    ("AKIA", 16, "aws_key"),
    ("ASIA", 16, "aws_key"),
    ("ghp_", 30, "github_token"),
    ("gho_", 30, "github_token"),
    ("ghu_", 30, "github_token"),
    ("ghs_", 30, "github_token"),
    ("ghr_", 30, "github_token"),
    ("github_pat_", 30, "github_token"),
    ("glpat-", 18, "gitlab_token"),
    ("gldt-", 18, "gitlab_token"),
    ("sk-ant-", 20, "anthropic_key"),
    ("sk-proj-", 20, "openai_key"),
    ("sk-or-", 20, "openrouter_key"),
    ("sk-", 20, "openai_key"),
    ("xoxb-", 20, "slack_token"),
    ("xoxp-", 20, "slack_token"),
    ("xoxa-", 20, "slack_token"),
    ("xoxs-", 20, "slack_token"),
    ("xapp-", 20, "slack_token"),
    ("AIza", 35, "google_key"),
    ("ya29.", 20, "google_token"),
    ("GOCSPX-", 20, "google_secret"),
    ("hf_", 30, "huggingface_token"),
    ("npm_", 30, "npm_token"),
    ("pypi-AgEI", 40, "pypi_token"),
    ("SG.", 40, "sendgrid_key"),
    ("sk_live_", 16, "stripe_key"),
    ("rk_live_", 16, "stripe_key"),
    ("sk_test_", 16, "stripe_key"),
    ("whsec_", 20, "stripe_secret"),
    ("dop_v1_", 40, "digitalocean_token"),
    ("shpat_", 30, "shopify_token"),
    ("dckr_pat_", 20, "docker_token"),
    ("lin_api_", 30, "linear_key"),
    ("dapi", 32, "databricks_token"),
    ("AGE-SECRET-KEY-1", 40, "age_key"),
    ("hvs.", 20, "vault_token"),
    ("eyJ", 30, "jwt"),
    ("gsk_", 30, "groq_key"),
    ("r8_", 30, "replicate_token"),
    ("key-", 32, "mailgun_key"),
    ("tmk_", 20, "gateway_key"),
    ("sq0csp-", 30, "square_secret"),
];

/// Names of settings whose value is secret. Compared without `_`, `-` and case, at the end of the name.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "secretkey",
    "token",
    "apikey",
    "accesskey",
    "accountkey",
    "authkey",
    "clientsecret",
    "privatekey",
    "accesstoken",
    "authtoken",
    "credential",
    "credentials",
    "signingkey",
    "encryptionkey",
    "sharedkey",
];

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    blocks(text, found);
    url_passwords(text, found);
    for (start, end) in tokens(text) {
        token(text, start, end, found);
    }
    assignments(text, found);
}

/// `-----BEGIN … PRIVATE KEY-----` to its end, or to the end of the text.
fn blocks(text: &str, found: &mut Vec<Finding>) {
    for at in memmem::find_iter(text.as_bytes(), b"-----BEGIN ") {
        let head = text[at..].lines().next().unwrap_or_default();
        if head.contains("PRIVATE KEY") {
            let end = text[at + 11..].find("-----END ").map_or(text.len(), |place| {
                let tail = at + 11 + place;
                text[tail + 9..].find("-----").map_or(text.len(), |close| tail + 9 + close + 5)
            });
            found.push(Finding::new(at..end, Kind::Secret, "private_key"));
        }
    }
}

/// `scheme://user:password@host`.
fn url_passwords(text: &str, found: &mut Vec<Finding>) {
    for at in memmem::find_iter(text.as_bytes(), b"://") {
        let rest = &text[at + 3..];
        let end = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '/' | '"' | '\'' | '<' | '>' | '`'))
            .unwrap_or(rest.len());
        let Some(sign) = rest[..end].rfind('@') else { continue };
        let Some(colon) = rest[..sign].find(':') else { continue };
        if colon + 1 < sign && !is_reference(&rest[colon + 1..sign]) {
            found.push(Finding::new(at + 3 + colon + 1..at + 3 + sign, Kind::Secret, "url_password"));
        }
    }
}

/// Runs without spaces, quotes, brackets and signs of assignment.
fn tokens(text: &str) -> impl Iterator<Item = (usize, usize)> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        while at < bytes.len() && !is_token(bytes[at]) {
            at += 1;
        }
        let start = at;
        while at < bytes.len() && is_token(bytes[at]) {
            at += 1;
        }
        (start < at).then_some((start, at))
    })
    .filter(|(start, end)| end - start >= 16)
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'+' | b'/' | b'~')
}

fn token(text: &str, start: usize, end: usize, found: &mut Vec<Finding>) {
    let token = text[start..end].trim_end_matches(['.', '-', '/']);
    let end = start + token.len();
    // The value may stand behind a path: `…/services/T000/B000/xyz` is one token of several parts.
    let known = PREFIXES.iter().find(|(prefix, least, shape)| {
        let Some(rest) = token.strip_prefix(prefix) else { return false };
        match *shape {
            "aws_key" => rest.len() == *least && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()),
            "jwt" => rest.len() >= *least && token.split('.').count() == 3,
            "databricks_token" | "mailgun_key" => rest.len() >= *least && rest.bytes().all(|b| b.is_ascii_hexdigit()),
            "openai_key" => rest.len() >= *least && rest.bytes().any(|b| b.is_ascii_digit()) && has_upper_lower(rest),
            _ => rest.len() >= *least,
        }
    });
    if let Some((_, _, shape)) = known {
        found.push(Finding::new(start..end, Kind::Secret, shape));
        return;
    }
    if is_random(token) {
        found.push(Finding::new(start..end, Kind::Secret, "high_entropy"));
    }
}

fn has_upper_lower(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_uppercase()) && text.bytes().any(|b| b.is_ascii_lowercase())
}

/// A long run that mixes capitals, small letters and digits as only chance does. Hashes in hexadecimal, UUIDs and
/// paths are not secret by themselves.
fn is_random(token: &str) -> bool {
    let body = token.trim_end_matches('=');
    let digits = body.bytes().filter(u8::is_ascii_digit).count();
    let separators = body.bytes().filter(|b| matches!(b, b'/' | b'.' | b'-' | b'_')).count();
    (32..=256).contains(&body.len())
        && has_upper_lower(body)
        && digits * 12 >= body.len()
        && separators * 10 <= body.len()
        && entropy(body) >= 4.2
        && turns(body) * 3 >= body.len()
}

/// Bits a character carries in this text.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let n = text.len() as f64;
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / n).map(|p| -p * p.log2()).sum()
}

/// How often capitals, small letters and digits take turns.
fn turns(text: &str) -> usize {
    let class = |b: u8| match b {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    text.as_bytes().windows(2).filter(|w| class(w[0]) != class(w[1])).count()
}

/// `password=…`, `"api_key": "…"`, `Authorization: Bearer …`, "the password is …".
fn assignments(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !(bytes[at].is_ascii_alphabetic() || bytes[at] == b'_') {
            at += 1;
            continue;
        }
        let length =
            bytes[at..].iter().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.')).count();
        let (name, end) = (&text[at..at + length], at + length);
        at = end;
        // What follows most words can begin no value.
        let follows = bytes[end..].iter().find(|b| !matches!(b, b'"' | b'\'' | b' '));
        let may = matches!(follows, Some(b'=' | b':' | b'i' | b'e' | b'w')) || name.starts_with(['b', 'B']);
        if may && (3..=64).contains(&length) {
            assignment(text, name, end, found);
        }
    }
}

fn assignment(text: &str, name: &str, end: usize, found: &mut Vec<Finding>) {
    if name.eq_ignore_ascii_case("bearer") || name.eq_ignore_ascii_case("basic") {
        let value = text[end..]
            .strip_prefix(' ')
            .map_or("", |rest| rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).next().unwrap_or(""));
        if value.len() >= 16
            && value.bytes().all(|b| is_token(b) || b == b'=')
            && !is_reference(value)
            && value.bytes().any(|b| b.is_ascii_digit())
        {
            found.push(Finding::new(end + 1..end + 1 + value.len(), Kind::Secret, "authorization"));
        }
        return;
    }
    let rest = &text[end..];
    let (lead, said) = match rest.trim_start_matches(['"', '\'', ' ']) {
        r if r.starts_with(['=', ':']) => (rest.len() - r.trim_start_matches(['=', ':', ' ', '>']).len(), false),
        r => match ["is ", "is: ", "ist ", "es ", "was "].iter().find(|w| r.starts_with(**w)) {
            Some(w) => (rest.len() - r.len() + w.len(), true),
            None => return,
        },
    };
    let folded: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    let Some(kind) = NAMES.iter().filter(|n| folded.ends_with(**n)).max_by_key(|n| n.len()) else { return };
    let quoted = rest[lead..].chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let start = end + lead + usize::from(quoted.is_some());
    let value = match quoted {
        Some(sign) => text[start..].split([sign, '\n']).next().unwrap_or(""),
        None => text[start..]
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '"' | '\'' | '`' | ')' | '}' | '&'))
            .next()
            .unwrap_or(""),
    };
    let value = if said { value.trim_end_matches(['.', '?']) } else { value };
    let spoken = matches!(*kind, "password" | "passwd" | "pwd" | "passphrase");
    if is_secret_value(value, spoken, said) {
        found.push(Finding::new(start..start + value.len(), Kind::Secret, "assignment"));
    }
}

fn is_secret_value(value: &str, spoken: bool, said: bool) -> bool {
    let lower = value.to_ascii_lowercase();
    let dull = [
        "example",
        "changeme",
        "placeholder",
        "your",
        "xxxx",
        "none",
        "null",
        "true",
        "false",
        "secret",
        "password",
        "redacted",
        "masked_",
    ];
    if is_reference(value) || dull.iter().any(|word| lower.starts_with(word)) || value.contains(' ') {
        return false;
    }
    let digit = value.bytes().any(|b| b.is_ascii_digit());
    let sign = value.bytes().any(|b| b.is_ascii_punctuation() && !matches!(b, b'_' | b'-' | b'.'));
    let call = value.contains(['(', '[', '.']) && !digit;
    if spoken {
        return value.len() >= 6 && !call && (digit || sign || (!said && has_upper_lower(value) && value.len() >= 8));
    }
    value.len() >= 12 && digit && entropy(value) >= 3.0
}

/// A place to read a secret from, or a hole to fill, is not the secret.
fn is_reference(value: &str) -> bool {
    value.is_empty()
        || value.starts_with(['$', '<', '{', '%', '*', ':', '?', '@'])
        || value.contains("${")
        || value.contains("{{")
        || value.bytes().all(|b| b == value.as_bytes()[0])
}
