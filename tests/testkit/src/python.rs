//! The Python environment that tests share.

use std::path::{Path, PathBuf};

/// Its interpreter: what `TIDEMILL_TEST_PYTHON` says, or else the one below the target folder.
///
/// # Panics
/// If there is none: a test that needs one must not pass without.
pub fn test_python() -> PathBuf {
    let said = std::env::var_os("TIDEMILL_TEST_PYTHON").map(PathBuf::from);
    let test = std::env::current_exe().unwrap_or_default();
    let below = test.ancestors().map(|folder| folder.join("test-python/bin/python")).find(|place| place.is_file());
    said.or(below).expect("no Python environment for tests: run `tests/install` first")
}

/// A file beside the sources of this crate.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
