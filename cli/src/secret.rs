//! Addresses that may hold passwords: read at the last moment, never printed.

pub use tidemill_dag::secret::Secret;
use tidemill_dag::secret::{self, Piece, Ways, split};

use crate::error::CliError;

const WAYS: Ways = Ways { env: |name| std::env::var_os(name), file: |path| std::fs::read_to_string(path) };

/// Reads a setting whose text names places.
pub fn read(setting: &'static str, written: &str) -> Result<Secret, CliError> {
    secret::read(written, &WAYS).map_err(|error| CliError::SecretPlace { setting, why: error.to_string() })
}

/// Whether a text is nothing but the place of a secret.
pub fn is_place(written: &str) -> bool {
    matches!(split(written).as_deref(), Ok([Piece::Secret(_)]))
}

/// A setting, or else what an environment variable says.
pub fn setting(name: &'static str, written: Option<&str>, variable: &str) -> Result<Option<Secret>, CliError> {
    match written {
        Some(written) => read(name, written).map(Some),
        None => Ok(std::env::var(variable).ok().filter(|value| !value.is_empty()).map(Secret::new)),
    }
}

/// Whether an address spells out a password.
pub fn shows_a_password(url: &str) -> bool {
    let login = url.split_once("://").and_then(|(_, rest)| rest.rsplit_once('@')).map(|(login, _)| login);
    let password = login.and_then(|login| login.split_once(':')).map(|(_, password)| password);
    password.is_some_and(|password| !password.is_empty() && !password.starts_with("${")) || url.contains("password=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_noticed_and_places_are_not() {
        for shown in ["postgres://u:pw@h/d", "redis://:pw@h", "redis+sentinel://h/m?sentinel_password=x"] {
            assert!(shows_a_password(shown), "{shown}");
        }
        for fine in ["postgres://u@h/d", "postgres://u:${env:PW}@h/d", "${env:URL}", "redis://h:1", "sqlite:a.db"] {
            assert!(!shows_a_password(fine), "{fine}");
        }
    }

    #[test]
    fn places_are_read_or_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("pw");
        std::fs::write(&file, "s3cret\n").expect("a file");
        let read_it = read("queue.url", &format!("redis://:${{file:{}}}@h", file.display())).expect("it is there");
        assert_eq!(read_it.expose(), "redis://:s3cret@h");
        assert!(!format!("{read_it:?}").contains("s3cret"));
        let error = read("queue.url", "${env:TIDEMILL_NO_SUCH_VARIABLE}").expect_err("it is not set");
        assert!(
            error
                .to_string()
                .contains("queue.url: ${env:TIDEMILL_NO_SUCH_VARIABLE}: the environment variable is not set"),
            "{error}"
        );
    }
}
