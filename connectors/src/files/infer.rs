//! Which type a column has, concluded from all of its values. What is not clear stays text: a wrong text is
//! easily given a type later, a wrong number has already lost something.

use std::{collections::BTreeMap, sync::Arc};

use arrow::datatypes::{DataType, Field, TimeUnit};
use indexmap::IndexMap;

use super::{
    csv::{Cell, RawColumn},
    fault::Fault,
    json::{Reader, Shape, each_line},
    value::{self, EXACT_FLOAT_DIGITS},
};
use crate::column_type;

/// Objects with more different keys than this are kept as texts.
const MAX_KEYS: usize = 2_000;
/// Deepest nesting that becomes lists and structs.
const MAX_DEPTH: usize = 16;
/// Words that many programs write for "no value". They are never taken for that by themselves, only reported.
const MISSING_WORDS: [&str; 10] = ["NA", "N/A", "n/a", "#N/A", "NULL", "null", "None", "none", "\\N", "-"];

/// What a single text looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Int,
    /// A whole number above 2^53 that still is an int64.
    WideInt,
    /// A whole number that is no int64.
    BigInt,
    Float,
    /// A decimal with more digits than a float keeps.
    LongDecimal,
    /// NaN or an infinity.
    NotFinite,
    Boolean,
    Date,
    Timestamp,
    ZonedTimestamp,
    /// A word that often means "no value".
    Missing,
    Text,
    /// A JSON list.
    List,
    /// A JSON object.
    Object,
}

/// Where a class was first seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    file: usize,
    line: u64,
    text: String,
}

/// What has been seen in a column so far. Guesses over parts of the rows can be put together in any order.
#[derive(Debug, Clone, Default)]
pub struct Guess {
    classes: BTreeMap<Class, First>,
    /// The same classes as bits, to be asked once per value.
    seen: u16,
    /// Where its key first stood: file, line, byte.
    first_at: Option<(usize, u64, usize)>,
    whole_digits: usize,
    fraction_digits: usize,
    exponent: bool,
    item: Option<Box<Guess>>,
    members: Option<IndexMap<String, Guess>>,
}

/// Where the piece of text that is looked at comes from.
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// The file's position in the table.
    pub file: usize,
    /// The line its first byte is in.
    pub line: u64,
    /// The text.
    pub text: &'a str,
}

impl Piece<'_> {
    /// The line of a byte.
    pub fn line_at(&self, at: usize) -> u64 {
        let before = &self.text.as_bytes()[..at.min(self.text.len())];
        self.line + memchr::memchr_iter(b'\n', before).count() as u64
    }
}

impl Guess {
    /// Looks at a CSV column.
    pub fn csv(&mut self, raw: &RawColumn<'_>, piece: Piece<'_>, offset: impl Fn(usize) -> usize) {
        for row in 0..raw.rows() {
            if self.has(Class::Text) {
                return;
            }
            let at = || piece.line_at(offset(row));
            match raw.cell(row, false) {
                Cell::Null => {}
                Cell::Text(text) => self.text(text, piece.file, at),
                Cell::Escaped(text) => self.text(&text, piece.file, at),
            }
        }
    }

    fn has(&self, class: Class) -> bool {
        self.seen & (1 << class as u16) != 0
    }

    fn text(&mut self, text: &str, file: usize, line: impl Fn() -> u64) {
        if let Some(digits) = short_int(text.as_bytes()) {
            self.whole_digits = self.whole_digits.max(digits);
            return self.see(Class::Int, text, file, line);
        }
        let class = classify(text);
        self.digits(class, text);
        self.see(class, text, file, line);
    }

    fn digits(&mut self, class: Class, text: &str) {
        if matches!(class, Class::BigInt | Class::LongDecimal | Class::Float | Class::WideInt | Class::Int) {
            match value::decimal_parts(text.as_bytes()) {
                Some(parts) => {
                    self.whole_digits = self.whole_digits.max(parts.whole_digits());
                    self.fraction_digits = self.fraction_digits.max(parts.fraction.len());
                }
                None => self.exponent = true,
            }
        }
    }

    fn see(&mut self, class: Class, text: &str, file: usize, line: impl Fn() -> u64) {
        if !self.has(class) {
            self.seen |= 1 << class as u16;
            self.classes.insert(class, First { file, line: line(), text: cut(text) });
        }
    }

    /// Looks at a JSON value.
    fn json(&mut self, reader: &mut Reader<'_>, piece: Piece<'_>, depth: usize) -> Result<(), Fault> {
        let shape = reader.shape()?;
        let at = reader.at();
        let line = || piece.line_at(at);
        match shape {
            Shape::Null => reader.bare().map(drop),
            Shape::Bare => {
                let text = reader.bare()?;
                self.text(text, piece.file, line);
                Ok(())
            }
            Shape::Text => {
                let text = reader.string()?;
                // JSON has types of its own for all but dates: a number in quotes is meant as text.
                let class = match classify(&text) {
                    class @ (Class::Date | Class::Timestamp | Class::ZonedTimestamp | Class::NotFinite) => class,
                    _ => Class::Text,
                };
                self.see(class, &text, piece.file, line);
                Ok(())
            }
            Shape::List | Shape::Object if depth >= MAX_DEPTH => {
                self.see(Class::Text, reader.raw()?, piece.file, line);
                Ok(())
            }
            Shape::List => {
                self.see(Class::List, "[…]", piece.file, line);
                let item = self.item.get_or_insert_default();
                reader.list(&mut |reader| item.json(reader, piece, depth + 1))
            }
            Shape::Object => {
                self.see(Class::Object, "{…}", piece.file, line);
                object(self.members.get_or_insert_default(), reader, piece, depth + 1)
            }
        }
    }

    /// Puts what was seen elsewhere beside what was seen here.
    pub fn merge(&mut self, other: Self) {
        self.seen |= other.seen;
        for (class, first) in other.classes {
            match self.classes.entry(class) {
                std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(first)),
                std::collections::btree_map::Entry::Occupied(mut entry) => {
                    if (first.file, first.line) < (entry.get().file, entry.get().line) {
                        entry.insert(first);
                    }
                }
            }
        }
        self.first_at = [self.first_at, other.first_at].into_iter().flatten().min();
        self.whole_digits = self.whole_digits.max(other.whole_digits);
        self.fraction_digits = self.fraction_digits.max(other.fraction_digits);
        self.exponent |= other.exponent;
        if let Some(item) = other.item {
            self.item.get_or_insert_default().merge(*item);
        }
        for (name, guess) in other.members.into_iter().flatten() {
            self.members.get_or_insert_default().entry(name).or_default().merge(guess);
        }
    }

    /// Where a JSON key first stood; the order of columns.
    pub fn first_at(&self) -> Option<(usize, u64, usize)> {
        self.first_at
    }

    /// The type, from all that was seen.
    pub fn data_type(&self) -> DataType {
        self.type_of(&self.classes.keys().copied().collect::<Vec<_>>())
    }

    fn type_of(&self, classes: &[Class]) -> DataType {
        let only = |allowed: &[Class]| !classes.is_empty() && classes.iter().all(|class| allowed.contains(class));
        let wide = classes.iter().any(|class| matches!(class, Class::WideInt | Class::BigInt | Class::LongDecimal));
        let numbers = [Class::Int, Class::WideInt, Class::BigInt, Class::Float, Class::LongDecimal, Class::NotFinite];
        let digits = self.whole_digits + self.fraction_digits;
        match () {
            () if only(&[Class::Int, Class::WideInt]) => DataType::Int64,
            () if only(&numbers) && !wide => DataType::Float64,
            () if only(&numbers[..5]) && digits <= 38 && !self.exponent => {
                DataType::Decimal128(38, i8::try_from(self.fraction_digits).unwrap_or(i8::MAX))
            }
            () if only(&[Class::Boolean]) => DataType::Boolean,
            () if only(&[Class::Date]) => DataType::Date32,
            () if only(&[Class::Timestamp]) => DataType::Timestamp(TimeUnit::Microsecond, None),
            () if only(&[Class::ZonedTimestamp]) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            () if only(&[Class::List]) => {
                let item = self.item.as_ref().map_or(DataType::Utf8, |item| item.data_type());
                DataType::List(Arc::new(Field::new("item", item, true)))
            }
            () if only(&[Class::Object]) => match &self.members {
                Some(members) if !members.is_empty() && members.len() <= MAX_KEYS => {
                    let mut members: Vec<_> = members.iter().collect();
                    members.sort_by_key(|(_, guess)| guess.first_at);
                    let field = |(name, guess): (&String, &Guess)| Field::new(name, guess.data_type(), true);
                    DataType::Struct(members.into_iter().map(field).collect())
                }
                _ => DataType::Utf8,
            },
            () => DataType::Utf8,
        }
    }

    /// What a person should know about this conclusion.
    pub fn hint(&self, column: &str, files: &[String]) -> Option<String> {
        if self.classes.is_empty() {
            return Some(format!("`{column}` has no value at all; it is read as utf8"));
        }
        let place = |first: &First| {
            let file = files.get(first.file).map_or("", String::as_str);
            format!("`{}` ({file}:{})", first.text, first.line)
        };
        let without = |left_out: Class| {
            let rest: Vec<_> = self.classes.keys().copied().filter(|&class| class != left_out).collect();
            Some(self.type_of(&rest)).filter(|found| *found != DataType::Utf8)
        };
        if let Some((first, found)) = self.classes.get(&Class::Missing).zip(without(Class::Missing)) {
            let found = column_type::to_text(&found);
            let (text, place) = (&first.text, place(first));
            return Some(format!(
                "`{column}` would be {found} but for {place}; if that means \"no value\", add `{text}` to `null_values`"
            ));
        }
        if let Some((first, found)) = self.classes.get(&Class::Text).zip(without(Class::Text)) {
            let (found, place) = (column_type::to_text(&found), place(first));
            return Some(format!("`{column}` looks like {found} until {place}; it is read as utf8"));
        }
        if self.data_type() == DataType::Utf8 && self.classes.len() > 1 && !self.classes.contains_key(&Class::Text) {
            let seen: Vec<_> = self.classes.values().map(place).collect();
            return Some(format!(
                "`{column}` mixes values of different types, as in {}; it is read as utf8",
                seen.join(", ")
            ));
        }
        None
    }
}

fn object(
    members: &mut IndexMap<String, Guess>,
    reader: &mut Reader<'_>,
    piece: Piece<'_>,
    depth: usize,
) -> Result<(), Fault> {
    reader.object(&mut |reader, key| {
        if let Some(guess) = members.get_mut(key.as_ref()) {
            return guess.json(reader, piece, depth);
        }
        let at = reader.at();
        let mut guess = Guess { first_at: Some((piece.file, piece.line_at(at), at)), ..Guess::default() };
        guess.json(reader, piece, depth)?;
        // One key too many is remembered, so that the whole becomes text; more would only cost memory.
        if members.len() <= MAX_KEYS {
            members.insert(key.into_owned(), guess);
        }
        Ok(())
    })
}

/// Looks at all rows of a piece of a JSON lines file; how many there are.
pub fn json_lines(columns: &mut IndexMap<String, Guess>, piece: Piece<'_>) -> Result<u64, Fault> {
    let mut rows = 0;
    each_line(piece.text, |reader| {
        rows += 1;
        object(columns, reader, piece, 0)
    })?;
    if columns.len() > MAX_KEYS {
        return Err(Fault::syntax(0, format!("the rows have more than {MAX_KEYS} different keys")));
    }
    Ok(rows)
}

fn cut(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn classify(text: &str) -> Class {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'0'..=b'9' | b'-' | b'.') => {}
        Some(b't' | b'T' | b'f' | b'F') if matches!(text, "true" | "True" | "TRUE" | "false" | "False" | "FALSE") => {
            return Class::Boolean;
        }
        Some(b'i' | b'I' | b'n' | b'N') if matches!(text, "inf" | "Inf" | "Infinity" | "INF" | "nan" | "NaN") => {
            return Class::NotFinite;
        }
        Some(b'+') if date_or_moment(bytes) != Class::Text => return date_or_moment(bytes),
        _ if MISSING_WORDS.contains(&text) => return Class::Missing,
        _ => return Class::Text,
    }
    let unsigned = bytes.strip_prefix(b"-").unwrap_or(bytes);
    // A leading zero is kept by text alone: it is a code, not a number.
    let coded = unsigned.len() > 1 && unsigned[0] == b'0' && unsigned[1].is_ascii_digit();
    if let Some(parts) = value::decimal_parts(bytes) {
        return match () {
            () if coded => Class::Text,
            () if parts.fraction.is_empty() && unsigned.contains(&b'.') => Class::Float,
            () if unsigned.contains(&b'.') => float_or_long(parts.whole_digits() + parts.fraction.len()),
            // Minus zero is a float; a whole number would lose the sign.
            () if parts.negative && parts.whole_digits() == 0 => Class::Float,
            () => match value::int64(bytes) {
                Some(number) if number.unsigned_abs() <= 1 << 53 => Class::Int,
                Some(_) => Class::WideInt,
                None => Class::BigInt,
            },
        };
    }
    match date_or_moment(bytes) {
        Class::Text if matches!(text, "-inf" | "-Inf" | "-Infinity" | "-INF") => Class::NotFinite,
        Class::Text if MISSING_WORDS.contains(&text) => Class::Missing,
        Class::Text if !coded && unsigned.iter().any(|byte| matches!(byte, b'e' | b'E')) => with_exponent(text),
        class => class,
    }
}

/// The digits of a whole number that is plainly one: no sign but minus, no leading zero, far from every limit.
fn short_int(text: &[u8]) -> Option<usize> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let plain = matches!(digits, [b'1'..=b'9', ..] | [b'0']) && digits.len() <= 15 && text != b"-0";
    (plain && digits.iter().all(u8::is_ascii_digit)).then_some(digits.len())
}

fn float_or_long(digits: usize) -> Class {
    if digits > EXACT_FLOAT_DIGITS { Class::LongDecimal } else { Class::Float }
}

fn with_exponent(text: &str) -> Class {
    let mantissa = text.bytes().take_while(|byte| !matches!(byte, b'e' | b'E')).filter(u8::is_ascii_digit).count();
    match value::float64(text) {
        Some(_) if mantissa <= EXACT_FLOAT_DIGITS => Class::Float,
        _ => Class::Text,
    }
}

fn date_or_moment(bytes: &[u8]) -> Class {
    if value::date(bytes).is_some() {
        return Class::Date;
    }
    match value::moment(bytes) {
        Some(moment) if moment.in_unit(1_000_000).is_none() => Class::Text,
        Some(moment) if moment.zoned => Class::ZonedTimestamp,
        Some(_) => Class::Timestamp,
        None => Class::Text,
    }
}
