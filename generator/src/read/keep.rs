//! One row of each: "the latest order per customer", "deduplicate by email, keep the latest".

use super::{Read, Reader};
use crate::request::{Clause, ColumnM, Noun};

impl Reader<'_> {
    /// "the latest order per customer", "deduplicate by email, keep the latest".
    pub(super) fn latest(&self, at: usize) -> Read<Clause> {
        let at = self.skip(
            at,
            &[
                "only",
                "keep",
                "keep only",
                "just",
                "keeping",
                "keep just",
                "show",
                "list",
                "find",
                "get",
                "take",
                "and keep",
            ],
        );
        self.latest_per(self.the(at)).or_else(|| self.deduplicate(at))
    }

    pub(super) fn latest_per(&self, at: usize) -> Read<Clause> {
        let (p, latest) = self.age(at)?;
        let (end, noun) = self.one_row(p)?;
        let (end, by) = self.by_column(end);
        let p = self.any(end, &["per", "for each", "of each", "for every", "of every", "by each", "by"])?;
        let (end, per) = self.list(p, |p| self.dim(p))?;
        let (end, by) = if by.is_none() { self.by_column(end) } else { (end, by) };
        Some((end, Clause::Latest { noun, per, latest, by }))
    }

    pub(super) fn one_row(&self, at: usize) -> Read<Option<Noun>> {
        match self.any(at, &["row", "rows", "record", "one", "entry", "version"]) {
            Some(end) => {
                let of = self
                    .any(end, &["of", "in", "from"])
                    .and_then(|p| self.rows(p))
                    .filter(|(_, _)| !matches!(self.lower(end + 1), "each" | "every"));
                Some(of.map_or((end, None), |(end, noun)| (end, Some(noun))))
            }
            None => self.rows(at).map(|(end, noun)| (end, Some(noun))),
        }
    }

    pub(super) fn by_column(&self, at: usize) -> (usize, Option<ColumnM>) {
        let found = self
            .any(at, &["by", "according to", "based on", "by latest", "using"])
            .and_then(|p| self.column(p))
            .filter(|(_, c)| {
                c.columns.iter().all(|c| {
                    let kind = self.lexis.catalog.column(*c).kind;
                    kind.is_time() || kind.is_number()
                })
            });
        found.map_or((at, None), |(end, column)| (end, Some(column)))
    }

    pub(super) fn deduplicate(&self, at: usize) -> Read<Clause> {
        let p = self.any(
            at,
            &[
                "deduplicate",
                "dedupe",
                "deduplicated",
                "deduped",
                "de duplicate",
                "remove duplicates",
                "remove duplicate rows",
                "drop duplicates",
                "without duplicates",
            ],
        )?;
        let noun = self.rows(p);
        let (p, noun) = noun.map_or((p, None), |(end, noun)| (end, Some(noun)));
        let p = self.any(p, &["by", "on", "per", "with the same", "for each"])?;
        let (end, per) = self.list(p, |p| self.dim(p))?;
        let p = self.any(
            end,
            &[
                ", keeping",
                "keeping",
                ", keep",
                "keep",
                "and keep",
                ", keeping only",
                ", keep only",
                "keeping only",
                "and keep only",
            ],
        )?;
        let (p, latest) = self.age(self.the(p))?;
        let end = self.skip(p, &["one", "row", "record", "version", "entry"]);
        let (end, by) = self.by_column(end);
        Some((end, Clause::Latest { noun, per, latest, by }))
    }
}
