//! What people are asked, and what they answer.

use std::{collections::HashMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidemill_dag::{
    approval::{self, Answer, Question, Refusal, Verdict},
    id::{Attempt, Ordinal, ParseIdError, RunId, TaskKey, Ticket},
    spec::OnExpiry,
    state::TaskState,
    time::Timestamp,
};
use uuid::Uuid;

use crate::{
    Store, StoreError,
    db::{Arg, Batch, Columns, Row, Sql, Tx, batch, tried},
    door::{After, Door},
};

/// A question and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ApprovalRecord {
    /// The run.
    pub run: RunId,
    /// The task that asks.
    pub ordinal: Ordinal,
    /// The attempt that asks; an answer goes to an attempt.
    pub attempt: Attempt,
    /// The task's name.
    pub task: String,
    /// The pipeline.
    pub pipeline: String,
    /// What is asked, of whom, until when.
    pub question: Question,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Whether it still takes answers.
    pub open: bool,
    /// Where the task stands now.
    pub state: TaskState,
    /// The answers so far, oldest first.
    pub answers: Vec<AnswerRecord>,
}

impl ApprovalRecord {
    /// Its name, as in `task_…_3#1`.
    pub fn ticket(&self) -> Ticket {
        Ticket { task: TaskKey { run: self.run, ordinal: self.ordinal }, attempt: self.attempt }
    }

    /// Its place in lists.
    pub fn place(&self) -> ApprovalPlace {
        ApprovalPlace { expires_at: self.question.expires_at, ticket: self.ticket() }
    }
}

/// A place in a list of questions, whatever its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApprovalPlace {
    /// When the question runs out.
    pub expires_at: Timestamp,
    /// Its name.
    pub ticket: Ticket,
}

impl fmt::Display for ApprovalPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.expires_at.0, self.ticket)
    }
}

impl FromStr for ApprovalPlace {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (expires_at, ticket) = text.split_once(' ')?;
            Some(Self { expires_at: Timestamp(expires_at.parse().ok()?), ticket: ticket.parse().ok()? })
        };
        parse().ok_or_else(|| ParseIdError { text: text.to_owned(), expected: "place in a list of approvals" })
    }
}

/// An answer that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerRecord {
    /// Who said what.
    #[serde(flatten)]
    pub answer: Answer,
    /// When.
    pub at: Timestamp,
}

/// What an answer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// Whether it decided the question.
    pub verdict: Verdict,
    /// The run.
    pub run: RunId,
    /// Where the task stands now.
    pub state: TaskState,
}

/// Which questions to list.
#[derive(Debug, Clone, Default)]
pub struct ApprovalFilter {
    /// Only of this run.
    pub run: Option<RunId>,
    /// Those that are decided or over, too.
    pub all: bool,
    /// Only what comes behind this place.
    pub after: Option<ApprovalPlace>,
    /// At most so many; 0 for 100.
    pub limit: u32,
}

macro_rules! approval_columns {
    () => {
        "a.run_id, a.ordinal, a.attempt, t.name, r.pipeline, a.message, a.subject, a.approvers, a.required, a.excluded, \
         a.expires_at, a.on_expiry, a.asked_at, t.state, t.attempt AS current, t.asks"
    };
}

macro_rules! open {
    ($of:literal) => {
        concat!(
            "SELECT ",
            approval_columns!(),
            " FROM tasks AS t JOIN approvals AS a ON a.run_id = t.run_id AND a.ordinal = t.ordinal AND a.attempt = t.attempt \
             JOIN runs AS r ON r.id = t.run_id WHERE t.asks IS NOT NULL AND (t.wake_at, a.run_id, a.ordinal) > ($2, $3, $4)",
            $of,
            " ORDER BY t.wake_at, a.run_id, a.ordinal LIMIT $1"
        )
    };
}
const OPEN: &str = open!("");
const OPEN_OF_RUN: &str = open!(" AND a.run_id = $5");

macro_rules! listed {
    ($where:literal) => {
        concat!(
            "SELECT ",
            approval_columns!(),
            " FROM approvals AS a JOIN tasks AS t ON t.run_id = a.run_id AND t.ordinal = a.ordinal \
             JOIN runs AS r ON r.id = a.run_id WHERE ",
            $where,
            " ORDER BY a.run_id DESC, a.ordinal, a.attempt LIMIT $1"
        )
    };
}
const ALL: &str = listed!("a.run_id < $2 OR (a.run_id = $2 AND (a.ordinal, a.attempt) > ($3, $4))");
const OF_RUN: &str = listed!("a.run_id = $2 AND (a.ordinal, a.attempt) > ($3, $4)");
const ONE: &str = listed!("a.run_id = $2 AND a.ordinal = $3 AND a.attempt = $4");

const ANSWERS: Sql = batch!(
    [run_id run, ordinal int, attempt int]
    "SELECT w.run_id, w.ordinal, w.attempt, w.who, w.roles, w.approve, w.reason, w.at",
    "FROM input AS i CROSS JOIN answers AS w",
    "WHERE w.run_id = i.run_id AND w.ordinal = i.ordinal AND w.attempt = i.attempt ORDER BY w.at, w.who"
);

const ANSWER: &str = "INSERT INTO answers (run_id, ordinal, attempt, who, roles, approve, reason, at) \
                      VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

#[cfg(test)]
pub(crate) const STATEMENTS: [Sql; 1] = [ANSWERS];

impl Store {
    /// Questions: those that are open, soonest to run out first; or all, newest run first.
    pub async fn approvals(&self, filter: &ApprovalFilter) -> Result<Vec<ApprovalRecord>, StoreError> {
        let limit: Arg<'_> = (if filter.limit == 0 { 100 } else { filter.limit }).into();
        let mut tx = self.desk.db.begin_reading().await?;
        if filter.all {
            // Before every question: the newest run comes first.
            let first = (filter.run.unwrap_or(RunId(Uuid::max())), -1, -1);
            let (run, ordinal, attempt) = filter.after.map_or(first, |it| {
                let Ticket { task, attempt } = it.ticket;
                (filter.run.unwrap_or(task.run), i64::from(task.ordinal.0), i64::from(attempt.0))
            });
            let sql = if filter.run.is_some() { OF_RUN } else { ALL };
            return read(&mut tx, sql, &[limit, run.into(), ordinal.into(), attempt.into()]).await;
        }
        let first = (Timestamp(i64::MIN), RunId(Uuid::nil()), -1);
        let (wakes, run, ordinal) = filter.after.map_or(first, |it| {
            let TaskKey { run, ordinal } = it.ticket.task;
            (it.expires_at, run, i64::from(ordinal.0))
        });
        let mut args = vec![limit, wakes.into(), run.into(), ordinal.into()];
        let Some(of) = filter.run else { return read(&mut tx, OPEN, &args).await };
        args.push(of.into());
        read(&mut tx, OPEN_OF_RUN, &args).await
    }

    /// One question.
    ///
    /// # Errors
    /// [`StoreError::NoApproval`].
    pub async fn approval(&self, of: Ticket) -> Result<ApprovalRecord, StoreError> {
        one(&mut self.desk.db.begin_reading().await?, of).await
    }

    /// Takes one person's answer to the question of one attempt. The answer and what it decides are stored together;
    /// told twice, the second time is refused as [`Refusal::Twice`].
    ///
    /// # Errors
    /// [`StoreError::NoApproval`], [`StoreError::NotOpen`] or, where the answer does not count, [`StoreError::Answer`].
    pub async fn answer(&self, of: Ticket, answer: &Answer) -> Result<Answered, StoreError> {
        let (answered, after) = tried!(self.answer_once(of, answer).await)?;
        self.desk.follow_up(after).await;
        Ok(answered)
    }

    async fn answer_once(&self, of: Ticket, new: &Answer) -> Result<(Answered, After), StoreError> {
        let now = self.desk.clock.now();
        let mut tx = self.desk.db.begin().await?;
        // The run's lock keeps two answers apart.
        let mut door = Door::new(&mut tx, now);
        door.open(&[(of.task, true)].into()).await?;
        let record = one(door.tx(), of).await?;
        if !record.open {
            let (late, question) = (record.state != TaskState::Cancelled, &record.question);
            return Err(match question.expires_at <= now && late {
                true => StoreError::Answer { approval: of, why: Refusal::Late(question.expires_at) },
                false => StoreError::NotOpen { approval: of, state: record.state },
            });
        }
        let before: Vec<Answer> = record.answers.into_iter().map(|it| it.answer).collect();
        let verdict = approval::answer(&record.question, &before, new, now)
            .map_err(|why| StoreError::Answer { approval: of, why })?;
        let TaskKey { run, ordinal } = of.task;
        let args = [
            run.into(),
            ordinal.into(),
            of.attempt.into(),
            new.who.as_str().into(),
            Arg::json(&new.roles),
            i64::from(new.approve).into(),
            new.reason.as_deref().into(),
            now.into(),
        ];
        door.tx().run("store an answer", ANSWER, &args).await?;
        door.decide(of, verdict, &before, new)?;
        door.settle().await?;
        let state = door.work.task(of.task).map_or(record.state, |row| row.state);
        let after = door.write().await?;
        tx.commit().await?;
        Ok((Answered { verdict, run, state }, after))
    }
}

async fn one(tx: &mut Tx, of: Ticket) -> Result<ApprovalRecord, StoreError> {
    let args = [1_u32.into(), of.task.run.into(), of.task.ordinal.into(), of.attempt.into()];
    read(tx, ONE, &args).await?.pop().ok_or(StoreError::NoApproval(of))
}

async fn read(tx: &mut Tx, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<ApprovalRecord>, StoreError> {
    let rows = tx.rows("list approvals", sql, args).await?;
    let mut found: Vec<ApprovalRecord> = rows.iter().map(record).collect::<Result<_, _>>()?;
    let mut input = Batch::default();
    for it in &found {
        drop(input.row().set("run_id", it.run).set("ordinal", it.ordinal).set("attempt", it.attempt));
    }
    let mut answers: HashMap<Ticket, Vec<AnswerRecord>> = HashMap::new();
    for row in tx.rows("load answers", ANSWERS, &[input.arg()]).await? {
        let mut columns = Columns::of(&row, "answers");
        let task = crate::control::key(&mut columns)?;
        let ticket = Ticket { task, attempt: columns.next("attempt")? };
        let who = columns.next("who")?;
        let roles = columns.json("roles")?;
        let approve = columns.next::<i64>("approve")? == 1;
        let answer = Answer { who, roles, approve, reason: columns.next("reason")? };
        answers.entry(ticket).or_default().push(AnswerRecord { answer, at: columns.next("at")? });
    }
    for it in &mut found {
        it.answers = answers.remove(&it.ticket()).unwrap_or_default();
    }
    Ok(found)
}

fn record(row: &Row) -> Result<ApprovalRecord, StoreError> {
    let mut columns = Columns::of(row, "approvals");
    let run = columns.next("run_id")?;
    let ordinal = columns.next("ordinal")?;
    let attempt = columns.next("attempt")?;
    let (task, pipeline) = (columns.next("name")?, columns.next("pipeline")?);
    let question = Question {
        message: columns.next("message")?,
        subject: columns.json::<Value>("subject")?,
        approvers: columns.json("approvers")?,
        required: columns.next("required")?,
        excluded: columns.next("excluded")?,
        expires_at: columns.next("expires_at")?,
        on_expiry: columns.named("on_expiry")?,
    };
    let asked_at = columns.next("asked_at")?;
    let state = columns.word("state")?;
    let current: Attempt = columns.next("current")?;
    let asks: Option<OnExpiry> = columns.maybe_named("asks")?;
    let open = current == attempt && asks.is_some();
    Ok(ApprovalRecord { run, ordinal, attempt, task, pipeline, question, asked_at, open, state, answers: Vec::new() })
}
