//! `s3s-fs` with conditions that hold among requests at the same time, and a list of uploads that are not finished.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use s3s::{S3, S3Request, S3Response, S3Result, dto::*};
use s3s_fs::FileSystem;

use super::Conditions;

#[derive(Debug)]
pub struct Disk {
    files: FileSystem,
    root: PathBuf,
    conditions: Conditions,
    /// Puts with a condition look first and write then; one at a time, nobody comes in between.
    turn: tokio::sync::Mutex<()>,
    /// Bucket and key by upload.
    uploads: Mutex<BTreeMap<String, (String, String)>>,
    parts: AtomicUsize,
    most_parts: AtomicUsize,
}

impl Disk {
    pub fn new(root: &Path, conditions: Conditions) -> Self {
        Self {
            files: FileSystem::new(root).expect("a folder for the server"),
            root: root.to_owned(),
            conditions,
            turn: tokio::sync::Mutex::default(),
            uploads: Mutex::default(),
            parts: AtomicUsize::new(0),
            most_parts: AtomicUsize::new(0),
        }
    }

    pub fn open_uploads(&self) -> usize {
        self.uploads.lock().expect("no panic").len()
    }

    pub fn most_parts_at_once(&self) -> usize {
        self.most_parts.load(Ordering::Relaxed)
    }

    fn forget(&self, upload: &str) {
        self.uploads.lock().expect("no panic").remove(upload);
    }

    /// When an upload began: the age of the file that the server keeps for it.
    fn begun(&self, upload: &str) -> Option<Timestamp> {
        let file = self.root.join(format!(".upload-{upload}.json"));
        Some(Timestamp::from(std::fs::metadata(file).ok()?.modified().ok()?))
    }
}

/// What the service owns.
pub struct Shared(pub Arc<Disk>);

/// Operations that `s3s-fs` does as they should be done.
macro_rules! passed_on {
    ($($name:ident: $input:ident => $output:ident),* $(,)?) => {
        #[async_trait]
        impl S3 for Shared {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                self.0.files.$name(request).await
            })*

            async fn put_object(&self, mut request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
                if self.0.conditions == Conditions::Ignored {
                    request.input.if_none_match = None;
                }
                let _turn = match request.input.if_none_match {
                    Some(_) => Some(self.0.turn.lock().await),
                    None => None,
                };
                self.0.files.put_object(request).await
            }

            async fn create_multipart_upload(
                &self,
                request: S3Request<CreateMultipartUploadInput>,
            ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
                let place = (request.input.bucket.clone(), request.input.key.clone());
                let begun = self.0.files.create_multipart_upload(request).await?;
                if let Some(id) = &begun.output.upload_id {
                    self.0.uploads.lock().expect("no panic").insert(id.clone(), place);
                }
                Ok(begun)
            }

            async fn upload_part(
                &self,
                request: S3Request<UploadPartInput>,
            ) -> S3Result<S3Response<UploadPartOutput>> {
                let now = self.0.parts.fetch_add(1, Ordering::Relaxed) + 1;
                self.0.most_parts.fetch_max(now, Ordering::Relaxed);
                let done = self.0.files.upload_part(request).await;
                self.0.parts.fetch_sub(1, Ordering::Relaxed);
                done
            }

            async fn complete_multipart_upload(
                &self,
                request: S3Request<CompleteMultipartUploadInput>,
            ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
                let id = request.input.upload_id.clone();
                let done = self.0.files.complete_multipart_upload(request).await?;
                self.0.forget(&id);
                Ok(done)
            }

            async fn abort_multipart_upload(
                &self,
                request: S3Request<AbortMultipartUploadInput>,
            ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
                let id = request.input.upload_id.clone();
                let done = self.0.files.abort_multipart_upload(request).await?;
                self.0.forget(&id);
                Ok(done)
            }

            async fn list_multipart_uploads(
                &self,
                request: S3Request<ListMultipartUploadsInput>,
            ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
                let prefix = request.input.prefix.unwrap_or_default();
                let uploads = self.0.uploads.lock().expect("no panic");
                let here = uploads.iter().filter(|(_, (bucket, key))| {
                    *bucket == request.input.bucket && key.starts_with(&prefix)
                });
                let upload = |(id, (_, key)): (&String, &(String, String))| MultipartUpload {
                    key: Some(key.clone()),
                    upload_id: Some(id.clone()),
                    initiated: self.0.begun(id),
                    ..MultipartUpload::default()
                };
                Ok(S3Response::new(ListMultipartUploadsOutput {
                    uploads: Some(here.map(upload).collect()),
                    is_truncated: Some(false),
                    ..ListMultipartUploadsOutput::default()
                }))
            }
        }
    };
}

passed_on! {
    head_bucket: HeadBucketInput => HeadBucketOutput,
    head_object: HeadObjectInput => HeadObjectOutput,
    get_object: GetObjectInput => GetObjectOutput,
    delete_object: DeleteObjectInput => DeleteObjectOutput,
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput,
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output,
}
