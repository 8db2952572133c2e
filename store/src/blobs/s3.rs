//! Blobs in a bucket of S3, or of a server that speaks its protocol, such as MinIO, Garage or Ceph.
//!
//! Requests that fail for a passing reason are repeated by the client itself; a body that breaks off is fetched on from
//! where it broke. Every byte that is sent carries a CRC-32 that the server checks.

mod connect;
mod fault;
mod upload;

use std::{fmt, ops::Range, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_s3::{
    Client,
    operation::get_object::GetObjectOutput,
    presigning::PresigningConfig,
    primitives::{ByteStream, DateTime},
    types::{Delete, ObjectIdentifier},
};
use bytes::{Bytes, BytesMut};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use tidemill_dag::time::Timestamp;

use super::{BlobError, BlobInfo, BlobWriter, Blobs, check_name};
pub use connect::{Keys, S3Config, S3Error};
use fault::{failed, is_missing, status};
use upload::Upload;

/// How often a read goes on after its body broke off.
const CUTS: u32 = 8;
/// Pause after the first cut; it doubles with each.
const PAUSE: Duration = Duration::from_millis(50);
/// S3 removes at most so many keys with one request.
const DELETED_AT_ONCE: usize = 1_000;

/// A bucket, or the part of it below a prefix.
#[derive(Clone)]
pub struct S3(Arc<Place>);

/// What all handles to a bucket share.
struct Place {
    client: Client,
    bucket: String,
    /// Empty, or ends with `/`.
    prefix: String,
    /// Whether the server keeps a put from replacing what is there when it is told to.
    exclusive: bool,
}

impl fmt::Debug for S3 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3").field("bucket", &self.0.bucket).field("prefix", &self.0.prefix).finish_non_exhaustive()
    }
}

impl Place {
    fn key(&self, name: &str) -> Result<String, BlobError> {
        check_name(name)?;
        Ok(format!("{}{name}", self.prefix))
    }

    /// The key of a prefix that ends with `/`; the whole place for the empty one.
    fn key_of_prefix(&self, prefix: &str) -> Result<String, BlobError> {
        match prefix.strip_suffix('/') {
            Some(name) => self.key(name).map(|key| format!("{key}/")),
            None if prefix.is_empty() => Ok(self.prefix.clone()),
            None => Err(BlobError::Name(prefix.to_owned())),
        }
    }

    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        let key = self.key(name)?;
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(ByteStream::from(bytes));
        put.send().await.map(drop).map_err(failed("write", name))
    }

    /// A put that the server refuses where the key is taken: whether it was accepted.
    async fn put_if_free(&self, name: &str, bytes: &Bytes) -> Result<bool, BlobError> {
        let key = self.key(name)?;
        let mut tries = 0;
        loop {
            let body = ByteStream::from(bytes.clone());
            let put = self.client.put_object().bucket(&self.bucket).key(&key).if_none_match("*").body(body);
            let error = match put.send().await {
                Ok(_) => return Ok(true),
                Err(error) => error,
            };
            match status(&error) {
                Some(412) => return Ok(false),
                // Another one is being written at this moment; who won shows soon.
                Some(409) if tries < CUTS => {
                    tries += 1;
                    tokio::time::sleep(PAUSE * tries).await;
                }
                _ => return Err(failed("write", name)(error)),
            }
        }
    }

    /// One answer of the server with bytes of a blob; the range is not empty.
    async fn fetch(&self, key: &str, name: &str, range: Range<u64>) -> Result<GetObjectOutput, BlobError> {
        let bytes = format!("bytes={}-{}", range.start, range.end - 1);
        let found = match self.client.get_object().bucket(&self.bucket).key(key).range(bytes).send().await {
            Ok(found) => found,
            Err(error) if status(&error) == Some(416) => {
                let size = self.size(name).await?;
                return Err(BlobError::Range { name: name.to_owned(), range, size });
            }
            Err(error) => return Err(failed("read", name)(error)),
        };
        // `bytes 0-9/100`
        let total = found.content_range().and_then(|it| it.rsplit_once('/')).and_then(|(_, total)| total.parse().ok());
        match total {
            Some(size) if size < range.end => Err(BlobError::Range { name: name.to_owned(), range, size }),
            Some(_) => Ok(found),
            None => Err(fault::odd("read", name, "the server ignored the range that was asked for")),
        }
    }

    async fn size(&self, name: &str) -> Result<u64, BlobError> {
        let key = self.key(name)?;
        let head =
            self.client.head_object().bucket(&self.bucket).key(key).send().await.map_err(failed("read", name))?;
        let size = head.content_length().and_then(|size| u64::try_from(size).ok());
        size.ok_or_else(|| fault::odd("read", name, "the server did not say how large it is"))
    }

    async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let key = self.key(name)?;
        if range.start >= range.end {
            let size = self.size(name).await?;
            let sound = range.start == range.end && range.end <= size;
            return if sound { Ok(Bytes::new()) } else { Err(BlobError::Range { name: name.to_owned(), range, size }) };
        }
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let mut bytes = BytesMut::new();
        let mut cuts = 0;
        loop {
            let from = range.start + bytes.len() as u64;
            let mut body = self.fetch(&key, name, from..range.end).await?.body;
            let cut = loop {
                match body.next().await {
                    Some(Ok(piece)) => bytes.extend_from_slice(&piece),
                    Some(Err(error)) => break Some(error.to_string()),
                    None => break None,
                }
            };
            if bytes.len() == length {
                return Ok(bytes.freeze());
            }
            let why = cut.unwrap_or_else(|| "the answer ended too early".to_owned());
            if cuts == CUTS || bytes.len() > length {
                return Err(fault::odd("read", name, &why));
            }
            tracing::debug!(name, why, at = bytes.len(), "a body broke off; the rest is fetched");
            tokio::time::sleep(PAUSE * 2_u32.pow(cuts)).await;
            cuts += 1;
        }
    }

    /// One page of a list, and where the next one begins.
    async fn page(&self, key: &str, from: Option<String>) -> Result<(Vec<BlobInfo>, Option<String>), BlobError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(key).set_continuation_token(from);
        let page = list.send().await.map_err(failed("list", key))?;
        let blob = |object: &aws_sdk_s3::types::Object| {
            let name = object.key()?.strip_prefix(&self.prefix)?;
            let size = u64::try_from(object.size()?).ok()?;
            check_name(name).is_ok().then(|| BlobInfo { name: name.to_owned(), size })
        };
        let next = page.next_continuation_token().filter(|_| page.is_truncated() == Some(true)).map(str::to_owned);
        Ok((page.contents().iter().filter_map(blob).collect(), next))
    }

    async fn delete(&self, prefix: &str, names: &[String]) -> Result<(), BlobError> {
        for some in names.chunks(DELETED_AT_ONCE) {
            let object = |name: &String| ObjectIdentifier::builder().key(format!("{}{name}", self.prefix)).build();
            let keys: Result<Vec<_>, _> = some.iter().map(object).collect();
            let all = keys.and_then(|keys| Delete::builder().set_objects(Some(keys)).quiet(true).build());
            let all = all.map_err(|error| fault::odd("delete", prefix, &error.to_string()))?;
            let deleted = self.client.delete_objects().bucket(&self.bucket).delete(all).send().await;
            let deleted = deleted.map_err(failed("delete", prefix))?;
            if let Some(error) = deleted.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
                return Err(fault::odd(
                    "delete",
                    prefix,
                    error.message().or(error.code()).unwrap_or("no reason given"),
                ));
            }
        }
        Ok(())
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        if !prefix.ends_with('/') {
            let key = self.key(prefix)?;
            return match self.client.delete_object().bucket(&self.bucket).key(key).send().await {
                Err(error) if !is_missing(&error) => Err(failed("delete", prefix)(error)),
                Ok(_) | Err(_) => Ok(()),
            };
        }
        let key = self.key_of_prefix(prefix)?;
        let mut from = None;
        loop {
            let (blobs, next) = self.page(&key, from).await?;
            let names: Vec<String> = blobs.into_iter().map(|blob| blob.name).collect();
            self.delete(prefix, &names).await?;
            match next {
                Some(next) => from = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Uploads that began before a moment and were neither finished nor given up.
    async fn drop_unfinished(&self, before: Timestamp) -> Result<u64, BlobError> {
        let before = DateTime::from_nanos(i128::from(before.0) * 1_000).unwrap_or(DateTime::from_secs(0));
        let mut dropped = 0;
        let (mut key, mut upload) = (None, None);
        loop {
            let list = self.client.list_multipart_uploads().bucket(&self.bucket).prefix(&self.prefix);
            let page = list.set_key_marker(key).set_upload_id_marker(upload).send().await;
            let page = page.map_err(failed("list the unfinished uploads of", &self.bucket))?;
            for found in page.uploads() {
                let (Some(key), Some(id), Some(begun)) = (found.key(), found.upload_id(), found.initiated()) else {
                    continue;
                };
                if *begun < before {
                    self.give_up(key, id).await.map_err(failed("give up an upload of", key))?;
                    dropped += 1;
                }
            }
            if page.is_truncated() != Some(true) {
                return Ok(dropped);
            }
            key = page.next_key_marker().map(str::to_owned);
            upload = page.next_upload_id_marker().map(str::to_owned);
        }
    }
}

#[async_trait]
impl Blobs for S3 {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        self.0.put(name, bytes).await
    }

    async fn put_new(&self, name: &str, bytes: Bytes) -> Result<bool, BlobError> {
        if !self.0.exclusive {
            return match self.0.size(name).await {
                Ok(_) => Ok(false),
                Err(BlobError::NotFound(_)) => self.0.put(name, bytes).await.map(|()| true),
                Err(other) => Err(other),
            };
        }
        if self.0.put_if_free(name, &bytes).await? {
            return Ok(true);
        }
        // The answer to an earlier try of this very put may have got lost.
        match self.0.read_range(name, 0..bytes.len() as u64).await {
            Ok(found) => Ok(found == bytes && self.0.size(name).await? == bytes.len() as u64),
            Err(BlobError::Range { .. } | BlobError::NotFound(_)) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn exclusive(&self) -> bool {
        self.0.exclusive
    }

    async fn writer(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        let key = self.0.key(name)?;
        Ok(Box::new(Upload::new(Arc::clone(&self.0), name.to_owned(), key)))
    }

    async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        self.0.read_range(name, range).await
    }

    async fn size(&self, name: &str) -> Result<u64, BlobError> {
        self.0.size(name).await
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        self.0.delete_prefix(prefix).await
    }

    fn list(&self, prefix: &str) -> BoxStream<'_, Result<BlobInfo, BlobError>> {
        let key = match self.0.key_of_prefix(prefix) {
            Ok(key) => key,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        // The outer option is whether there is a page, the inner one where it begins.
        let pages = stream::try_unfold(Some(None), move |from: Option<Option<String>>| {
            let key = key.clone();
            async move {
                let Some(from) = from else { return Ok(None) };
                let (blobs, next) = self.0.page(&key, from).await?;
                Ok::<_, BlobError>(Some((blobs, next.map(Some))))
            }
        });
        let blobs = |page: Result<Vec<BlobInfo>, BlobError>| match page {
            Ok(blobs) => stream::iter(blobs.into_iter().map(Ok).collect::<Vec<_>>()),
            Err(error) => stream::iter(vec![Err(error)]),
        };
        pages.flat_map(blobs).boxed()
    }

    async fn drop_unfinished(&self, before: Timestamp) -> Result<u64, BlobError> {
        self.0.drop_unfinished(before).await
    }

    fn local_path(&self, _: &str) -> Option<PathBuf> {
        None
    }

    async fn presigned(&self, name: &str, valid: Duration) -> Result<Option<String>, BlobError> {
        let key = self.0.key(name)?;
        let valid = PresigningConfig::expires_in(valid)
            .map_err(|error| fault::odd("make a link to", name, &error.to_string()))?;
        let request = self.0.client.get_object().bucket(&self.0.bucket).key(key).presigned(valid).await;
        request.map(|request| Some(request.uri().to_owned())).map_err(failed("make a link to", name))
    }
}
