use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::time::Span;
use tidemill_store::Retention;

/// How long things are kept. `null` means for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSection {
    /// Data sets between tasks, from the end of their run. A run whose data sets are gone cannot be resumed.
    pub datasets: Option<Span>,
    /// What tasks print, from when it was printed.
    pub logs: Option<Span>,
    /// The history of runs, from their end.
    pub events: Option<Span>,
    /// How long data sets that are to be removed stay where they are, for whoever reads them at that moment.
    pub grace: Span,
    /// How often to look. One process of all looks.
    pub every: Span,
}

impl Default for RetentionSection {
    fn default() -> Self {
        let days = |n: u64| Span::seconds(n * 24 * 3_600);
        Self {
            datasets: Some(days(30)),
            logs: Some(days(30)),
            events: Some(days(365)),
            grace: Span::seconds(3_600),
            every: Span::seconds(3_600),
        }
    }
}

impl RetentionSection {
    /// As the store wants it.
    pub fn lengths(&self) -> Retention {
        let length = |span: Option<Span>| span.map(|span| span.0);
        Retention {
            datasets: length(self.datasets),
            logs: length(self.logs),
            events: length(self.events),
            grace: self.grace.0,
        }
    }

    /// What is wrong with the section as a whole, by key.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let minute = Duration::from_secs(60);
        let mut found = Vec::new();
        if self.grace.0 < minute {
            found.push(("retention.grace", "less than a minute would take data sets away from who is reading them"));
        }
        if self.every.0 < minute {
            found.push(("retention.every", "looking more often than once a minute helps nobody"));
        }
        found
    }
}
