//! The gateway as a library: made once, asked by anybody.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tidemill_dag::id;
use tidemill_dag::time::{Chance, Clock};
use tokio::time::Instant;

use crate::answer::{Answer, Embeddings};
use crate::attempt::{What, Work};
use crate::cache::AnswerCache;
use crate::call::{Asked, Facts, Reply};
use crate::caller::Caller;
use crate::config::GatewayConfig;
use crate::error::GatewayError;
use crate::hooks::{Cache, Privacy};
use crate::keys::Keys;
use crate::limits::{self, Ledger, RedisLedger, Rules, embed_bound, estimate, prompt_bound, prompt_counted};
use crate::privacy::Shield;
use crate::request::{EmbedRequest, Request};
use crate::resilience::{BreakerState, Permission};
use crate::route::{self, Ask, Choice, Plan, Signals};
use crate::stream::AnswerStream;
use crate::table::{Deployment, table};
use crate::tokens::Encoding;
use crate::upstream::{Pace, Upstream};
use crate::usage::UsageSink;

/// What the gateway is given from outside.
#[derive(Clone)]
pub struct Outside {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance: for shares, waits and names.
    pub chance: Arc<dyn Chance>,
    /// Finds and masks what must not leave the house.
    pub privacy: Option<Arc<dyn Privacy>>,
    /// Answers of earlier requests.
    pub cache: Option<Arc<dyn Cache>>,
    /// Where records of use go.
    pub usage: Option<Arc<dyn UsageSink>>,
}

impl Outside {
    /// Time and chance, with the privacy and the cache that a configuration asks for.
    ///
    /// # Errors
    /// A setting of either cannot be used.
    pub fn of(config: &GatewayConfig, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Result<Self, GatewayError> {
        let cache = AnswerCache::open(config.cache.clone(), clock.clone(), chance.clone())?;
        let shield = Shield::new(config.privacy.clone());
        let (privacy, cache): (Arc<dyn Privacy>, Arc<dyn Cache>) = (Arc::new(shield), Arc::new(cache));
        Ok(Self { privacy: Some(privacy), cache: Some(cache), ..Self::plain(clock, chance) })
    }

    /// Time and chance, and nothing else.
    pub fn plain(clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self { clock, chance, privacy: None, cache: None, usage: None }
    }
}

/// The gateway. Clones share everything but their connections, which belong to the thread that uses them.
#[derive(Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
    pub(crate) upstream: Upstream,
}

pub(crate) struct Shared {
    pub config: GatewayConfig,
    pub table: Vec<Deployment>,
    pub keys: Keys,
    pub rules: Rules,
    pub ledger: Arc<Ledger>,
    pub outside: Outside,
    pub pace: Pace,
    /// The smallest window of all deployments: prompts that surely fit it need no closer look.
    narrowest: u64,
    tls: bool,
}

impl Gateway {
    /// Makes one. Secrets are read now; connections are made when they are needed.
    ///
    /// # Errors
    /// A setting contradicts another, or a secret cannot be read.
    pub fn new(config: GatewayConfig, outside: Outside) -> Result<Self, GatewayError> {
        crate::config::check(&config)?;
        let table = table(&config)?;
        let tls = table.iter().any(|deployment| deployment.site.url.starts_with("https"));
        let ledger = match &config.ledger.redis {
            None => limits::in_memory(outside.clock.clone()),
            Some(place) => {
                let redis = RedisLedger::connect(&place.read()?, &config.ledger.prefix, outside.chance.clone())?;
                Arc::new(Ledger::Redis(redis))
            }
        };
        let upstream = Upstream::new(config.timeouts.connect.0, tls)?;
        let narrowest = table.iter().map(|deployment| deployment.context).min().unwrap_or(0);
        if config.ledger.exact_tokens {
            // Now, and not while the first caller waits.
            table.iter().filter_map(|deployment| Encoding::of(&deployment.model)).for_each(Encoding::load);
        }
        let shared = Shared {
            table,
            keys: Keys::of(&config)?,
            rules: Rules::of(&config),
            ledger,
            outside,
            pace: Pace::of(&config.timeouts),
            narrowest,
            tls,
            config,
        };
        Ok(Self { shared: Arc::new(shared), upstream })
    }

    /// The same gateway with connections of its own, for another thread.
    ///
    /// # Errors
    /// The machine's certificates cannot be read.
    pub fn for_thread(&self) -> Result<Self, GatewayError> {
        let upstream = Upstream::new(self.shared.config.timeouts.connect.0, self.shared.tls)?;
        Ok(Self { shared: self.shared.clone(), upstream })
    }

    /// Waits until every settlement that is on its way has arrived; for the end of a process.
    pub async fn settled(&self) {
        self.shared.ledger.settled().await;
    }

    /// The settings in effect.
    pub fn config(&self) -> &GatewayConfig {
        &self.shared.config
    }

    /// A caller of a tenant, with the tier that the configuration gives the tenant.
    pub fn caller(&self, tenant: &str) -> Caller {
        self.shared.keys.caller(tenant)
    }

    /// Asks, and waits for the whole answer.
    ///
    /// # Errors
    /// One error for whatever went wrong, with the providers that were tried.
    pub async fn answer(&self, caller: &Caller, mut request: Request) -> Result<(Answer, Facts), GatewayError> {
        request.stream = false;
        match self.chat(Asked::of(caller.clone(), request)).await {
            Ok((Reply::Whole { answer, .. }, facts)) => Ok((*answer, facts)),
            Ok((Reply::Stream(_), _)) => unreachable!("a whole answer was asked for"),
            Err(failed) => Err(failed.0),
        }
    }

    /// Asks, and gets the answer in pieces.
    ///
    /// # Errors
    /// Whatever goes wrong before the first piece; later errors come through the stream.
    pub async fn stream(&self, caller: &Caller, mut request: Request) -> Result<(AnswerStream, Facts), GatewayError> {
        request.stream = true;
        match self.chat(Asked::of(caller.clone(), request)).await {
            Ok((Reply::Stream(stream), facts)) => Ok((*stream, facts)),
            Ok((Reply::Whole { answer, .. }, facts)) => Ok((AnswerStream::of(&answer), facts)),
            Err(failed) => Err(failed.0),
        }
    }

    /// Makes vectors of texts.
    ///
    /// # Errors
    /// One error for whatever went wrong, with the providers that were tried.
    pub async fn embed(&self, caller: &Caller, request: EmbedRequest) -> Result<(Embeddings, Facts), GatewayError> {
        self.vectors(caller, request, None, Instant::now()).await.map_err(|failed| failed.0)
    }

    /// Which route a request would take, and why. Nothing is sent, reserved or drawn: the largest share stands
    /// first.
    ///
    /// # Errors
    /// There is no such model, or nothing that fits is available.
    pub fn explain(&self, caller: &Caller, request: &Request) -> Result<Explained, GatewayError> {
        let tokens = (prompt_bound(request, self.shared.config.ledger.image_tokens), estimate(request));
        let signals = Signals::of(request, tokens.1);
        // The same draw for each puts the largest share first.
        let draw = || 0.5;
        let plan =
            self.shared.plan(caller, &request.model, tokens, request.max_tokens, false, || signals.clone(), draw)?;
        let now = self.shared.outside.clock.now();
        let order = plan.order.iter().map(|place| {
            let deployment = &self.shared.table[*place];
            let max_tokens = deployment.max_tokens(request.max_tokens);
            Explanation {
                deployment: deployment.name.to_string(),
                provider: deployment.provider_name.to_string(),
                model: deployment.model.to_string(),
                max_tokens,
                most_micros: deployment.price(now).bound(tokens.0, u64::from(max_tokens)),
                tags: deployment.tags.clone(),
            }
        });
        let order = order.collect();
        Ok(Explained { plan, signals, tokens_estimated: tokens.1, tokens_at_most: tokens.0, order })
    }

    /// How each deployment stands.
    pub fn status(&self) -> Vec<Status> {
        let now = self.shared.outside.clock.now();
        let all = self.shared.table.iter().map(|deployment| {
            let breaker = deployment.breaker();
            let rests = match breaker.would(now) {
                Permission::Go => None,
                Permission::Wait(rest) => Some(u64::try_from(rest.as_millis()).unwrap_or(u64::MAX)),
            };
            Status {
                deployment: deployment.name.to_string(),
                provider: deployment.provider_name.to_string(),
                model: deployment.model.to_string(),
                breaker: breaker.state(),
                rests_ms: rests,
                full: deployment.bulkhead.full(),
            }
        });
        all.collect()
    }
}

impl Shared {
    /// The order of tries for a request.
    #[expect(clippy::too_many_arguments, reason = "two callers, and each argument is another part of the request")]
    pub fn plan(
        &self,
        caller: &Caller,
        model: &str,
        tokens: (u64, u64),
        max_tokens: Option<u32>,
        embeds: bool,
        signals: impl FnOnce() -> Signals,
        draw: impl FnMut() -> f64,
    ) -> Result<Plan, GatewayError> {
        let now = self.outside.clock.now();
        let choices: Vec<Choice<'_>> = self
            .table
            .iter()
            .map(|deployment| {
                let output = if embeds { 0 } else { u64::from(deployment.max_tokens(max_tokens)) };
                Choice {
                    name: &deployment.name,
                    model: &deployment.model,
                    provider: &deployment.provider_name,
                    context: deployment.context,
                    embeds: deployment.embeds,
                    tags: &deployment.tags,
                    cost: deployment.price(now).bound(tokens.1, output),
                    rests: match deployment.breaker().would(now) {
                        Permission::Go => None,
                        Permission::Wait(rest) => Some(rest),
                    },
                }
            })
            .collect();
        let tenant = self.config.tenants.get(&*caller.tenant);
        let allowed = tenant.and_then(|tenant| tenant.providers.as_deref());
        let ask = Ask { model, embeds, tokens, caller, allowed };
        route::plan(&choices, &self.config.routes, &ask, signals, draw)
    }

    /// The most tokens that a prompt can take, and a guess where the route depends on it.
    pub fn tokens(&self, request: &Request) -> (u64, u64) {
        let most = prompt_bound(request, self.config.ledger.image_tokens);
        let matters = most > self.narrowest || self.config.routes.contains_key(&request.model);
        (most, if matters { estimate(request) } else { most / 4 })
    }

    /// The most tokens that a prompt can take at one model, counted if the configuration asks for it.
    pub fn bound(&self, work: &Work<'_>, model: &str) -> u64 {
        let tokenizer = Encoding::of(model).filter(|_| self.config.ledger.exact_tokens);
        match (tokenizer, &work.what) {
            (Some(tokenizer), What::Chat { request, .. }) => {
                prompt_counted(request, self.config.ledger.image_tokens, tokenizer).min(work.bound)
            }
            _ => work.bound,
        }
    }

    /// The bound of a request for vectors.
    pub fn embed_tokens(request: &EmbedRequest) -> (u64, u64) {
        let longest = request.inputs.iter().map(|text| text.len() as u64 / 4).max().unwrap_or(0);
        (embed_bound(request), longest)
    }

    /// A name for a call.
    pub fn call_name(&self) -> Arc<str> {
        let Outside { clock, chance, .. } = &self.outside;
        format!("call_{}", id::ordered(clock.now(), chance.bits()).simple()).into()
    }
}

/// Which route a request would take.
#[derive(Debug, Serialize)]
pub struct Explained {
    /// The route, the rule, and who was left out.
    #[serde(flatten)]
    pub plan: Plan,
    /// What was seen of the request.
    pub signals: Signals,
    /// The prompt in tokens, guessed.
    pub tokens_estimated: u64,
    /// The prompt in tokens, at most.
    pub tokens_at_most: u64,
    /// Who would be tried, in this order.
    pub order: Vec<Explanation>,
}

/// One deployment that would be tried.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// Its name.
    pub deployment: String,
    /// Its provider.
    pub provider: String,
    /// The model there.
    pub model: String,
    /// The most tokens that would be asked for.
    pub max_tokens: u32,
    /// The most it could cost, in millionths.
    pub most_micros: u64,
    /// What it is good at.
    pub tags: Vec<String>,
}

/// How one deployment stands.
#[derive(Debug, Serialize)]
pub struct Status {
    /// Its name.
    pub deployment: String,
    /// Its provider.
    pub provider: String,
    /// The model there.
    pub model: String,
    /// Its breaker.
    pub breaker: BreakerState,
    /// For how long no call goes there.
    pub rests_ms: Option<u64>,
    /// Whether calls wait for a place.
    pub full: bool,
}

/// A reservation outlives its call by this, so that it never ends before the settlement.
pub(crate) const LEASE_MARGIN: Duration = Duration::from_secs(30);
