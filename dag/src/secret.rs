//! Secrets are places to read from: `${env:NAME}`, `${file:/run/secrets/x}`, `${secret:name}`,
//! `${vault:path#key}`. Here they are recognised; the ways to what they name are brought along by whoever makes the call.

use std::{ffi::OsString, fmt, io, sync::Arc};

/// Text that holds a secret. It neither prints nor serialises.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Takes a text that holds one.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The ways to what places name.
#[derive(Debug, Clone, Copy)]
pub struct Ways {
    /// The value of an environment variable.
    pub env: fn(&str) -> Option<OsString>,
    /// The text of a file.
    pub file: fn(&str) -> io::Result<String>,
}

/// A place that cannot be read, or a text that names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct UnreadSecret {
    /// The place, as written.
    pub place: String,
    /// Why.
    pub reason: String,
}

impl From<SecretError> for UnreadSecret {
    fn from(error: SecretError) -> Self {
        Self { place: error.written, reason: error.reason }
    }
}

/// A text with the values of its places.
///
/// # Errors
/// The first place that is not understood or cannot be read.
pub fn read(written: &str, ways: &Ways) -> Result<Secret, UnreadSecret> {
    let mut text = String::new();
    for piece in split(written)? {
        match piece {
            Piece::Text(plain) => text.push_str(plain),
            Piece::Secret(place) => text.push_str(place.read(ways)?.expose()),
        }
    }
    Ok(Secret::new(text))
}

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

impl SecretPlace {
    /// What is there.
    ///
    /// # Errors
    /// Nothing is, or there is no way to it.
    pub fn read(&self, ways: &Ways) -> Result<Secret, UnreadSecret> {
        let failed = |reason: String| UnreadSecret { place: self.to_string(), reason };
        let text = match self {
            Self::Env(name) => (ways.env)(name)
                .ok_or_else(|| "the environment variable is not set".to_owned())
                .and_then(|value| value.into_string().map_err(|_| "its value is not UTF-8".to_owned())),
            Self::File(path) => (ways.file)(path)
                // Editors and `echo` end a file with a line end that is not part of the secret.
                .map(|text| text.strip_suffix('\n').map_or(text.as_str(), |cut| cut.trim_end_matches('\r')).to_owned())
                .map_err(|error| error.to_string()),
            Self::Stored(_) => Err("this version keeps no secrets of its own yet".to_owned()),
            Self::Vault { .. } => Err("this version does not talk to Vault yet".to_owned()),
        };
        text.map(Secret::new).map_err(failed)
    }
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

    #[test]
    fn places_are_read_by_the_ways_that_are_given() {
        let ways = Ways {
            env: |name| (name == "TOKEN").then(|| "t0k".into()),
            file: |path| match path {
                "/pw" => Ok("s3cret\r\n".to_owned()),
                _ => Err(io::Error::from(io::ErrorKind::NotFound)),
            },
        };
        let both = read("redis://${env:TOKEN}:${file:/pw}@h", &ways).expect("both are there");
        assert_eq!((both.expose(), format!("{both:?}").as_str()), ("redis://t0k:s3cret@h", "Secret(***)"));
        for (written, said) in [
            ("${env:OTHER}", "${env:OTHER}: the environment variable is not set"),
            ("${file:/no}", "${file:/no}: entity not found"),
            ("${vault:a#b}", "${vault:a#b}: this version does not talk to Vault yet"),
            ("${envy:X}", "${envy:X}: "),
        ] {
            let error = read(written, &ways).expect_err(written).to_string();
            assert!(error.starts_with(said), "{error}");
        }
    }
}
