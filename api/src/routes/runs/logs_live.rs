use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use serde::Deserialize;
use tidemill_dag::id::{Ordinal, RunId};
use tidemill_store::{LogQuery, StoredLine};
use utoipa::{IntoParams, ToSchema};

use super::{ordinal, run_id};
use crate::Api;
use crate::cursor::List;
use crate::input::{Ask, At};
use crate::problem::Problem;
use crate::view::LogView;

/// How often the stream looks for more.
const PERIOD: Duration = Duration::from_millis(250);
/// How many lines it fetches at once.
const AT_ONCE: u32 = 500;
/// A comment that keeps proxies from hanging up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(default, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LiveQuery {
    /// Only of this task.
    task: Option<String>,
    /// Where to go on: `next` of a page of lines, or the id of an event.
    cursor: Option<String>,
}

/// One event of the stream.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "it says what the stream is made of; events are put together piece by piece")]
pub(super) struct LogEvent {
    /// `line`, `end` when the run has ended, `stop` when the server stops.
    event: String,
    /// Where to go on, for `last-event-id`.
    #[schema(required = false)]
    id: Option<String>,
    /// For `line`: the line as JSON; for `end`: how the run ended.
    data: String,
}

/// What the tasks of a run print, as they print it: server-sent events.
///
/// Each `line` is a JSON object as `list_logs` has them, and its id is a cursor: a browser that reconnects sends it as
/// `Last-Event-ID` and misses nothing. After the last line of a run that has ended comes `end`, with the run's state;
/// when the server stops comes `stop`, and the caller may come again.
#[utoipa::path(
    get, path = "/api/v1/runs/{run}/logs/live", operation_id = "follow_logs", tag = "logs",
    params(
        ("run" = String, Path, description = "The run's id"),
        ("last-event-id" = Option<String>, Header, description = "The id of the last event that was seen"),
        LiveQuery,
    ),
    responses(
        (status = 200, description = "The stream", body = LogEvent, content_type = "text/event-stream"),
        (status = 404, description = "There is no such run, or it has no such task"),
    )
)]
pub(super) async fn logs_live(
    State(api): State<Api>,
    At(run): At<String>,
    Ask(asked): Ask<LiveQuery>,
    headers: HeaderMap,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let last = headers.get("last-event-id").map(|id| id.to_str().unwrap_or_default().to_owned());
    let after: Option<i64> = List::Logs.key(last.or(asked.cursor).as_deref())?;
    let run = api.store.run(run_id(&run)?).await?.id;
    let ordinal = match &asked.task {
        None => None,
        Some(name) => Some(ordinal(&api, run, name).await?),
    };
    let follower = Follower { api, run, ordinal, after: after.unwrap_or(0), waiting: VecDeque::new(), over: false };
    let stream = futures::stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}

/// One caller that follows one run.
struct Follower {
    api: Api,
    run: RunId,
    ordinal: Option<Ordinal>,
    after: i64,
    waiting: VecDeque<StoredLine>,
    over: bool,
}

impl Follower {
    /// The next event; nothing once the stream is over.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(line) = self.waiting.pop_front() {
                return Some(event(line));
            }
            if self.over {
                return None;
            }
            // Looked at before the lines: what an ended run printed is stored by then.
            let state = match self.api.store.run(self.run).await {
                Ok(run) => run.state,
                Err(_) => return self.end("stop", "the state does not answer"),
            };
            let question = LogQuery { run: self.run, ordinal: self.ordinal, after: self.after, limit: AT_ONCE };
            let Ok(lines) = self.api.store.logs(question).await else {
                return self.end("stop", "the state does not answer");
            };
            if let Some(last) = lines.last() {
                self.after = last.cursor;
                self.waiting.extend(lines);
            } else if state.is_finished() {
                return self.end("end", state.name());
            } else {
                tokio::select! {
                    () = self.api.stopping.cancelled() => return self.end("stop", "the server stops"),
                    () = tokio::time::sleep(PERIOD) => {}
                }
            }
        }
    }

    fn end(&mut self, name: &str, data: &str) -> Option<Event> {
        self.over = true;
        Some(Event::default().event(name).id(List::Logs.cursor(self.after)).data(data))
    }
}

fn event(line: StoredLine) -> Event {
    let id = List::Logs.cursor(line.cursor);
    let data = serde_json::to_string(&LogView::from(line)).unwrap_or_default();
    Event::default().event("line").id(id).data(data)
}

#[cfg(test)]
pub(super) fn example() -> crate::testing::Example {
    crate::testing::Example::get("follow_logs", "/api/v1/runs/{done}/logs/live")
        .wrong("GET", "/api/v1/runs/{done}/logs/live?cursor=zz", 422, "TM1308")
        .wrong("GET", "/api/v1/runs/{done}/logs/live?task=nobody", 404, "TM0918")
}
