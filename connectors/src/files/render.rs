//! Batches as CSV or JSON lines. Every text it writes is read back as the same value: an empty text is quoted so
//! that it is not "no value", NaN and infinities are words, lists and structs in CSV are JSON.

use std::{fmt::Write as _, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{
        DataType, Schema, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType,
    },
    error::ArrowError,
    util::display::{ArrayFormatter, FormatOptions},
};

use super::config::Format;
use crate::{ConnectorError, column_type};

/// Refuses types that have no place in a format.
pub fn check_types(schema: &Schema, format: Format) -> Result<(), ConnectorError> {
    let name = match format {
        Format::Csv => "CSV",
        Format::Json => "JSON lines",
        Format::Parquet => "Parquet",
    };
    match schema.fields().iter().find(|field| !fits(field.data_type(), format)) {
        None => Ok(()),
        Some(field) => Err(ConnectorError::UnsupportedType {
            column: field.name().clone(),
            data_type: column_type::to_text(field.data_type()),
            format: name,
        }),
    }
}

fn fits(data_type: &DataType, format: Format) -> bool {
    match data_type {
        DataType::Union(..) | DataType::RunEndEncoded(..) => false,
        DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano) => false,
        DataType::Interval(_) | DataType::Duration(_) => format == Format::Parquet,
        DataType::Decimal128(_, scale) | DataType::Decimal256(_, scale) => format == Format::Parquet || *scale >= 0,
        // Parquet knows no struct without members.
        DataType::Struct(fields) => {
            (format != Format::Parquet || !fields.is_empty())
                && fields.iter().all(|field| fits(field.data_type(), format))
        }
        DataType::List(item) => fits(item.data_type(), format),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) => {
                let plain_key = pair.first().is_some_and(|key| !key.data_type().is_nested());
                plain_key && pair.iter().all(|field| fits(field.data_type(), format))
            }
            _ => false,
        },
        _ => true,
    }
}

/// The header of a CSV file.
pub fn csv_header(schema: &Schema, out: &mut String) {
    for (at, field) in schema.fields().iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        csv_text(field.name(), out);
    }
    out.push('\n');
}

/// The rows of a batch as CSV.
pub fn csv_rows(batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
    let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
    let mut cell = String::new();
    for row in 0..batch.num_rows() {
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            if column.is_empty(row) {
                continue;
            }
            cell.clear();
            match &column.parts {
                Parts::Text => column.text(row, &mut cell),
                Parts::Nothing | Parts::Boolean | Parts::Number(_) | Parts::Quoted(_) | Parts::Moment(_) => {
                    column.plain(row, &mut cell)?
                }
                Parts::List(_) | Parts::Struct(_) | Parts::Map(..) => column.json(row, &mut cell)?,
            }
            csv_text(&cell, out);
        }
        out.push('\n');
    }
    Ok(())
}

fn csv_text(text: &str, out: &mut String) {
    if !text.is_empty() && !text.contains(['"', ',', '\n', '\r']) {
        out.push_str(text);
        return;
    }
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// The rows of a batch as JSON lines. A member without value is left out.
pub fn json_rows(batch: &RecordBatch, out: &mut String) -> Result<(), ArrowError> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let columns = batch.columns().iter().map(Column::new).collect::<Result<Vec<_>, _>>()?;
    let columns: Vec<_> = names.zip(columns).collect();
    for row in 0..batch.num_rows() {
        members(&columns, row, out)?;
        out.push('\n');
    }
    Ok(())
}

fn members(columns: &[(&str, Column<'_>)], row: usize, out: &mut String) -> Result<(), ArrowError> {
    out.push('{');
    let mut first = true;
    for (name, column) in columns.iter().filter(|(_, column)| !column.is_empty(row)) {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        json_text(name, out);
        out.push(':');
        column.json(row, out)?;
    }
    out.push('}');
    Ok(())
}

fn json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if u32::from(c) < 0x20 => drop(write!(out, "\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
}

const OPTIONS: FormatOptions<'static> = FormatOptions::new().with_display_error(false);

/// The same moments as clock readings in UTC.
fn without_zone(array: &ArrayRef, unit: TimeUnit) -> ArrayRef {
    match unit {
        TimeUnit::Second => {
            Arc::new(array.as_primitive::<TimestampSecondType>().clone().with_timezone_opt(None::<&str>))
        }
        TimeUnit::Millisecond => {
            Arc::new(array.as_primitive::<TimestampMillisecondType>().clone().with_timezone_opt(None::<&str>))
        }
        TimeUnit::Microsecond => {
            Arc::new(array.as_primitive::<TimestampMicrosecondType>().clone().with_timezone_opt(None::<&str>))
        }
        TimeUnit::Nanosecond => {
            Arc::new(array.as_primitive::<TimestampNanosecondType>().clone().with_timezone_opt(None::<&str>))
        }
    }
}

/// A column taken apart once, so that its cells are written without looking at its type again.
struct Column<'a> {
    array: &'a ArrayRef,
    parts: Parts<'a>,
}

enum Parts<'a> {
    /// No value anywhere.
    Nothing,
    Text,
    Boolean,
    /// Digits, which JSON knows, or words such as NaN, which it does not.
    Number(ArrayFormatter<'a>),
    /// What JSON has no type for.
    Quoted(ArrayFormatter<'a>),
    /// Moments, as text in UTC, whatever zone they are shown in elsewhere.
    Moment(ArrayRef),
    List(Box<Column<'a>>),
    Struct(Vec<(&'a str, Column<'a>)>),
    Map(Box<Column<'a>>, Box<Column<'a>>),
}

impl<'a> Column<'a> {
    fn new(array: &'a ArrayRef) -> Result<Self, ArrowError> {
        let formatter = || ArrayFormatter::try_new(array.as_ref(), &OPTIONS);
        let parts = match array.data_type() {
            DataType::Null => Parts::Nothing,
            DataType::Utf8 => Parts::Text,
            DataType::Boolean => Parts::Boolean,
            DataType::List(_) => Parts::List(Box::new(Self::new(array.as_list::<i32>().values())?)),
            DataType::Struct(fields) => {
                let columns = array.as_struct().columns().iter().map(Self::new).collect::<Result<Vec<_>, _>>()?;
                Parts::Struct(fields.iter().map(|field| field.name().as_str()).zip(columns).collect())
            }
            DataType::Map(..) => {
                let map = array.as_map();
                Parts::Map(Box::new(Self::new(map.keys())?), Box::new(Self::new(map.values())?))
            }
            DataType::Timestamp(unit, Some(_)) => Parts::Moment(without_zone(array, *unit)),
            number if number.is_numeric() => Parts::Number(formatter()?),
            _ => Parts::Quoted(formatter()?),
        };
        Ok(Self { array, parts })
    }

    /// Whether there is no value; an array of no values has no bits that say so.
    fn is_empty(&self, row: usize) -> bool {
        matches!(self.parts, Parts::Nothing) || self.array.is_null(row)
    }

    fn text(&self, row: usize, out: &mut String) {
        out.push_str(self.array.as_string::<i32>().value(row));
    }

    /// As it stands outside JSON; only for what is not nested.
    fn plain(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        match &self.parts {
            Parts::Number(formatter) | Parts::Quoted(formatter) => formatter.value(row).write(out),
            Parts::Nothing => Ok(()),
            Parts::Moment(clock) => {
                ArrayFormatter::try_new(clock.as_ref(), &OPTIONS)?.value(row).write(out)?;
                out.push('Z');
                Ok(())
            }
            Parts::Boolean => {
                out.push_str(if self.array.as_boolean().value(row) { "true" } else { "false" });
                Ok(())
            }
            Parts::Text => {
                self.text(row, out);
                Ok(())
            }
            Parts::List(_) | Parts::Struct(_) | Parts::Map(..) => self.json(row, out),
        }
    }

    fn json(&self, row: usize, out: &mut String) -> Result<(), ArrowError> {
        if self.is_empty(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.parts {
            Parts::Text => json_text(self.array.as_string::<i32>().value(row), out),
            Parts::Nothing | Parts::Boolean => self.plain(row, out)?,
            Parts::Number(formatter) => {
                let text = formatter.value(row).try_to_string()?;
                let digits = text.ends_with(|c: char| c.is_ascii_digit());
                if digits { out.push_str(&text) } else { json_text(&text, out) }
            }
            Parts::Quoted(formatter) => json_text(&formatter.value(row).try_to_string()?, out),
            Parts::Moment(_) => {
                out.push('"');
                self.plain(row, out)?;
                out.push('"');
            }
            Parts::List(items) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                out.push('[');
                for item in offsets[row]..offsets[row + 1] {
                    if item > offsets[row] {
                        out.push(',');
                    }
                    items.json(item as usize, out)?;
                }
                out.push(']');
            }
            Parts::Struct(columns) => members(columns, row, out)?,
            Parts::Map(keys, values) => {
                let offsets = self.array.as_map().value_offsets();
                out.push('{');
                for entry in offsets[row]..offsets[row + 1] {
                    if entry > offsets[row] {
                        out.push(',');
                    }
                    let mut key = String::new();
                    keys.plain(entry as usize, &mut key)?;
                    json_text(&key, out);
                    out.push(':');
                    values.json(entry as usize, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}
