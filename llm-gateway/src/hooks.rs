//! Where privacy and cache join a call. Without them the gateway works, and keeps and masks nothing.

use std::borrow::Cow;
use std::sync::Arc;

use async_trait::async_trait;

use crate::answer::Answer;
use crate::cache::CacheStats;
use crate::caller::Caller;
use crate::error::GatewayError;
use crate::request::Request;
use crate::usage::CacheState;

/// Finds and masks what must not leave the house.
pub trait Privacy: Send + Sync + 'static {
    /// Masks what the caller's policy says. `None`: nothing was found, and the request goes out as it came.
    ///
    /// # Errors
    /// The policy refuses such requests, or the detector failed: then nothing is sent.
    fn mask(&self, caller: &Caller, request: &mut Request) -> Result<Option<Box<dyn Unmask>>, GatewayError>;
}

/// Puts back what was masked, in the answer to one request.
pub trait Unmask: Send + Sync {
    /// A whole text with the masked values in their places.
    fn restore<'t>(&self, text: &'t str) -> Cow<'t, str>;

    /// The longest placeholder in bytes: a stream holds back so much of its end, if it could begin one.
    fn longest(&self) -> usize;

    /// Where a placeholder may begin that is not complete at the end of `text`.
    fn open_end(&self, text: &str) -> Option<usize>;
}

/// Answers of earlier requests.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// Looks a request up, after privacy masked it. It never fails: what goes wrong is a miss and a log line.
    async fn lookup(&self, caller: &Caller, request: &Request) -> Lookup;

    /// The embedding that near requests are found with, for headers.
    fn embedding(&self) -> Arc<str>;

    /// What it did since the start.
    fn stats(&self) -> CacheStats;

    /// Keeps a whole, validated answer. Called once after a miss, off the path of the answer.
    async fn store(&self, ticket: Ticket, caller: &Caller, request: &Request, answer: &Answer);
}

/// What a look-up came to know and `store` wants again, such as the key and the vector.
pub type Ticket = Box<dyn std::any::Any + Send + Sync>;

/// What the cache says.
pub enum Lookup {
    /// Such requests are neither looked up nor kept.
    Off,
    /// Nothing fits.
    Miss {
        /// For `store`.
        ticket: Ticket,
        /// A near request and its answer, to go to the model as an example.
        example: Option<Example>,
    },
    /// Served from here; `shadow` also asks the model, off the path, and hands its answer to `store`.
    Hit {
        /// The answer.
        answer: Box<Answer>,
        /// Exact or semantic.
        state: CacheState,
        /// Set for the sample of hits that are compared with a fresh answer.
        shadow: Option<Ticket>,
    },
}

/// An earlier request with its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// What was asked.
    pub question: String,
    /// What was answered.
    pub answer: String,
}
