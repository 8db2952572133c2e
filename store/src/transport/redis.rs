//! Tickets through Redis. What it holds may be lost at any moment: the sweep sends it again.
//!
//! A queue is three sorted sets, one per priority class, whose members are tickets, oldest run first. A set holds a
//! ticket once, however often it is offered, so what the sweep repeats does not pile up. One blocking command
//! takes many tickets at once, of the highest class that has any; nobody polls.

mod address;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use redis::{RedisError, RedisResult, aio::MultiplexedConnection};
use tidemill_dag::{
    id::{Attempt, Ordinal, RunId, TaskKey, Ticket},
    spec::Priority,
};
use tokio::task::JoinHandle;

use super::{Condition, Transport, TransportError};
use address::{Place, field};
pub use address::{RedisAddressError, RedisOptions};

/// At most so many tickets of a class wait in a queue. The rest waits in the database, where cancelling and
/// priorities still reach it.
const CAPACITY: usize = 10_000;
/// So many tickets travel in one command.
const AT_ONCE: usize = 1_000;
/// An answer to anything but a blocking command takes at most so long.
const PATIENCE: Duration = Duration::from_secs(2);
/// A blocking command gives up after so many seconds and is sent again, so that a connection whose other end is gone
/// without a word is noticed.
const BLOCK: u32 = 5;
const CLASSES: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];

/// A word that Redis keeps as long as it keeps tickets. Redis names the moment itself, so that no two are alike.
const EPOCH: &str = "local epoch = redis.call('GET', KEYS[1]) \
                     if epoch then return epoch end \
                     local now = redis.call('TIME') \
                     epoch = now[1] .. '.' .. now[2] \
                     redis.call('SET', KEYS[1], epoch) \
                     return epoch";

/// Tickets in a Redis that all processes share.
#[derive(Debug)]
pub struct RedisTransport {
    place: Arc<Place>,
    prefix: String,
    /// For everything that is answered at once.
    talk: tokio::sync::Mutex<Option<MultiplexedConnection>>,
    /// One for each set of queues that somebody takes from.
    takers: Mutex<HashMap<Vec<String>, Arc<tokio::sync::Mutex<Taker>>>>,
    /// Queues that this process has sent to.
    queues: Mutex<BTreeSet<String>>,
}

/// The blocking side: a connection of its own, and what came through it for nobody yet.
#[derive(Debug, Default)]
struct Taker {
    connection: Option<Line>,
    /// A command that was sent. It goes on when the caller that sent it is gone.
    pending: Option<JoinHandle<RedisResult<Popped>>>,
    arrived: VecDeque<Ticket>,
}

/// A connection and the server's name for it.
#[derive(Debug, Clone)]
struct Line {
    connection: MultiplexedConnection,
    id: i64,
}

/// The name of a set, with what was taken from it.
type Popped = Option<(String, Vec<(Vec<u8>, f64)>)>;

impl Taker {
    fn receive(&mut self, popped: Popped) {
        self.arrived.extend(tickets(popped));
    }
}

fn tickets(popped: Popped) -> Vec<Ticket> {
    let Some((set, members)) = popped else { return Vec::new() };
    let ticket = |(member, _): (Vec<u8>, f64)| {
        let ticket = decode(&member);
        if ticket.is_none() {
            tracing::warn!(set, bytes = member.len(), "something in a queue is no ticket; dropped");
        }
        ticket
    };
    members.into_iter().filter_map(ticket).collect()
}

impl RedisTransport {
    /// A transport over a server that need not be there yet.
    ///
    /// # Errors
    /// The address is not understood.
    pub fn new(options: &RedisOptions) -> Result<Self, RedisAddressError> {
        Ok(Self {
            place: Arc::new(Place::of(options)?),
            prefix: options.prefix.clone(),
            talk: tokio::sync::Mutex::default(),
            takers: Mutex::default(),
            queues: Mutex::default(),
        })
    }

    /// The braces keep all keys on one node of a cluster.
    fn key(&self, queue: &str, priority: Priority) -> String {
        format!("{{{}}}:ready:{queue}:{}", self.prefix, priority as usize)
    }

    /// The connection for talking, made anew if the last one broke.
    async fn talk(&self) -> RedisResult<MultiplexedConnection> {
        let mut talk = self.talk.lock().await;
        if let Some(connection) = &*talk {
            return Ok(connection.clone());
        }
        let connection = self.place.connect(Some(PATIENCE)).await?;
        *talk = Some(connection.clone());
        Ok(connection)
    }

    /// Runs commands, once more on a new connection if the old one turns out to be of no use.
    async fn ask<T: redis::FromRedisValue>(
        &self,
        action: &'static str,
        commands: &redis::Pipeline,
    ) -> Result<T, TransportError> {
        let mut again = true;
        loop {
            let answer = match self.talk().await {
                Ok(mut connection) => commands.query_async(&mut connection).await,
                Err(error) => return Err(failed(action, error)),
            };
            match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => {
                    let useless = !is_about_memory(&error);
                    if useless {
                        *self.talk.lock().await = None;
                    }
                    if !(useless && std::mem::take(&mut again) && !error.is_timeout()) {
                        return Err(failed(action, error));
                    }
                }
            }
        }
    }

    fn taker(&self, queues: &[String]) -> Arc<tokio::sync::Mutex<Taker>> {
        let mut takers = self.takers.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(takers.entry(queues.to_vec()).or_default())
    }

    /// What is taken, for a command that takes from sets: of the highest class that has any, the oldest.
    fn least(&self, command: &mut redis::Cmd, queues: &[String], max: usize) {
        command.arg(queues.len() * CLASSES.len());
        for class in CLASSES {
            for queue in queues {
                command.arg(self.key(queue, class));
            }
        }
        command.arg("MIN").arg("COUNT").arg(max.clamp(1, CAPACITY));
    }

    async fn pop(&self, taker: &mut Taker, queues: &[String], max: usize) -> RedisResult<Popped> {
        let Line { connection, .. } = match &taker.connection {
            Some(line) => line.clone(),
            None => {
                let mut connection = self.place.connect(None).await?;
                let mut ask = redis::cmd("CLIENT");
                ask.arg("ID");
                let id =
                    tokio::time::timeout(PATIENCE, ask.query_async(&mut connection)).await.map_err(|_| silent())??;
                taker.connection.insert(Line { connection, id }).clone()
            }
        };
        let pending = taker.pending.get_or_insert_with(|| {
            let mut command = redis::cmd("BZMPOP");
            command.arg(BLOCK);
            self.least(&mut command, queues, max);
            tokio::spawn(popping(connection, command))
        });
        let popped = pending.await.unwrap_or_else(|error| Err(std::io::Error::other(error).into()));
        taker.pending = None;
        if popped.is_err() {
            taker.connection = None;
        }
        popped
    }
}

async fn popping(mut connection: MultiplexedConnection, command: redis::Cmd) -> RedisResult<Popped> {
    let patience = Duration::from_secs(u64::from(BLOCK)) + PATIENCE;
    match tokio::time::timeout(patience, command.query_async(&mut connection)).await {
        Ok(popped) => popped,
        Err(_) => Err(silent()),
    }
}

fn silent() -> RedisError {
    std::io::Error::new(std::io::ErrorKind::TimedOut, "the server has gone silent").into()
}

#[async_trait]
impl Transport for RedisTransport {
    async fn publish(&self, queue: &str, priority: Priority, tickets: &[Ticket]) -> Result<(), TransportError> {
        let key = self.key(queue, priority);
        self.queues.lock().unwrap_or_else(PoisonError::into_inner).insert(queue.to_owned());
        for some in tickets[..tickets.len().min(CAPACITY)].chunks(AT_ONCE) {
            let mut commands = redis::pipe();
            let add = commands.cmd("ZADD").arg(&key);
            for ticket in some {
                add.arg(0).arg(&encode(*ticket)[..]);
            }
            commands.ignore().cmd("ZCARD").arg(&key);
            let (length,): (usize,) = self.ask("send tickets", &commands).await?;
            if length > CAPACITY {
                let mut cut = redis::pipe();
                cut.cmd("ZREMRANGEBYRANK").arg(&key).arg(CAPACITY).arg(-1).ignore();
                return self.ask("keep a queue short", &cut).await;
            }
        }
        Ok(())
    }

    async fn take(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        let taker = self.taker(queues);
        let mut taker = taker.lock().await;
        loop {
            if !taker.arrived.is_empty() {
                let count = taker.arrived.len().min(max.max(1));
                return Ok(taker.arrived.drain(..count).collect());
            }
            let popped = self.pop(&mut taker, queues, max).await;
            taker.receive(popped.map_err(|error| failed("take tickets", error))?);
        }
    }

    async fn take_now(&self, queues: &[String], max: usize) -> Result<Vec<Ticket>, TransportError> {
        let mut command = redis::cmd("ZMPOP");
        self.least(&mut command, queues, max);
        let mut commands = redis::pipe();
        commands.add_command(command);
        let (popped,): (Popped,) = self.ask("take tickets", &commands).await?;
        Ok(tickets(popped))
    }

    async fn stop_taking(&self) -> Vec<Ticket> {
        let takers = std::mem::take(&mut *self.takers.lock().unwrap_or_else(PoisonError::into_inner));
        let mut left = Vec::new();
        for taker in takers.into_values() {
            let mut taker = taker.lock().await;
            if let (Some(pending), Some(line)) = (taker.pending.take(), &taker.connection) {
                // The server answers the blocked command at once, with what it has just taken or with nothing.
                let mut unblock = redis::pipe();
                unblock.cmd("CLIENT").arg("UNBLOCK").arg(line.id).ignore();
                let told: Result<(), _> = self.ask("stop waiting", &unblock).await;
                if told.is_ok()
                    && let Ok(Ok(Ok(popped))) = tokio::time::timeout(PATIENCE, pending).await
                {
                    taker.receive(popped);
                }
            }
            left.extend(taker.arrived.drain(..));
        }
        left
    }

    async fn condition(&self) -> Result<Condition, TransportError> {
        let queues: Vec<String> = self.queues.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect();
        let mut commands = redis::pipe();
        commands.cmd("INFO").arg("server").cmd("EVAL").arg(EPOCH).arg(1).arg(format!("{{{}}}:epoch", self.prefix));
        let (about, epoch): (String, String) = self.ask("look after the queues", &commands).await?;
        let mut full = Vec::new();
        if !queues.is_empty() {
            let mut commands = redis::pipe();
            for queue in &queues {
                for class in CLASSES {
                    commands.cmd("ZCARD").arg(self.key(queue, class));
                }
            }
            let lengths: Vec<usize> = self.ask("count tickets", &commands).await?;
            let is_full = |lengths: &[usize]| lengths.iter().any(|length| *length >= CAPACITY / 2);
            let lengths = lengths.chunks(CLASSES.len());
            full = queues.into_iter().zip(lengths).filter(|(_, l)| is_full(l)).map(|(queue, _)| queue).collect();
        }
        // Another server, be it one that was restarted or one that took over, may know less than the last one.
        let server = field(&about, "run_id").unwrap_or_default();
        Ok(Condition { epoch: format!("{server}/{epoch}"), full })
    }
}

fn failed(action: &'static str, source: RedisError) -> TransportError {
    TransportError { transport: "Redis", action, source: Arc::new(source) }
}

/// Whether the server only lacks memory, so that another connection would fare no better.
fn is_about_memory(error: &RedisError) -> bool {
    error.code() == Some("OOM")
}

/// A ticket on the wire: the layout's number, the run, the task, the attempt. Sorts by run, which is by age.
const LENGTH: usize = 25;
const LAYOUT: u8 = 1;

fn encode(ticket: Ticket) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[0] = LAYOUT;
    bytes[1..17].copy_from_slice(ticket.task.run.0.as_bytes());
    bytes[17..21].copy_from_slice(&ticket.task.ordinal.0.to_be_bytes());
    bytes[21..].copy_from_slice(&ticket.attempt.0.to_be_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Ticket> {
    let bytes: &[u8; LENGTH] = bytes.try_into().ok()?;
    let number = |at: usize| Some(u32::from_be_bytes(bytes[at..at + 4].try_into().ok()?));
    let run = RunId(uuid::Uuid::from_bytes(bytes[1..17].try_into().ok()?));
    let task = TaskKey { run, ordinal: Ordinal(number(17)?) };
    (bytes[0] == LAYOUT).then_some(Ticket { task, attempt: Attempt(number(21)?) })
}

#[cfg(test)]
mod tests;
