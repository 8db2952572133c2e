//! Blobs as files of a folder: written aside, flushed, then renamed into place.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::{
    fs,
    io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt},
};

use super::{BlobError, BlobWriter, Blobs, check_name};

/// Unfinished files live here, beside the blobs, so that the rename stays within one file system.
const ASIDE: &str = ".unfinished";

/// A folder on a local disk.
#[derive(Debug, Clone)]
pub struct Folder {
    root: PathBuf,
}

/// Names unfinished files; other processes that share the folder are met by `create_new`.
static SERIAL: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// Uses a folder, which is made if it is not there.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, BlobError> {
        let root = root.into();
        fs::create_dir_all(root.join(ASIDE)).await.map_err(failed("open the folder of", ""))?;
        Ok(Self { root })
    }

    fn path(&self, name: &str) -> Result<PathBuf, BlobError> {
        check_name(name)?;
        if name.split('/').next() == Some(ASIDE) {
            return Err(BlobError::Name(name.to_owned()));
        }
        Ok(self.root.join(name))
    }

    async fn begin(&self, name: &str) -> Result<Unfinished, BlobError> {
        let place = self.path(name)?;
        let (aside, file) = loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
            let aside = self.root.join(ASIDE).join(format!("{}-{serial}", std::process::id()));
            match fs::File::create_new(&aside).await {
                Ok(file) => break (aside, file),
                Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {}
                Err(other) => return Err(failed("write", name)(other)),
            }
        };
        Ok(Unfinished { file: Some(file), aside, place, root: self.root.clone(), name: name.to_owned(), size: 0 })
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> BlobError {
    let name = name.to_owned();
    move |source| match source.kind() {
        io::ErrorKind::NotFound => BlobError::NotFound(name),
        _ => BlobError::Io { action, name, source },
    }
}

struct Unfinished {
    file: Option<fs::File>,
    aside: PathBuf,
    place: PathBuf,
    root: PathBuf,
    name: String,
    size: u64,
}

impl Unfinished {
    async fn append(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes).await.map_err(failed("write", &self.name))?;
            self.size += bytes.len() as u64;
        }
        Ok(())
    }

    async fn publish(&mut self) -> io::Result<()> {
        if let Some(mut file) = self.file.take() {
            file.flush().await?;
            file.sync_all().await?;
        }
        let parent = self.place.parent().unwrap_or(&self.root).to_owned();
        fs::create_dir_all(&parent).await?;
        fs::rename(&self.aside, &self.place).await?;
        sync_up(&parent, &self.root).await
    }
}

/// A rename is durable only once the folders that name it are.
async fn sync_up(from: &Path, root: &Path) -> io::Result<()> {
    for folder in from.ancestors() {
        fs::File::open(folder).await?.sync_all().await?;
        if folder == root {
            break;
        }
    }
    Ok(())
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone already after a finish; what cannot be removed is only an unnamed leftover.
        let _ = std::fs::remove_file(&self.aside);
    }
}

#[async_trait]
impl BlobWriter for Unfinished {
    async fn write(&mut self, bytes: Bytes) -> Result<(), BlobError> {
        self.append(&bytes).await
    }

    async fn finish(mut self: Box<Self>) -> Result<u64, BlobError> {
        self.publish().await.map_err(|source| BlobError::Io { action: "finish", name: self.name.clone(), source })?;
        Ok(self.size)
    }
}

#[async_trait]
impl Blobs for Folder {
    async fn put(&self, name: &str, bytes: Bytes) -> Result<(), BlobError> {
        let mut writer = Box::new(self.begin(name).await?);
        writer.append(&bytes).await?;
        writer.finish().await.map(drop)
    }

    async fn writer(&self, name: &str) -> Result<Box<dyn BlobWriter>, BlobError> {
        Ok(Box::new(self.begin(name).await?))
    }

    async fn read_range(&self, name: &str, range: Range<u64>) -> Result<Bytes, BlobError> {
        let mut file = fs::File::open(self.path(name)?).await.map_err(failed("read", name))?;
        let size = file.metadata().await.map_err(failed("read", name))?.len();
        if range.start > range.end || range.end > size {
            return Err(BlobError::Range { name: name.to_owned(), range, size });
        }
        file.seek(io::SeekFrom::Start(range.start)).await.map_err(failed("read", name))?;
        let mut bytes = Vec::new();
        file.take(range.end - range.start).read_to_end(&mut bytes).await.map_err(failed("read", name))?;
        Ok(bytes.into())
    }

    async fn size(&self, name: &str) -> Result<u64, BlobError> {
        let meta = fs::metadata(self.path(name)?).await.map_err(failed("read", name))?;
        if meta.is_file() { Ok(meta.len()) } else { Err(BlobError::NotFound(name.to_owned())) }
    }

    async fn delete_prefix(&self, prefix: &str) -> Result<(), BlobError> {
        let path = self.path(prefix.strip_suffix('/').unwrap_or(prefix))?;
        let removed = if prefix.ends_with('/') { fs::remove_dir_all(path).await } else { fs::remove_file(path).await };
        match removed.map_err(failed("delete", prefix)) {
            Err(BlobError::NotFound(_)) => Ok(()),
            other => other,
        }
    }

    fn local_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).ok()
    }
}
