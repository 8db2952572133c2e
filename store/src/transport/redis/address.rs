//! Where the Redis is, and connections to it.

use std::{fmt, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisError, RedisResult,
    TlsCertificates, TlsMode,
    aio::MultiplexedConnection,
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};
use tokio::sync::Mutex;

/// Which Redis, and under which names tickets lie there.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` with TLS, `redis+unix:///PATH`, or, where Sentinels know
    /// which server is the master, `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER` (with TLS:
    /// `rediss+sentinel://…`). A Sentinel's own password is given as `?sentinel_password=…`.
    pub url: String,
    /// With TLS: the certificates to trust, as PEM. None: those that the machine trusts.
    pub authority: Option<Vec<u8>>,
    /// Keys start with this; two installations on one server need different ones.
    pub prefix: String,
}

impl RedisOptions {
    /// A server with the defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: url.into(), authority: None, prefix: "tidemill".to_owned() }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisOptions").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// An address that is not understood. What was given is not repeated: it may hold a password.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the address of Redis {0}")]
pub struct RedisAddressError(pub(super) String);

/// Whoever knows the server.
pub(super) enum Place {
    Direct(Box<Client>),
    Watched(Box<Mutex<SentinelClient>>),
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct(_) => "Direct",
            Self::Watched(_) => "Watched",
        })
    }
}

/// How long connecting may take.
const CONNECTING: Duration = Duration::from_secs(3);

/// Redis before this has no command that waits for several sorted sets at once and takes many.
const OLDEST: u32 = 7;

impl Place {
    pub fn of(options: &RedisOptions) -> Result<Self, RedisAddressError> {
        let certificates =
            options.authority.clone().map(|pem| TlsCertificates { client_tls: None, root_cert: Some(pem) });
        let wrong = |error: RedisError| RedisAddressError(format!("cannot be used ({})", error.category()));
        for (scheme, plain) in [("redis+sentinel://", "redis"), ("rediss+sentinel://", "rediss")] {
            if let Some(rest) = options.url.strip_prefix(scheme) {
                return watched(plain, rest, certificates).map(|client| Self::Watched(Box::new(Mutex::new(client))));
            }
        }
        let client = match certificates.filter(|_| options.url.starts_with("rediss")) {
            Some(certificates) => Client::build_with_tls(options.url.as_str(), certificates),
            None => Client::open(options.url.as_str()),
        };
        client.map(|client| Self::Direct(Box::new(client))).map_err(wrong)
    }

    /// A new connection whose answers may take so long; for ever if unset.
    pub async fn connect(&self, patience: Option<Duration>) -> RedisResult<MultiplexedConnection> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECTING)).set_response_timeout(patience);
        let mut connection = match self {
            Self::Direct(client) => client.get_multiplexed_async_connection_with_config(&config).await?,
            Self::Watched(client) => client.lock().await.get_async_connection_with_config(&config).await?,
        };
        let about: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let version = field(&about, "redis_version").unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        match major {
            Some(major) if major < OLDEST => Err(RedisError::from((
                redis::ErrorKind::InvalidClientConfig,
                "the server is too old",
                format!("Tidemill needs Redis {OLDEST} or newer; this is {version}"),
            ))),
            Some(_) | None => Ok(connection),
        }
    }
}

/// A field of what `INFO` says.
pub(super) fn field<'t>(about: &'t str, name: &str) -> Option<&'t str> {
    about.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn watched(
    scheme: &str,
    rest: &str,
    certificates: Option<TlsCertificates>,
) -> Result<SentinelClient, RedisAddressError> {
    let wrong = |why: &str| RedisAddressError(why.to_owned());
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (login, places) = rest.rsplit_once('@').map_or(("", rest), |(login, places)| (login, places));
    let (nodes, master) =
        places.split_once('/').ok_or_else(|| wrong("names no master, as in redis+sentinel://HOST:PORT/MASTER"))?;
    if master.is_empty() || nodes.is_empty() {
        return Err(wrong("must name Sentinels and a master, as in redis+sentinel://HOST:PORT/MASTER"));
    }
    let read = |login: &str, node: &str| -> Result<ConnectionInfo, RedisAddressError> {
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let node = if node.contains(':') { node.to_owned() } else { format!("{node}:26379") };
        let url = format!("{scheme}://{login}{node}");
        url.as_str().into_connection_info().map_err(|_| wrong("does not read as HOST:PORT"))
    };
    let nodes = nodes.split(',').map(|node| Ok(read("", node)?.addr().clone()));
    let nodes: Vec<ConnectionAddr> = nodes.collect::<Result<_, RedisAddressError>>()?;
    let account = read(login, "localhost")?;
    let failed = |error: RedisError| RedisAddressError(format!("cannot be used ({})", error.category()));
    let mut builder = SentinelClientBuilder::new(nodes, master, SentinelServerType::Master).map_err(failed)?;
    if let Some(user) = account.redis_settings().username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = account.redis_settings().password() {
        builder = builder.set_client_to_redis_password(password);
    }
    for option in query.split('&').filter(|option| !option.is_empty()) {
        match option.split_once('=') {
            Some(("sentinel_password", value)) => {
                let own = read(&format!(":{value}"), "localhost")?;
                builder = builder.set_client_to_sentinel_password(own.redis_settings().password().unwrap_or_default());
            }
            Some(("db", value)) => {
                let db = value.parse().map_err(|_| wrong("has a `db` that is no number"))?;
                builder = builder.set_client_to_redis_db(db);
            }
            _ => return Err(wrong("has an option that is not known; there are `db` and `sentinel_password`")),
        }
    }
    if scheme == "rediss" {
        builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
        if let Some(certificates) = certificates {
            builder = builder
                .set_client_to_redis_certificates(certificates.clone())
                .set_client_to_sentinel_certificates(certificates);
        }
    }
    builder.build().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_or_refused_without_their_passwords() {
        for good in [
            "redis://h:1",
            "rediss://u:p%40w@h:1/3",
            "redis+unix:///run/redis.sock",
            "redis+sentinel://:pw@a:1,b/mymaster",
            "rediss+sentinel://u:pw@a:1/mymaster?sentinel_password=x&db=2",
        ] {
            assert!(Place::of(&RedisOptions::new(good)).is_ok(), "{good}");
        }
        for bad in [
            "http://u:hidden@h:1",
            "redis+sentinel://:hidden@a:1",
            "redis+sentinel://:hidden@/m",
            "redis+sentinel://:hidden@a:x/m",
            "redis+sentinel://:hidden@a:1/m?color=red",
            "redis+sentinel://:hidden@a:1/m?db=x",
            "",
        ] {
            let error = Place::of(&RedisOptions::new(bad)).expect_err(bad);
            assert!(!format!("{error} {error:?}").contains("hidden"), "{error}");
        }
        assert!(!format!("{:?}", RedisOptions::new("redis://:hidden@h")).contains("hidden"));
    }
}
