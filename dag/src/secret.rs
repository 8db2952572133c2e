//! Secrets are places to read from: `${env:NAME}`, `${file:/run/secrets/x}`, `${secret:name}`,
//! `${vault:path#key}`. Here they are only recognised; reading them is for whoever makes the call.

use std::fmt;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SecretPlace {
    /// An environment variable.
    Env(String),
    /// A file's content.
    File(String),
    /// Our own encrypted store.
    Stored(String),
    /// A key of a Vault path.
    Vault {
        /// The path.
        path: String,
        /// The key there.
        key: String,
    },
}

/// Text that starts like a secret place and is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{written}` is not a secret place: {reason}")]
pub struct SecretError {
    /// As written.
    pub written: String,
    /// Where it starts, in bytes of the whole text.
    pub offset: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// A piece of a text that may hold secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'t> {
    /// As it is.
    Text(&'t str),
    /// To be read from there.
    Secret(SecretPlace),
}

/// Splits a text into plain pieces and secret places. `$${` stands for a plain `${`, and `${` before
/// anything but `word:` is plain too, as in a shell text.
///
/// Split a definition's text before rendering its templates, never after: a place that came in
/// through a parameter must stay plain text.
///
/// # Errors
/// The first place that is not understood.
pub fn split(text: &str) -> Result<Vec<Piece<'_>>, SecretError> {
    let mut pieces = Vec::new();
    let mut plain = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("${") {
        let start = from + found;
        if text[..start].ends_with('$') {
            pieces.push(Piece::Text(&text[plain..start]));
            plain = start + 1;
            from = start + 2;
            continue;
        }
        let Some((scheme, rest)) = scheme(&text[start + 2..]) else {
            from = start + 2;
            continue;
        };
        let error = |written: &str, reason: String| SecretError { written: written.to_owned(), offset: start, reason };
        let Some(length) = rest.find('}') else {
            return Err(error(
                &text[start..text.len().min(start + 2 + scheme.len() + 1)],
                "the closing `}` is missing".to_owned(),
            ));
        };
        let end = text.len() - rest.len() + length + 1;
        let secret = place(scheme, &rest[..length]).map_err(|reason| error(&text[start..end], reason))?;
        if plain < start {
            pieces.push(Piece::Text(&text[plain..start]));
        }
        pieces.push(Piece::Secret(secret));
        (plain, from) = (end, end);
    }
    if plain < text.len() {
        pieces.push(Piece::Text(&text[plain..]));
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text("")));
    Ok(pieces)
}

/// Where the first secret place of a text starts, sound or not.
pub fn find(text: &str) -> Option<usize> {
    match split(text) {
        Err(error) => Some(error.offset),
        Ok(pieces) => {
            let secret = pieces.iter().any(|piece| matches!(piece, Piece::Secret(_)));
            secret.then(|| {
                text.match_indices("${")
                    .map(|(at, _)| at)
                    .find(|at| !text[..*at].ends_with('$') && scheme(&text[at + 2..]).is_some())
            })?
        }
    }
}

/// `env` and what follows `env:`.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic())?;
    let (scheme, rest) = (&text[..end], text[end..].strip_prefix(':')?);
    let word = !scheme.is_empty();
    // The shell writes `${name:-fallback}`, which is no place.
    let shell = rest.starts_with(['-', '=', '+', '?']) && !SCHEMES.contains(&scheme);
    (word && !shell).then_some((scheme, rest))
}

const SCHEMES: [&str; 4] = ["env", "file", "secret", "vault"];

fn place(scheme: &str, rest: &str) -> Result<SecretPlace, String> {
    let named = |what: &str| {
        let sound =
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if sound { Ok(rest.to_owned()) } else { Err(format!("{what} is a name of letters, digits, `_`, `-` and `.`")) }
    };
    match scheme {
        "env" => named("an environment variable").map(SecretPlace::Env),
        "secret" => named("a stored secret").map(SecretPlace::Stored),
        "file" if rest.is_empty() => Err("the file's path is missing".to_owned()),
        "file" => Ok(SecretPlace::File(rest.to_owned())),
        "vault" => match rest.split_once('#') {
            Some((path, key)) if !path.is_empty() && !key.is_empty() => {
                Ok(SecretPlace::Vault { path: path.to_owned(), key: key.to_owned() })
            }
            Some(_) | None => Err("write the path, `#` and the key, as in `${vault:kv/shop#password}`".to_owned()),
        },
        _ => {
            let near = crate::suggest::nearest(scheme, SCHEMES);
            let help = near
                .map_or("use `env`, `file`, `secret` or `vault`".to_owned(), |near| format!("did you mean `{near}`?"));
            Err(format!("`{scheme}` is not a kind of place; {help}"))
        }
    }
}

impl fmt::Display for SecretPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "${{env:{name}}}"),
            Self::File(path) => write!(f, "${{file:{path}}}"),
            Self::Stored(name) => write!(f, "${{secret:{name}}}"),
            Self::Vault { path, key } => write!(f, "${{vault:{path}#{key}}}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_found_between_plain_text() {
        let pieces = split("Bearer ${env:TOKEN}/${vault:kv/a#b}!").expect("sound");
        let vault = SecretPlace::Vault { path: "kv/a".to_owned(), key: "b".to_owned() };
        let expected = [
            Piece::Text("Bearer "),
            Piece::Secret(SecretPlace::Env("TOKEN".to_owned())),
            Piece::Text("/"),
            Piece::Secret(vault),
            Piece::Text("!"),
        ];
        assert_eq!(pieces, expected);
        assert_eq!(find("Bearer ${env:TOKEN}"), Some(7));
    }

    #[test]
    fn plain_dollars_stay_plain() {
        for text in ["", "costs $5", "${HOME}", "${name:-fallback}", "a $ {env:X}"] {
            let pieces = split(text).expect("sound");
            assert!(pieces.iter().all(|piece| matches!(piece, Piece::Text(_))), "{text}: {pieces:?}");
            assert_eq!(find(text), None, "{text}");
        }
        assert_eq!(split("a $${env:X}").expect("sound"), [Piece::Text("a $"), Piece::Text("{env:X}")]);
    }

    #[test]
    fn what_looks_like_a_place_and_is_none_is_refused() {
        for (text, reason) in [
            ("x ${evn:TOKEN}", "did you mean `env`?"),
            ("x ${env:}", "a name of letters"),
            ("x ${env:TOKEN", "closing"),
            ("x ${vault:kv/a}", "and the key"),
            ("x ${file:}", "path is missing"),
        ] {
            let error = split(text).expect_err(text);
            assert!(error.reason.contains(reason) && error.offset == 2, "{text}: {error:?}");
            assert_eq!(find(text), Some(2), "{text}");
        }
    }
}
