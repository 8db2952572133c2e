//! Watching a run to its end: progress, Ctrl-C once to cancel and twice to leave.

use std::time::Duration;

use tidemill_dag::id::RunId;
use tidemill_store::{RunRecord, TaskRecord};

use crate::error::{CliError, Exit};
use crate::node::Node;
use crate::out::Out;
use crate::progress::Progress;
use crate::words;

/// The first and the longest pause between two looks at a run.
const LOOKS: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(100));

/// So many events are told at a time.
const EVENTS: u32 = 1_000;

/// A run at its end.
pub struct Ended {
    /// The run.
    pub run: RunRecord,
    /// Its tasks, in the order of the plan.
    pub tasks: Vec<TaskRecord>,
    /// Whether Ctrl-C ended it.
    pub interrupted: bool,
}

impl Ended {
    /// How the process ends.
    pub fn exit(&self) -> Exit {
        use tidemill_dag::state::RunState;
        match self.run.state {
            _ if self.interrupted => Exit::Interrupted,
            RunState::Succeeded => Exit::Ok,
            RunState::Failed | RunState::Cancelled | RunState::Queued | RunState::Running => Exit::Failed,
        }
    }
}

/// Shows a run until it ends. In plain lines, only what happens after the event `after` is told.
pub async fn to_the_end(node: &Node, run: RunId, after: i64, out: Out) -> Result<Ended, CliError> {
    let mut signals = Signals::new()?;
    let mut progress = Progress::new(out, after);
    let mut pause = LOOKS.0;
    let mut interrupted = false;
    loop {
        let record = node.store.run(run).await?;
        let ended = words::ended(record.state);
        if ended || progress.wants_tasks(pause == LOOKS.1) {
            let tasks = node.store.tasks(run).await?;
            loop {
                let events = node.store.events(run, progress.cursor(), EVENTS).await?;
                progress.show(&record, &tasks, &events);
                // At the end, everything is told.
                if !ended || events.len() < EVENTS as usize {
                    break;
                }
            }
            if ended {
                progress.finish();
                return Ok(Ended { run: record, tasks, interrupted });
            }
        }
        if let Some(error) = node.stopped() {
            return Err(error);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = (pause * 2).min(LOOKS.1),
            () = signals.next() => {
                if interrupted {
                    out.note("left; the run goes on when it is resumed");
                    std::process::exit(i32::from(Exit::Interrupted as u8));
                }
                interrupted = true;
                out.note("cancelling the run; Ctrl-C again leaves at once");
                node.store.cancel_run(run, "interrupted by Ctrl-C").await?;
            }
        }
    }
}

/// Ctrl-C, and the polite signal of process managers.
pub struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    /// Listens from now on.
    pub fn new() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind: SignalKind| {
            signal(kind)
                .map_err(|source| CliError::Machine { doing: "listen for signals".into(), source: Box::new(source) })
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// The next one.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
