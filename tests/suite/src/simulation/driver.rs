//! Plays one world: first roughly, then kindly until it is quiet.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use tidemill_dag::{
    approval::Answer,
    id::{Attempt, RunId, Ticket, WorkerId},
    invariants::World,
    state::{TaskState, TaskView},
    time::{Clock, Timestamp},
};

use super::{
    check,
    dice::Dice,
    door::{Broken, Door, Next, Order, Said},
    pipelines::{Fate, Pipeline, Script},
    wire::Wire,
    workers::{Doing, Worker, outcome},
};

/// Why a world failed.
#[derive(Debug)]
pub struct Failure(pub String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        Self(broken)
    }
}

/// What was seen, to know that the worlds were rough.
#[derive(Debug, Default, Clone)]
pub struct Tally(BTreeMap<&'static str, u64>);

impl Tally {
    pub fn count(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }

    pub fn add(&mut self, other: &Self) {
        other.0.iter().for_each(|(what, times)| self.count(what, *times));
    }

    /// Whether every kind of trouble and every kind of end was met.
    pub fn is_rough(&self) -> bool {
        let must = [
            "answers lost",
            "calls failed",
            "crashes",
            "freezes",
            "flushes",
            "clock jumps",
            "cancels",
            "resumes",
            "reports refused",
            "leases over",
            "owners gone",
            "poisoned",
            "handed back",
            "parked",
            "run next",
            "ran what was at hand",
            "decided by people",
            "questions over",
            "answers counted",
            "answers refused",
            "lists known",
            "items resumed",
            "items that got a place",
            "runs succeeded",
            "runs failed",
            "runs cancelled",
            "runs compared with their definition",
        ];
        must.iter().all(|what| self.0.get(what).is_some_and(|times| *times > 0))
    }
}

/// How often what goes wrong, per mille.
#[derive(Debug, Clone, Copy, Default)]
struct Temper {
    crash: u64,
    freeze: u64,
    stop: u64,
    fail: u64,
    lose_answer: u64,
    flush: u64,
    jump: u64,
    cancel: u64,
    resume: u64,
    order: u64,
}

impl Temper {
    /// Each fault is absent from half of the worlds, so that none hides another.
    fn draw(dice: &mut Dice) -> Self {
        let mut up_to = |most: u64| if dice.strikes(500) { 0 } else { dice.between(1, most) };
        Self {
            crash: up_to(60),
            freeze: up_to(40),
            stop: up_to(20),
            fail: up_to(200),
            lose_answer: up_to(200),
            flush: up_to(50),
            jump: up_to(40),
            cancel: up_to(40),
            resume: up_to(150),
            order: up_to(60),
        }
    }
}

const BEAT: Duration = Duration::from_secs(2);
/// Ticks of kindness after which a world that is not quiet never will be.
const PATIENCE: usize = 5_000;

pub struct Simulation<D> {
    door: D,
    wire: Arc<Wire>,
    pipelines: Vec<Pipeline>,
    dice: Dice,
    temper: Temper,
    workers: Vec<Worker>,
    /// The error of the sweeper's clock.
    skew: i64,
    /// Runs that somebody was told about, and their pipelines.
    runs: BTreeMap<RunId, usize>,
    keys: BTreeMap<(usize, String), RunId>,
    orders: u32,
    tally: Tally,
    /// Whether any task asks people.
    asks: bool,
    verbose: bool,
}

impl<D: Door> Simulation<D> {
    pub fn new(door: D, wire: Arc<Wire>, pipelines: Vec<Pipeline>, mut dice: Dice, verbose: bool) -> Self {
        let temper = Temper::draw(&mut dice);
        let most_skew = dice.pick(&[0, 0, 1_000_000, 4_000_000]);
        let mut skew = || i64::try_from(dice.between(0, 2 * most_skew)).unwrap_or(0) - most_skew as i64;
        let skews: Vec<i64> = (0..5).map(|_| skew()).collect();
        let count = 1 + dice.below(4);
        let workers = (0..count).map(|seat| Worker::new(seat, 1 + dice.below(4), skews[seat])).collect();
        let lost = dice.pick(&[0, 0, 100, 500]);
        wire.faults(lost, dice.pick(&[0, 0, 100, 400]));
        let skew = skews[4];
        let asks = pipelines.iter().flat_map(|it| &it.tasks).any(|it| matches!(it.script, Script::Asks(_)));
        let (runs, keys, tally) = (BTreeMap::new(), BTreeMap::new(), Tally::default());
        Self { door, wire, pipelines, dice, temper, workers, skew, runs, keys, orders: 0, tally, asks, verbose }
    }

    pub async fn play(mut self) -> Result<Tally, Failure> {
        for _ in 0..=self.dice.below(3) {
            self.order().await?;
        }
        for _ in 0..self.dice.pick(&[10, 30, 60]) {
            self.tick().await?;
            self.trouble().await?;
            if self.dice.strikes(30) {
                let world = self.door.world().await?;
                check::midway(&world, &self.pipelines)?;
            }
        }
        self.note(|| "now kindly".to_owned());
        (self.temper, self.skew) = (Temper::default(), 0);
        self.wire.faults(0, 0);
        for _ in 0..PATIENCE {
            if self.is_quiet().await? {
                return self.end().await;
            }
            self.tick().await?;
        }
        let world = self.door.world().await?;
        Err(Failure(format!("never became quiet: {}", check::unfinished(&world))))
    }

    async fn end(mut self) -> Result<Tally, Failure> {
        let world = World { at_rest: true, tickets: self.wire.tickets(), ..self.door.world().await? };
        check::at_rest(&world, &self.pipelines, &self.runs, &mut self.tally)?;
        Ok(self.tally)
    }

    async fn is_quiet(&mut self) -> Result<bool, Failure> {
        if !self.wire.tickets().is_empty() || self.workers.iter().any(|worker| !worker.jobs.is_empty()) {
            return Ok(false);
        }
        let world = self.door.world().await?;
        Ok(world.runs.iter().all(|run| run.view.state.is_finished()))
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if self.verbose {
            println!("{} {}", self.wire.now(), text());
        }
    }

    /// A call that may fail before it commits, or commit without an answer.
    async fn risky<T>(&mut self, call: impl AsyncFnOnce(&mut D) -> Result<T, Broken>) -> Result<Option<T>, Failure> {
        if self.dice.strikes(self.temper.fail) {
            self.tally.count("calls failed", 1);
            return Ok(None);
        }
        let answer = call(&mut self.door).await?;
        if self.dice.strikes(self.temper.lose_answer) {
            self.tally.count("answers lost", 1);
            self.note(|| "  … and the answer is lost".to_owned());
            return Ok(None);
        }
        Ok(Some(answer))
    }

    /// Some time passes, every worker does what it would, and so does the sweep.
    async fn tick(&mut self) -> Result<(), Failure> {
        let millis = self.dice.between(0, 1_500);
        self.wire.pass(millis as i64 * 1_000);
        for seat in 0..self.workers.len() {
            if self.workers[seat].frozen_until <= self.wire.now() {
                self.wire.skewed(self.workers[seat].skew);
                let done = self.work(seat).await;
                self.wire.skewed(0);
                done?;
            }
        }
        if self.dice.strikes(700) {
            self.wire.skewed(self.skew);
            let swept = self.risky(async |door| door.sweep().await).await;
            self.wire.skewed(0);
            swept?;
        }
        Ok(())
    }

    async fn work(&mut self, seat: usize) -> Result<(), Failure> {
        self.beat(seat).await?;
        self.reports(seat).await?;
        if self.crashes(seat).await? {
            return Ok(());
        }
        // Until its hands are full: stale tickets must not cost a tick each.
        while self.takes(seat).await? {}
        Ok(())
    }

    async fn takes(&mut self, seat: usize) -> Result<bool, Failure> {
        let worker = &self.workers[seat];
        let tickets = self.wire.take(worker.slots.saturating_sub(worker.jobs.len()));
        // A crash between taking and claiming loses the tickets.
        if tickets.is_empty() || self.crashes(seat).await? {
            return Ok(false);
        }
        let id = self.workers[seat].id.clone();
        let claimed = self.risky(async |door| door.claim(&tickets, &id).await).await?;
        self.note(|| format!("{id} claims {}: {claimed:?}", tickets.len()));
        for ticket in claimed.unwrap_or_default() {
            self.begin(seat, ticket).await?;
        }
        Ok(true)
    }

    async fn begin(&mut self, seat: usize, ticket: Ticket) -> Result<(), Failure> {
        let doing = self.doing(ticket).await?;
        let now = self.true_now(seat);
        self.workers[seat].begin(ticket, doing, now, &mut self.dice);
        Ok(())
    }

    /// What the ticket's task does. A worker may be the first to hear of a run whose orderer heard nothing.
    async fn doing(&mut self, ticket: Ticket) -> Result<Doing, Failure> {
        if !self.runs.contains_key(&ticket.task.run) {
            for run in self.door.world().await?.runs {
                let named = self.pipelines.iter().position(|pipeline| pipeline.name == run.pipeline);
                self.runs.insert(run.view.id, named.ok_or_else(|| Failure("an unknown pipeline".to_owned()))?);
            }
        }
        let pipeline = self.runs.get(&ticket.task.run).ok_or_else(|| Failure(format!("{ticket} has no run")))?;
        let tasks = &self.pipelines[*pipeline].tasks;
        match tasks.get(ticket.task.ordinal.0 as usize) {
            Some(task) if task.items.is_empty() => Ok(Doing { script: task.script, list: None, longest: task.longest }),
            _ => {
                let world = self.door.world().await?;
                self.in_list(&world, *pipeline, ticket).ok_or_else(|| Failure(format!("{ticket} has no row")))
            }
        }
    }

    /// A list that becomes known, or is collected, or one of its items.
    fn in_list(&self, world: &World, pipeline: usize, ticket: Ticket) -> Option<Doing> {
        let row = world.tasks.iter().find(|row| row.key == ticket.task)?;
        let list = row.parent.unwrap_or(row.key.ordinal);
        let task = &self.pipelines[pipeline].tasks[list.0 as usize];
        let items = world.tasks.iter().filter(|item| item.key.run == row.key.run && item.parent == Some(list));
        let (script, list) = if row.parent.is_some() {
            let index = items.filter(|item| item.key < row.key).count();
            (*task.items.get(index)?, None)
        } else if row.items.is_some() {
            let failed = items.filter(|item| item.state == TaskState::Failed).count();
            (if failed > 0 { Script::Breaks } else { Script::Succeeds }, None)
        } else {
            (task.script, u32::try_from(task.items.len()).ok())
        };
        Some(Doing { script, list, longest: task.longest })
    }

    fn true_now(&self, seat: usize) -> Timestamp {
        Timestamp(self.wire.now().0 - self.workers[seat].skew)
    }

    /// Renews what is held, drops what is not, and hands back what it does not know: a claim whose answer was lost.
    async fn beat(&mut self, seat: usize) -> Result<(), Failure> {
        let now = self.true_now(seat);
        if now < self.workers[seat].next_beat {
            return Ok(());
        }
        self.workers[seat].next_beat = now.after(BEAT);
        let id = self.workers[seat].id.clone();
        let Some(held) = self.risky(async |door| door.heartbeat(&id).await).await? else { return Ok(()) };
        let worker = &mut self.workers[seat];
        let before = worker.jobs.len();
        worker.jobs.retain(|job| held.contains(&job.ticket));
        let dropped = (before - worker.jobs.len()) as u64;
        self.tally.count("jobs dropped on a heartbeat", dropped);
        let unknown: Vec<Ticket> =
            held.into_iter().filter(|held| worker.jobs.iter().all(|job| job.ticket != *held)).collect();
        for ticket in unknown {
            self.note(|| format!("{id} hands back {ticket}, of which it knows nothing"));
            self.risky(async |door| door.complete(ticket, &id, Said::HandedBack, None).await).await?;
        }
        Ok(())
    }

    /// Reports what is done, again and again until somebody answers.
    async fn reports(&mut self, seat: usize) -> Result<(), Failure> {
        let now = self.true_now(seat);
        let done: Vec<Ticket> =
            self.workers[seat].jobs.iter().filter(|job| job.done_at <= now).map(|job| job.ticket).collect();
        for ticket in done {
            if self.crashes(seat).await? {
                return Ok(());
            }
            let clock = self.wire.now();
            let Some(job) = self.workers[seat].jobs.iter_mut().find(|job| job.ticket == ticket) else { continue };
            let doing = job.doing;
            let said = *job.said.get_or_insert_with(|| outcome(doing, ticket, clock));
            let id = self.workers[seat].id.clone();
            let next = self.dice.strikes(300).then(|| self.next());
            let heard = self.risky(async |door| door.complete(ticket, &id, said, next).await).await?;
            self.note(|| format!("{id} reports {ticket} {said:?}: {heard:?}"));
            let Some(heard) = heard else { continue };
            self.workers[seat].jobs.retain(|job| job.ticket != ticket);
            self.tally.count(if heard.accepted { "reports accepted" } else { "reports refused" }, 1);
            let at_hand = next.and_then(|next| next.at_hand);
            if let Some(next) = heard.next {
                self.tally.count(if Some(next) == at_hand { "ran what was at hand" } else { "run next" }, 1);
                self.begin(seat, next).await?;
            }
            // What was not looked at is passed on.
            if let Some(at_hand) = at_hand.filter(|at_hand| heard.next.map_or(!heard.accepted, |next| next != *at_hand))
            {
                self.wire.offer(at_hand);
            }
        }
        Ok(())
    }

    fn next(&mut self) -> Next {
        let at_hand = if self.dice.strikes(500) { self.wire.take(1).pop() } else { None };
        Next { at_hand }
    }

    /// The process may end here. Now and then somebody notices at once.
    async fn crashes(&mut self, seat: usize) -> Result<bool, Failure> {
        if !self.dice.strikes(self.temper.crash) {
            return Ok(false);
        }
        self.tally.count("crashes", 1);
        let was = self.workers[seat].restart();
        self.note(|| format!("{was} crashes"));
        if self.dice.strikes(300) {
            self.risky(async |door| door.owner_gone(&was).await).await?;
        }
        Ok(true)
    }

    async fn stops(&mut self, seat: usize) -> Result<(), Failure> {
        let jobs = std::mem::take(&mut self.workers[seat].jobs);
        let was: WorkerId = self.workers[seat].restart();
        self.note(|| format!("{was} stops and hands back {} tasks", jobs.len()));
        for job in jobs {
            self.risky(async |door| door.complete(job.ticket, &was, Said::HandedBack, None).await).await?;
        }
        Ok(())
    }

    /// What people, machines and the world may do between two ticks.
    async fn trouble(&mut self) -> Result<(), Failure> {
        let temper = self.temper;
        let seat = self.dice.below(self.workers.len());
        if self.dice.strikes(temper.freeze) {
            self.tally.count("freezes", 1);
            let length = Duration::from_millis(self.dice.between(500, 40_000));
            self.workers[seat].frozen_until = self.wire.now().after(length);
            self.note(|| format!("{} freezes for {length:?}", self.workers[seat].id));
        }
        if self.dice.strikes(temper.stop) {
            self.stops(seat).await?;
        }
        if self.dice.strikes(temper.flush) {
            self.tally.count("flushes", 1);
            self.wire.flush();
            self.note(|| "the queue is flushed".to_owned());
        }
        if self.dice.strikes(temper.jump) {
            self.tally.count("clock jumps", 1);
            let seconds = self.dice.between(5, 7_200);
            self.wire.pass(seconds as i64 * 1_000_000);
            self.note(|| format!("the clock jumped by {seconds} s"));
        }
        if self.dice.strikes(temper.cancel) {
            self.meddle("cancels", async |door, run| door.cancel(run).await).await?;
        }
        if self.dice.strikes(temper.resume) {
            self.meddle("resumes", async |door, run| door.resume(run).await).await?;
        }
        if self.dice.strikes(temper.order) {
            self.order().await?;
        }
        if self.asks && self.dice.strikes(500) {
            self.answers().await?;
        }
        Ok(())
    }

    /// Somebody answers a question, some twice, some an old one, some who must not.
    async fn answers(&mut self) -> Result<(), Failure> {
        let asking: Vec<TaskView> = self.door.world().await?.tasks.into_iter().filter(|it| it.asks.is_some()).collect();
        for task in asking {
            let Script::Asks(fate) = self.doing(task.ticket()).await?.script else {
                return Err(Failure(format!("{} asks, and its script does not", task.key)));
            };
            let approve = match fate {
                Fate::Approved => true,
                Fate::Rejected => false,
                Fate::Unheard => continue,
            };
            let stale = u32::from(self.dice.strikes(150));
            let of = Ticket { attempt: Attempt(task.attempt.0.saturating_sub(stale)), ..task.ticket() };
            let who = format!("p{}", self.dice.below(4));
            let answer = Answer { who, roles: Vec::new(), approve, reason: None };
            let counted = self.risky(async |door| door.answer(of, &answer).await).await?;
            self.note(|| format!("{} answers {of} with {approve}: {counted:?}", answer.who));
            self.tally.count("answers counted", u64::from(counted == Some(true)));
            self.tally.count("answers refused", u64::from(counted == Some(false)));
        }
        Ok(())
    }

    async fn meddle(
        &mut self,
        what: &'static str,
        call: impl AsyncFnOnce(&mut D, RunId) -> Result<bool, Broken>,
    ) -> Result<(), Failure> {
        let place = self.dice.below(self.runs.len());
        let Some(run) = self.runs.keys().nth(place).copied() else { return Ok(()) };
        let answer = self.risky(async |door| call(door, run).await).await?;
        self.note(|| format!("somebody {what} {run}: {answer:?}"));
        self.tally.count(what, u64::from(answer == Some(true)));
        Ok(())
    }

    /// Somebody wants a run; a webhook that got no answer, or is just nervous, asks again with the same key.
    async fn order(&mut self) -> Result<(), Failure> {
        let pipeline = self.dice.below(self.pipelines.len());
        self.orders += 1;
        let key = self.dice.strikes(600).then(|| format!("k{}", self.orders));
        let order = Order { pipeline, key };
        let times = if order.key.is_some() { self.dice.between(1, 3) } else { 1 };
        for _ in 0..times {
            let made = self.risky(async |door| door.create(&order).await).await?;
            self.note(|| format!("ordered {order:?}: {made:?}"));
            let Some(run) = made else { continue };
            self.runs.insert(run, pipeline);
            if let Some(key) = &order.key {
                let first = *self.keys.entry((pipeline, key.clone())).or_insert(run);
                if first != run {
                    return Err(Failure(format!("{order:?} made {first} and {run}")));
                }
            }
        }
        Ok(())
    }
}
