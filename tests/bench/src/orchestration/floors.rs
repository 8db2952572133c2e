//! What the machine needs without any engine.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use crate::Outcome;

/// One warm interpreter does all tasks and flushes a line to the disk after each.
const FLUSHED: &str = r#"
import os, sys, time
path, tasks, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def fibo(n):
    return n if n < 2 else fibo(n - 1) + fibo(n - 2)
file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
begun = time.perf_counter()
for task in range(tasks):
    result = fibo(n) if n >= 0 else None
    os.write(file, b"%d %r %s\n" % (task, result, b"-" * 160))
    os.fdatasync(file)
print(time.perf_counter() - begun)
"#;

/// The code that a task of its own process runs; `n` below zero computes nothing.
pub fn code(n: i32) -> String {
    if n < 0 {
        return "pass".to_owned();
    }
    format!("fibo = lambda n: n if n < 2 else fibo(n - 1) + fibo(n - 2)\nfibo({n})")
}

/// Seconds for so many tasks in one interpreter, each made durable.
pub fn flushed(python: &Path, folder: &Path, tasks: usize, n: i32) -> Outcome<f64> {
    let file = folder.join("floor");
    let done = Command::new(python)
        .args(["-c", FLUSHED])
        .arg(file)
        .args([tasks.to_string(), n.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    Ok(String::from_utf8(done.stdout)?.trim().parse()?)
}

/// Seconds for so many tasks, each in a fresh interpreter, so many at the same time.
pub fn processes(python: &Path, tasks: usize, n: i32, at_once: usize) -> Outcome<f64> {
    let code = code(n);
    let left = AtomicUsize::new(tasks);
    let take = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
    let work = || -> std::io::Result<()> {
        while take() {
            Command::new(python).args(["-c", &code]).status()?;
        }
        Ok(())
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap_or(Ok(())))
    })?;
    Ok(begun.elapsed().as_secs_f64())
}

/// Milliseconds until a fresh interpreter says its first word.
pub fn first_word(python: &Path) -> Outcome<f64> {
    let begun = Instant::now();
    let mut child = Command::new(python).args(["-c", "print('here', flush=True)"]).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
    let took = begun.elapsed().as_secs_f64() * 1e3;
    child.wait()?;
    Ok(took)
}
