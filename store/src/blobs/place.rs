//! Whose a place for blobs is. What its database does not know, a collection of garbage removes; so a place that two
//! databases write to would lose data. The first one to come leaves its name there.

use bytes::Bytes;

use super::{BlobError, Blobs};

/// The blob that names the owner.
const OWNER: &str = "tidemill-owner";

/// What a place says about its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// It belongs to the installation that asked.
    Ours,
    /// It belongs to another one, of this name.
    Others(String),
}

/// Makes a place that nobody owns the installation's own, and says whose it is then.
///
/// # Errors
/// The place fails.
pub async fn claim(blobs: &dyn Blobs, installation: &str) -> Result<Claim, BlobError> {
    if owner(blobs).await?.is_none() {
        blobs.put_new(OWNER, Bytes::copy_from_slice(installation.as_bytes())).await?;
    }
    // Somebody else may have been faster, and not every server says so; what is written there decides.
    match owner(blobs).await? {
        Some(found) if found != installation => Ok(Claim::Others(found)),
        Some(_) | None => Ok(Claim::Ours),
    }
}

/// Makes a place the installation's own, whoever had it.
///
/// # Errors
/// The place fails.
pub async fn take_over(blobs: &dyn Blobs, installation: &str) -> Result<(), BlobError> {
    blobs.put(OWNER, Bytes::copy_from_slice(installation.as_bytes())).await
}

async fn owner(blobs: &dyn Blobs) -> Result<Option<String>, BlobError> {
    let size = match blobs.size(OWNER).await {
        Ok(size) => size,
        Err(BlobError::NotFound(_)) => return Ok(None),
        Err(other) => return Err(other),
    };
    let bytes = blobs.read_range(OWNER, 0..size.min(1_000)).await?;
    Ok(Some(String::from_utf8_lossy(&bytes).trim().to_owned()))
}
