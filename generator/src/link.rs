//! Links spans of tokens to what the catalog knows: tables, columns and values seen.

use std::collections::HashMap;

use crate::{
    catalog::{Catalog, ColumnId, TableId},
    joins::{Link, links},
    lexicon::{is_keyword, number_word},
    tokens::{Shape, Token, tokenise},
    words::{column_phrases, parts, stem, stems, table_phrases},
};

/// How a phrase of words stands for a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The whole name.
    Whole,
    /// The name behind that of its table: "plane year".
    Owned,
    /// Only the last part of the name: "delay".
    Tail,
}

#[derive(Debug)]
struct Phrase<T> {
    words: Vec<String>,
    what: T,
}

/// A value seen in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) column: ColumnId,
    pub(crate) value: String,
}

/// Columns that a span of tokens may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) len: usize,
    pub(crate) columns: Vec<ColumnId>,
    /// Only the last part of the name was said.
    pub(crate) tail: bool,
}

/// Values that a span of tokens may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Values {
    pub(crate) len: usize,
    pub(crate) seen: Vec<Seen>,
    /// The words are the whole value, not its beginning.
    pub(crate) whole: bool,
}

/// The words of one catalog.
#[derive(Debug)]
pub(crate) struct Lexis<'a> {
    pub(crate) catalog: &'a Catalog,
    pub(crate) links: Vec<Link>,
    tables: HashMap<String, Vec<Phrase<TableId>>>,
    columns: HashMap<String, Vec<Phrase<(ColumnId, Rank)>>>,
    values: HashMap<String, Vec<Phrase<Seen>>>,
}

impl<'a> Lexis<'a> {
    pub(crate) fn new(catalog: &'a Catalog) -> Self {
        let mut lexis = Self {
            catalog,
            links: links(catalog),
            tables: HashMap::new(),
            columns: HashMap::new(),
            values: HashMap::new(),
        };
        for table in catalog.table_ids() {
            lexis.add_table(table);
        }
        lexis
    }

    fn add_table(&mut self, table: TableId) {
        let own = table_phrases(&self.catalog.table(table).name);
        for words in own.iter().filter(|w| !w.is_empty()).cloned() {
            self.tables.entry(words[0].clone()).or_default().push(Phrase { words, what: table });
        }
        for column in self.catalog.columns(table) {
            self.add_column(column, &own);
            self.add_values(column);
        }
    }

    fn add_column(&mut self, column: ColumnId, owner: &[Vec<String>]) {
        let name = &self.catalog.column(column).name;
        let own_name = parts(name);
        let mut add = |words: Vec<String>, rank: Rank| {
            if let Some(first) = words.first().cloned() {
                let phrases = self.columns.entry(first).or_default();
                if !phrases.iter().any(|p| p.words == words && p.what == (column, rank)) {
                    phrases.push(Phrase { words, what: (column, rank) });
                }
            }
        };
        // As one identifier, exactly as it is spelled.
        add(vec![stem(&name.to_lowercase())], Rank::Whole);
        if let [_, .., last] = own_name.as_slice()
            && last.len() > 2
        {
            for words in column_phrases(last) {
                add(words.iter().map(|w| stem(w)).collect(), Rank::Tail);
            }
        }
        for words in column_phrases(name) {
            let words: Vec<String> = words.iter().map(|w| stem(w)).collect();
            if owner.contains(&words) && own_name.len() == 1 {
                // `flights.flight`: the word alone is the row, with "number" it is the column.
                add([words.clone(), stems("number")].concat(), Rank::Whole);
                add(words, Rank::Tail);
                continue;
            }
            if owner.contains(&words) {
                // `orders.order_date`: "order" alone is the row.
                continue;
            }
            for owner in owner {
                if !words.starts_with(owner) {
                    add([owner.clone(), words.clone()].concat(), Rank::Owned);
                } else if words.len() > owner.len() && own_name.last().is_none_or(|l| l != "id") {
                    add(words[owner.len()..].to_vec(), Rank::Tail);
                }
            }
            add(words, Rank::Whole);
        }
    }

    fn add_values(&mut self, column: ColumnId) {
        for value in &self.catalog.column(column).values {
            let words: Vec<String> = tokenise(value).into_iter().map(|t| t.lower).collect();
            let numeric = value.parse::<f64>().is_ok();
            if let Some(first) = words.first().filter(|_| !numeric) {
                let seen = Seen { column, value: value.clone() };
                self.values.entry(first.clone()).or_default().push(Phrase { words, what: seen });
            }
        }
    }

    /// The table that the longest run of tokens here names.
    pub(crate) fn table_at(&self, tokens: &[Token], at: usize) -> Option<(usize, Vec<TableId>)> {
        let token = tokens.get(at).filter(|t| t.is_word())?;
        if let Some((connection, name)) = token.text.split_once('.') {
            let is =
                |t: &TableId| self.catalog.table(*t).connection == connection && self.catalog.table(*t).name == name;
            return self.catalog.table_ids().find(is).map(|t| (1, vec![t]));
        }
        let spelled: Vec<TableId> = self
            .catalog
            .table_ids()
            .filter(|t| self.catalog.table(*t).name.eq_ignore_ascii_case(&token.text))
            .collect();
        let hits = self.tables.get(&token.stem).into_iter().flatten().filter(|p| starts(tokens, at, &p.words));
        let longest = hits.clone().map(|p| p.words.len()).max();
        match longest {
            Some(len) => {
                let mut tables: Vec<TableId> = hits.filter(|p| p.words.len() == len).map(|p| p.what).collect();
                tables.dedup();
                Some((len, tables))
            }
            None if !spelled.is_empty() => Some((1, spelled)),
            None => None,
        }
    }

    /// The columns that the longest run of tokens here names.
    pub(crate) fn columns_at(&self, tokens: &[Token], at: usize) -> Option<Named> {
        let token = tokens.get(at)?;
        if let Some(dotted) = self.dotted(token) {
            return Some(Named { len: 1, columns: vec![dotted], tail: false });
        }
        if token.shape == Shape::Quoted {
            let is = |c: &ColumnId| self.catalog.column(*c).name.eq_ignore_ascii_case(&token.text);
            let columns: Vec<ColumnId> =
                self.catalog.table_ids().flat_map(|t| self.catalog.columns(t)).filter(is).collect();
            return (!columns.is_empty()).then_some(Named { len: 1, columns, tail: false });
        }
        let hits: Vec<&Phrase<(ColumnId, Rank)>> =
            self.columns.get(&token.stem)?.iter().filter(|p| starts(tokens, at, &p.words)).collect();
        let len = hits.iter().map(|p| p.words.len()).max()?;
        let rank = hits.iter().filter(|p| p.words.len() == len).map(|p| p.what.1).min()?;
        let mut columns: Vec<ColumnId> =
            hits.iter().filter(|p| p.words.len() == len && p.what.1 == rank).map(|p| p.what.0).collect();
        columns.sort_unstable();
        columns.dedup();
        // `engine` and `engines` differ by the letter only that is written.
        let spelled: Vec<ColumnId> = columns
            .iter()
            .filter(|c| len == 1 && self.catalog.column(**c).name.eq_ignore_ascii_case(&token.text))
            .copied()
            .collect();
        if !spelled.is_empty() {
            columns = spelled;
        }
        Some(Named { len, columns, tail: rank == Rank::Tail })
    }

    fn dotted(&self, token: &Token) -> Option<ColumnId> {
        let (table, column) = token.text.rsplit_once('.')?;
        let table = table.rsplit('.').next()?;
        let table = self.catalog.table_ids().find(|t| self.catalog.table(*t).name.eq_ignore_ascii_case(table))?;
        self.catalog.find(table, column)
    }

    /// The values that the longest run of tokens here is, or begins.
    pub(crate) fn values_at(&self, tokens: &[Token], at: usize) -> Option<Values> {
        let token = tokens.get(at)?;
        if token.shape == Shape::Quoted {
            let seen = self.spelled(&token.text);
            return (!seen.is_empty()).then_some(Values { len: 1, seen, whole: true });
        }
        let hits = self.values.get(&token.lower)?;
        let whole: Vec<&Phrase<Seen>> =
            hits.iter().filter(|p| same(tokens, at, &p.words) && self.plain(token, p)).collect();
        if let Some(len) = whole.iter().map(|p| p.words.len()).max() {
            let seen = whole.into_iter().filter(|p| p.words.len() == len).map(|p| p.what.clone()).collect();
            return Some(Values { len, seen, whole: true });
        }
        self.begun(tokens, at, hits)
    }

    /// A short value, or one that is a word of the grammar, is only seen when it is written the same.
    fn plain(&self, token: &Token, phrase: &Phrase<Seen>) -> bool {
        let exact = token.text == phrase.what.value;
        let short = phrase.words.len() == 1 && token.lower.chars().count() <= 2;
        let taken = phrase.words.len() == 1 && (is_keyword(&token.lower) || number_word(&token.lower).is_some());
        if short || taken { exact && token.text.chars().count() > 1 && token.text != token.lower } else { true }
    }

    fn begun(&self, tokens: &[Token], at: usize, hits: &[Phrase<Seen>]) -> Option<Values> {
        let token = &tokens[at];
        let capital = token.text.starts_with(char::is_uppercase);
        if !capital || token.text.len() < 3 || is_keyword(&token.lower) {
            return None;
        }
        let shared = |p: &Phrase<Seen>| p.words.iter().zip(&tokens[at..]).take_while(|(w, t)| **w == t.lower).count();
        // In a long list a beginning says too little: "Boston" begins a railway station among the airports.
        let short = |p: &&Phrase<Seen>| self.catalog.column(p.what.column).values.len() <= 60;
        let hits: Vec<&Phrase<Seen>> = hits.iter().filter(short).collect();
        let len = hits.iter().copied().map(shared).max().filter(|n| *n > 0)?;
        let seen = hits.into_iter().filter(|p| shared(p) == len).map(|p| p.what.clone()).collect();
        Some(Values { len, seen, whole: false })
    }

    fn spelled(&self, text: &str) -> Vec<Seen> {
        let all = self.values.values().flatten().map(|p| &p.what);
        let exact: Vec<Seen> = all.clone().filter(|s| s.value == text).cloned().collect();
        if exact.is_empty() { all.filter(|s| s.value.eq_ignore_ascii_case(text)).cloned().collect() } else { exact }
    }

    /// Values that go on where these words end, for "did you mean".
    pub(crate) fn longer(&self, seen: &Seen) -> Vec<String> {
        let lower = seen.value.to_lowercase();
        let goes_on = |v: &&String| v.to_lowercase().strip_prefix(&lower).is_some_and(|rest| rest.starts_with(' '));
        self.catalog.column(seen.column).values.iter().filter(goes_on).cloned().collect()
    }

    /// Every single word that means something here, for suggestions.
    pub(crate) fn vocabulary(&self) -> Vec<String> {
        let tables = self.catalog.tables.iter().map(|t| t.name.clone());
        let columns = self.catalog.tables.iter().flat_map(|t| t.columns.iter().map(|c| c.name.clone()));
        let said = self.columns.keys().chain(self.tables.keys()).cloned();
        let values = self.values.values().flatten().filter(|p| p.words.len() == 1).map(|p| p.what.value.clone());
        let mut words: Vec<String> = tables.chain(columns).chain(said).chain(values).collect();
        words.sort();
        words.dedup();
        words
    }
}

fn starts(tokens: &[Token], at: usize, words: &[String]) -> bool {
    tokens.len() >= at + words.len()
        && words.iter().zip(&tokens[at..]).all(|(w, t)| *w == t.stem && t.shape != Shape::Quoted)
}

fn same(tokens: &[Token], at: usize, words: &[String]) -> bool {
    tokens.len() >= at + words.len() && words.iter().zip(&tokens[at..]).all(|(w, t)| *w == t.lower)
}
