//! Files behind http(s): brought to this machine whole, then read like any other. A transfer that breaks off is
//! seen before any of its rows are.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use futures::StreamExt;
use reqwest::{Client, Response, Url, header, redirect};
use serde::{Deserialize, Serialize};
use tokio::{fs, io::AsyncWriteExt, sync::Mutex};

use super::config::Transfer;
use crate::ConnectorError;

/// How long a file that was just brought or checked is taken as it is, so that planning a query and running it
/// see the same bytes.
const FRESH: Duration = Duration::from_secs(60);

/// A server's files.
#[derive(Debug)]
pub struct Web {
    base: Url,
    limits: Transfer,
    client: OnceLock<Client>,
    /// Where files are kept; a temporary folder without a state folder.
    kept: Kept,
    /// One transfer of an address at a time.
    known: Mutex<HashMap<String, Arc<Mutex<Option<Fetched>>>>>,
}

#[derive(Debug)]
enum Kept {
    State(PathBuf),
    Temporary(OnceLock<tempfile::TempDir>),
}

#[derive(Debug, Clone)]
struct Fetched {
    path: PathBuf,
    at: Instant,
}

/// What a server said about the file that is kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tags {
    file: String,
    etag: Option<String>,
    modified: Option<String>,
}

impl Web {
    /// For addresses below `base`; no I/O. The error is for people.
    pub fn new(base: &str, limits: Transfer, state: Option<&Path>) -> Result<Self, String> {
        let base =
            Url::parse(&format!("{}/", base.trim_end_matches('/'))).map_err(|error| format!("`{base}`: {error}"))?;
        let kept = match state {
            Some(state) => Kept::State(state.join("downloads")),
            None => Kept::Temporary(OnceLock::new()),
        };
        Ok(Self { base, limits, client: OnceLock::new(), kept, known: Mutex::default() })
    }

    /// The address of a path below the base. Never leaves the server.
    pub fn address(&self, path: &str) -> Result<String, String> {
        let url = self.base.join(path).map_err(|error| format!("`{path}`: {error}"))?;
        if url.origin() == self.base.origin() {
            Ok(url.into())
        } else {
            Err(format!("`{path}` leads away from {}", self.base))
        }
    }

    /// The file at an address as a file here.
    pub async fn file(&self, address: &str) -> Result<PathBuf, ConnectorError> {
        let slot = Arc::clone(self.known.lock().await.entry(address.to_owned()).or_default());
        let mut slot = slot.lock().await;
        if let Some(fetched) = slot.as_ref().filter(|fetched| fetched.at.elapsed() < FRESH) {
            return Ok(fetched.path.clone());
        }
        let seconds = self.limits.timeout.0.as_secs();
        let brought = tokio::time::timeout(self.limits.timeout.0, self.bring(address)).await;
        let path = brought.map_err(|_| ConnectorError::TooSlow { url: address.to_owned(), seconds })??;
        *slot = Some(Fetched { path: path.clone(), at: Instant::now() });
        Ok(path)
    }

    async fn bring(&self, address: &str) -> Result<PathBuf, ConnectorError> {
        let folder = self.folder()?;
        fs::create_dir_all(&folder).await.map_err(unwritable(&folder))?;
        let name = blake3::hash(address.as_bytes()).to_hex()[..32].to_owned();
        let tags_file = folder.join(format!("{name}.json"));
        let tags = kept_tags(&folder, &tags_file).await;
        let response = self.ask(address, tags.as_ref()).await?;
        if let (reqwest::StatusCode::NOT_MODIFIED, Some(tags)) = (response.status(), &tags) {
            return Ok(folder.join(&tags.file));
        }
        if !response.status().is_success() {
            return Err(ConnectorError::Status { url: address.to_owned(), status: response.status().as_u16() });
        }
        let text = |name: header::HeaderName| response.headers().get(name)?.to_str().ok().map(ToOwned::to_owned);
        let (etag, modified) = (text(header::ETAG), text(header::LAST_MODIFIED));
        let aside = folder.join(format!("{name}.{}.tmp", std::process::id()));
        let kept = self.save(address, response, &aside).await;
        let hash = match kept {
            Ok(hash) => hash,
            Err(error) => {
                let _ = fs::remove_file(&aside).await;
                return Err(error);
            }
        };
        // Named by content: who reads the file of before goes on reading that.
        let file = format!("{name}-{}", &hash[..16]);
        let path = folder.join(&file);
        fs::rename(&aside, &path).await.map_err(unwritable(&path))?;
        let new = Tags { file, etag, modified };
        if let Some(old) = tags.filter(|old| old.file != new.file) {
            let _ = fs::remove_file(folder.join(old.file)).await;
        }
        let text = serde_json::to_vec(&new).unwrap_or_default();
        fs::write(&tags_file, text).await.map_err(unwritable(&tags_file))?;
        Ok(path)
    }

    async fn ask(&self, address: &str, tags: Option<&Tags>) -> Result<Response, ConnectorError> {
        let mut request = self.client(address)?.get(address);
        if let Some(tags) = tags {
            for (name, value) in [(header::IF_NONE_MATCH, &tags.etag), (header::IF_MODIFIED_SINCE, &tags.modified)] {
                if let Some(value) = value {
                    request = request.header(name, value);
                }
            }
        }
        request.send().await.map_err(|error| self.failed(address, error))
    }

    /// Streams the body into a file; the hash of what came.
    async fn save(&self, address: &str, response: Response, aside: &Path) -> Result<String, ConnectorError> {
        let limit = self.limits.max_bytes;
        let too_large = || ConnectorError::TooLarge { url: address.to_owned(), limit };
        if response.content_length().is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut file = fs::File::create(aside).await.map_err(unwritable(aside))?;
        let mut body = response.bytes_stream();
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0_u64);
        while let Some(block) = body.next().await {
            let block = block.map_err(|error| self.failed(address, error))?;
            bytes += block.len() as u64;
            if bytes > limit {
                return Err(too_large());
            }
            hasher.update(&block);
            file.write_all(&block).await.map_err(unwritable(aside))?;
        }
        file.flush().await.map_err(unwritable(aside))?;
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn client(&self, address: &str) -> Result<&Client, ConnectorError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let most = self.limits.max_redirects;
        let policy = redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > most { attempt.error("too many redirects") } else { attempt.follow() }
        });
        let built = Client::builder()
            .redirect(policy)
            .read_timeout(self.limits.idle_timeout.0)
            .connect_timeout(self.limits.idle_timeout.0)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| self.failed(address, error))?;
        Ok(self.client.get_or_init(|| built))
    }

    fn failed(&self, address: &str, error: reqwest::Error) -> ConnectorError {
        let url = address.to_owned();
        if error.is_redirect() {
            ConnectorError::Redirects { url, limit: self.limits.max_redirects }
        } else if error.is_timeout() {
            ConnectorError::TooSlow { url, seconds: self.limits.idle_timeout.0.as_secs() }
        } else {
            // The address is in the message already, and might carry a signature.
            ConnectorError::Transfer { url, source: Box::new(error.without_url()) }
        }
    }

    fn folder(&self) -> Result<PathBuf, ConnectorError> {
        match &self.kept {
            Kept::State(folder) => Ok(folder.clone()),
            Kept::Temporary(slot) => match slot.get() {
                Some(folder) => Ok(folder.path().to_owned()),
                None => {
                    let made = tempfile::tempdir().map_err(unwritable(&std::env::temp_dir()))?;
                    Ok(slot.get_or_init(|| made).path().to_owned())
                }
            },
        }
    }
}

async fn kept_tags(folder: &Path, tags: &Path) -> Option<Tags> {
    let tags: Tags = serde_json::from_slice(&fs::read(tags).await.ok()?).ok()?;
    let plain = !tags.file.contains(['/', '\\']);
    let there = plain && fs::try_exists(folder.join(&tags.file)).await.is_ok_and(|there| there);
    Some(tags).filter(|_| there)
}

fn unwritable(path: &Path) -> impl FnOnce(std::io::Error) -> ConnectorError {
    let path = path.to_owned();
    move |source| ConnectorError::Unwritable { path, source }
}
