//! Deliveries that started no run.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::id::RunId;
use tidemill_store::{Letter, LetterKind};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use crate::Api;
use crate::auth::Role;
use crate::cursor::List;
use crate::hooks::{self, HookError, Received};
use crate::input::{Ask, At, Body, next, page};
use crate::problem::Problem;
use crate::view::{moment, word};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list)))
        .routes(needs(Role::Admin, routes!(show)))
        .routes(needs(Role::Admin, routes!(replay)))
}

fn kind() -> utoipa::openapi::schema::Object {
    word(["refused", "failed"])
}

/// A delivery that made no run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct LetterView {
    /// Grows with time.
    id: i64,
    /// The pipeline it was for.
    pipeline: String,
    /// The trigger it was for.
    trigger: String,
    /// When it came.
    #[schema(format = DateTime)]
    at: String,
    /// `refused`: its sender was not recognised; `failed`: it was genuine and could not be used.
    #[schema(schema_with = kind)]
    kind: &'static str,
    /// Public code of what was wrong.
    code: String,
    /// What was wrong.
    reason: String,
    /// How long its body was, in bytes.
    body_bytes: u32,
    /// Whether all of the body is kept; only then can it be replayed.
    whole: bool,
    /// When it was replayed with success.
    #[schema(format = DateTime)]
    replayed_at: Option<String>,
    /// The run that the replay made.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
}

impl From<&Letter> for LetterView {
    fn from(letter: &Letter) -> Self {
        Self {
            id: letter.id,
            pipeline: letter.pipeline.clone(),
            trigger: letter.hook.clone(),
            at: letter.at.to_string(),
            kind: match letter.kind {
                LetterKind::Refused => "refused",
                LetterKind::Failed => "failed",
            },
            code: letter.code.clone(),
            reason: letter.reason.clone(),
            body_bytes: letter.body_bytes,
            whole: letter.whole,
            replayed_at: moment(letter.replayed_at),
            run: letter.run,
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct LettersQuery {
    /// Only for this pipeline.
    pipeline: Option<String>,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of dead letters.
#[derive(Debug, Serialize, ToSchema)]
struct LetterPage {
    /// The letters, newest first.
    letters: Vec<LetterView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// Deliveries of webhooks that started no run, newest first, without what they brought.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", operation_id = "list_dead_letters", tag = "triggers", params(LettersQuery),
    responses((status = 200, description = "A page of dead letters", body = LetterPage))
)]
async fn list(State(api): State<Api>, Ask(asked): Ask<LettersQuery>) -> Result<Json<LetterPage>, Problem> {
    let limit = page(asked.limit)?;
    let before: Option<i64> = List::Letters.key(asked.cursor.as_deref())?;
    let rows = api.store.letters(asked.pipeline.as_deref(), before, limit).await?;
    let next = next(&rows, limit, |last| List::Letters.cursor(last.id));
    Ok(Json(LetterPage { letters: rows.iter().map(LetterView::from).collect(), next }))
}

/// A dead letter with what it brought.
#[derive(Debug, Serialize, ToSchema)]
struct LetterDetail {
    /// The letter.
    letter: LetterView,
    /// Its headers, without those that may hold secrets.
    #[schema(value_type = Object)]
    headers: Value,
    /// The beginning of its body.
    body: String,
}

async fn find(api: &Api, text: &str) -> Result<Letter, Problem> {
    let id: i64 = text.parse().map_err(|_| Problem::not_found(format!("`{text}` is not the id of a dead letter")))?;
    Ok(api.store.letter(id).await?.ok_or(HookError::NoLetter(id))?)
}

/// A dead letter with what it brought.
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{letter}", operation_id = "show_dead_letter", tag = "triggers",
    params(("letter" = String, Path, description = "The letter's id")),
    responses(
        (status = 200, description = "The letter", body = LetterDetail),
        (status = 404, description = "There is no such dead letter, or it is no longer kept"),
    )
)]
async fn show(State(api): State<Api>, At(id): At<String>) -> Result<Json<LetterDetail>, Problem> {
    let letter = find(&api, &id).await?;
    Ok(Json(LetterDetail { letter: LetterView::from(&letter), headers: letter.headers, body: letter.body }))
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ReplayBody {
    /// Take it although its sender was not recognised.
    #[serde(default)]
    #[schema(required = false)]
    trust: bool,
}

/// What became of a replay.
#[derive(Debug, Serialize, ToSchema)]
struct Replayed {
    /// Its run; none where the trigger's filter is false for it.
    #[schema(value_type = Option<String>)]
    run: Option<RunId>,
    /// Whether its event had this run before.
    duplicate: bool,
}

/// Takes a dead letter again, under the active version. Its event still has one run at most.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{letter}/replay", operation_id = "replay_dead_letter", tag = "triggers",
    params(("letter" = String, Path, description = "The letter's id")),
    request_body = ReplayBody,
    responses(
        (status = 200, description = "It was taken", body = Replayed),
        (status = 404, description = "There is no such dead letter, or the webhook is gone"),
        (status = 409, description = "It was not kept whole, or its sender was not recognised"),
        (status = 422, description = "It fails again"),
    )
)]
async fn replay(
    State(api): State<Api>,
    At(id): At<String>,
    Body(body): Body<ReplayBody>,
) -> Result<Json<Replayed>, Problem> {
    let letter = find(&api, &id).await?;
    let received = hooks::replay(&super::site(&api), letter.id, body.trust).await?;
    let (run, duplicate) = match received {
        Received::Run { run, duplicate } => (Some(run), duplicate),
        Received::Filtered | Received::Echo(_) => (None, false),
    };
    Ok(Json(Replayed { run, duplicate }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    vec![
        Example::get("list_dead_letters", "/api/v1/dead-letters?pipeline=hooked&limit=1")
            .wrong("GET", "/api/v1/dead-letters?cursor=00", 422, "TM1308")
            .wrong("GET", "/api/v1/dead-letters?limit=5000", 400, "TM0917"),
        Example::get("show_dead_letter", "/api/v1/dead-letters/1")
            .wrong("GET", "/api/v1/dead-letters/99", 404, "TM1210")
            .wrong("GET", "/api/v1/dead-letters/one", 404, "TM0918"),
        Example::post("replay_dead_letter", "/api/v1/dead-letters/1/replay", r#"{"trust": true}"#)
            .malformed(r#"{"trust": "me"}"#, 400, "TM0917")
            .malformed("{}", 409, "TM1211")
            .conflict_at("/api/v1/dead-letters/2/replay", r#"{"trust": true}"#, 409, "TM1211")
            .conflict_at("/api/v1/dead-letters/99/replay", "{}", 404, "TM1210"),
    ]
}
