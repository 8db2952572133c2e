//! A blob on its way into the bucket: in one request where it is small, else in parts, of which only a few are in memory.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_s3::{
    error::SdkError,
    operation::abort_multipart_upload::AbortMultipartUploadError,
    primitives::ByteStream,
    types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart},
};
use bytes::{Bytes, BytesMut};
use tokio::task::JoinSet;

use super::{
    Place,
    fault::{failed, is_missing, odd, status},
};
use crate::blobs::{BlobError, BlobWriter};

/// The first thousand parts have this size; each further thousand adds as much, so that the 10,000 parts that S3 allows
/// hold 430 GiB.
const PART: usize = 8 << 20;
/// Parts on their way at the same time. With the one being filled, three are in memory.
const AT_ONCE: usize = 2;

/// The writer.
pub(super) struct Upload {
    place: Arc<Place>,
    name: String,
    key: String,
    buffer: BytesMut,
    size: u64,
    parts: Option<Parts>,
}

/// An upload in parts that the server knows of.
struct Parts {
    id: String,
    sent: i32,
    running: JoinSet<Result<CompletedPart, BlobError>>,
    done: Vec<CompletedPart>,
}

impl Upload {
    pub fn new(place: Arc<Place>, name: String, key: String) -> Self {
        Self { place, name, key, buffer: BytesMut::new(), size: 0, parts: None }
    }

    fn part_size(&self) -> usize {
        let sent = self.parts.as_ref().map_or(0, |parts| parts.sent);
        PART * (usize::try_from(sent).unwrap_or(0) / 1_000 + 1)
    }

    async fn begin(&self) -> Result<Parts, BlobError> {
        let begin = self.place.client.create_multipart_upload().bucket(&self.place.bucket).key(&self.key);
        let begun =
            begin.checksum_algorithm(ChecksumAlgorithm::Crc32).send().await.map_err(failed("write", &self.name))?;
        let id = begun.upload_id().ok_or_else(|| odd("write", &self.name, "the server named no upload"))?.to_owned();
        Ok(Parts { id, sent: 0, running: JoinSet::new(), done: Vec::new() })
    }

    /// Sends the next part, when there is room for it.
    async fn send(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        let mut parts = match self.parts.take() {
            Some(parts) => parts,
            None => self.begin().await?,
        };
        let room = async {
            while parts.running.len() >= AT_ONCE {
                let part = next(&mut parts.running, &self.name).await?;
                parts.done.push(part);
            }
            Ok(())
        };
        let room = room.await;
        if room.is_ok() {
            parts.sent += 1;
            let part =
                Part { number: parts.sent, upload: parts.id.clone(), key: self.key.clone(), name: self.name.clone() };
            parts.running.spawn(part.send(Arc::clone(&self.place), bytes));
        }
        self.parts = Some(parts);
        room
    }

    async fn complete(&mut self, parts: &mut Parts) -> Result<(), BlobError> {
        while !parts.running.is_empty() {
            parts.done.push(next(&mut parts.running, &self.name).await?);
        }
        parts.done.sort_by_key(CompletedPart::part_number);
        let all = CompletedMultipartUpload::builder().set_parts(Some(std::mem::take(&mut parts.done))).build();
        let complete = self.place.client.complete_multipart_upload().bucket(&self.place.bucket).key(&self.key);
        match complete.upload_id(&parts.id).multipart_upload(all).send().await {
            Ok(_) => Ok(()),
            // The answer to an earlier try got lost: then the upload is gone, and the blob is there.
            Err(error) if matches!(status(&error), Some(403 | 404)) => match self.place.size(&self.name).await {
                Ok(size) if size == self.size => Ok(()),
                Ok(_) | Err(_) => Err(failed("finish", &self.name)(error)),
            },
            Err(error) => Err(failed("finish", &self.name)(error)),
        }
    }
}

async fn next(running: &mut JoinSet<Result<CompletedPart, BlobError>>, name: &str) -> Result<CompletedPart, BlobError> {
    match running.join_next().await {
        Some(Ok(part)) => part,
        Some(Err(_)) | None => Err(odd("write", name, "a part was not sent to its end")),
    }
}

/// One part.
struct Part {
    number: i32,
    upload: String,
    key: String,
    name: String,
}

impl Part {
    async fn send(self, place: Arc<Place>, bytes: Bytes) -> Result<CompletedPart, BlobError> {
        let request = place.client.upload_part().bucket(&place.bucket).key(&self.key).upload_id(&self.upload);
        let request = request.part_number(self.number).checksum_algorithm(ChecksumAlgorithm::Crc32);
        let sent = request.body(ByteStream::from(bytes)).send().await.map_err(failed("write", &self.name))?;
        Ok(CompletedPart::builder()
            .part_number(self.number)
            .set_e_tag(sent.e_tag().map(str::to_owned))
            .set_checksum_crc32(sent.checksum_crc32().map(str::to_owned))
            .build())
    }
}

impl Place {
    /// Tells the server to forget an upload; one that it does not know is fine.
    pub(super) async fn give_up(
        &self,
        key: &str,
        upload: &str,
    ) -> Result<(), SdkError<AbortMultipartUploadError, aws_sdk_s3::config::http::HttpResponse>> {
        let request = self.client.abort_multipart_upload().bucket(&self.bucket).key(key).upload_id(upload);
        match request.send().await {
            Err(error) if !is_missing(&error) && status(&error) != Some(404) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl BlobWriter for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.size += bytes.len() as u64;
        let mut rest = bytes;
        while self.buffer.len() + rest.len() >= self.part_size() {
            let fits = self.part_size() - self.buffer.len();
            self.buffer.extend_from_slice(&rest.split_to(fits));
            let part = std::mem::take(&mut self.buffer).freeze();
            self.send(part).await?;
        }
        self.buffer.extend_from_slice(&rest);
        Ok(())
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        let rest = std::mem::take(&mut self.buffer).freeze();
        if self.parts.is_none() {
            self.place.put(&self.name, rest).await?;
            return Ok(self.size);
        }
        if !rest.is_empty() {
            self.send(rest).await?;
        }
        if let Some(mut parts) = self.parts.take() {
            let done = self.complete(&mut parts).await;
            if done.is_err() {
                self.parts = Some(parts);
            }
            done?;
        }
        Ok(self.size)
    }
}

impl Drop for Upload {
    /// An upload that was not finished is given up. Where that fails too, the collection of garbage finds it.
    fn drop(&mut self) {
        let (Some(mut parts), Ok(runtime)) = (self.parts.take(), tokio::runtime::Handle::try_current()) else { return };
        let (place, key) = (Arc::clone(&self.place), std::mem::take(&mut self.key));
        runtime.spawn(async move {
            // A part that arrives after the end would stay.
            parts.running.shutdown().await;
            if let Err(error) = place.give_up(&key, &parts.id).await {
                tracing::info!(key, error = super::fault::words(&error), "an unfinished upload stays behind for now");
            }
        });
    }
}
