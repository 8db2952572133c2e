//! The faults: what breaks, and how it is whole again.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sqlx::{Connection, PgConnection};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    spec::Priority,
};

use tidemill_store::Transport;
use tidemill_stories::cluster::Part;
use tidemill_testkit::{S3Fault, Storm};

use crate::{dice::Dice, site::Site};

/// One kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Its name in the table.
    pub name: &'static str,
    /// What happens.
    pub about: &'static str,
    /// How it is done.
    pub kind: Kind,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told in the table of faults")]
pub enum Kind {
    Nothing,
    KillWorker,
    KillLeader,
    StopWorker,
    StopScheduler,
    SchedulersInTurn,
    Drain,
    RollingRestart,
    Flush,
    KillClients,
    RestartRedis,
    RedisAway,
    RedisFrozen,
    RedisFull,
    StopPostgres,
    CrashPostgres,
    PostgresFrozen,
    EndSessions,
    NoConnections,
    FailOver,
    DiskFull,
    S3Busy,
    S3Cuts,
    WrongClock,
    Tickets,
    Nonsense,
}

macro_rules! faults {
    ($($kind:ident $name:literal $about:literal,)*) => {
        &[$(Fault { name: $name, about: $about, kind: Kind::$kind },)*]
    };
}

/// Every kind of trouble.
pub const FAULTS: &[Fault] = faults! {
    Nothing "none" "nothing, to compare with",
    KillWorker "worker killed" "`kill -9` of a worker; another one starts",
    KillLeader "scheduler killed" "`kill -9` of the scheduler that sweeps; another one starts",
    StopWorker "worker frozen" "a worker is stopped (SIGSTOP) for longer than its leases, then goes on",
    StopScheduler "scheduler frozen" "the scheduler that sweeps is stopped (SIGSTOP) until another one sweeps, then goes on",
    SchedulersInTurn "schedulers in turn" "one scheduler is stopped, then the other; they go on the other way round, each while the other one stands",
    Drain "worker drained" "SIGTERM to a worker; another one starts",
    RollingRestart "rolling restart" "every worker in turn is drained and replaced",
    Flush "FLUSHALL" "Redis forgets everything, several times",
    KillClients "CLIENT KILL" "Redis closes every connection, several times",
    RestartRedis "Redis restarted" "Redis is killed and started again, empty",
    RedisAway "Redis away" "Redis is gone for some seconds",
    RedisFrozen "Redis frozen" "Redis accepts and never answers, for some seconds",
    RedisFull "Redis full" "Redis has no memory left for some seconds",
    StopPostgres "PostgreSQL restarted" "PostgreSQL is stopped as by its administrator, and started again",
    CrashPostgres "PostgreSQL crashed" "PostgreSQL ends without a word and recovers from its log",
    PostgresFrozen "PostgreSQL frozen" "PostgreSQL and its sessions stand still for some seconds",
    EndSessions "sessions ended" "every session of PostgreSQL is terminated, several times",
    NoConnections "no connections" "somebody takes all connections of PostgreSQL for some seconds",
    FailOver "PostgreSQL failed over" "PostgreSQL ends without a word, and the server that followed it takes over",
    DiskFull "PostgreSQL's disk full" "PostgreSQL's disk is full until it refuses to write or ends; then there is room again",
    S3Busy "S3 busy" "S3 answers every request with 503 for some seconds",
    S3Cuts "S3 cuts" "S3 breaks off every second answer: bodies in the middle, and the words that something was written",
    WrongClock "wrong clocks" "a worker's clock is an hour ahead, a scheduler's an hour behind",
    Tickets "stale tickets" "tickets of earlier, later and unknown attempts, and each a few times",
    Nonsense "undecodable tickets" "garbage in the queues",
};

/// How long a part stands still: longer than the leases of [`Site`].
const FROZEN: (u64, u64) = (3_000, 4_500);
/// How long a scheduler stands still: longer than the database waits for a word of the one that leads.
const USURPED: (u64, u64) = (6_500, 7_500);

impl Kind {
    /// Whether it can be had here.
    pub fn is_possible(self, site: &Site) -> bool {
        self != Self::DiskFull || (site.cluster.postgres.disk().is_some() && site.spare.disk().is_some())
    }

    /// Whether at least one attempt is lost, whatever the machine does.
    pub const fn surely_loses(self) -> bool {
        matches!(self, Self::KillWorker | Self::StopWorker)
    }

    /// Makes the trouble, and ends it. Returns the runs that it made itself.
    pub async fn strike(self, site: &mut Site, dice: &Dice, runs: &[RunId]) -> Vec<RunId> {
        match self {
            Self::Nothing => {}
            Self::KillWorker => {
                let (worker, bait) = site.take_busy_worker().await;
                worker.kill();
                site.add_worker();
                return vec![bait];
            }
            Self::KillLeader => {
                site.take_scheduler(dice).kill();
                site.add_scheduler();
            }
            Self::StopWorker => {
                let (worker, bait) = site.take_busy_worker().await;
                freeze(&worker, FROZEN, dice).await;
                site.workers.push(worker);
                return vec![bait];
            }
            Self::StopScheduler => {
                // Both, one after the other: one of them leads.
                for _ in 0..2 {
                    let scheduler = site.schedulers.remove(0);
                    freeze(&scheduler, USURPED, dice).await;
                    site.schedulers.push(scheduler);
                }
            }
            Self::SchedulersInTurn => in_turn(site, dice).await,
            Self::Drain => return vec![drain_busy(site).await],
            Self::RollingRestart => {
                for _ in 0..site.workers.len() {
                    let worker = site.workers.remove(0);
                    drain(site, worker);
                }
            }
            Self::Flush
            | Self::KillClients
            | Self::RestartRedis
            | Self::RedisAway
            | Self::RedisFrozen
            | Self::RedisFull => {
                self.strike_redis(site, dice).await;
            }
            Self::StopPostgres
            | Self::CrashPostgres
            | Self::PostgresFrozen
            | Self::EndSessions
            | Self::NoConnections => {
                self.strike_postgres(site, dice).await;
            }
            Self::FailOver => fail_over(site, dice).await,
            Self::DiskFull => fill_disk(site, dice).await,
            Self::S3Busy => storm(site, dice, Storm { every: 1, faults: &[("*", S3Fault::Busy)] }).await,
            Self::S3Cuts => storm(site, dice, Storm { every: 2, faults: &CUTS }).await,
            Self::WrongClock => wrong_clocks(site, dice).await,
            Self::Tickets => stale(site, dice, runs).await,
            Self::Nonsense => nonsense(site, dice).await,
        }
        Vec::new()
    }

    async fn strike_redis(self, site: &Site, dice: &Dice) {
        let redis = &site.cluster.redis;
        let away = dice.millis(1_000, 3_000);
        match self {
            Self::Flush => {
                for _ in 0..3 {
                    redis.ask(&["FLUSHALL"]).expect("it forgets");
                    tokio::time::sleep(dice.millis(100, 500)).await;
                }
            }
            Self::KillClients => {
                for _ in 0..3 {
                    redis.ask(&["CLIENT", "KILL", "TYPE", "normal"]).expect("it closes them");
                    tokio::time::sleep(dice.millis(50, 400)).await;
                }
            }
            Self::RestartRedis => {
                redis.stop();
                redis.again().expect("it comes back");
            }
            Self::RedisAway => {
                redis.stop();
                tokio::time::sleep(away).await;
                redis.again().expect("it comes back");
            }
            Self::RedisFrozen => {
                redis.pause();
                tokio::time::sleep(away).await;
                redis.resume();
            }
            _ => {
                redis.ask(&["CONFIG", "SET", "maxmemory", "1"]).expect("it is set");
                tokio::time::sleep(away).await;
                redis.ask(&["CONFIG", "SET", "maxmemory", "0"]).expect("it is set");
            }
        }
    }

    async fn strike_postgres(self, site: &Site, dice: &Dice) {
        let postgres = &site.cluster.postgres;
        let away = dice.millis(200, 1_500);
        match self {
            Self::StopPostgres => {
                postgres.stop();
                tokio::time::sleep(away).await;
                postgres.again().expect("it comes back");
            }
            Self::CrashPostgres => {
                postgres.crash();
                postgres.again().expect("it comes back");
            }
            Self::PostgresFrozen => {
                postgres.pause();
                tokio::time::sleep(away).await;
                postgres.resume();
            }
            Self::EndSessions => {
                for _ in 0..3 {
                    end_sessions(site).await;
                    tokio::time::sleep(dice.millis(50, 500)).await;
                }
            }
            _ => {
                // First those of the platform have to go, or there would be nothing left to take.
                end_sessions(site).await;
                let mut taken = Vec::new();
                while let Ok(session) = PgConnection::connect(&site.database()).await {
                    taken.push(session);
                }
                tokio::time::sleep(away * 2).await;
                drop(taken);
            }
        }
    }
}

/// Answers that end too early, and answers that never come though the thing was done.
const CUTS: [(&str, S3Fault); 4] = [
    ("GET", S3Fault::Cut(20)),
    ("PUT", S3Fault::LoseAnswer),
    ("POST", S3Fault::LoseAnswer),
    ("DELETE", S3Fault::LoseAnswer),
];

/// Both are replaced by parts whose clocks are right afterwards; what they hold is everybody's again.
async fn wrong_clocks(site: &mut Site, dice: &Dice) {
    site.take_worker(dice).kill();
    site.take_scheduler(dice).kill();
    site.add_worker_at("+1h");
    site.add_scheduler_at("-1h");
    tokio::time::sleep(dice.millis(3_000, 5_000)).await;
    site.workers.pop().expect("it was added").kill();
    site.schedulers.pop().expect("it was added").kill();
    site.add_worker();
    site.add_scheduler();
}

async fn freeze(part: &Part, long: (u64, u64), dice: &Dice) {
    part.signal(Signal::SIGSTOP);
    tokio::time::sleep(dice.millis(long.0, long.1)).await;
    part.signal(Signal::SIGCONT);
}

/// Whoever leads is stopped, and so is who takes its place; each goes on where it stood, believing what it believed.
async fn in_turn(site: &mut Site, dice: &Dice) {
    let [one, two] = &site.schedulers[..] else { panic!("there are two") };
    one.signal(Signal::SIGSTOP);
    tokio::time::sleep(dice.millis(USURPED.0, USURPED.1)).await;
    two.signal(Signal::SIGSTOP);
    tokio::time::sleep(dice.millis(200, 1_000)).await;
    one.signal(Signal::SIGCONT);
    tokio::time::sleep(dice.millis(USURPED.0, USURPED.1)).await;
    one.signal(Signal::SIGSTOP);
    two.signal(Signal::SIGCONT);
    tokio::time::sleep(dice.millis(200, 1_000)).await;
    one.signal(Signal::SIGCONT);
}

/// The server that took over is the cluster's from then on, and the other one the next to follow it.
async fn fail_over(site: &mut Site, dice: &Dice) {
    site.spare.follow(&site.cluster.postgres).await.expect("it follows");
    tokio::time::sleep(dice.millis(0, 400)).await;
    site.cluster.postgres.crash();
    tokio::time::sleep(dice.millis(0, 1_500)).await;
    site.spare.promote().await.expect("it takes over");
    std::mem::swap(&mut site.cluster.postgres, &mut site.spare);
}

async fn fill_disk(site: &Site, dice: &Dice) {
    let postgres = &site.cluster.postgres;
    let disk = postgres.disk().expect("the fault is left out where there is none");
    disk.fill();
    let since = Instant::now();
    // What is allocated already could last for longer than the batch.
    while let Ok(mut session) = PgConnection::connect(&postgres.url("postgres")).await
        && sqlx::query("CREATE TABLE more AS SELECT pg_switch_wal()").execute(&mut session).await.is_ok()
        && sqlx::query("DROP TABLE more").execute(&mut session).await.is_ok()
    {
        assert!(since.elapsed() < Duration::from_secs(60), "a full disk takes everything");
    }
    tokio::time::sleep(dice.millis(1_000, 3_000)).await;
    disk.free();
    postgres.recover().await.expect("it comes back");
    let mut session = PgConnection::connect(&postgres.url("postgres")).await.expect("it answers");
    sqlx::query("DROP TABLE IF EXISTS more").execute(&mut session).await.expect("there is room");
}

/// For some seconds, and until it has hit something.
async fn storm(site: &Site, dice: &Dice, storm: Storm) {
    let before = site.blobs.struck();
    site.blobs.storm(Some(storm));
    tokio::time::sleep(dice.millis(1_000, 3_000)).await;
    let since = Instant::now();
    while site.blobs.struck() < before + 3 {
        assert!(since.elapsed() < Duration::from_secs(60), "nobody writes or reads data sets");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    site.blobs.storm(None);
}

async fn drain_busy(site: &mut Site) -> RunId {
    let (worker, bait) = site.take_busy_worker().await;
    drain(site, worker);
    bait
}

fn drain(site: &mut Site, mut worker: Part) {
    worker.signal(Signal::SIGTERM);
    worker.signal(Signal::SIGCONT);
    site.add_worker();
    // A second signal would cut its time of grace short.
    let code = tokio::task::block_in_place(|| worker.wait());
    assert_eq!(code, 0, "a drained worker ends well");
}

async fn end_sessions(site: &Site) {
    const END: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                       WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    if let Ok(mut session) = PgConnection::connect(&site.database()).await {
        let _ = sqlx::query(END).execute(&mut session).await;
        let _ = session.close().await;
    }
}

/// Tickets that nobody wrote: whatever they say, the row decides.
async fn stale(site: &Site, dice: &Dice, runs: &[RunId]) {
    for _ in 0..20 {
        let run = match dice.below(5) {
            0 => RunId::from_parts(site.store.clock().now(), dice.bits()),
            _ => runs[dice.below(runs.len())],
        };
        let task = |ordinal| TaskKey { run, ordinal: Ordinal(ordinal) };
        let tickets: Vec<Ticket> = (0..8)
            .flat_map(|n| (0..4).map(move |attempt| (n, attempt)))
            .map(|(n, attempt)| Ticket { task: task(n), attempt: Attempt(attempt) })
            .collect();
        let priority = [Priority::High, Priority::Normal, Priority::Low][dice.below(3)];
        site.transport.publish("default", priority, &tickets).await.expect("it publishes");
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}

async fn nonsense(site: &Site, dice: &Dice) {
    for _ in 0..20 {
        for class in ["0", "1", "2"] {
            let key = format!("{{tidemill}}:ready:default:{class}");
            let garbage = format!("{:032x}", dice.bits());
            let long = garbage.repeat(1 + dice.below(50));
            for bytes in ["", &garbage[..dice.below(32)], &garbage[..25], &long] {
                site.cluster.redis.ask(&["ZADD", &key, "-1", bytes]).expect("it takes it");
            }
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}
