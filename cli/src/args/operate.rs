//! Processes, and what keeps them well.

use std::net::SocketAddr;

use clap::Args;

/// `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Where the API listens: an address of this machine alone.
    #[arg(long, default_value = "127.0.0.1:8451", value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

/// `worker`.
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// How many tasks run at the same time; as `worker.slots`.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    slots: Option<u16>,
    /// A queue to take tasks from; may be given several times; as `worker.queues`.
    #[arg(long = "queue", value_name = "QUEUE")]
    pub queues: Vec<String>,
}

impl WorkerArgs {
    /// How many tasks run at the same time, if that was said.
    pub fn slots(&self) -> Option<usize> {
        self.slots.map(usize::from)
    }
}

/// `server`.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// Where the API listens. Callers need a token (`tidemill tokens create`); without any, only this machine may be named.
    #[arg(long, default_value = "127.0.0.1:8451", value_name = "ADDRESS")]
    pub listen: SocketAddr,
}

/// `stats`.
#[derive(Debug, Args)]
pub struct Stats {
    /// What ended since then.
    #[arg(long, value_name = "LENGTH", default_value = "7d")]
    pub since: tidemill_dag::time::Span,
    /// Say instead what calls of models through `tidemill gateway` took, per tenant and model: tokens and money.
    #[arg(long)]
    pub models: bool,
}

/// `events`.
#[derive(Debug, Args)]
pub struct Events {
    /// List deliveries that were given up instead, the newest first.
    #[arg(long)]
    pub lost: bool,
    /// Continue behind this one.
    #[arg(long, value_name = "ID", requires = "lost")]
    pub before: Option<i64>,
    /// At most so many.
    #[arg(short = 'n', long, default_value_t = 20)]
    pub limit: u32,
}

/// `gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Only say what would be removed.
    #[arg(long)]
    pub dry_run: bool,
    /// Take the place of data sets over from another installation, which must be gone for good.
    #[arg(long, conflicts_with = "dry_run")]
    pub adopt: bool,
}
