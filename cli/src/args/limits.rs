//! Approvals, pools, tenants, pauses and backfills.

use clap::{Args, Subcommand};

/// `approvals`.
#[derive(Debug, Args)]
pub struct Approvals {
    /// Only of this run: `last`, an id, or the last letters of one.
    #[arg(long)]
    pub run: Option<String>,
    /// Those that are decided or over, too.
    #[arg(long)]
    pub all: bool,
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 50)]
    pub limit: u32,
}

/// Who answers.
#[derive(Debug, Args)]
pub struct Speaker {
    /// Your name; that of your user on this machine if unset.
    #[arg(long = "as", value_name = "NAME")]
    pub name: Option<String>,
    /// A role of yours; may be given several times.
    #[arg(long = "role", value_name = "ROLE")]
    pub roles: Vec<String>,
}

/// `approve`.
#[derive(Debug, Args)]
pub struct Approve {
    /// The approval's id, or its task as RUN.TASK.
    #[arg(value_name = "ID|RUN.TASK")]
    pub id: String,
    /// Who answers.
    #[command(flatten)]
    pub speaker: Speaker,
    /// Why.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `reject`.
#[derive(Debug, Args)]
pub struct Reject {
    /// The approval's id, or its task as RUN.TASK.
    #[arg(value_name = "ID|RUN.TASK")]
    pub id: String,
    /// Who answers.
    #[command(flatten)]
    pub speaker: Speaker,
    /// Why not.
    #[arg(long)]
    pub reason: String,
}

/// `backfill`.
#[derive(Debug, Subcommand)]
pub enum BackfillCommand {
    /// Make one: one run per interval of the pipeline's schedule.
    Create(Box<BackfillCreate>),
    /// List them, newest first.
    List {
        /// Only of this pipeline.
        #[arg(long)]
        pipeline: Option<String>,
    },
    /// Show how far one is, and every interval's run.
    Show {
        /// Its id.
        id: String,
        /// At most so many intervals.
        #[arg(short = 'n', long)]
        limit: Option<u32>,
    },
    /// Start no further runs; those that run go on.
    Pause {
        /// Its id.
        id: String,
    },
    /// Go on with a paused one.
    Resume {
        /// Its id.
        id: String,
    },
    /// End one: its runs are cancelled, no further ones start.
    Cancel {
        /// Its id.
        id: String,
    },
}

/// `backfill create`.
#[derive(Debug, Args)]
pub struct BackfillCreate {
    /// The pipeline; its active version runs.
    pub pipeline: String,
    /// The begin: a date in the schedule's time zone, or a moment such as 2026-01-01T06:00:00Z.
    #[arg(long)]
    pub from: String,
    /// The end, not included.
    #[arg(long)]
    pub to: String,
    /// Cut the range into pieces of this length, as in 1d, instead of by the pipeline's schedule.
    #[arg(long)]
    pub every: Option<tidemill_dag::time::Span>,
    /// Begin with the newest interval.
    #[arg(long)]
    pub newest_first: bool,
    /// How many runs at once.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub parallel: u32,
    /// Which intervals that were run before are run again: none, failed or all.
    #[arg(long, default_value = "none", value_parser = reprocess)]
    pub reprocess: tidemill_dag::backfill::Reprocess,
    /// A value for a parameter of the definition; may be given several times.
    #[arg(short, long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Only show what would be run.
    #[arg(long)]
    pub preview: bool,
}

fn reprocess(text: &str) -> Result<tidemill_dag::backfill::Reprocess, String> {
    serde_json::from_value(text.into()).map_err(|_| "use none, failed or all".to_owned())
}

/// `pools`.
#[derive(Debug, Subcommand)]
pub enum PoolCommand {
    /// Make a pool or change it.
    Set {
        /// Its name.
        name: String,
        /// How many slots it has; with 0 nothing of it starts.
        #[arg(long)]
        slots: u32,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
    },
    /// Show who holds the slots of a pool.
    Show {
        /// Its name.
        name: String,
    },
    /// Remove a pool; tasks that name it wait until there is one again.
    Remove {
        /// Its name.
        name: String,
    },
}

/// `tenants`.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// Say how many tasks of a tenant may run at once; without a number, there is no limit.
    Set {
        /// Its name.
        name: String,
        /// How many.
        #[arg(long)]
        max_tasks: Option<u32>,
    },
    /// Give a pipeline to a tenant: its new runs count against that tenant's limit and share.
    Assign {
        /// The pipeline.
        pipeline: String,
        /// The tenant.
        tenant: String,
    },
}

/// `pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// The pipeline.
    pub pipeline: String,
    /// Why, for those who wonder.
    #[arg(long)]
    pub reason: Option<String>,
}

/// `unpause`.
#[derive(Debug, Args)]
pub struct Unpause {
    /// The pipeline.
    pub pipeline: String,
}
