//! Several servers behind one address: one of them takes writes, the others follow it, and which one it is changes. Connections
//! go to the one that takes writes; a task of its own notices when that is another one.

use std::{
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{
    Connection, PgConnection,
    postgres::{PgConnectOptions, PgPool},
};
use tokio::task::{JoinHandle, JoinSet};

/// Between two questions to the server that takes writes.
const PERIOD: Duration = Duration::from_secs(1);
/// A server that takes longer to say whether it takes writes is as good as none.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a server takes no writes: it follows another one, or somebody has told it so.
const FOLLOWS: &str = "SELECT pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'";

/// The servers of an address.
#[derive(Debug)]
pub(super) struct Hosts {
    all: Vec<PgConnectOptions>,
    current: AtomicUsize,
    /// When connections began to go to the current one.
    since: Mutex<Instant>,
}

/// Looks after the hosts of a pool until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hosts {
    /// Reads an address: one host, or a list as libpq has it (`a:5432,b:5433` or `?host=a,b&port=5432,5433`).
    ///
    /// # Errors
    /// What is wrong, in words that repeat nothing of the address.
    pub fn read(url: &str) -> Result<Self, &'static str> {
        // The parser's own message may repeat part of what it was given, so it is not passed on.
        let read = |url: String| {
            PgConnectOptions::from_str(&url)
                .map_err(|_| "it does not read as postgres://USER:PASSWORD@HOST:PORT/DATABASE")
        };
        let all = spread(url)?.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Self { all, current: AtomicUsize::new(0), since: Mutex::new(Instant::now()) })
    }

    /// The same settings for each.
    #[must_use]
    pub fn each(mut self, set: impl Fn(PgConnectOptions) -> PgConnectOptions) -> Self {
        self.all = self.all.into_iter().map(set).collect();
        self
    }

    /// Whether there is a choice.
    pub fn several(&self) -> bool {
        self.all.len() > 1
    }

    /// Where connections go.
    pub fn current(&self) -> PgConnectOptions {
        self.all[self.current.load(Ordering::Relaxed)].clone()
    }

    /// Whether a connection of this age goes to a host that is no longer the current one.
    pub fn is_stale(&self, age: Duration) -> bool {
        age > self.since.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Finds the host that takes writes and connects to it; the current one stays if it does.
    pub async fn find(&self) -> Result<PgConnection, sqlx::Error> {
        if !self.several() {
            return PgConnection::connect_with(&self.all[0]).await;
        }
        let mut asked = JoinSet::new();
        for (place, host) in self.all.iter().cloned().enumerate() {
            asked.spawn(async move { (place, answered(writer(&host)).await) });
        }
        let current = self.current.load(Ordering::Relaxed);
        let (mut found, mut problem) = (None, None);
        while let Some(Ok((place, answer))) = asked.join_next().await {
            let rank = (place != current, place);
            match answer {
                Ok(session) if found.as_ref().is_none_or(|(best, _)| rank < *best) => found = Some((rank, session)),
                Ok(_) => {}
                Err(error) => problem = Some(error),
            }
        }
        match (found, problem) {
            (Some(((_, place), session)), _) => {
                if place != current {
                    *self.since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
                    self.current.store(place, Ordering::Relaxed);
                }
                Ok(session)
            }
            (None, problem) => Err(problem.unwrap_or(sqlx::Error::PoolTimedOut)),
        }
    }

    /// Keeps a pool at the host that takes writes.
    pub fn watch(self: Arc<Self>, pool: PgPool, session: PgConnection) -> Watch {
        Watch(tokio::spawn(async move {
            let mut session = Some(session);
            while !pool.is_closed() {
                tokio::time::sleep(PERIOD).await;
                if let Some(known) = &mut session
                    && answered(check(known)).await.is_ok()
                {
                    continue;
                }
                let before = self.current.load(Ordering::Relaxed);
                session = self.find().await.ok();
                if session.is_some() && self.current.load(Ordering::Relaxed) != before {
                    let host = self.current();
                    tracing::warn!(host = host.get_host(), "another server of the database takes writes now");
                    pool.set_connect_options(host);
                }
            }
        }))
    }
}

async fn writer(host: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut session = PgConnection::connect_with(host).await?;
    check(&mut session).await?;
    Ok(session)
}

/// Whether the server behind a connection takes writes.
pub(super) async fn check(session: &mut PgConnection) -> Result<(), sqlx::Error> {
    if sqlx::query_scalar(FOLLOWS).fetch_one(session).await? {
        return Err(sqlx::Error::Configuration("the server takes no writes: it follows another one".into()));
    }
    Ok(())
}

async fn answered<T>(question: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    tokio::time::timeout(PATIENCE, question).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// One address per host.
fn spread(url: &str) -> Result<Vec<String>, &'static str> {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut hosts, mut ports, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("host", list)) => hosts = list.split(',').collect(),
            Some(("port", list)) => ports = list.split(',').collect(),
            Some(("target_session_attrs", "read-write" | "primary")) => {}
            Some(("target_session_attrs", _)) => {
                return Err(
                    "`target_session_attrs` can only be `read-write`: Tidemill needs a server that takes writes",
                );
            }
            _ => rest.push(pair.to_owned()),
        }
    }
    let Some((scheme, place)) = address.split_once("://") else { return Ok(vec![url.to_owned()]) };
    let (authority, path) = place.split_once('/').map_or((place, String::new()), |(it, path)| (it, format!("/{path}")));
    let (login, names) = match authority.rsplit_once('@') {
        Some((login, names)) => (format!("{login}@"), names),
        None => (String::new(), authority),
    };
    let names: Vec<&str> = names.split(',').collect();
    let count = names.len().max(hosts.len());
    if !hosts.is_empty() && names.len() > 1 {
        return Err("it lists hosts twice: before the database and in `host`");
    }
    if ports.len() > 1 && ports.len() != count {
        return Err("it has another number of ports than of hosts");
    }
    let of = |place: usize| {
        let name = names.get(place).unwrap_or(&names[0]);
        let pick = |list: &[&str], key: &str| {
            list.get(place).or(list.first().filter(|_| list.len() == 1)).map(|value| format!("{key}={value}"))
        };
        let query: Vec<String> = rest.iter().cloned().chain(pick(&hosts, "host")).chain(pick(&ports, "port")).collect();
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("{scheme}://{login}{name}{path}{query}")
    };
    Ok((0..count).map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_list_hosts() {
        for (url, hosts) in [
            ("postgres://u:p@h:1/d?sslmode=require", vec!["postgres://u:p@h:1/d?sslmode=require"]),
            ("postgres://h/d", vec!["postgres://h/d"]),
            ("postgres://u:p@a:1,b:2,c/d", vec!["postgres://u:p@a:1/d", "postgres://u:p@b:2/d", "postgres://u:p@c/d"]),
            ("postgres://[::1]:1,[::2]:2/d?x=y", vec!["postgres://[::1]:1/d?x=y", "postgres://[::2]:2/d?x=y"]),
            (
                "postgres://u@/d?host=/a,/b&port=1",
                vec!["postgres://u@/d?host=/a&port=1", "postgres://u@/d?host=/b&port=1"],
            ),
            (
                "postgres://u@l/d?host=a,b&port=1,2",
                vec!["postgres://u@l/d?host=a&port=1", "postgres://u@l/d?host=b&port=2"],
            ),
            ("postgres://a,b/d?target_session_attrs=read-write", vec!["postgres://a/d", "postgres://b/d"]),
        ] {
            assert_eq!(spread(url).as_deref(), Ok(&*hosts.into_iter().map(str::to_owned).collect::<Vec<_>>()), "{url}");
        }
    }

    #[test]
    fn lists_that_do_not_fit_are_refused() {
        for url in [
            "postgres://a,b/d?port=1,2,3",
            "postgres://a,b/d?host=c,d",
            "postgres://a,b/d?target_session_attrs=any",
            "postgres://a:x,b/d",
        ] {
            assert!(Hosts::read(url).is_err(), "{url}");
        }
    }
}
