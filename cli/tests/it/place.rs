//! A project in a folder of its own, and the binary.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// Nothing here takes longer, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Place {
    dir: TempDir,
}

/// What a command gave.
pub struct Gave {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Gave {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// It ended like this.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e} in:\n{}\n{}", self.stdout, self.stderr))
    }

    /// Both outputs together hold this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let all = format!("{}\n{}", self.stdout, self.stderr);
        assert!(all.contains(text), "`{text}` is not in:\n{all}");
        self
    }
}

impl Place {
    /// A project with a table `data.orders` and a place `out` for results.
    pub fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().expect("a folder") };
        place.write(
            "tidemill.yaml",
            "connections:\n  data: {kind: files, path: data}\n  out: {kind: files, path: out}\n",
        );
        place.write("data/orders.csv", "id,country,total\n1,de,10\n2,fr,20\n3,de,5\n4,,7\n");
        place
    }

    /// An empty folder.
    pub fn empty() -> Self {
        Self { dir: tempfile::tempdir().expect("a folder") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect("readable")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("RUST_LOG")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Gave {
        Gave::of(&self.command(args).output().expect("the binary starts"))
    }

    /// A command that goes on beside the test.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut command = self.command(args);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
        Running { child: Some(child) }
    }

    /// Waits until a file is there.
    pub fn wait_for(&self, name: &str) {
        until(&format!("{name} is there"), || self.path(name).exists().then_some(()));
    }

    /// The newest run, once it is in this state.
    pub fn wait_for_run(&self, state: &str) -> Value {
        until(&format!("the last run is {state}"), || {
            let runs = self.run(&["runs", "--json"]).exits(0).json();
            runs.get(0).filter(|run| run["state"] == state).cloned()
        })
    }
}

/// Asks again and again until there is an answer.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "it never came to pass that {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// A process beside the test; it does not outlive it.
pub struct Running {
    child: Option<Child>,
}

impl Running {
    pub fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.as_ref().expect("running").id()).expect("a pid");
        // SAFETY: `kill` takes two numbers; the process is ours and has not been waited for.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    pub fn end(mut self) -> Gave {
        Gave::of(&self.child.take().expect("running").wait_with_output().expect("waited"))
    }

    /// The first line of its standard output.
    pub fn first_line(&mut self) -> String {
        let stdout = self.child.as_mut().expect("running").stdout.take().expect("piped");
        let mut lines = BufReader::new(stdout);
        let mut line = String::new();
        lines.read_line(&mut line).expect("readable");
        // Whatever else it prints must not fill the pipe.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        line
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Rows of every Parquet file of a loaded table.
pub fn parquet_rows(folder: &Path) -> i64 {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    let files = fs::read_dir(folder).expect("a loaded table").map(|e| e.expect("an entry").path());
    files
        .filter(|path| path.extension().is_some_and(|e| e == "parquet"))
        .map(|path| {
            let reader = SerializedFileReader::new(fs::File::open(path).expect("open")).expect("Parquet");
            reader.metadata().file_metadata().num_rows()
        })
        .sum()
}

/// Revenue per country, loaded to `out.revenue`.
pub const REVENUE: &str = "\
pipeline: revenue
tasks:
  orders: {extract: {connection: data, table: orders}}
  per_country:
    sql: SELECT country, sum(total) AS revenue FROM orders WHERE country IS NOT NULL GROUP BY country ORDER BY country
  sane:
    check: {input: per_country, expect: [{not_null: country}, {unique: country}]}
  publish:
    load: {input: per_country, connection: out, table: revenue}
    needs: [sane]
";

/// One shell task.
pub fn shell(name: &str, command: &str) -> String {
    format!("pipeline: {name}\ntasks:\n  step:\n    shell: {{command: {command:?}}}\n")
}
