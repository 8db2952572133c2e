//! From what was said to one query: the table whose rows are meant is chosen so that everything said can
//! be reached from it without multiplying rows. What stays open with two readings is refused with both.

mod build;
mod calendar;
mod columns;
mod conditions;
mod draft;
mod groups;
mod measures;
mod ranking;
mod rows;
mod shape;

pub(crate) use build::{Built, build, explained};
pub(crate) use conditions::op_sql;
pub(crate) use draft::{Draft, expr_columns};

use crate::{
    answer::Problem,
    catalog::{Catalog, TableId},
    link::Lexis,
    query::{Query, Scope},
    read::Reader,
    request::At,
};

/// A resolution against one base table.
#[derive(Debug)]
pub(crate) struct Resolver<'a> {
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) lexis: &'a Lexis<'a>,
    pub(crate) query: Query,
    pub(crate) assumptions: Vec<String>,
    pub(crate) meanings: Vec<(At, String)>,
    pub(crate) now: Option<String>,
    /// Keys of the groups, by their SQL: attached columns must depend on one.
    pub(crate) keys: Vec<columns::Col>,
}

pub(crate) type Resolved<T> = Result<T, Problem>;

impl<'a> Resolver<'a> {
    pub(crate) fn new(reader: &'a Reader<'a>, base: TableId, now: Option<String>) -> Self {
        let query = Query::new(base);
        Self {
            reader,
            lexis: reader.lexis,
            query,
            assumptions: Vec::new(),
            meanings: Vec::new(),
            now,
            keys: Vec::new(),
        }
    }

    pub(crate) fn catalog(&self) -> &'a Catalog {
        self.lexis.catalog
    }

    pub(crate) fn base(&self) -> TableId {
        self.query.scope.base
    }

    pub(crate) fn scope(&mut self) -> &mut Scope {
        &mut self.query.scope
    }

    pub(crate) fn words(&self, at: &At) -> String {
        self.reader.words(at)
    }

    pub(crate) fn assume(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.assumptions.contains(&text) {
            self.assumptions.push(text);
        }
    }

    pub(crate) fn mean(&mut self, at: &At, text: impl Into<String>) {
        self.meanings.push((at.clone(), text.into()));
    }
}
