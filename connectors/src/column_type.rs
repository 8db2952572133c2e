//! Column types as words: what stands under `columns:` in a project file and in a loaded table's manifest.
//!
//! `int8 … int64 uint8 … uint64 float16 float32 float64 boolean utf8 binary date time timestamp
//! timestamp(UTC) decimal(12,2) list<T> struct<name: T, …> map<K, V>` and a few rarer ones. A struct's field
//! name that is no plain word stands in double quotes.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, Fields, IntervalUnit, Schema, SchemaRef, TimeUnit};
use indexmap::IndexMap;

use crate::ConnectorError;

/// Deepest nesting that a type may have.
const MAX_DEPTH: usize = 32;

/// The word for a type. Every type has one; types that arrow distinguishes only by how they lie in memory
/// (views, large offsets, dictionaries) share one.
pub fn to_text(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "null".into(),
        DataType::Boolean => "boolean".into(),
        DataType::Int8 => "int8".into(),
        DataType::Int16 => "int16".into(),
        DataType::Int32 => "int32".into(),
        DataType::Int64 => "int64".into(),
        DataType::UInt8 => "uint8".into(),
        DataType::UInt16 => "uint16".into(),
        DataType::UInt32 => "uint32".into(),
        DataType::UInt64 => "uint64".into(),
        DataType::Float16 => "float16".into(),
        DataType::Float32 => "float32".into(),
        DataType::Float64 => "float64".into(),
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "utf8".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary".into(),
        DataType::FixedSizeBinary(size) => format!("binary({size})"),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(TimeUnit::Second) => "time(s)".into(),
        DataType::Time32(_) => "time(ms)".into(),
        DataType::Time64(TimeUnit::Nanosecond) => "time(ns)".into(),
        DataType::Time64(_) => "time".into(),
        DataType::Timestamp(unit, zone) => timestamp_text(*unit, zone.as_deref()),
        DataType::Duration(unit) => format!("duration({})", unit_text(*unit)),
        DataType::Interval(IntervalUnit::YearMonth) => "interval(month)".into(),
        DataType::Interval(IntervalUnit::DayTime) => "interval(day)".into(),
        DataType::Interval(IntervalUnit::MonthDayNano) => "interval".into(),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Decimal256(precision, scale) => format!("decimal256({precision},{scale})"),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::LargeListView(item)
        | DataType::FixedSizeList(item, _) => format!("list<{}>", to_text(item.data_type())),
        DataType::Struct(fields) => struct_text(fields),
        DataType::Map(entries, _) => map_text(entries),
        DataType::Dictionary(_, value) => to_text(value),
        DataType::RunEndEncoded(_, value) => to_text(value.data_type()),
        DataType::Union(fields, _) => {
            let arms: Vec<_> = fields.iter().map(|(_, field)| field_text(field)).collect();
            format!("union<{}>", arms.join(", "))
        }
    }
}

fn unit_text(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "s",
        TimeUnit::Millisecond => "ms",
        TimeUnit::Microsecond => "us",
        TimeUnit::Nanosecond => "ns",
    }
}

fn timestamp_text(unit: TimeUnit, zone: Option<&str>) -> String {
    match (unit, zone) {
        (TimeUnit::Microsecond, None) => "timestamp".into(),
        (TimeUnit::Microsecond, Some(zone)) => format!("timestamp({zone})"),
        (unit, None) => format!("timestamp({})", unit_text(unit)),
        (unit, Some(zone)) => format!("timestamp({}, {zone})", unit_text(unit)),
    }
}

fn field_text(field: &Field) -> String {
    let plain = !field.name().is_empty() && field.name().chars().all(|c| c.is_alphanumeric() || c == '_');
    let name = if plain { field.name().clone() } else { format!("\"{}\"", field.name().replace('"', "\"\"")) };
    format!("{name}: {}", to_text(field.data_type()))
}

fn struct_text(fields: &Fields) -> String {
    format!("struct<{}>", fields.iter().map(|field| field_text(field)).collect::<Vec<_>>().join(", "))
}

fn map_text(entries: &Field) -> String {
    match entries.data_type() {
        DataType::Struct(pair) if pair.len() == 2 => {
            format!("map<{}, {}>", to_text(pair[0].data_type()), to_text(pair[1].data_type()))
        }
        other => format!("map<{}>", to_text(other)),
    }
}

/// Columns as words to a schema; every column may be empty.
pub fn to_schema(columns: &IndexMap<String, String>) -> Result<SchemaRef, ConnectorError> {
    let field = |(name, text): (&String, &String)| Ok(Field::new(name, from_text(text)?, true));
    Ok(Arc::new(Schema::new(columns.iter().map(field).collect::<Result<Vec<_>, ConnectorError>>()?)))
}

/// A schema as words.
pub fn to_columns(schema: &Schema) -> IndexMap<String, String> {
    schema.fields().iter().map(|field| (field.name().clone(), to_text(field.data_type()))).collect()
}

/// The type that stands for all those that share its word: no views, no dictionaries, small offsets.
pub fn canonical(data_type: &DataType) -> DataType {
    from_text(&to_text(data_type)).unwrap_or_else(|_| data_type.clone())
}

/// The schema with [`canonical`] types; every column may be empty.
pub fn canonical_schema(schema: &Schema) -> SchemaRef {
    let field = |field: &FieldRef| Field::new(field.name(), canonical(field.data_type()), true);
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Reads a type word. Also takes the names other systems use: `text`, `string`, `int`, `bigint`, `double`, `bool`.
pub fn from_text(text: &str) -> Result<DataType, ConnectorError> {
    let mut reader = Reader { text, at: 0 };
    let found = reader.data_type(0).and_then(|found| {
        reader.blanks();
        if reader.rest().is_empty() { Ok(found) } else { Err(format!("`{}` is too much", reader.rest())) }
    });
    found.map_err(|problem| ConnectorError::TypeText { text: text.to_owned(), problem })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, mark: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(mark);
        self.at += if found { mark.len_utf8() } else { 0 };
        found
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.take(mark) { Ok(()) } else { Err(format!("`{mark}` is missing before `{}`", self.rest())) }
    }

    fn word(&mut self) -> &'a str {
        self.blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    /// `(a, b)` if there is one: its parts without blanks around them.
    fn arguments(&mut self) -> Result<Vec<&'a str>, String> {
        if !self.take('(') {
            return Ok(Vec::new());
        }
        let end = self.rest().find(')').ok_or("`)` is missing")?;
        let inside = &self.rest()[..end];
        self.at += end + 1;
        Ok(inside.split(',').map(str::trim).collect())
    }

    fn data_type(&mut self, depth: usize) -> Result<DataType, String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH}"));
        }
        let word = self.word();
        match word {
            "list" => {
                self.expect('<')?;
                let item = self.data_type(depth + 1)?;
                self.expect('>')?;
                Ok(DataType::List(Arc::new(Field::new("item", item, true))))
            }
            "struct" => self.struct_type(depth),
            "map" => self.map_type(depth),
            _ => {
                let arguments = self.arguments()?;
                plain(word, &arguments)
            }
        }
    }

    fn struct_type(&mut self, depth: usize) -> Result<DataType, String> {
        self.expect('<')?;
        let mut fields: Vec<Field> = Vec::new();
        while !self.take('>') {
            if !fields.is_empty() {
                self.expect(',')?;
            }
            let name = if self.take('"') { self.quoted()? } else { self.word().to_owned() };
            if fields.iter().any(|field| *field.name() == name) {
                return Err(format!("field `{name}` stands twice"));
            }
            self.expect(':')?;
            fields.push(Field::new(name, self.data_type(depth + 1)?, true));
        }
        Ok(DataType::Struct(fields.into()))
    }

    fn map_type(&mut self, depth: usize) -> Result<DataType, String> {
        self.expect('<')?;
        let key = Field::new("key", self.data_type(depth + 1)?, false);
        self.expect(',')?;
        let value = Field::new("value", self.data_type(depth + 1)?, true);
        self.expect('>')?;
        let pair = DataType::Struct(vec![key, value].into());
        Ok(DataType::Map(Arc::new(Field::new("entries", pair, false)), false))
    }

    /// The rest of a quoted name, after its first quote.
    fn quoted(&mut self) -> Result<String, String> {
        let mut name = String::new();
        loop {
            let end = self.rest().find('"').ok_or("`\"` is missing")?;
            name.push_str(&self.rest()[..end]);
            self.at += end + 1;
            if !self.rest().starts_with('"') {
                return Ok(name);
            }
            name.push('"');
            self.at += 1;
        }
    }
}

fn plain(word: &str, arguments: &[&str]) -> Result<DataType, String> {
    Ok(match (word, arguments) {
        ("null", []) => DataType::Null,
        ("boolean" | "bool", []) => DataType::Boolean,
        ("int8" | "tinyint", []) => DataType::Int8,
        ("int16" | "smallint", []) => DataType::Int16,
        ("int32" | "int" | "integer", []) => DataType::Int32,
        ("int64" | "bigint", []) => DataType::Int64,
        ("uint8", []) => DataType::UInt8,
        ("uint16", []) => DataType::UInt16,
        ("uint32", []) => DataType::UInt32,
        ("uint64", []) => DataType::UInt64,
        ("float16", []) => DataType::Float16,
        ("float32" | "real", []) => DataType::Float32,
        ("float64" | "double" | "float", []) => DataType::Float64,
        ("utf8" | "text" | "string" | "varchar", []) => DataType::Utf8,
        ("binary", []) => DataType::Binary,
        ("binary", [size]) => DataType::FixedSizeBinary(number(size, 0, i32::MAX)?),
        ("date", []) => DataType::Date32,
        ("time", [] | ["us"]) => DataType::Time64(TimeUnit::Microsecond),
        ("time", ["ns"]) => DataType::Time64(TimeUnit::Nanosecond),
        ("time", ["ms"]) => DataType::Time32(TimeUnit::Millisecond),
        ("time", ["s"]) => DataType::Time32(TimeUnit::Second),
        ("timestamp", parts) => timestamp(parts)?,
        ("duration", [unit]) => DataType::Duration(time_unit(unit).ok_or("the unit is s, ms, us or ns")?),
        ("interval", []) => DataType::Interval(IntervalUnit::MonthDayNano),
        ("interval", ["month"]) => DataType::Interval(IntervalUnit::YearMonth),
        ("interval", ["day"]) => DataType::Interval(IntervalUnit::DayTime),
        ("decimal" | "numeric", [precision, scale]) => {
            let precision = number(precision, 1, 38)?;
            DataType::Decimal128(precision as u8, number(scale, -38, precision)? as i8)
        }
        ("decimal256", [precision, scale]) => {
            let precision = number(precision, 1, 76)?;
            DataType::Decimal256(precision as u8, number(scale, -76, precision)? as i8)
        }
        ("decimal" | "numeric" | "decimal256", _) => return Err("write digits and scale, as in decimal(12,2)".into()),
        _ => return Err("see the list of types in the documentation of the file connector".into()),
    })
}

fn number(text: &str, least: i32, most: i32) -> Result<i32, String> {
    text.parse().ok().filter(|n| (least..=most).contains(n)).ok_or_else(|| format!("`{text}` is not in {least}…{most}"))
}

fn time_unit(text: &str) -> Option<TimeUnit> {
    Some(match text {
        "s" => TimeUnit::Second,
        "ms" => TimeUnit::Millisecond,
        "us" => TimeUnit::Microsecond,
        "ns" => TimeUnit::Nanosecond,
        _ => return None,
    })
}

fn timestamp(parts: &[&str]) -> Result<DataType, String> {
    let (unit, zone) = match parts {
        [] => (TimeUnit::Microsecond, None),
        [one] => match time_unit(one) {
            Some(unit) => (unit, None),
            None => (TimeUnit::Microsecond, Some(*one)),
        },
        [unit, zone] => (time_unit(unit).ok_or("the unit is s, ms, us or ns")?, Some(*zone)),
        _ => return Err("write timestamp, timestamp(UTC) or timestamp(ns, UTC)".into()),
    };
    if let Some(zone) = zone {
        let offset = matches!(zone.as_bytes(), [b'+' | b'-', h1, h2, b':', m1, m2]
            if [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit()));
        if !offset && zone.parse::<chrono_tz::Tz>().is_err() {
            return Err(format!("`{zone}` is not a time zone"));
        }
    }
    Ok(DataType::Timestamp(unit, zone.map(Into::into)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_comes_back() {
        for text in [
            "null",
            "boolean",
            "int8",
            "int16",
            "int32",
            "int64",
            "uint8",
            "uint16",
            "uint32",
            "uint64",
            "float16",
            "float32",
            "float64",
            "utf8",
            "binary",
            "binary(16)",
            "date",
            "time",
            "time(s)",
            "time(ms)",
            "time(ns)",
            "timestamp",
            "timestamp(UTC)",
            "timestamp(ns)",
            "timestamp(ms, +02:00)",
            "duration(us)",
            "interval",
            "interval(month)",
            "interval(day)",
            "decimal(38,0)",
            "decimal(12,2)",
            "decimal256(76,5)",
            "list<int64>",
            "list<list<utf8>>",
            "struct<a: int64, \"b \"\"c\": list<utf8>>",
            "map<utf8, decimal(5,1)>",
            "struct<>",
        ] {
            let data_type = from_text(text).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(to_text(&data_type), text);
        }
    }

    #[test]
    fn other_names_are_understood() {
        assert_eq!(from_text(" text ").ok(), Some(DataType::Utf8));
        assert_eq!(from_text("numeric( 10 , 2 )").ok(), Some(DataType::Decimal128(10, 2)));
    }

    #[test]
    fn wrong_words_say_what_is_wrong() {
        for (text, problem) in [
            ("decimal", "write digits and scale"),
            ("decimal(39,0)", "`39` is not in 1…38"),
            ("list<int64", "`>` is missing"),
            ("struct<a: int64, a: utf8>", "stands twice"),
            ("timestamp(Nowhere/Land)", "is not a time zone"),
            ("varchar2", "see the list"),
            ("int64 not null", "is too much"),
        ] {
            let ConnectorError::TypeText { problem: said, .. } = from_text(text).unwrap_err() else { panic!("{text}") };
            assert!(said.contains(problem), "{text}: {said}");
        }
        assert!(from_text(&"list<".repeat(10_000)).is_err());
    }
}
