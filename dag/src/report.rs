//! Findings with their places.

use crate::{
    diagnostic::{Diagnostic, Place, Severity},
    places::Places,
    template::TemplateError,
};

/// Owned text or borrowed.
pub(crate) trait Text: Into<String> {}
impl<T: Into<String>> Text for T {}

/// Collects what is wrong and knows where it stands.
pub(crate) struct Report {
    pub(crate) places: Places,
    pub(crate) findings: Vec<Diagnostic>,
}

impl Report {
    /// An error about the value at a path.
    pub(crate) fn error(&mut self, code: &'static str, path: impl Text, message: impl Text) -> &mut Diagnostic {
        let path = path.into();
        let place = self.places.of(&path);
        self.add(code, place, path, message.into())
    }

    /// An error about the key of the value at a path.
    pub(crate) fn error_at_key(&mut self, code: &'static str, path: impl Text, message: impl Text) -> &mut Diagnostic {
        let path = path.into();
        let place = self.places.key(&path);
        self.add(code, place, path, message.into())
    }

    /// So much is wrong that looking for similar names costs more than it helps.
    pub(crate) fn crowded(&self) -> bool {
        self.findings.len() > 100
    }

    /// An error inside the text `value` at a path.
    pub(crate) fn error_within(
        &mut self,
        code: &'static str,
        path: &str,
        value: &str,
        offset: usize,
        message: impl Text,
    ) -> &mut Diagnostic {
        let place = self.places.within(path, value, offset);
        self.add(code, place, path.to_owned(), message.into())
    }

    /// A template's error, in the text `value` at a path.
    pub(crate) fn template(&mut self, path: &str, value: &str, error: TemplateError) -> &mut Diagnostic {
        let finding = match error.offset {
            Some(offset) => self.error_within(error.code, path, value, offset, error.message),
            None => self.error(error.code, path, error.message),
        };
        if let Some(help) = error.help {
            finding.advise(help);
        }
        finding
    }

    /// Whether something at or below a path was found wrong already.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.findings.iter().any(|finding| {
            finding.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    fn add(&mut self, code: &'static str, place: Place, path: String, message: String) -> &mut Diagnostic {
        self.findings.push(Diagnostic::error(code, place, path, message));
        let last = self.findings.len() - 1;
        &mut self.findings[last]
    }

    /// Errors if there are any, else warnings; in the order of the text.
    pub(crate) fn sorted(mut self) -> (Vec<Diagnostic>, bool) {
        self.findings.sort_by(|a, b| (a.place, a.code, &a.path).cmp(&(b.place, b.code, &b.path)));
        self.findings.dedup();
        let failed = self.findings.iter().any(|finding| finding.severity == Severity::Error);
        (self.findings, failed)
    }
}
