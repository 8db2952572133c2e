use std::ops::Range;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::Stream;
use tidemill_dag::codes::tm13;
use tidemill_store::blobs::{BlobError, Blobs};

use super::file;
use crate::Api;
use crate::input::At;
use crate::problem::Problem;

/// What is held in memory of a file on its way.
const PIECE: u64 = 1 << 20;

/// A file of a data set, in Parquet; whole, or the bytes that `Range` names.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/artifacts/{task}/files/{file}", operation_id = "download_artifact", tag = "artifacts",
    params(
        ("run" = String, Path, description = "The run's id"),
        ("task" = String, Path, description = "The task's name"),
        ("file" = String, Path, description = "The file's place in the data set, from 0"),
        ("range" = Option<String>, Header, pattern = "^bytes=([0-9]+-[0-9]*|-[0-9]+)$", description = "One range of bytes, as in `bytes=0-99` or `bytes=-8`"),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/vnd.apache.parquet"),
        (status = 206, description = "A part of it", body = Vec<u8>, content_type = "application/vnd.apache.parquet"),
        (status = 404, description = "There is no such run, task or file"),
        (status = 416, description = "The range lies outside of the file"),
    )
)]
pub(super) async fn download(
    State(api): State<Api>,
    At((run, task, number)): At<(String, String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let file = file(&api, &run, &task, &number).await?;
    let size = api.blobs.size(&file.path).await?;
    let asked = headers.get(header::RANGE).map(|range| part(range.to_str().unwrap_or_default(), size));
    let Some(range) = asked.unwrap_or(Some(0..size)) else { return Ok(outside(size)) };
    let partial = headers.contains_key(header::RANGE);
    let mut answer = Body::from_stream(pieces(api.blobs.clone(), file.path, range.clone())).into_response();
    let mut put = |name, text: String| {
        if let Ok(value) = text.parse() {
            answer.headers_mut().insert(name, value);
        }
    };
    put(header::CONTENT_TYPE, "application/vnd.apache.parquet".to_owned());
    put(header::CONTENT_LENGTH, (range.end - range.start).to_string());
    put(header::ACCEPT_RANGES, "bytes".to_owned());
    put(header::CONTENT_DISPOSITION, format!("attachment; filename=\"{task}-{number}.parquet\""));
    if partial {
        put(header::CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, range.end - 1));
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

fn outside(size: u64) -> Response {
    let detail = format!("the file has {size} bytes, and one range of them may be asked for");
    let mut answer = Problem::new(StatusCode::RANGE_NOT_SATISFIABLE, tm13::RANGE, detail).into_response();
    if let Ok(value) = format!("bytes */{size}").parse() {
        answer.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    answer
}

/// The part of a file that a `Range` header names; nothing where it is outside or not understood.
fn part(text: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.trim().parse::<u64>().ok();
    let range = match (first.trim(), last.trim()) {
        ("", last) => size.saturating_sub(number(last)?)..size,
        (first, "") => number(first)?..size,
        (first, last) => number(first)?..number(last)?.saturating_add(1).min(size),
    };
    (range.start < range.end).then_some(range)
}

fn pieces(
    blobs: Arc<dyn Blobs>,
    name: String,
    range: Range<u64>,
) -> impl Stream<Item = Result<Bytes, BlobError>> + Send + 'static {
    futures::stream::try_unfold((blobs, name, range), |(blobs, name, left)| async move {
        if left.is_empty() {
            return Ok(None);
        }
        let end = left.end.min(left.start + PIECE);
        let bytes = blobs.read_range(&name, left.start..end).await?;
        Ok(Some((bytes, (blobs, name, end..left.end))))
    })
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("download_artifact", "/api/v1/runs/{done}/artifacts/second/files/0")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/second/files/9", 404, "TM1317")
        .wrong("GET", "/api/v1/runs/{done}/artifacts/second/files/x", 404, "TM1317")
        .conflicts("a range outside", &[("range", "bytes=9999999-")], 416, "TM1313")
        .conflicts("a range that is none", &[("range", "lines=1-2")], 416, "TM1313")
}

#[cfg(test)]
mod tests {
    use super::part;
    use crate::testing::Bed;

    #[test]
    fn ranges_are_read() {
        for (text, range) in [
            ("bytes=0-99", Some(0..100)),
            ("bytes=0-4000", Some(0..1_000)),
            ("bytes=990-", Some(990..1_000)),
            ("bytes=-8", Some(992..1_000)),
            ("bytes=-5000", Some(0..1_000)),
            ("bytes=1000-", None),
            ("bytes=9-3", None),
            ("bytes=-0", None),
            ("bytes=a-b", None),
            ("bytes=0-1,3-4", None),
            ("rows=0-1", None),
            ("", None),
        ] {
            assert_eq!(part(text, 1_000), range, "{text}");
        }
    }

    #[tokio::test]
    async fn parts_of_a_file_are_the_file() {
        let bed = Bed::new().await;
        let path = "/api/v1/runs/{done}/artifacts/second/files/0";
        let whole = bed.ask("GET", path, &[], None).await;
        assert_eq!((&whole.bytes[..4], whole.status.as_u16()), (b"PAR1".as_slice(), 200));
        assert_eq!(whole.header("content-length"), whole.bytes.len().to_string());
        let head = bed.ask("GET", path, &[("range", "bytes=0-9")], None).await;
        let tail = bed.ask("GET", path, &[("range", "bytes=10-")], None).await;
        assert_eq!((head.status.as_u16(), tail.status.as_u16()), (206, 206));
        assert_eq!([head.bytes, tail.bytes].concat(), whole.bytes);
        assert_eq!(head.headers["content-range"], format!("bytes 0-9/{}", whole.bytes.len()).as_str());
    }
}
