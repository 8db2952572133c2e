//! Pipelines, by name.

mod list;
mod put;
mod show;
mod triggers;

use axum::http::{HeaderMap, StatusCode, header};
use tidemill_dag::codes::tm13;
use tidemill_dag::id::VersionId;
use tidemill_dag::state::Expected;
use utoipa::IntoParams;
use utoipa::openapi::Object;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::problem::Problem;
use crate::view::word;

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list::list)))
        .routes(needs(Role::Read, routes!(show::show)))
        .routes(needs(Role::Read, routes!(triggers::triggers)))
        .routes(needs(Role::Read, routes!(triggers::schedules)))
        .routes(needs(Role::Run, routes!(triggers::pause)))
        .routes(needs(Role::Run, routes!(triggers::resume)))
        .routes(needs(Role::Admin, routes!(put::put)))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    let mut all = vec![list::example(), show::example(), put::example()];
    all.extend(triggers::examples());
    all
}

/// The headers of [`expected`], for the document.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "it says what callers send; what they sent is read by `expected`")]
pub(super) struct Belief {
    /// The version that must be active, in quotes, or `*`.
    #[param(rename = "if-match", pattern = r#"^(\*|"[!#-~]+")$"#)]
    if_match: Option<String>,
    /// `*`: no version may be active.
    #[param(rename = "if-none-match", schema_with = star, required = false)]
    if_none_match: Option<String>,
}

fn star() -> Object {
    word(["*"])
}

/// What a caller believes to be the active version: `If-Match` names it, `If-None-Match: *` says that there is none.
pub(super) fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim().to_owned());
    let (known, none) = (text(header::IF_MATCH).map(|tag| believed(&tag)).transpose()?, text(header::IF_NONE_MATCH));
    match (known, none.as_deref()) {
        (None, None) => Ok(Expected::Any),
        (Some(known), None) => Ok(known),
        (None, Some("*")) => Ok(Expected::Nothing),
        // Both are well-formed, and no state of the pipeline fulfils them.
        (Some(_), Some("*")) => {
            let detail = "`If-Match` and `If-None-Match` exclude each other here";
            Err(Problem::new(StatusCode::PRECONDITION_FAILED, tm13::STALE, detail))
        }
        (_, Some(_)) => Err(Problem::bad_request("`If-None-Match` can only be `*` here")),
    }
}

/// What `If-Match` says.
fn believed(tag: &str) -> Result<Expected, Problem> {
    if tag == "*" {
        return Ok(Expected::Something);
    }
    let version = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
    let version = version.filter(|version| !version.is_empty() && !version.contains('"'));
    // Whatever it says, no version is known to be what it says.
    version.map(|version| Expected::Version(VersionId(version.to_owned()))).ok_or_else(|| {
        Problem::new(StatusCode::PRECONDITION_FAILED, tm13::STALE, "`If-Match` is one version in quotes, or `*`")
            .help("send the `ETag` of GET /api/v1/pipelines/{name} as it is")
    })
}

/// The `ETag` of a pipeline: its active version.
pub(super) fn tag(version: &VersionId) -> [(header::HeaderName, String); 1] {
    [(header::ETAG, format!("\"{version}\""))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beliefs_are_read_from_headers() {
        let headers = |list: &[(header::HeaderName, &str)]| -> HeaderMap {
            list.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect()
        };
        let (if_match, if_none) = (header::IF_MATCH, header::IF_NONE_MATCH);
        assert_eq!(expected(&headers(&[])), Ok(Expected::Any));
        assert_eq!(expected(&headers(&[(if_match.clone(), "*")])), Ok(Expected::Something));
        assert_eq!(expected(&headers(&[(if_none.clone(), "*")])), Ok(Expected::Nothing));
        let one = Expected::Version(VersionId("ab".into()));
        assert_eq!(expected(&headers(&[(if_match.clone(), "\"ab\"")])), Ok(one));
        for wrong in [
            headers(&[(if_match.clone(), "ab")]),
            headers(&[(if_match.clone(), "\"a\", \"b\"")]),
            headers(&[(if_match.clone(), "\"\"")]),
            headers(&[(if_none.clone(), "\"ab\"")]),
            headers(&[(if_match, "*"), (if_none, "*")]),
        ] {
            assert!(expected(&wrong).is_err(), "{wrong:?}");
        }
    }
}
