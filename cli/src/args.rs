//! The command line as types. The doc comments are the help texts.

mod definitions;
mod limits;
mod operate;
mod triggers;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

pub use definitions::*;
pub use limits::*;
pub use operate::*;
pub use triggers::*;

const EXIT_CODES: &str = "Exit codes:
  0    everything went well
  1    a run failed or was cancelled, or something was found to be wrong
  2    the command line or the project's settings are wrong
  3    a definition is invalid
  4    a request in English was not understood
  130  interrupted by Ctrl-C

Start here:
  tidemill init
  tidemill ask \"number of orders per country\" --yes
  tidemill dev

Every error has a code; `tidemill errors CODE` explains it. RUST_LOG=info shows what goes on inside.";

/// Say what data you want; Tidemill writes the pipeline, proves it, and runs it.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, about, after_help = EXIT_CODES, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// The project's folder. Without it: the nearest folder, from here upwards, that holds a `tidemill.yaml`;
    /// or else this folder.
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub project: Option<PathBuf>,
    /// Print JSON instead of text; errors too, as an array.
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Turn a sentence into a pipeline, and run it if you say so.
    #[command(after_help = "Examples:
  tidemill ask \"average departure delay per carrier, worst first\"
  tidemill ask \"top 10 customers by revenue in 2024\" --yes
  tidemill ask \"orders per day, every weekday at 6 in Berlin\" --save pipelines/orders_per_day.yaml

Without --run or --yes it asks when there is a terminal, and only proposes when there is none.
It never guesses: what it does not understand it repeats word for word (exit code 4).")]
    Ask(Ask),
    /// Check definitions: every error of every file, nothing is run.
    #[command(after_help = "Examples:
  tidemill validate pipelines
  tidemill validate a.yaml b.yaml --json")]
    Validate(Validate),
    /// Show what a definition would do: graph, types, lineage, pushdown, limits, next fire times.
    #[command(after_help = "Example:
  tidemill plan pipelines/daily.yaml")]
    Plan(PlanArgs),
    /// Make definitions what runs: shows what would change, asks, and applies all of them or none.
    #[command(after_help = "Examples:
  tidemill apply                        # every definition in pipelines/
  tidemill apply pipelines/daily.yaml --plan
  tidemill apply -f pipelines --yes --json

What is shown is what is applied: if somebody changes a pipeline meanwhile, nothing is applied.")]
    Apply(Apply),
    /// List the versions of a pipeline and where each is: draft, proposed, active or archived.
    #[command(after_help = "Example:
  tidemill versions daily")]
    Versions(Versions),
    /// Show what is different between two versions, or between a version and a file.
    #[command(after_help = "Examples:
  tidemill diff daily@3                 # version 3 and the active one
  tidemill diff daily@3 daily@5
  tidemill diff daily pipelines/daily.yaml")]
    Diff(DiffArgs),
    /// Make an earlier version the active one again.
    #[command(after_help = "Examples:
  tidemill rollback daily               # the version that was active before
  tidemill rollback daily 3

Twice without a version comes back to where it began.")]
    Rollback(Rollback),
    /// Make, list and revoke the tokens that callers of the API need.
    #[command(subcommand)]
    Tokens(TokensCommand),
    /// Run a definition and show it happen.
    #[command(after_help = "Examples:
  tidemill run pipelines/daily.yaml
  tidemill run daily --param day=2013-01-31 --param limit=10
  tidemill run daily --detach      # leave it to a `tidemill dev` that is running

Ctrl-C once cancels the run, twice leaves at once.")]
    Run(RunArgs),
    /// List runs, newest first.
    #[command(after_help = "Examples:
  tidemill runs
  tidemill runs --pipeline daily --state failed --limit 5")]
    Runs(Runs),
    /// Say what a run or task waits for, since when, who has it, and what would unblock it.
    #[command(after_help = "Examples:
  tidemill explain last
  tidemill explain last.publish
  tidemill explain run_0193…")]
    Explain(Explain),
    /// Show what the tasks of a run printed.
    #[command(after_help = "Examples:
  tidemill logs last
  tidemill logs last fetch -f")]
    Logs(Logs),
    /// List what people are asked: who may answer, and until when.
    #[command(after_help = "Examples:
  tidemill approvals
  tidemill approvals --run last --all --json")]
    Approvals(Approvals),
    /// Say yes to what an approval task asks.
    #[command(after_help = "Examples:
  tidemill approve last.publish_ok
  tidemill approve task_0193…_3#1 --as ann --role finance

Names and roles are taken as they are given, until identities come.")]
    Approve(Approve),
    /// Say no to what an approval task asks; the task fails.
    #[command(after_help = "Example:
  tidemill reject last.publish_ok --reason \"the totals are wrong\"")]
    Reject(Reject),
    /// Run a pipeline once for every stretch of time in a range; watch, pause or cancel that.
    #[command(
        subcommand,
        after_help = "Examples:
  tidemill backfill create daily --from 2026-01-01 --to 2026-02-01 --preview
  tidemill backfill create daily --from 2026-01-01 --to 2026-02-01 --parallel 4 --newest-first
  tidemill backfill create hourly --from 2026-01-01 --to 2026-01-02 --every 1h --reprocess failed
  tidemill backfill show bf_0193…

Runs are made by a `tidemill dev` or `tidemill scheduler`, at low priority: what the clock asks for goes first."
    )]
    Backfill(BackfillCommand),
    /// List pools, or make, change or remove one.
    #[command(after_help = "Examples:
  tidemill pools
  tidemill pools set warehouse --slots 4 --description \"loads at the same time\"
  tidemill pools show warehouse      # who holds its slots

Pools under `pools:` in tidemill.yaml are set anew whenever a process starts work.")]
    Pools {
        /// What to do; without it, list them.
        #[command(subcommand)]
        command: Option<PoolCommand>,
    },
    /// List tenants, limit one, or give it a pipeline.
    #[command(after_help = "Examples:
  tidemill tenants set acme --max-tasks 20
  tidemill tenants assign revenue acme")]
    Tenants {
        /// What to do; without it, list them.
        #[command(subcommand)]
        command: Option<TenantCommand>,
    },
    /// Start no new runs of a pipeline; those that run go on, those that come wait.
    Pause(Pause),
    /// Start runs of a paused pipeline again, those that waited first.
    Unpause(Unpause),
    /// Cancel a run; its processes are ended.
    Cancel(RunRef),
    /// Go on with a failed, cancelled or abandoned run: what succeeded is not done again.
    Resume(Resume),
    /// Do an ended run again, all or in part, as a new run; what is not named ends as it did, with what it gave.
    #[command(after_help = "Examples:
  tidemill rerun last                          # everything, with the same parameters and interval
  tidemill rerun last publish                  # one task
  tidemill rerun last orders --downstream      # it, and whatever reads it
  tidemill rerun last --by active              # by the version that is active now

A load of the new run is a load of its own: visible once, whatever the earlier run loaded.")]
    Rerun(Rerun),
    /// Show tables and their columns as they are now.
    #[command(after_help = "Examples:
  tidemill schema                   # every connection
  tidemill schema shop.orders
  tidemill schema shop --write      # put the columns into tidemill.yaml, to be reviewed
  tidemill schema --json-schema     # the definition language, for editors")]
    Schema(Schema),
    /// Probe every connection: fine, or what is wrong.
    Connections,
    /// Print or check the settings.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Make a project: a `tidemill.yaml` and an example pipeline.
    Init(Init),
    /// Serve schedules, a worker and the JSON API in one process; apply pipelines/ and what changes there.
    #[command(after_help = "Examples:
  tidemill dev
  tidemill dev --listen 127.0.0.1:0     # any free port; it is printed

  curl --json '{\"params\": {}}' http://127.0.0.1:8451/api/v1/pipelines/daily/runs")]
    Dev(Dev),
    /// Run tasks, together with other processes: needs `database.url` (PostgreSQL) and `queue.url` (Redis).
    #[command(after_help = "Examples:
  tidemill worker
  tidemill worker --slots 8 --queue default --queue gpu

Told to stop (SIGTERM or Ctrl-C), it takes nothing new, lets tasks end for `worker.grace`, and gives the rest back. A second
signal gives them back at once.")]
    Worker(WorkerArgs),
    /// Fire schedules, wake what waits and send again what got lost: any number of these, of which one sweeps.
    Scheduler,
    /// Serve the JSON API, and nothing else.
    #[command(after_help = "Example:
  tidemill server --listen 127.0.0.1:8451")]
    Server(ServerArgs),
    /// List workers: where they are, what they serve, when they were last heard of.
    Workers,
    /// Say how long runs, tasks and waits took, and how many failed, per pipeline.
    #[command(after_help = "Examples:
  tidemill stats
  tidemill stats --since 30d --json
  tidemill stats --models")]
    Stats(Stats),
    /// Show where events go (Kafka, webhooks, records): how far each sink is, and what was given up.
    #[command(after_help = "Examples:
  tidemill events
  tidemill events --lost")]
    Events(Events),
    /// Remove what is older than it is to be kept, and files that no result names.
    #[command(after_help = "Examples:
  tidemill gc --dry-run     # say what would go
  tidemill gc

How long things are kept is set in the section `retention` of tidemill.yaml. A server does this by itself, every
`retention.every`. Data sets go in two steps, `retention.grace` apart; what a run that can go on needs never goes.")]
    Gc(Gc),
    /// List schedules: when they fire next, what they made last; pause one, or let it go on.
    #[command(after_help = "Examples:
  tidemill schedules
  tidemill schedules pause daily          # its only schedule
  tidemill schedules resume daily morning # by name, or by place among the triggers, from 0

What passes while a schedule is paused is missed; when it goes on, its `catch_up` says what becomes of that.")]
    Schedules(Schedules),
    /// Deliveries of webhooks that started no run: list, show, replay; and try a webhook out.
    #[command(subcommand)]
    Hooks(HooksCommand),
    /// Serve the LLM gateway: OpenAI's and Anthropic's protocols in front of any provider, with limits that hold.
    #[command(after_help = "Examples:
  tidemill gateway                         # as `gateway:` in tidemill.yaml says
  tidemill gateway --listen 127.0.0.1:0    # any free port; it is printed
  tidemill gateway key nightly --tenant acme

  OPENAI_BASE_URL=http://127.0.0.1:8452/v1 python my_program.py
  curl http://127.0.0.1:8452/gateway/route -d '{\"model\": \"auto\", \"messages\": [...]}'   # a dry run, explained")]
    Gateway(GatewayArgs),
    /// Check the promises that the state makes, over everything stored.
    Doctor,
    /// Show the first rows of a task's data set.
    #[command(after_help = "Examples:
  tidemill show last.revenue
  tidemill show last.revenue -n 5 --json")]
    Show(Show),
    /// Explain an error code; without one, list all.
    Errors(Errors),
}

/// `ask`.
#[derive(Debug, Args)]
pub struct Ask {
    /// What you want, in English.
    #[arg(required = true, num_args = 1..)]
    pub request: Vec<String>,
    /// Write the definition to this file.
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Run it without asking.
    #[arg(long, visible_alias = "run", short = 'y')]
    pub yes: bool,
}

/// `validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Files, or folders with definitions.
    #[arg(value_name = "FILE|DIR", default_value = "pipelines")]
    pub paths: Vec<PathBuf>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// A file, or the name of a pipeline.
    #[arg(value_name = "FILE|NAME")]
    pub what: String,
}

/// `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A file, or the name of a pipeline.
    #[arg(value_name = "FILE|NAME")]
    pub what: String,
    /// A value for a parameter of the definition; may be given several times.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Names the cause: the same key never starts a second run.
    #[arg(long)]
    pub key: Option<String>,
    /// Only create the run; another process works on it.
    #[arg(long, conflicts_with = "wait")]
    pub detach: bool,
    /// Drive the run to its end (the default).
    #[arg(long)]
    pub wait: bool,
}

/// `runs`.
#[derive(Debug, Args)]
pub struct Runs {
    /// Only of this pipeline.
    #[arg(long)]
    pub pipeline: Option<String>,
    /// Only in this state: queued, running, succeeded, failed or cancelled.
    #[arg(long, value_parser = state)]
    pub state: Option<tidemill_dag::state::RunState>,
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub limit: u32,
}

fn state(text: &str) -> Result<tidemill_dag::state::RunState, String> {
    serde_json::from_value(text.into()).map_err(|_| "use queued, running, succeeded, failed or cancelled".to_owned())
}

/// `explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// A run (`last`, an id, the last letters of one), or a task as RUN.TASK.
    #[arg(value_name = "RUN|RUN.TASK")]
    pub what: String,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct Logs {
    /// `last`, an id, or the last letters of one.
    pub run: String,
    /// Only of this task.
    pub task: Option<String>,
    /// Go on until the run ends.
    #[arg(short, long)]
    pub follow: bool,
}

/// A run.
#[derive(Debug, Args)]
pub struct RunRef {
    /// `last`, an id, or the last letters of one.
    pub run: String,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// `last`, an id, or the last letters of one.
    pub run: String,
    /// Only put it back to work; another process works on it.
    #[arg(long)]
    pub detach: bool,
}

/// `rerun`.
#[derive(Debug, Args)]
pub struct Rerun {
    /// `last`, an id, or the last letters of one; it must have ended.
    pub run: String,
    /// The tasks that are done again; all if none is named.
    pub tasks: Vec<String>,
    /// And whatever reads them, and what reads that.
    #[arg(long, requires = "tasks")]
    pub downstream: bool,
    /// By which version: `same`, `active`, or the id of one.
    #[arg(long, value_name = "VERSION", default_value = "same")]
    pub by: String,
    /// Only make it; another process works on it.
    #[arg(long)]
    pub detach: bool,
}

/// `schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// A connection, or one of its tables.
    #[arg(value_name = "CONNECTION[.TABLE]")]
    pub what: Option<String>,
    /// Write the columns into the project's file, to be reviewed.
    #[arg(long)]
    pub write: bool,
    /// Print the JSON Schema of the definition language instead.
    #[arg(long, conflicts_with_all = ["what", "write"])]
    pub json_schema: bool,
}

/// `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the settings in effect.
    Print,
    /// Check the project's file.
    Check,
    /// Print every setting with its default and what it means.
    Reference,
}

/// `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder; this one if unset.
    pub dir: Option<PathBuf>,
}

/// `gateway`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct GatewayArgs {
    /// Where it listens, in place of `gateway.server.listen`.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Something else than serving.
    #[command(subcommand)]
    pub command: Option<GatewayCommand>,
}

/// `gateway …`.
#[derive(Debug, Subcommand)]
pub enum GatewayCommand {
    /// Make a key: print it once, and the lines with its hash that go into tidemill.yaml.
    Key {
        /// What it is for.
        name: String,
        /// The customer it belongs to.
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

/// `show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The task, as RUN.TASK.
    #[arg(value_name = "RUN.TASK")]
    pub what: String,
    /// How many rows.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub rows: usize,
    /// Print where its files are instead: paths, or links that anybody may read for an hour.
    #[arg(long)]
    pub links: bool,
}

/// `errors`.
#[derive(Debug, Args)]
pub struct Errors {
    /// As in `TM0203`.
    pub code: Option<String>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
