//! How the bucket is reached, and what is found out about it at the start.

use std::{fmt, sync::Arc, time::Duration};

use aws_sdk_s3::{
    Client,
    config::{BehaviorVersion, Credentials, Region, http::HttpResponse, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
};
use bytes::Bytes;
use tidemill_dag::codes::tm14;

use super::{
    Place, S3,
    fault::{status, words},
};
use crate::blobs::{BlobError, check_name};

/// Which bucket, and how to get there.
#[derive(Debug, Clone)]
pub struct S3Config {
    /// The bucket.
    pub bucket: String,
    /// Only what is below this; empty for the whole bucket.
    pub prefix: String,
    /// The region. Unset: what the AWS configuration of this machine says; with an endpoint, `us-east-1`.
    pub region: Option<String>,
    /// The server's address, as `http://minio:9000`. Unset: AWS.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path instead of the host name, as MinIO wants it.
    pub path_style: bool,
    /// Who asks. Unset: the chain of AWS: environment, profile, web identity, container, machine.
    pub keys: Option<Keys>,
}

/// A pair of keys. The secret one is not printed.
#[derive(Clone)]
pub struct Keys {
    /// The access key.
    pub access: String,
    /// The secret key.
    pub secret: String,
    /// The token of temporary keys.
    pub session: Option<String>,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("access", &self.access).finish_non_exhaustive()
    }
}

/// Why a bucket cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum S3Error {
    /// The settings do not make sense.
    #[error("blobs.{setting} cannot be used: {problem}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// Nothing answers, or not as S3 would.
    #[error("the S3 server {server} cannot be used: {problem}")]
    Unreachable {
        /// Its address, or `AWS`.
        server: String,
        /// What happened.
        problem: String,
    },
    /// The keys are wrong, missing or not allowed to do it.
    #[error("the S3 server {server} does not let this program use bucket `{bucket}`: {problem}")]
    Denied {
        /// Its address, or `AWS`.
        server: String,
        /// The bucket.
        bucket: String,
        /// What it said.
        problem: String,
    },
    /// There is no such bucket.
    #[error("the S3 server {server} has no bucket `{bucket}`")]
    NoBucket {
        /// Its address, or `AWS`.
        server: String,
        /// The bucket.
        bucket: String,
    },
}

impl S3Error {
    /// The public code, as in the pages of `docs/errors`.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Setting { .. } => tm14::S3_SETTING,
            Self::Unreachable { .. } => tm14::S3_UNREACHABLE,
            Self::Denied { .. } => tm14::S3_DENIED,
            Self::NoBucket { .. } => tm14::S3_NO_BUCKET,
        }
    }

    /// What to do about it.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "`tidemill config reference` prints every setting of `blobs` with its meaning",
            Self::Unreachable { .. } => "check `blobs.endpoint`, and that the server runs and can be reached from here",
            Self::Denied { .. } => {
                "check `blobs.access_key` and `blobs.secret_key`, and that the keys may list, read, write and delete there"
            }
            Self::NoBucket { .. } => "create the bucket, or correct `blobs.bucket` and `blobs.region`",
        }
    }
}

/// The blob that tells whether the server keeps conditions.
const PROBE: &str = "tidemill-probe";
const CONNECT: Duration = Duration::from_secs(3);
/// Between two bytes of an answer.
const SILENCE: Duration = Duration::from_secs(20);
const TRIES: u32 = 6;
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

impl S3 {
    /// Reaches the bucket and finds out what its server can do.
    ///
    /// # Errors
    /// The settings make no sense, or the bucket cannot be used.
    pub async fn open(config: S3Config) -> Result<Self, S3Error> {
        let server = config.endpoint.clone().unwrap_or_else(|| "AWS".to_owned());
        let prefix = prefix(&config)?;
        let client = client(&config).await?;
        let S3Config { bucket, .. } = config;
        let look = || client.head_bucket().bucket(&bucket).send();
        let mut seen = look().await;
        // The client corrects a wrong clock of this machine by the answers' dates, and repeats what was refused for it; but the
        // refusal of a HEAD does not say that this is why.
        if seen.as_ref().is_err_and(|error| status(error) == Some(403)) {
            seen = look().await;
        }
        if let Err(error) = seen {
            return Err(refused(&error, server, bucket));
        }
        let mut place = Place { client, bucket, prefix, exclusive: true };
        let probed = place.probe().await;
        place.exclusive = probed.map_err(|error| {
            let problem = chain(&error);
            match &error {
                BlobError::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                    S3Error::Denied { server, bucket: place.bucket.clone(), problem }
                }
                _ => S3Error::Unreachable { server, problem },
            }
        })?;
        if !place.exclusive {
            tracing::warn!(
                bucket = place.bucket,
                "this S3 server ignores conditional puts; data sets are safe, because database rows publish them, but \
                 two installations that begin to use one prefix at the same moment would not notice each other"
            );
        }
        Ok(Self(Arc::new(place)))
    }
}

impl Place {
    /// Whether a put that must not replace anything does not.
    async fn probe(&self) -> Result<bool, BlobError> {
        let text = Bytes::from_static(b"Written to find out whether this server keeps conditions of puts.\n");
        for _ in 0..2 {
            match self.put_if_free(PROBE, &text).await {
                Ok(true) => {}
                Ok(false) => return Ok(true),
                // Some servers say that they do not know the condition.
                Err(BlobError::Io { source, .. }) if source.to_string().contains("NotImplemented") => {
                    return self.put(PROBE, text).await.map(|()| false);
                }
                Err(other) => return Err(other),
            }
        }
        Ok(false)
    }
}

fn prefix(config: &S3Config) -> Result<String, S3Error> {
    let setting = |setting, problem: &str| Err(S3Error::Setting { setting, problem: problem.to_owned() });
    if config.bucket.is_empty() || config.bucket.contains('/') {
        return setting("bucket", "it must be the name of a bucket");
    }
    let prefix = config.prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(String::new());
    }
    if prefix.len() > 100 || check_name(prefix).is_err() {
        return setting("prefix", "use at most 100 letters, digits and `._=-`, in parts separated by `/`");
    }
    Ok(format!("{prefix}/"))
}

async fn client(config: &S3Config) -> Result<Client, S3Error> {
    let region = config.region.clone().or_else(|| config.endpoint.is_some().then(|| "us-east-1".to_owned()));
    let region = region.map(Region::new);
    let mut builder = match &config.keys {
        Some(keys) => {
            let keys = Credentials::new(&keys.access, &keys.secret, keys.session.clone(), None, "tidemill.yaml");
            aws_sdk_s3::Config::builder().behavior_version(BehaviorVersion::latest()).credentials_provider(keys)
        }
        None => {
            let mut loader = aws_config::defaults(BehaviorVersion::latest());
            if let Some(region) = &region {
                loader = loader.region(region.clone());
            }
            aws_sdk_s3::config::Builder::from(&loader.load().await)
        }
    };
    if let Some(region) = region {
        builder = builder.region(region);
    }
    if let Some(endpoint) = &config.endpoint {
        if !endpoint.starts_with("http://") && !endpoint.starts_with("https://") {
            let problem = "it must start with `http://` or `https://`".to_owned();
            return Err(S3Error::Setting { setting: "endpoint", problem });
        }
        builder = builder.endpoint_url(endpoint);
    }
    let config = builder
        .force_path_style(config.path_style)
        .timeout_config(TimeoutConfig::builder().connect_timeout(CONNECT).read_timeout(SILENCE).build())
        .retry_config(
            RetryConfig::standard().with_max_attempts(TRIES).with_initial_backoff(PAUSE.0).with_max_backoff(PAUSE.1),
        )
        .build();
    if config.region().is_none() {
        let problem = "no region is set, neither here nor in the AWS configuration of this machine".to_owned();
        return Err(S3Error::Setting { setting: "region", problem });
    }
    Ok(Client::from_conf(config))
}

fn refused<E>(error: &SdkError<E, HttpResponse>, server: String, bucket: String) -> S3Error
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let problem = words(error);
    match (status(error), error) {
        (Some(404), _) => S3Error::NoBucket { server, bucket },
        (Some(400 | 401 | 403), _) => S3Error::Denied { server, bucket, problem },
        // Nobody was asked yet: there were no keys to sign with.
        (None, SdkError::DispatchFailure(failure)) if !failure.is_io() && !failure.is_timeout() => {
            S3Error::Denied { server, bucket, problem }
        }
        _ => S3Error::Unreachable { server, problem },
    }
}

fn chain(error: &BlobError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
