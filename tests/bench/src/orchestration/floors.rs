//! What the machine needs without any engine.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

use sqlx::{Connection, Executor};

use crate::{Outcome, ground::Servers};

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

/// How often a floor of the servers is taken.
const TIMES: u32 = 200;

/// Milliseconds of a commit of one small row, one after the other, on one connection.
pub async fn commit(servers: &Servers) -> Outcome<f64> {
    let mut session = sqlx::PgConnection::connect(&servers.postgres.fresh().await?).await?;
    session.execute("CREATE TABLE floor (n BIGINT)").await?;
    let insert = || sqlx::query("INSERT INTO floor VALUES ($1)");
    insert().bind(0_i64).execute(&mut session).await?;
    let begun = Instant::now();
    for n in 0..TIMES {
        insert().bind(i64::from(n)).execute(&mut session).await?;
    }
    let took = begun.elapsed().as_secs_f64() * 1e3 / f64::from(TIMES);
    session.close().await?;
    Ok(took)
}

/// Milliseconds of a question to PostgreSQL that reads nothing.
pub async fn question(servers: &Servers) -> Outcome<f64> {
    let mut session = sqlx::PgConnection::connect(&servers.postgres.url("postgres")).await?;
    sqlx::query("SELECT 1").execute(&mut session).await?;
    let begun = Instant::now();
    for _ in 0..TIMES {
        sqlx::query("SELECT 1").execute(&mut session).await?;
    }
    let took = begun.elapsed().as_secs_f64() * 1e3 / f64::from(TIMES);
    session.close().await?;
    Ok(took)
}

/// Milliseconds of a question to Redis and its answer.
pub async fn ping(servers: &Servers) -> Outcome<f64> {
    let mut session = redis::Client::open(servers.redis.url())?.get_multiplexed_async_connection().await?;
    redis::cmd("PING").exec_async(&mut session).await?;
    let begun = Instant::now();
    for _ in 0..TIMES {
        redis::cmd("PING").exec_async(&mut session).await?;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e3 / f64::from(TIMES))
}
