//! The way of a request through the cache, and of its answer into it.

use std::sync::Arc;

use async_trait::async_trait;

use super::bound;
use super::flight::{self, Leader, Outcome, Part};
use super::key::Keys;
use super::remote::Kept;
use super::semantic::{self, Earlier, Found};
use super::stats::count;
use super::{AnswerCache, CacheStats, SemanticMode, agree, lock};
use crate::answer::{Answer, Finish};
use crate::caller::Caller;
use crate::embed::Packed;
use crate::guard::Canonical;
use crate::hooks::{Cache, Example, Lookup, Ticket};
use crate::request::Request;
use crate::usage::CacheState;

/// What a look-up leaves for [`Cache::store`].
struct Pending {
    keys: Keys,
    vector: Option<Packed>,
    /// Others wait for this request. Dropped without an answer, they go out themselves.
    leader: Option<Leader>,
    /// The near answer that was served, to compare with the fresh one.
    served: Option<(Arc<Answer>, f32)>,
}

#[async_trait]
impl Cache for AnswerCache {
    async fn lookup(&self, caller: &Caller, request: &Request) -> Lookup {
        let keys = if self.section.enabled { Keys::of(caller, request, self.section.epoch) } else { None };
        let Some(keys) = keys else {
            count(&self.stats.off);
            return Lookup::Off;
        };
        if let Some(answer) = self.in_memory(&keys) {
            return self.exact(&answer);
        }
        let leader = match self.flights.join(keys.exact) {
            Part::Leader(leader) => Some(leader),
            Part::Follower(others) => {
                let landed = tokio::time::timeout(self.section.wait.0, flight::landed(others)).await;
                if let (Ok(Outcome::Kept), Some(answer)) = (landed, self.in_memory(&keys)) {
                    count(&self.stats.joined);
                    return self.exact(&answer);
                }
                None
            }
        };
        if let Some(answer) = self.in_redis(&keys).await {
            if let Some(leader) = leader {
                leader.kept();
            }
            return self.exact(&answer);
        }
        self.near(caller, keys, leader).await
    }

    fn embedding(&self) -> Arc<str> {
        self.embedding_name.clone()
    }

    fn stats(&self) -> CacheStats {
        self.counted()
    }

    async fn store(&self, ticket: Ticket, caller: &Caller, request: &Request, answer: &Answer) {
        let Ok(pending) = ticket.downcast::<Pending>() else { return };
        let Pending { keys, vector, leader, served } = *pending;
        if let Some((served, similarity)) = served {
            self.compare(caller, &served, similarity, answer);
        }
        if !may_keep(caller, answer) {
            return;
        }
        let ttl = self.section.ttl.0;
        let until = self.clock.now().after(ttl);
        let answer = Arc::new(answer.clone());
        lock(&self.memory).put(keys.exact, Arc::clone(&answer), until);
        count(&self.stats.kept);
        if let Some(leader) = leader {
            leader.kept();
        }
        let near = keys.near.clone().zip(vector).map(|((context, question), vector)| {
            (context, Earlier { exact: keys.exact, question: question.into(), vector, until })
        });
        if let Some((context, earlier)) = &near {
            lock(&self.index).add(*context, earlier.clone());
        }
        let Some(remote) = &self.remote else { return };
        let kept = Kept { answer: Answer::clone(&answer), until };
        let mut result = remote.put(&keys.exact, &kept, ttl).await;
        if let (Ok(()), Some((context, earlier))) = (&result, &near) {
            result = remote.add_near(context, earlier, ttl).await;
        }
        if let Err(reason) = result {
            self.failed("redis", &reason);
        }
        tracing::trace!(model = %request.model, "an answer was kept");
    }
}

/// Whole, and harmless to give again: cut and refused answers are not, nor are calls of tools, unless declared.
fn may_keep(caller: &Caller, answer: &Answer) -> bool {
    let whole = match answer.finish {
        Finish::Stop | Finish::StopText => true,
        Finish::ToolCalls => caller.idempotent,
        Finish::Length | Finish::Refused => false,
    };
    let silent = answer.parts.is_empty() || (!answer.calls_tools() && answer.text().trim().is_empty());
    whole && !silent && (caller.idempotent || !answer.calls_tools())
}

impl AnswerCache {
    fn in_memory(&self, keys: &Keys) -> Option<Arc<Answer>> {
        lock(&self.memory).get(&keys.exact, self.clock.now())
    }

    /// Looks into Redis, and keeps what is there in memory for the rest of its time.
    async fn in_redis(&self, keys: &Keys) -> Option<Arc<Answer>> {
        let remote = self.remote.as_ref()?;
        match remote.get(&keys.exact).await {
            Ok(Some(kept)) if kept.until > self.clock.now() => Some(self.remember(keys, kept)),
            Ok(_) => None,
            Err(reason) => {
                self.failed("redis", &reason);
                None
            }
        }
    }

    fn remember(&self, keys: &Keys, kept: Kept) -> Arc<Answer> {
        let answer = Arc::new(kept.answer);
        lock(&self.memory).put(keys.exact, Arc::clone(&answer), kept.until);
        answer
    }

    fn exact(&self, answer: &Arc<Answer>) -> Lookup {
        count(&self.stats.exact);
        Lookup::Hit { answer: Box::new(Answer::clone(answer)), state: CacheState::Exact, shadow: None }
    }

    /// Looks for near requests.
    async fn near(&self, caller: &Caller, keys: Keys, leader: Option<Leader>) -> Lookup {
        let miss = |vector, leader, keys, example| {
            count(&self.stats.misses);
            Lookup::Miss { ticket: Box::new(Pending { keys, vector, leader, served: None }), example }
        };
        let Some((context, question)) = keys.near.clone().filter(|_| self.section.semantic.mode != SemanticMode::Off)
        else {
            return miss(None, leader, keys, None);
        };
        let canonical = Canonical::read(&question);
        let vector = match self.embedding.embed(&question, &canonical).await {
            Ok(vector) => Packed::new(&vector),
            Err(error) => {
                self.failed("embedding", &error.to_string());
                return miss(None, leader, keys, None);
            }
        };
        let bound = self
            .serve_above
            .map(|_| lock(&self.bounds).get(&caller.tenant, caller.cache_namespace.as_deref().unwrap_or_default()));
        let found = semantic::judge(&canonical, self.candidates(&context, &vector).await, bound);
        match found {
            Found::Serve(earlier, similarity) => match self.answer_of(&earlier).await {
                Some(answer) => self.serve(answer, similarity, keys, vector),
                None => miss(Some(vector), leader, keys, None),
            },
            Found::Example(earlier, reason) => {
                if let Some(reason) = reason {
                    count(&self.stats.guarded);
                    tracing::debug!(reason = reason.as_str(), "the guard turned a near request down");
                }
                let shown = self.section.semantic.mode.shows_examples();
                let answer = if shown { self.answer_of(&earlier).await } else { None };
                let question = earlier.question.to_string();
                let example = answer.map(|answer| Example { question, answer: answer.text() });
                if example.is_some() {
                    count(&self.stats.examples);
                }
                miss(Some(vector), leader, keys, example)
            }
            Found::Nothing => miss(Some(vector), leader, keys, None),
        }
    }

    /// From memory, or else what other gateways left in Redis.
    async fn candidates(&self, context: &super::Key, vector: &Packed) -> Vec<(f32, Earlier)> {
        let (above, now) = (self.section.semantic.retrieve_above, self.clock.now());
        let near = lock(&self.index).nearest(context, vector, above, now);
        let Some(remote) = self.remote.as_ref().filter(|_| near.is_empty()) else { return near };
        match remote.near(context).await {
            Ok(shared) => semantic::nearest(shared.iter(), vector, above, now),
            Err(reason) => {
                self.failed("redis", &reason);
                Vec::new()
            }
        }
    }

    async fn answer_of(&self, earlier: &Earlier) -> Option<Arc<Answer>> {
        let keys = Keys { exact: earlier.exact, near: None };
        match self.in_memory(&keys) {
            Some(answer) => Some(answer),
            None => self.in_redis(&keys).await,
        }
    }

    fn serve(&self, answer: Arc<Answer>, similarity: f32, keys: Keys, vector: Packed) -> Lookup {
        count(&self.stats.semantic);
        let sampled = self.chance.draw() < self.section.semantic.shadow;
        let pending =
            || Pending { keys, vector: Some(vector), leader: None, served: Some((Arc::clone(&answer), similarity)) };
        let shadow = sampled.then(|| Box::new(pending()) as Ticket);
        Lookup::Hit { answer: Box::new(Answer::clone(&answer)), state: CacheState::Semantic, shadow }
    }

    /// Learns from a near answer that was served and a fresh one.
    fn compare(&self, caller: &Caller, served: &Answer, similarity: f32, fresh: &Answer) {
        let agreed = agree(served, fresh);
        count(&self.stats.shadows);
        let namespace = caller.cache_namespace.as_deref().unwrap_or_default();
        let watched: bound::Watched = lock(&self.bounds).observe(&caller.tenant, namespace, similarity, agreed);
        if !agreed {
            count(&self.stats.false_hits);
            tracing::warn!(
                similarity,
                bound = watched.bound,
                wrong = watched.wrong,
                trials = watched.trials,
                "a near answer was wrong; its bound is tightened"
            );
        }
    }

    fn failed(&self, part: &'static str, reason: &str) {
        count(&self.stats.failures);
        tracing::warn!(part, reason, "the cache could not be used");
    }
}
