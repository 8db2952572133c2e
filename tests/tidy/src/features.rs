//! Which features libraries are built with, as cargo tells it.

use std::{collections::BTreeSet, path::Path, process::Command};

/// Libraries of the program that tests are built with in another form: whoever has run the program would build them again, and with
/// them all that stands above them.
pub fn built_twice(root: &Path) -> Vec<String> {
    let program = libraries(root, &["--package", "tidemill-cli", "--edges", "normal,build"]);
    let tests = libraries(root, &["--workspace", "--edges", "normal,build,dev"]);
    program.difference(&tests).cloned().collect()
}

/// Each library once for each set of its features.
fn libraries(root: &Path, which: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .current_dir(root)
        .args(["tree", "--locked", "--offline", "--prefix", "none", "--format", "{p} {f}"])
        .args(which)
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // What was listed before is marked; what is in the workspace has its folder behind its name.
    let lines = text.lines().map(|line| line.trim_end_matches(" (*)"));
    lines.filter(|line| !line.contains('/')).map(str::to_owned).collect()
}
