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
