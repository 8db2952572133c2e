//! Definitions as data, and who may change them.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// Files, or folders with definitions; the project's pipelines/ if none is given.
    #[arg(value_name = "FILE|DIR")]
    pub places: Vec<PathBuf>,
    /// The same; may be given several times.
    #[arg(short = 'f', long = "file", value_name = "FILE|DIR")]
    pub files: Vec<PathBuf>,
    /// Only show what would change.
    #[arg(long, conflicts_with = "yes")]
    pub plan: bool,
    /// Apply without asking.
    #[arg(long, short = 'y')]
    pub yes: bool,
    /// Only save the versions; what is active stays.
    #[arg(long, conflicts_with = "propose")]
    pub draft: bool,
    /// Save and propose the versions; what is active stays.
    #[arg(long)]
    pub propose: bool,
}

/// `versions`.
#[derive(Debug, Args)]
pub struct Versions {
    /// The pipeline.
    pub pipeline: String,
}

/// `diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The older one: PIPELINE@VERSION, or PIPELINE for its active version. A version is a number or the start of its hash.
    #[arg(value_name = "PIPELINE[@VERSION]")]
    pub from: String,
    /// The newer one: a file, PIPELINE@VERSION, or a version of the same pipeline; its active version if unset.
    #[arg(value_name = "FILE|PIPELINE[@VERSION]|VERSION")]
    pub to: Option<String>,
}

/// `rollback`.
#[derive(Debug, Args)]
pub struct Rollback {
    /// The pipeline.
    pub pipeline: String,
    /// A number or the start of a hash; the version that was active before if unset.
    #[arg(value_name = "VERSION")]
    pub to: Option<String>,
}

/// `tokens`.
#[derive(Debug, Subcommand)]
pub enum TokensCommand {
    /// Make a token; it is shown this once.
    #[command(after_help = "Examples:
  tidemill tokens create ci --role run --expires 90d
  tidemill tokens create laptop --role admin")]
    Create {
        /// What to call it.
        name: String,
        /// What it may do: read, run (also start, cancel and resume runs) or admin (also change definitions).
        #[arg(long, default_value = "read", value_parser = <tidemill_api::auth::Role as std::str::FromStr>::from_str)]
        role: tidemill_api::auth::Role,
        /// When it ends by itself, as in `90d`; never if unset.
        #[arg(long, value_name = "DAYS")]
        expires: Option<tidemill_dag::time::Span>,
    },
    /// List tokens, with those that have ended.
    List,
    /// End a token, by its name or its id.
    Revoke {
        /// The token.
        name: String,
    },
}
