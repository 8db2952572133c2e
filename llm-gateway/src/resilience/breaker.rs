//! When a deployment is left alone. Pure: time and outcomes come in, permissions come out.
//!
//! Closed, every call goes through; `failures` failures in a row open it. Open, none goes through until the rest is
//! over; then one call probes it. A probe that succeeds closes it, one that fails doubles the rest up to `most`.

use std::time::Duration;

use tidemill_dag::time::Timestamp;

use crate::config::BreakerSection;

/// The state of one deployment.
#[derive(Debug, Clone)]
pub struct Breaker {
    rules: BreakerSection,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Timestamp,
        rest: Duration,
    },
    /// One call is out to see; if it never comes back, the next may go after as long again.
    Probing {
        until: Timestamp,
        rest: Duration,
    },
}

/// What a breaker lets a call do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Permission {
    /// It may go.
    Go,
    /// It may not, for so long.
    Wait(Duration),
}

/// How a breaker stands, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BreakerState {
    /// Calls go through.
    Closed,
    /// None does.
    Open,
    /// One is out to see.
    Probing,
}

impl Breaker {
    /// Closed.
    pub const fn new(rules: BreakerSection) -> Self {
        Self { rules, state: State::Closed { failures: 0 } }
    }

    /// Whether a call may go; a call that asks and may must report its outcome.
    pub fn ask(&mut self, now: Timestamp) -> Permission {
        match self.state {
            State::Closed { .. } => Permission::Go,
            State::Open { until, rest } | State::Probing { until, rest } if now >= until => {
                self.state = State::Probing { until: now.after(rest), rest };
                Permission::Go
            }
            State::Open { until, .. } | State::Probing { until, .. } => Permission::Wait(until.since(now)),
        }
    }

    /// The same without going.
    pub fn would(&self, now: Timestamp) -> Permission {
        match self.state {
            State::Open { until, .. } | State::Probing { until, .. } if now < until => {
                Permission::Wait(until.since(now))
            }
            State::Closed { .. } | State::Open { .. } | State::Probing { .. } => Permission::Go,
        }
    }

    /// A call went well.
    pub const fn succeeded(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// A call failed in a way that is the deployment's fault.
    pub fn failed(&mut self, now: Timestamp) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.rules.failures.max(1) => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } => State::Open { until: now.after(self.rules.rest.0), rest: self.rules.rest.0 },
            State::Probing { rest, .. } => {
                let rest = (rest * 2).min(self.rules.most.0);
                State::Open { until: now.after(rest), rest }
            }
            // A call that went before it opened; the rest stays as it is.
            open @ State::Open { .. } => open,
        };
    }

    /// A call ended and says nothing about the deployment: it was cancelled, or the request was wrong.
    pub fn undecided(&mut self, now: Timestamp) {
        if let State::Probing { rest, .. } = self.state {
            // The next call may probe at once.
            self.state = State::Open { until: now, rest };
        }
    }

    /// For people.
    pub const fn state(&self) -> BreakerState {
        match self.state {
            State::Closed { .. } => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::Probing { .. } => BreakerState::Probing,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tidemill_dag::time::Span;

    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerSection { failures: 3, rest: Span::seconds(10), most: Span::seconds(30) })
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn it_opens_rests_probes_and_closes() {
        let mut breaker = breaker();
        for _ in 0..2 {
            breaker.failed(at(0));
            assert_eq!(breaker.ask(at(0)), Permission::Go);
        }
        breaker.succeeded();
        for _ in 0..3 {
            assert_eq!(breaker.ask(at(1)), Permission::Go);
            breaker.failed(at(1));
        }
        assert_eq!(breaker.ask(at(1)), Permission::Wait(Duration::from_secs(10)));
        assert_eq!(breaker.ask(at(10)), Permission::Wait(Duration::from_secs(1)));
        assert_eq!(breaker.ask(at(11)), Permission::Go, "the probe");
        assert_eq!(breaker.ask(at(11)), Permission::Wait(Duration::from_secs(10)), "one probe at a time");
        breaker.failed(at(12));
        assert_eq!(breaker.would(at(12)), Permission::Wait(Duration::from_secs(20)));
        assert_eq!(breaker.ask(at(32)), Permission::Go);
        breaker.failed(at(32));
        assert_eq!(breaker.ask(at(32)), Permission::Wait(Duration::from_secs(30)), "the longest rest");
        assert_eq!(breaker.ask(at(62)), Permission::Go);
        breaker.succeeded();
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn a_probe_that_never_comes_back_blocks_nobody_for_ever() {
        let mut breaker = breaker();
        (0..3).for_each(|_| breaker.failed(at(0)));
        assert_eq!(breaker.ask(at(10)), Permission::Go);
        assert_eq!(breaker.ask(at(19)), Permission::Wait(Duration::from_secs(1)));
        assert_eq!(breaker.ask(at(20)), Permission::Go);
        breaker.undecided(at(20));
        assert_eq!(breaker.ask(at(20)), Permission::Go);
    }

    proptest! {
        /// Whatever happens: it never keeps calls away for longer than the longest rest.
        #[test]
        fn it_never_rests_longer_than_allowed(steps in prop::collection::vec((0_i64..40, 0_u8..4), 0..200)) {
            let (mut breaker, mut now) = (breaker(), 0);
            for (wait, what) in steps {
                now += wait;
                match what {
                    0 => breaker.succeeded(),
                    1 => breaker.failed(at(now)),
                    2 => breaker.undecided(at(now)),
                    _ => drop(breaker.ask(at(now))),
                }
                if let Permission::Wait(rest) = breaker.would(at(now)) {
                    prop_assert!(rest <= Duration::from_secs(30));
                }
            }
        }
    }
}
