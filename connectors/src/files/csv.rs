//! CSV, pure: where fields begin and end in a piece of text, and typed columns from them. Works column by column
//! over an index of field ends, so that no field becomes a value of its own before it is parsed.

use std::{borrow::Cow, sync::Arc};

use arrow::{
    array::{ArrayRef, RecordBatch, RecordBatchOptions},
    datatypes::{DataType, Field, SchemaRef},
};
use memchr::{memchr, memchr2, memmem};

use super::{
    cells::{self, Cells},
    fault::{Fault, Wrong},
    nested::Nested,
};

/// How a CSV file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields.
    pub delimiter: u8,
    /// Around fields, doubled inside them.
    pub quote: Option<u8>,
    /// Texts without quotes that mean "no value", beside the empty one.
    pub nulls: Vec<String>,
}

/// Where the fields of a piece of text end.
#[derive(Debug)]
pub struct Index<'a> {
    text: &'a str,
    dialect: &'a Dialect,
    columns: usize,
    /// Where each row begins.
    starts: Vec<u32>,
    /// Where each field ends, row by row.
    ends: Vec<u32>,
}

/// One cell, as far as the type is not needed.
pub enum Cell<'a> {
    /// No value.
    Null,
    /// A text as it stands in the file.
    Text(&'a str),
    /// A text that stands there with doubled quotes.
    Escaped(String),
}

/// One column of an [`Index`].
#[derive(Debug)]
pub struct RawColumn<'a> {
    index: &'a Index<'a>,
    column: usize,
}

impl RawColumn<'_> {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.index.starts.len()
    }

    /// The cell in a row. In a column that `takes_any_text` a quoted field is always text, even if it is empty;
    /// in others quotes mean nothing.
    #[inline]
    pub fn cell(&self, row: usize, takes_any_text: bool) -> Cell<'_> {
        let raw = self.index.raw(row, self.column);
        if raw.is_empty() {
            return Cell::Null;
        }
        let dialect = self.index.dialect;
        if dialect.quote == Some(raw.as_bytes()[0]) {
            return match unquote(raw) {
                Cow::Borrowed(text) if !takes_any_text && dialect.means_null(text) => Cell::Null,
                Cow::Borrowed(text) => Cell::Text(text),
                Cow::Owned(text) => Cell::Escaped(text),
            };
        }
        if dialect.nulls.iter().any(|null| null == raw) { Cell::Null } else { Cell::Text(raw) }
    }
}

impl Dialect {
    fn means_null(&self, text: &str) -> bool {
        text.is_empty() || self.nulls.iter().any(|null| null == text)
    }
}

/// The text of a field that starts and ends with a quote.
fn unquote(raw: &str) -> Cow<'_, str> {
    let inner = &raw[1..raw.len() - 1];
    let quote = &raw[..1];
    if memchr(quote.as_bytes()[0], inner.as_bytes()).is_none() {
        return Cow::Borrowed(inner);
    }
    Cow::Owned(inner.replace(&quote.repeat(2), quote))
}

impl<'a> Index<'a> {
    /// Finds all fields. `text` holds whole rows and ends with a line end.
    pub fn new(text: &'a str, columns: usize, dialect: &'a Dialect) -> Result<Self, Fault> {
        let guess = text.len() / 6;
        let mut index = Self {
            text,
            dialect,
            columns,
            starts: Vec::with_capacity(guess / columns.max(1)),
            ends: Vec::with_capacity(guess),
        };
        match dialect.quote {
            Some(quote) if memchr(quote, text.as_bytes()).is_some() => index.quoted(quote)?,
            _ => index.plain()?,
        }
        Ok(index)
    }

    /// The first row's fields, and where the next row begins; for headers.
    pub fn first_row(text: &str, dialect: &Dialect) -> Result<(Vec<String>, usize), Fault> {
        let mut fields = Vec::new();
        let mut at = 0;
        loop {
            let end = field_end(text.as_bytes(), at, dialect)?;
            let raw = strip_cr(&text[at..end]);
            let quoted = dialect.quote.is_some() && raw.as_bytes().first().copied() == dialect.quote;
            fields.push(if quoted { unquote(raw).into_owned() } else { raw.to_owned() });
            at = end + 1;
            if text.as_bytes()[end] == b'\n' {
                return Ok((fields, at));
            }
        }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.starts.len()
    }

    /// One column.
    pub fn column(&self, column: usize) -> RawColumn<'_> {
        RawColumn { index: self, column }
    }

    /// Where a row begins.
    pub fn row_start(&self, row: usize) -> usize {
        self.starts[row] as usize
    }

    #[inline]
    fn bounds(&self, row: usize, column: usize) -> (usize, usize) {
        let first = row * self.columns;
        let start = if column == 0 { self.starts[row] } else { self.ends[first + column - 1] + 1 };
        (start as usize, self.ends[first + column] as usize)
    }

    #[inline]
    fn raw(&self, row: usize, column: usize) -> &'a str {
        let (start, end) = self.bounds(row, column);
        &self.text[start..end]
    }

    /// No quotes anywhere: every delimiter and line end counts. Looks at eight bytes at a time.
    fn plain(&mut self) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let delimiter = self.dialect.delimiter;
        let mut row = RowState::default();
        let words = bytes.chunks_exact(8);
        let tail = words.remainder();
        let (delimiters, line_ends) = (every(delimiter), every(b'\n'));
        for (nth, word) in words.enumerate() {
            let word = u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
            let mut hits = zero_bytes(word ^ delimiters) | zero_bytes(word ^ line_ends);
            while hits != 0 {
                let at = nth * 8 + (hits.trailing_zeros() / 8) as usize;
                self.mark(&mut row, at, bytes[at] == b'\n')?;
                hits &= hits - 1;
            }
        }
        let from = bytes.len() - tail.len();
        for (offset, &byte) in tail.iter().enumerate() {
            if byte == delimiter || byte == b'\n' {
                self.mark(&mut row, from + offset, byte == b'\n')?;
            }
        }
        Ok(())
    }

    fn quoted(&mut self, quote: u8) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let mut row = RowState::default();
        let mut at = 0;
        while at < bytes.len() {
            let end = if bytes[at] == quote {
                field_end(bytes, at, self.dialect)?
            } else {
                at + memchr2(self.dialect.delimiter, b'\n', &bytes[at..]).unwrap_or(bytes.len() - 1 - at)
            };
            self.mark(&mut row, end, bytes[end] == b'\n')?;
            at = end + 1;
        }
        Ok(())
    }

    /// A field ends at `at`, and with `last` its row too.
    #[inline]
    fn mark(&mut self, row: &mut RowState, at: usize, last: bool) -> Result<(), Fault> {
        row.fields += 1;
        if !last && row.fields < self.columns {
            self.ends.push(at as u32);
            return Ok(());
        }
        self.end_row(row, at, last)
    }

    fn end_row(&mut self, row: &mut RowState, at: usize, last: bool) -> Result<(), Fault> {
        let bytes = self.text.as_bytes();
        let end = if last && at > row.start && bytes[at - 1] == b'\r' { at - 1 } else { at };
        let blank = last && end == row.start && row.fields == 1;
        if blank && self.columns > 1 {
            *row = RowState { start: at + 1, fields: 0 };
            return Ok(());
        }
        if row.fields != self.columns || !last {
            let rest = Self::first_row(&self.text[row.start..], self.dialect);
            let found = rest.map_or(row.fields, |(fields, _)| fields.len());
            return Err(Fault { at: row.start, what: Wrong::Fields { found, expected: self.columns } });
        }
        self.starts.push(row.start as u32);
        self.ends.push(end as u32);
        *row = RowState { start: at + 1, fields: 0 };
        Ok(())
    }
}

#[derive(Default)]
struct RowState {
    start: usize,
    fields: usize,
}

const fn every(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of every byte that is zero; exact, no byte is reported because of its neighbour.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    !(((word & LOW) + LOW) | word | LOW)
}

fn strip_cr(raw: &str) -> &str {
    raw.strip_suffix('\r').unwrap_or(raw)
}

/// Where the field that begins at `at` ends: at a delimiter or line end outside quotes.
fn field_end(bytes: &[u8], at: usize, dialect: &Dialect) -> Result<usize, Fault> {
    let syntax = |at, what: &str| Fault::syntax(at, what);
    let mut from = at;
    if let Some(quote) = dialect.quote.filter(|quote| bytes.get(at) == Some(quote)) {
        from = at + 1;
        loop {
            let close =
                memchr(quote, &bytes[from..]).ok_or_else(|| syntax(at, "the quote that opens here is never closed"))?;
            from += close + 1;
            if bytes.get(from) != Some(&quote) {
                break;
            }
            from += 1;
        }
        let next = match bytes.get(from..) {
            Some([b'\r', b'\n', ..]) => from + 1,
            _ => from,
        };
        let ends = bytes.get(next).is_none_or(|&byte| byte == dialect.delimiter || byte == b'\n');
        return if ends { Ok(next) } else { Err(syntax(from, "there is text after a closing quote")) };
    }
    memchr2(dialect.delimiter, b'\n', &bytes[from..])
        .map(|end| from + end)
        .ok_or_else(|| syntax(at, "the last line has no end"))
}

/// Typed columns of one table from pieces of its files.
#[derive(Debug)]
pub struct Parser {
    schema: SchemaRef,
    positions: Vec<usize>,
    columns: usize,
}

enum Builder {
    Flat(Box<dyn Cells>),
    Nested(Nested),
}

impl Builder {
    fn new(data_type: &DataType, rows: usize) -> Option<Self> {
        match data_type {
            DataType::List(_) | DataType::Struct(_) | DataType::Map(..) => Nested::new(data_type).map(Self::Nested),
            flat => cells::cells(flat, rows).map(Self::Flat),
        }
    }
}

impl Parser {
    /// For files of `columns` columns of which those at `positions` are wanted, with the types of `schema`.
    pub fn new(schema: SchemaRef, positions: Vec<usize>, columns: usize) -> Option<Self> {
        let readable = schema.fields().iter().all(|field| Builder::new(field.data_type(), 0).is_some());
        readable.then_some(Self { schema, positions, columns })
    }

    /// The rows of a piece of text.
    pub fn parse(&self, text: &str, dialect: &Dialect) -> Result<RecordBatch, Fault> {
        let index = Index::new(text, self.columns, dialect)?;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.positions.len());
        for (&column, field) in self.positions.iter().zip(self.schema.fields()) {
            let raw = index.column(column);
            let filled = match Builder::new(field.data_type(), index.rows()) {
                Some(Builder::Flat(mut cells)) => cells.fill(&raw).map(|()| cells.finish()),
                Some(Builder::Nested(mut nested)) => fill_nested(&mut nested, &raw),
                None => Err(0),
            };
            arrays.push(filled.map_err(|row| value_fault(&index, row, column, field))?);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(index.rows()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        batch.map_err(|error| Fault::syntax(0, error.to_string()))
    }
}

fn fill_nested(nested: &mut Nested, raw: &RawColumn<'_>) -> Result<ArrayRef, usize> {
    for row in 0..raw.rows() {
        let fits = match raw.cell(row, false) {
            Cell::Null => {
                nested.null();
                true
            }
            Cell::Text(text) => nested.json(text).is_ok(),
            Cell::Escaped(text) => nested.json(&text).is_ok(),
        };
        if !fits {
            return Err(row);
        }
    }
    Ok(nested.finish())
}

fn value_fault(index: &Index<'_>, row: usize, column: usize, field: &Field) -> Fault {
    let text = match index.column(column).cell(row, true) {
        Cell::Null => String::new(),
        Cell::Text(text) => text.to_owned(),
        Cell::Escaped(text) => text,
    };
    let expected = cells::expectation(field.data_type());
    Fault { at: index.bounds(row, column).0, what: Wrong::Value { column: field.name().clone(), text, expected } }
}

/// Finds where whole rows end in text that arrives in blocks, without looking at single fields.
#[derive(Debug)]
pub struct Splitter {
    quote: Option<u8>,
    delimiter: u8,
    /// Everything before was looked at.
    at: usize,
    /// Where the quote opened that is still open.
    open: Option<usize>,
    /// After the last line end outside quotes.
    boundary: usize,
}

impl Splitter {
    /// For CSV.
    pub fn csv(dialect: &Dialect) -> Self {
        Self { quote: dialect.quote, delimiter: dialect.delimiter, at: 0, open: None, boundary: 0 }
    }

    /// For texts in which every line end counts.
    pub fn lines() -> Self {
        Self { quote: None, delimiter: b'\n', at: 0, open: None, boundary: 0 }
    }

    /// Looks at what came behind the bytes it has seen; `bytes` begins where the last cut was made.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(quote) = self.quote else {
            if let Some(end) = memchr::memrchr(b'\n', &bytes[self.at..]) {
                self.boundary = self.at + end + 1;
            }
            self.at = bytes.len();
            return;
        };
        while self.at < bytes.len() {
            let next = memchr(quote, &bytes[self.at..]).map(|offset| self.at + offset);
            if self.open.is_some() {
                let Some(close) = next else {
                    self.at = bytes.len();
                    return;
                };
                match bytes.get(close + 1) {
                    // It takes the next block to see whether this quote is doubled.
                    None => {
                        self.at = close;
                        return;
                    }
                    Some(&after) if after == quote => self.at = close + 2,
                    Some(_) => {
                        self.open = None;
                        self.at = close + 1;
                    }
                }
                continue;
            }
            let end = next.unwrap_or(bytes.len());
            if let Some(line_end) = memchr::memrchr(b'\n', &bytes[self.at..end]) {
                self.boundary = self.at + line_end + 1;
            }
            self.at = end + usize::from(next.is_some());
            let opens = next.is_some_and(|at| at == 0 || bytes[at - 1] == self.delimiter || bytes[at - 1] == b'\n');
            self.open = next.filter(|_| opens);
        }
    }

    /// Takes the whole rows: how many bytes they are. The rest is the beginning of what is fed next.
    pub fn cut(&mut self) -> usize {
        let cut = std::mem::take(&mut self.boundary);
        self.at -= cut;
        self.open = self.open.map(|at| at - cut);
        cut
    }

    /// Where a quote opened that is not closed yet.
    pub fn open_quote(&self) -> Option<usize> {
        self.open
    }
}

/// Whether a text looks like UTF-16 that was not declared: about every second byte is zero.
pub fn looks_like_utf16(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && memmem::find_iter(bytes, b"\0").count() * 3 > bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect() -> Dialect {
        Dialect { delimiter: b',', quote: Some(b'"'), nulls: Vec::new() }
    }

    fn cells(text: &str, columns: usize) -> Result<Vec<Vec<Option<String>>>, Fault> {
        let dialect = dialect();
        let index = Index::new(text, columns, &dialect)?;
        let cell = |row, column| match index.column(column).cell(row, true) {
            Cell::Null => None,
            Cell::Text(text) => Some(text.to_owned()),
            Cell::Escaped(text) => Some(text),
        };
        Ok((0..index.rows()).map(|row| (0..columns).map(|column| cell(row, column)).collect()).collect())
    }

    const AWKWARD: &str = "a,\"b\"\"\n,\"\r\n\r\n\"\"\",\",x\r\n,\n5\" wide,\"\"\n\"\"\"\",\"\n\"\nlonger than eight bytes,and more than that\n";

    #[test]
    fn both_ways_of_indexing_agree() {
        let plain = "a,b\nlonger than eight,\r\n\n,x\n";
        let with_quotes = "\"a\",b\nlonger than eight,\r\n\n,x\n";
        assert_eq!(cells(plain, 2), cells(with_quotes, 2));
        assert_eq!(cells(plain, 2).map(|rows| rows.len()), Ok(3));
    }

    #[test]
    fn quotes_delimiters_and_line_ends_inside_fields() {
        let rows = cells(AWKWARD, 2).expect("rows");
        let expected = [
            [Some("a"), Some("b\"\n,")],
            [Some("\","), Some("x")],
            [None, None],
            [Some("5\" wide"), Some("")],
            [Some("\""), Some("\n")],
            [Some("longer than eight bytes"), Some("and more than that")],
        ];
        assert_eq!(rows, expected.map(|row| row.map(|cell| cell.map(str::to_owned)).to_vec()));
    }

    #[test]
    fn wherever_blocks_end_the_rows_are_the_same() {
        let whole = cells(AWKWARD, 2).expect("rows");
        let bytes = AWKWARD.as_bytes();
        for size in 1..bytes.len() {
            let dialect = dialect();
            let (mut splitter, mut carry, mut rows) = (Splitter::csv(&dialect), Vec::new(), Vec::new());
            for block in bytes.chunks(size) {
                carry.extend_from_slice(block);
                splitter.feed(&carry);
                let rest = carry.split_off(splitter.cut());
                let piece = std::mem::replace(&mut carry, rest);
                rows.extend(cells(std::str::from_utf8(&piece).expect("text"), 2).expect("rows"));
            }
            assert!(carry.is_empty() && splitter.open_quote().is_none(), "blocks of {size}");
            assert_eq!(rows, whole, "blocks of {size}");
        }
    }

    #[test]
    fn ragged_rows_say_where_they_begin() {
        for (text, at, found) in [("1,2\n3\n", 4, 1), ("1,2\n\"x\n\",2,3\n", 4, 3), ("1,2,3,4,5,6,7\n", 0, 7)] {
            assert_eq!(cells(text, 2), Err(Fault { at, what: Wrong::Fields { found, expected: 2 } }), "{text}");
        }
    }

    #[test]
    fn every_byte_next_to_every_other_is_found_exactly() {
        for other in 0..=u8::MAX {
            let word = u64::from_le_bytes([b',', other, b',', other, other, b'\n', other, b',']);
            let found = zero_bytes(word ^ every(b',')).count_ones();
            assert_eq!(found, if other == b',' { 7 } else { 3 }, "{other}");
        }
    }
}
