use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_store::blobs::{Keys, S3Config};

use crate::error::CliError;
use crate::secret;

/// Where data sets between tasks are kept: a folder, or a bucket of S3 or of a server like it, such as MinIO.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BlobsSection {
    /// `folder` or `s3`.
    pub kind: BlobsKind,
    /// For `folder`: where. Unset: `blobs` in `state.dir`. Workers on several machines need one that all of them see.
    pub path: Option<PathBuf>,
    /// For `s3`: the bucket; it must be there.
    pub bucket: Option<String>,
    /// For `s3`: only what is below this. Each installation that shares a bucket needs a prefix of its own.
    pub prefix: Option<String>,
    /// For `s3`: the region. Unset: what the AWS configuration of the machine says; with an `endpoint`, `us-east-1`.
    pub region: Option<String>,
    /// For `s3`: the server's address, as `http://minio:9000`. Unset: AWS.
    pub endpoint: Option<String>,
    /// For `s3`: whether the bucket stands in the path instead of the host name. Unset: with an `endpoint`, yes.
    pub path_style: Option<bool>,
    /// For `s3`: the access key, or the place of it. Unset: the chain of AWS (environment, profile, web identity,
    /// container, machine).
    pub access_key: Option<String>,
    /// For `s3`: the place of the secret key, as `${env:S3_SECRET_KEY}` or `${file:/run/secrets/s3}`.
    pub secret_key: Option<String>,
    /// For `s3`: the place of the session token, where keys are temporary.
    pub session_token: Option<String>,
}

/// The kinds of places for blobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlobsKind {
    /// A folder of a file system.
    #[default]
    Folder,
    /// A bucket.
    S3,
}

impl BlobsSection {
    /// What is wrong with the section as a whole, by key.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        let of_s3 = [
            ("blobs.bucket", self.bucket.is_some()),
            ("blobs.prefix", self.prefix.is_some()),
            ("blobs.region", self.region.is_some()),
            ("blobs.endpoint", self.endpoint.is_some()),
            ("blobs.path_style", self.path_style.is_some()),
            ("blobs.access_key", self.access_key.is_some()),
            ("blobs.secret_key", self.secret_key.is_some()),
            ("blobs.session_token", self.session_token.is_some()),
        ];
        match self.kind {
            BlobsKind::Folder => {
                let given = of_s3.into_iter().filter(|(_, given)| *given);
                found.extend(given.map(|(key, _)| (key, "a folder has no such setting; is `kind: s3` meant?")));
            }
            BlobsKind::S3 => {
                if self.bucket.is_none() {
                    found.push(("blobs.bucket", "`kind: s3` needs a bucket"));
                }
                if self.path.is_some() {
                    found.push(("blobs.path", "a bucket has no path; is `prefix` meant?"));
                }
                if self.access_key.is_some() != self.secret_key.is_some() {
                    found.push(("blobs.access_key", "`access_key` and `secret_key` go together"));
                }
            }
        }
        for (key, value) in [("blobs.secret_key", &self.secret_key), ("blobs.session_token", &self.session_token)] {
            if value.as_deref().is_some_and(|written| !secret::is_place(written)) {
                found.push((key, "a secret does not stand in this file: write where it is, as `${env:NAME}`"));
            }
        }
        found
    }

    /// The bucket, with its keys read from their places.
    pub fn s3(&self) -> Result<S3Config, CliError> {
        let read = |setting, written: &Option<String>| match written {
            Some(written) => secret::read(setting, written).map(|text| Some(text.expose().to_owned())),
            None => Ok(None),
        };
        let access = read("blobs.access_key", &self.access_key)?;
        let session = read("blobs.session_token", &self.session_token)?;
        let keys = read("blobs.secret_key", &self.secret_key)?.zip(access);
        let keys = keys.map(|(secret, access)| Keys { access, secret, session });
        Ok(S3Config {
            bucket: self.bucket.clone().unwrap_or_default(),
            prefix: self.prefix.clone().unwrap_or_default(),
            region: self.region.clone(),
            endpoint: self.endpoint.clone(),
            path_style: self.path_style.unwrap_or(self.endpoint.is_some()),
            keys,
        })
    }
}
