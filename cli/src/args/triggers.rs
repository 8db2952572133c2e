//! Schedules and webhooks.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `schedules`.
#[derive(Debug, Args)]
pub struct Schedules {
    /// What to do; without it, they are listed.
    #[command(subcommand)]
    pub command: Option<SchedulesCommand>,
}

/// What to do with a schedule.
#[derive(Debug, Subcommand)]
pub enum SchedulesCommand {
    /// Let it fire no more, until it is resumed.
    Pause(ScheduleRef),
    /// Let it fire again.
    Resume(ScheduleRef),
}

/// A schedule.
#[derive(Debug, Args)]
pub struct ScheduleRef {
    /// The pipeline.
    pub pipeline: String,
    /// The schedule: its name, or its place among the triggers, from 0. May be left out where there is one.
    pub trigger: Option<String>,
}

/// `hooks`.
#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// List dead letters, newest first.
    #[command(after_help = "Examples:
  tidemill hooks list
  tidemill hooks list --pipeline orders -n 5 --json

`failed`: the delivery is genuine, and its trigger could not use it. `refused`: nobody knows who sent it.")]
    List(HooksList),
    /// Show one dead letter: what was wrong, its headers (none with secrets) and its body.
    Show(LetterRef),
    /// Take a dead letter again, under the definition that is active now. Its event still makes one run at most.
    #[command(after_help = "Examples:
  tidemill hooks replay 17
  tidemill hooks replay 18 --trust   # it was refused, for example because the secret was wrong here")]
    Replay(HooksReplay),
    /// Send a signed sample through the webhook, as its sender would. The secret must be readable here.
    #[command(after_help = "Examples:
  tidemill hooks test orders pushed
  tidemill hooks test orders 0 --body order.json --header x-github-event=push

The run it starts is a real one; a `tidemill dev` or `tidemill worker` works on it.")]
    Test(HooksTest),
}

/// `hooks list`.
#[derive(Debug, Args)]
pub struct HooksList {
    /// Only of this pipeline.
    #[arg(long)]
    pub pipeline: Option<String>,
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub limit: u32,
}

/// A dead letter.
#[derive(Debug, Args)]
pub struct LetterRef {
    /// Its number, as `tidemill hooks list` shows it.
    pub id: i64,
}

/// `hooks replay`.
#[derive(Debug, Args)]
pub struct HooksReplay {
    /// Its number, as `tidemill hooks list` shows it.
    pub id: i64,
    /// Take it although nobody knows who sent it.
    #[arg(long)]
    pub trust: bool,
}

/// `hooks test`.
#[derive(Debug, Args)]
pub struct HooksTest {
    /// The pipeline; its active version is tried.
    pub pipeline: String,
    /// The webhook: its name, or its place among the triggers, from 0.
    #[arg(default_value = "0")]
    pub trigger: String,
    /// A file with the body; without one, a sample of the preset's sender.
    #[arg(long, value_name = "FILE")]
    pub body: Option<PathBuf>,
    /// A header more, or another value for one; may be given several times.
    #[arg(long = "header", value_name = "NAME=VALUE")]
    pub headers: Vec<String>,
}
