//! Links of lists, sensors and messages, and what a pipeline says as a whole.

use std::collections::BTreeSet;

use super::{Here, Linker, Links, Why};
use crate::spec::{Approval, ForEach, Notify, Wait};

impl Linker<'_> {
    /// The tasks that the pipeline's outputs and hooks speak of.
    pub(crate) fn told(&mut self) -> BTreeSet<usize> {
        let pipeline = self.pipeline;
        let mut links = Links::default();
        for (name, value) in &pipeline.outputs {
            self.value(&format!("outputs.{name}"), value, &mut links);
        }
        for (word, hooks) in [("on_success", &pipeline.on_success), ("on_failure", &pipeline.on_failure)] {
            for (place, notify) in hooks.iter().enumerate() {
                self.notify(&format!("{word}[{place}]"), notify, &mut links);
            }
        }
        links.edges.into_keys().collect()
    }

    pub(super) fn notify(&mut self, path: &str, notify: &Notify, links: &mut Links) {
        self.text(&format!("{path}.url"), &notify.url, links);
        if let Some(message) = &notify.message {
            self.text(&format!("{path}.message"), message, links);
        }
        for (name, value) in &notify.headers {
            self.text(&format!("{path}.headers.{name}"), value, links);
        }
    }

    pub(super) fn approval(&mut self, path: &str, approval: &Approval, links: &mut Links) {
        self.text(&format!("{path}.message"), &approval.message, links);
        for (position, shown) in approval.shows.iter().enumerate() {
            if let Some(shown) = self.known_task(shown, &format!("{path}.shows[{position}]")) {
                links.edges.entry(shown).or_insert(Why::Template);
            }
        }
    }

    pub(super) fn wait(&mut self, here: Here<'_>, path: &str, wait: &Wait, links: &mut Links) {
        for (key, value) in [(".until", &wait.until), (".file", &wait.file)] {
            if let Some(value) = value {
                self.text(&format!("{path}{key}"), value, links);
            }
        }
        if let Some(query) = &wait.sql {
            self.query(here, &format!("{path}.sql"), query, links);
        }
        if let Some(http) = &wait.http {
            self.text(&format!("{path}.http.url"), &http.url, links);
            for (name, value) in &http.headers {
                self.text(&format!("{path}.http.headers.{name}"), value, links);
            }
            for (pointer, value) in &http.json {
                self.value(&format!("{path}.http.json.{pointer}"), value, links);
            }
        }
    }

    pub(super) fn for_each(&mut self, path: &str, for_each: &ForEach, links: &mut Links) {
        match for_each {
            ForEach::List(items) => {
                for (position, item) in items.iter().enumerate() {
                    self.value(&format!("{path}[{position}]"), item, links);
                }
            }
            ForEach::Template(text) => self.text(path, text, links),
            ForEach::Rows(of) => self.input(&of.rows, &format!("{path}.rows"), links),
        }
    }
}
