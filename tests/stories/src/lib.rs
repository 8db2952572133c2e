//! What a user does and sees, through the real binary: a copy of the example project, a command, its answer.

pub mod cluster;
pub mod rows;
pub mod shop;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

use serde_json::Value;

/// The top of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The binary under test, built once if it is not up to date.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = std::env::current_exe().expect("a test has a path");
        // Tests lie in `deps/` beside it, programs with it.
        let folder = test.ancestors().skip(1).find(|folder| !folder.ends_with("deps")).expect("a folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--workspace", "--bin", "tidemill"]).current_dir(root());
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.status().expect("cargo runs");
        assert!(built.success(), "the binary does not build");
        let binary = folder.join("tidemill");
        assert!(binary.is_file(), "no binary at {}", binary.display());
        binary
    })
}

/// A fresh copy of the example project, gone when dropped.
pub struct Project {
    folder: tempfile::TempDir,
}

/// What a command said.
pub struct Said {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Said {
    /// What a command said that has ended.
    pub fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Standard output as one JSON value.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("not JSON ({error}):\n{}\nstderr:\n{}", self.out, self.err))
    }

    /// The same, after making sure that it went well.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Project {
    /// The example project; its data is linked, everything written stays in the copy.
    pub fn examples() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let examples = root().join("examples");
        for name in ["tidemill.yaml", "pipelines", "scripts"] {
            let from = examples.join(name);
            if from.exists() {
                copy(&from, &folder.path().join(name));
            }
        }
        std::os::unix::fs::symlink(examples.join("data"), folder.path().join("data")).expect("a link");
        Self { folder }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A `tidemill` command in the project, not started yet.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).current_dir(self.path()).env("NO_COLOR", "1").env_remove("RUST_LOG").stdin(Stdio::null());
        command
    }

    /// Starts a command that serves, on a port that is free, and waits until it does.
    pub fn serve(&self, command: &str, env: &[(&str, &str)]) -> cluster::Part {
        let mut serving = self.command(&[command, "--listen", "127.0.0.1:0", "--json"]);
        serving.envs(env.iter().copied());
        cluster::Part::start(serving, self.path().join(format!("{command}.log")))
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        Said::of(self.command(args).output().expect("the binary starts"))
    }

    /// Starts a command and leaves it running.
    pub fn start(&self, args: &[&str]) -> Child {
        self.command(args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts")
    }

    /// The visible rows of a table that was loaded into the `out` connection.
    pub fn loaded(&self, table: &str) -> Vec<Value> {
        rows::loaded(&self.path().join("out").join(table))
    }
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        std::fs::create_dir_all(to).expect("a folder");
        for entry in std::fs::read_dir(from).expect("examples can be read") {
            let entry = entry.expect("examples can be read");
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        std::fs::copy(from, to).expect("a file is copied");
    }
}

/// Asks the oracle (Python and SQLite over the same files) and returns the rows of each query.
pub fn oracle(queries: &[String]) -> Vec<Vec<Value>> {
    use std::io::Write;
    let data = root().join("examples/data");
    let input = serde_json::json!({ "folders": [data.join("nyc"), data.join("shop")], "queries": queries });
    let mut child = Command::new("python3")
        .arg(root().join("tests/suite/requests/oracle.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 is there; tests/install brings it");
    child.stdin.take().expect("piped").write_all(input.to_string().as_bytes()).expect("the oracle reads");
    let said = Said::of(child.wait_with_output().expect("the oracle answers"));
    said.out
        .lines()
        .zip(queries)
        .map(|(line, query)| match serde_json::from_str(line).expect("the oracle prints JSON") {
            Value::Array(rows) => rows,
            other => panic!("the oracle refuses `{query}`: {other}"),
        })
        .collect()
}
