//! What the server or the way to it did wrong, in our words.

use std::{error::Error, io};

use aws_sdk_s3::{
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
};

use tidemill_dag::diagnostic::chain;

use crate::blobs::BlobError;

/// The status that the server answered with, if it did.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error.raw_response().map(|response| response.status().as_u16())
}

/// Whether the server said that there is no such key.
pub(super) fn is_missing<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    // An answer to HEAD has no body and so no code.
    status(error) == Some(404) && matches!(error.code(), None | Some("NoSuchKey" | "NotFound"))
}

/// For `map_err` on requests.
pub(super) fn failed<E>(action: &'static str, name: &str) -> impl FnOnce(SdkError<E, HttpResponse>) -> BlobError
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let name = name.to_owned();
    move |error| {
        if is_missing(&error) {
            return BlobError::NotFound(name);
        }
        BlobError::Io { action, name, source: io::Error::new(kind(&error), words(&error)) }
    }
}

/// A failure that no request reports.
pub(super) fn odd(action: &'static str, name: &str, why: &str) -> BlobError {
    BlobError::Io { action, name: name.to_owned(), source: io::Error::other(why.to_owned()) }
}

fn kind<E>(error: &SdkError<E, HttpResponse>) -> io::ErrorKind {
    match error {
        SdkError::TimeoutError(_) => io::ErrorKind::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_timeout() => io::ErrorKind::TimedOut,
        SdkError::DispatchFailure(failure) if failure.is_io() => io::ErrorKind::ConnectionAborted,
        other if status(other) == Some(403) => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    }
}

/// What happened, on one line.
pub(super) fn words<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    if let (Some(status), Some(code)) = (status(error), error.code()) {
        let message = error.message().map(|message| format!(": {message}")).unwrap_or_default();
        return format!("the server answered {status} {code}{message}");
    }
    if let (Some(status), SdkError::ServiceError(_)) = (status(error), error) {
        return format!("the server answered {status}");
    }
    chain(error)
}
