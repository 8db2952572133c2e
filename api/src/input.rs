//! What callers give: parts of the address, queries, bodies. Whatever does not fit becomes a problem document.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Number;
use tidemill_dag::codes::{tm09, tm13};
use utoipa::IntoParams;

use crate::problem::Problem;

/// Parts of the address.
#[derive(Debug, Clone, Copy)]
pub struct At<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// The query. Parameters that nobody knows are refused.
#[derive(Debug, Clone, Copy)]
pub struct Ask<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::<T>::from_request_parts(parts, state).await;
        query.map(|Query(value)| Self(value)).map_err(|rejection| Problem::bad_request(rejection.body_text()))
    }
}

/// A JSON body; none at all is an empty object.
#[derive(Debug, Clone, Copy)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        expect_type(request.headers(), &["application/json"])?;
        let body = bytes(request, state).await?;
        let body: &[u8] = if body.is_empty() { b"{}" } else { &body };
        if body.trim_ascii_start().first() != Some(&b'{') {
            return Err(Problem::bad_request("the body is not a JSON object"));
        }
        let value = serde_json::from_slice(body);
        value.map(Self).map_err(|error| Problem::bad_request(format!("the body is not as expected: {error}")))
    }
}

/// A definition as YAML or JSON.
#[derive(Debug, Clone)]
pub struct Definition(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Definition {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let types = ["application/yaml", "application/json", "application/x-yaml", "text/yaml", "text/plain"];
        expect_type(request.headers(), &types)?;
        bytes(request, state).await.map(Self)
    }
}

async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    Bytes::from_request(request, state).await.map_err(|rejection| {
        let status = rejection.status();
        let code = if status == StatusCode::PAYLOAD_TOO_LARGE { tm09::BODY_TOO_LARGE } else { tm09::BAD_REQUEST };
        Problem::new(status, code, rejection.body_text())
    })
}

/// A body without a type is taken for the right one.
fn expect_type(headers: &HeaderMap, types: &[&str]) -> Result<(), Problem> {
    let Some(given) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = given.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    if types.iter().any(|expected| kind.eq_ignore_ascii_case(expected)) {
        return Ok(());
    }
    let detail = format!("the body is `{kind}`, but `{}` is expected", types[0]);
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, tm13::MEDIA_TYPE, detail)
        .help(format!("send it with the header `content-type: {}`", types[0])))
}

/// A whole number as JSON Schema means it: `5.0` is one.
fn whole(number: &Number) -> Option<u32> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is compared with what it was")]
    let of = |float: f64| (f64::from(float as u32) == float).then_some(float as u32);
    number.as_u64().map_or_else(|| number.as_f64().and_then(of), |number| u32::try_from(number).ok())
}

/// Reads a [`whole`] number.
pub fn count<'de, D: Deserializer<'de>>(input: D) -> Result<u32, D::Error> {
    let number = Number::deserialize(input)?;
    whole(&number).ok_or_else(|| D::Error::custom(format!("{number} is not a whole number from 0 to {}", u32::MAX)))
}

/// The same where it may be absent or `null`.
pub fn some_count<'de, D: Deserializer<'de>>(input: D) -> Result<Option<u32>, D::Error> {
    let number = Option::<Number>::deserialize(input)?;
    number.map(|number| count(number).map_err(D::Error::custom)).transpose()
}

/// How many entries one page may have.
pub const MAX_PAGE: u32 = 1_000;

/// Which page of a list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// Where to go on: `next` of the page before.
    pub cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
}

/// The length of a page.
pub fn page(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(100) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(Problem::bad_request(format!("`limit` is 1 to {MAX_PAGE}"))),
    }
}

/// The cursor behind a page that is full.
pub fn next<T>(rows: &[T], limit: u32, cursor: impl FnOnce(&T) -> String) -> Option<String> {
    let full = rows.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
    rows.last().filter(|_| full).map(cursor)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whole_numbers_may_be_written_with_a_point() {
        for (given, expected) in
            [(json!(5), Some(5)), (json!(5.0), Some(5)), (json!(4_294_967_295_u64), Some(u32::MAX))]
        {
            assert_eq!(count(given).ok(), expected);
        }
        for wrong in [json!(-1), json!(1.5), json!(1e30), json!(4_294_967_296_u64), json!("5"), json!(null)] {
            assert!(count(&wrong).is_err(), "{wrong}");
        }
        assert_eq!((some_count(json!(null)).ok(), some_count(json!(2.0)).ok()), (Some(None), Some(Some(2))));
    }
}
