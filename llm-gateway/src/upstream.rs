//! Connections to providers, kept open between calls.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tidemill_dag::time::Timestamp;
use tokio::time::Instant;

use crate::config::TimeoutSection;
use crate::error::{Failure, GatewayError};

/// Idle connections to one provider, and how long they are kept.
const IDLE: usize = 512;
const IDLE_FOR: Duration = Duration::from_secs(55);

/// The connections of one thread.
#[derive(Clone)]
pub(crate) enum Upstream {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// How bytes must come, from a moment on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub idle: Duration,
    pub slowest: u64,
}

impl Pace {
    pub fn of(timeouts: &TimeoutSection) -> Self {
        Self { idle: timeouts.idle.0, slowest: timeouts.slowest.max(1) }
    }
}

impl Upstream {
    /// Without connections yet.
    pub fn new(connect: Duration, tls: bool) -> Result<Self, GatewayError> {
        let mut http = HttpConnector::new();
        http.set_nodelay(true);
        http.set_connect_timeout(Some(connect));
        http.enforce_http(false);
        http.set_keepalive(Some(Duration::from_secs(30)));
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_idle_timeout(IDLE_FOR).pool_max_idle_per_host(IDLE).pool_timer(TokioTimer::new());
        if !tls {
            return Ok(Self::Plain(builder.build(http)));
        }
        let roots = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| GatewayError::Config {
            path: "gateway.providers".to_owned(),
            reason: format!("the machine's certificates cannot be read: {error}"),
        })?;
        Ok(Self::Tls(builder.build(roots.https_or_http().enable_all_versions().wrap_connector(http))))
    }

    /// Sends a request; answers with the head of the response.
    pub async fn post(&self, uri: Uri, headers: HeaderMap, body: Vec<u8>) -> Result<Response<Incoming>, Failure> {
        let mut request = Request::new(Full::new(Bytes::from(body)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let sent = match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        };
        sent.map_err(|error| {
            // The address may hold what is nobody's business; the kind of failure is enough.
            tracing::debug!(connect = error.is_connect(), "a provider cannot be reached");
            if error.is_connect() { Failure::Unreachable } else { Failure::Cut }
        })
    }
}

/// Reads a whole body, as far as it may be and as slow as it may come.
pub(crate) async fn read_whole(mut body: Incoming, most: u64, pace: Pace) -> Result<Bytes, Failure> {
    let hint = body.size_hint();
    if hint.lower() > most {
        return Err(Failure::TooLarge { most });
    }
    // Most answers come in one piece.
    let mut first: Option<Bytes> = None;
    let mut all: Vec<u8> = Vec::new();
    let (mut until, mut came) = (Instant::now() + pace.idle, 0u64);
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            () = tokio::time::sleep_until(until) => {
                if came < pace.slowest {
                    return Err(Failure::Stalled);
                }
                (until, came) = (Instant::now() + pace.idle, 0);
                continue;
            }
        };
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Failure::Cut)?.into_data() else { continue };
        came += data.len() as u64;
        let length = all.len() + first.as_ref().map_or(0, Bytes::len) + data.len();
        if length as u64 > most {
            return Err(Failure::TooLarge { most });
        }
        match (first.take(), all.is_empty()) {
            (None, true) => first = Some(data),
            (one, _) => {
                all.extend(one.iter().flatten());
                all.extend_from_slice(&data);
            }
        }
    }
    Ok(first.unwrap_or_else(|| Bytes::from(all)))
}

/// When a provider wants to be asked again: seconds, milliseconds, or a date.
pub(crate) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    const MOST: f64 = 86_400.0;
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str| text.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0);
    if let Some(millis) = text("retry-after-ms").and_then(number) {
        return Some(Duration::from_secs_f64((millis / 1_000.0).min(MOST)));
    }
    let value = text("retry-after")?;
    if let Some(seconds) = number(value) {
        return Some(Duration::from_secs_f64(seconds.min(MOST)));
    }
    let at = chrono::DateTime::parse_from_rfc2822(value).ok()?;
    Some(Timestamp(at.timestamp_micros()).since(now).min(Duration::from_secs_f64(MOST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_of_providers_are_understood() {
        let now = Timestamp::from_millis(1_445_412_480_000);
        let of = |name: &'static str, value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, http::HeaderValue::from_static(value));
            retry_after(&headers, now)
        };
        assert_eq!(of("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(of("retry-after", "0.5"), Some(Duration::from_millis(500)));
        assert_eq!(of("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert_eq!(of("retry-after", "Wed, 21 Oct 2015 07:28:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(of("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(of("retry-after", "99999999999"), Some(Duration::from_secs(86_400)));
        for wrong in ["soon", "-3", "nan", ""] {
            assert_eq!(of("retry-after", wrong), None, "{wrong}");
        }
    }
}
