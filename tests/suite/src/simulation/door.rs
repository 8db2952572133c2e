//! What a store offers to the simulated world. Both stores stand behind it.

use tidemill_dag::{
    approval::{Answer, Question},
    id::{RunId, Ticket, WorkerId},
    invariants::World,
    spec::OnExpiry,
    time::Timestamp,
};

use super::pipelines::Fate;

/// What is asked of two people at once; one who refuses is enough.
pub fn question(until: Timestamp, fate: Fate) -> Question {
    Question {
        message: "as scripted".to_owned(),
        subject: serde_json::Value::Null,
        approvers: Vec::new(),
        required: 2,
        excluded: Some("p0".to_owned()),
        expires_at: until,
        on_expiry: match fate {
            Fate::Approved => OnExpiry::Approve,
            Fate::Rejected => OnExpiry::Fail,
            Fate::Unheard => OnExpiry::Skip,
        },
    }
}

/// A run that somebody wants.
#[derive(Debug, Clone)]
pub struct Order {
    pub pipeline: usize,
    pub key: Option<String>,
}

/// What a worker says about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Succeeded,
    Failed { retryable: bool },
    Parked { until: Timestamp },
    Skipped,
    Expanded { items: u32 },
    Asked { until: Timestamp, fate: Fate },
    HandedBack,
}

/// What a worker wants to go on with: what its report makes ready, else what is at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    pub at_hand: Option<Ticket>,
}

/// What a worker hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    pub accepted: bool,
    pub next: Option<Ticket>,
}

/// The door itself broke, as opposed to refusing: always a failure of the simulation.
pub type Broken = String;

/// The answer to a report.
pub type Reply = Result<Heard, Broken>;

/// How long a claim lasts without a sign of life.
pub const LEASE_SECONDS: u64 = 6;

/// The one door. None of these fail by chance; the driver brings the faults.
pub trait Door {
    async fn create(&mut self, order: &Order) -> Result<RunId, Broken>;
    async fn claim(&mut self, tickets: &[Ticket], worker: &WorkerId) -> Result<Vec<Ticket>, Broken>;
    async fn heartbeat(&mut self, worker: &WorkerId) -> Result<Vec<Ticket>, Broken>;
    async fn complete(&mut self, ticket: Ticket, worker: &WorkerId, said: Said, next: Option<Next>) -> Reply;
    /// False where the run was finished already.
    async fn cancel(&mut self, run: RunId) -> Result<bool, Broken>;
    /// False where there is nothing to resume.
    async fn resume(&mut self, run: RunId) -> Result<bool, Broken>;
    async fn sweep(&mut self) -> Result<(), Broken>;
    async fn owner_gone(&mut self, worker: &WorkerId) -> Result<(), Broken>;
    /// One person's answer; false where it does not count.
    async fn answer(&mut self, of: Ticket, answer: &Answer) -> Result<bool, Broken>;
    /// A snapshot; queue and rest are the driver's to fill in.
    async fn world(&mut self) -> Result<World, Broken>;
}
