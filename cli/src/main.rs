//! The one binary: command line, settings, real clock and randomness, and the wiring of all rooms into one process.
//!
//! To add a command: its arguments in `args`, a file in `commands/` named by the verb, a line in
//! `commands::run`, and a case in `tests/it.rs`, which drives the binary.

mod args;
mod calendars;
mod clock;
mod commands;
mod config;
mod definition;
mod difference;
mod draw;
mod drive;
mod error;
mod near;
mod node;
mod out;
mod outside;
mod preview;
mod progress;
mod project;
mod report;
mod resolve;
mod result;
mod secret;
mod serve;
mod table;
mod who;
mod words;
mod yaml;

use std::process::ExitCode;

use clap::Parser as _;
use serde_json::json;
use tidemill_dag::codes::tm09;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::error::{CliError, Exit};
use crate::out::Out;

/// Plans, rows and requests are small allocations on several threads at once: the C library's allocator would spend
/// a quarter of the time there, waiting for itself.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    log_to_stderr(&cli);
    let out = Out::new(cli.json);
    let exit = match work(cli, out) {
        Ok(exit) => exit,
        Err(error) => {
            report::print(&out, &error);
            error.exit()
        }
    };
    ExitCode::from(exit as u8)
}

fn work(cli: Cli, out: Out) -> Result<Exit, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|source| CliError::Machine { doing: "start".into(), source: Box::new(source) })?;
    let result = runtime.block_on(commands::run(cli, out));
    // Threads that wait for the disk must not hold up the end of the process.
    runtime.shutdown_background();
    result
}

/// Help and version go to standard output; what is wrong goes where all errors go.
fn usage(error: &clap::Error) -> ExitCode {
    let wrong = error.use_stderr();
    if wrong && std::env::args_os().any(|arg| arg == "--json") {
        let message = error.kind().as_str().unwrap_or("the command line is not understood");
        let entry =
            json!([{"code": tm09::USAGE, "severity": "error", "message": message, "causes": [error.to_string()]}]);
        let _ = Out::new(true).value(&entry);
    } else {
        let _ = error.print();
    }
    ExitCode::from(if wrong { Exit::Usage as u8 } else { Exit::Ok as u8 })
}

/// Quiet unless RUST_LOG says otherwise; a server also tells what goes wrong.
fn log_to_stderr(cli: &Cli) {
    let serves = matches!(
        cli.command,
        Command::Dev(_) | Command::Gateway(_) | Command::Scheduler | Command::Worker(_) | Command::Server(_)
    );
    let default = if serves { "warn" } else { "off" };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let ansi = Out::new(cli.json).paint_err.0;
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(ansi).with_writer(std::io::stderr).try_init();
}
