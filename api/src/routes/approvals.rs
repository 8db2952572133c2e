//! What people are asked, and their answers.

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::approval::{Answer, Verdict};
use tidemill_dag::codes::{tm09, tm13};
use tidemill_dag::id::{RunId, TaskKey, Ticket};
use tidemill_dag::spec::OnExpiry;
use tidemill_dag::state::TaskState;
use tidemill_store::{AnswerRecord, ApprovalFilter, ApprovalRecord};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::needs;
use super::runs::run_id;
use crate::Api;
use crate::auth::{Caller, Role};
use crate::cursor::List;
use crate::input::{Ask, At, Body, next, page};
use crate::problem::Problem;
use crate::view::{task_state, word};

pub(super) fn router() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(needs(Role::Read, routes!(list)))
        .routes(needs(Role::Read, routes!(show)))
        .routes(needs(Role::Run, routes!(answer)))
}

fn on_expiry() -> utoipa::openapi::schema::Object {
    word(OnExpiry::ALL.iter().map(|it| it.name()))
}

fn verdict() -> utoipa::openapi::schema::Object {
    word(["counted", "approved", "rejected"])
}

/// An answer that counts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Answer)]
struct AnswerView {
    /// Who gave it.
    who: String,
    /// The roles that they had.
    roles: Vec<String>,
    /// Yes or no.
    approve: bool,
    /// Why.
    reason: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
}

impl From<AnswerRecord> for AnswerView {
    fn from(record: AnswerRecord) -> Self {
        let Answer { who, roles, approve, reason } = record.answer;
        Self { who, roles, approve, reason, at: record.at.to_string() }
    }
}

/// A question and what became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
struct ApprovalView {
    /// Its id: the task and the attempt that asks, as in `task_…_3#1`.
    id: String,
    /// The run.
    #[schema(value_type = String)]
    run: RunId,
    /// The task's name.
    task: String,
    /// The pipeline.
    pipeline: String,
    /// What is asked.
    message: String,
    /// What is to be approved: outputs of tasks, by name.
    #[schema(value_type = Object)]
    subject: Value,
    /// Who may answer: names, and roles with `role:` before them; anybody if empty.
    approvers: Vec<String>,
    /// How many different people must approve.
    required: u32,
    /// Who must not answer, because they started the run.
    excluded: Option<String>,
    /// When it was asked.
    #[schema(format = DateTime)]
    asked_at: String,
    /// When it runs out.
    #[schema(format = DateTime)]
    expires_at: String,
    /// What happens then.
    #[schema(schema_with = on_expiry)]
    on_expiry: OnExpiry,
    /// Whether it still takes answers.
    open: bool,
    /// Where the task stands.
    #[schema(schema_with = task_state)]
    state: TaskState,
    /// The answers so far, oldest first.
    answers: Vec<AnswerView>,
}

impl From<ApprovalRecord> for ApprovalView {
    fn from(record: ApprovalRecord) -> Self {
        let id = record.ticket().to_string();
        let question = record.question;
        Self {
            id,
            run: record.run,
            task: record.task,
            pipeline: record.pipeline,
            message: question.message,
            subject: question.subject,
            approvers: question.approvers,
            required: question.required,
            excluded: question.excluded,
            asked_at: record.asked_at.to_string(),
            expires_at: question.expires_at.to_string(),
            on_expiry: question.on_expiry,
            open: record.open,
            state: record.state,
            answers: record.answers.into_iter().map(AnswerView::from).collect(),
        }
    }
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ApprovalsQuery {
    /// Only of this run.
    run: Option<String>,
    /// Those that are decided or over, too.
    #[param(required = false)]
    all: bool,
    /// Where to go on: `next` of the page before.
    cursor: Option<String>,
    /// How many at most; 100 if unset.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// A page of questions to people.
#[derive(Debug, Serialize, ToSchema)]
struct ApprovalPage {
    /// The questions.
    approvals: Vec<ApprovalView>,
    /// The cursor of the next page, if there may be one.
    next: Option<String>,
}

/// What people are asked now, soonest to run out first; with `all`, what they ever were, newest run first.
#[utoipa::path(
    get, path = "/api/v1/approvals", operation_id = "list_approvals", tag = "approvals", params(ApprovalsQuery),
    responses(
        (status = 200, description = "A page of questions", body = ApprovalPage),
        (status = 404, description = "There is no such run"),
    )
)]
async fn list(State(api): State<Api>, Ask(asked): Ask<ApprovalsQuery>) -> Result<Json<ApprovalPage>, Problem> {
    let run = asked.run.as_deref().map(run_id).transpose()?;
    let (limit, after) = (page(asked.limit)?, List::Approvals.key(asked.cursor.as_deref())?);
    let rows = api.store.approvals(&ApprovalFilter { run, all: asked.all, after, limit }).await?;
    let next = next(&rows, limit, |last| List::Approvals.cursor(last.place()));
    Ok(Json(ApprovalPage { approvals: rows.into_iter().map(ApprovalView::from).collect(), next }))
}

/// The question that is meant: of an attempt as in `task_…_3#1`, or of the attempt that a task is at.
async fn meant(api: &Api, text: &str) -> Result<Ticket, Problem> {
    let nonsense = || Problem::not_found(format!("`{text}` is not the id of an approval"));
    if text.contains('#') {
        return text.parse().map_err(|_| nonsense());
    }
    let task: TaskKey = text.parse().map_err(|_| nonsense())?;
    let tasks = api.store.tasks(task.run).await?;
    let found = tasks.iter().find(|it| it.ordinal == task.ordinal).ok_or_else(nonsense)?;
    Ok(Ticket { task, attempt: found.attempt })
}

/// A question and the answers to it.
#[utoipa::path(
    get, path = "/api/v1/approvals/{approval}", operation_id = "show_approval", tag = "approvals",
    params(("approval" = String, Path, description = "The approval's id; without its attempt, the question that the task is at")),
    responses(
        (status = 200, description = "The question", body = ApprovalView),
        (status = 404, description = "There is no such approval"),
    )
)]
async fn show(State(api): State<Api>, At(text): At<String>) -> Result<Json<ApprovalView>, Problem> {
    let ticket = meant(&api, &text).await?;
    Ok(Json(api.store.approval(ticket).await?.into()))
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AnswerBody {
    /// Yes or no.
    approve: bool,
    /// Why.
    #[serde(default)]
    reason: Option<String>,
    /// Who answers, where the call brings no token; a token answers in its own name only.
    #[serde(default)]
    who: Option<String>,
    /// Their roles, where the call brings no token.
    #[serde(default)]
    #[schema(required = false)]
    roles: Vec<String>,
}

/// What an answer came to.
#[derive(Debug, Serialize, ToSchema)]
struct Answered {
    /// `counted` means that more people must approve.
    #[schema(schema_with = verdict)]
    verdict: &'static str,
    /// How many more people must approve.
    missing: u32,
    /// The question as it is now.
    approval: ApprovalView,
}

/// Who speaks. A token has its own name and its own role; who is on this machine says both.
fn speaker(caller: &Caller, body: AnswerBody) -> Result<Answer, Problem> {
    let AnswerBody { approve, reason, who, roles } = body;
    let (who, roles) = match (caller.named(), who) {
        (Some(name), who) if who.as_ref().is_none_or(|who| *who == name) && roles.is_empty() => {
            (name, vec![caller.role.name().to_owned()])
        }
        (Some(name), _) => {
            let detail = format!("this token answers as `{name}`, with its own role");
            return Err(Problem::new(StatusCode::FORBIDDEN, tm13::ROLE, detail).help("leave `who` and `roles` out"));
        }
        (None, Some(who)) if !who.trim().is_empty() => (who, roles),
        (None, _) => {
            let detail = "it is not known who answers";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, tm09::BAD_REQUEST, detail)
                .help("say it in `who`, or bring a token"));
        }
    };
    Ok(Answer { who, roles, approve, reason })
}

/// Answers a question. One refusal decides it, as do enough approvals; an answer is not taken back.
#[utoipa::path(
    post, path = "/api/v1/approvals/{approval}/answers", operation_id = "answer_approval", tag = "approvals",
    params(("approval" = String, Path, description = "The approval's id; without its attempt, the question that the task is at")),
    request_body = AnswerBody,
    responses(
        (status = 200, description = "It counts", body = Answered),
        (status = 403, description = "Somebody else must answer"),
        (status = 404, description = "There is no such approval"),
        (status = 409, description = "The same person answered before, or the question is closed"),
        (status = 422, description = "The call brings no token, and does not say who answers"),
    )
)]
async fn answer(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    At(text): At<String>,
    Body(body): Body<AnswerBody>,
) -> Result<Json<Answered>, Problem> {
    let said = speaker(&caller, body)?;
    let ticket = meant(&api, &text).await?;
    let (verdict, missing) = match api.store.answer(ticket, &said).await?.verdict {
        Verdict::Counted { missing } => ("counted", missing),
        Verdict::Approved => ("approved", 0),
        Verdict::Rejected => ("rejected", 0),
    };
    Ok(Json(Answered { verdict, missing, approval: api.store.approval(ticket).await?.into() }))
}

#[cfg(test)]
pub(super) fn examples() -> Vec<crate::testing::Example> {
    use crate::testing::Example;
    vec![
        Example::get("list_approvals", "/api/v1/approvals?all=true&limit=5")
            .wrong("GET", "/api/v1/approvals?all=maybe", 400, "TM0917")
            .wrong("GET", "/api/v1/approvals?run=run_1", 404, "TM0918")
            .wrong("GET", "/api/v1/approvals?limit=0", 400, "TM0917"),
        Example::get("show_approval", "/api/v1/approvals/{approval}")
            .wrong("GET", "/api/v1/approvals/{approval}%239", 404, "TM1250")
            .wrong("GET", "/api/v1/approvals/task_1", 404, "TM0918"),
        Example::post(
            "answer_approval",
            "/api/v1/approvals/{approval}/answers",
            r#"{"approve": true, "reason": "sure"}"#,
        )
        .again(409)
        .malformed(r#"{"reason": "sure"}"#, 400, "TM0917")
        .malformed(r#"{"approve": "yes"}"#, 400, "TM0917")
        .malformed(r#"{"approve": true, "who": "bob"}"#, 403, "TM1304")
        .malformed(r#"{"approve": true, "roles": ["finance"]}"#, 403, "TM1304")
        .conflict(r#"{"approve": true}"#, 409, "TM1254")
        .conflict(r#"{"approve": false}"#, 409, "TM1255")
        .conflict_at("/api/v1/approvals/{asked}/answers", r#"{"approve": true}"#, 403, "TM1252")
        .conflict_at("/api/v1/approvals/{approval}%239/answers", r#"{"approve": true}"#, 404, "TM1250"),
    ]
}
