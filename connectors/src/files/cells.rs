//! Column builders fed with texts: one piece of code decides for CSV and JSON what fits a type.

use arrow::{
    array::{
        ArrayRef, ArrowPrimitiveType, BinaryBuilder, BooleanBuilder, FixedSizeBinaryBuilder, NullBuilder,
        PrimitiveBuilder, StringBuilder,
    },
    compute::kernels::cast_utils::parse_decimal,
    datatypes::{
        DataType, Date32Type, Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type,
        Int16Type, Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
        Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType,
        TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
    },
};

use super::{
    csv::{Cell, RawColumn},
    value,
};

/// Builds one column from texts.
pub trait Cells: Send {
    /// A row without a value.
    fn null(&mut self);

    /// A row's text; false if it is no value of the type, and then nothing was added.
    fn text(&mut self, text: &str) -> bool;

    /// The column so far; the builder starts anew.
    fn finish(&mut self) -> ArrayRef;

    /// Whether every text is a value, the empty one too.
    fn takes_any_text(&self) -> bool {
        false
    }

    /// Adds all rows of a raw column; the error is the first row that does not fit.
    fn fill(&mut self, raw: &RawColumn<'_>) -> Result<(), usize> {
        let any = self.takes_any_text();
        for row in 0..raw.rows() {
            let fits = match raw.cell(row, any) {
                Cell::Null => {
                    self.null();
                    true
                }
                Cell::Text(text) => self.text(text),
                Cell::Escaped(text) => self.text(&text),
            };
            if !fits {
                return Err(row);
            }
        }
        Ok(())
    }
}

struct Primitive<T: ArrowPrimitiveType, F> {
    builder: PrimitiveBuilder<T>,
    parse: F,
}

impl<T: ArrowPrimitiveType, F: FnMut(&str) -> Option<T::Native> + Send> Cells for Primitive<T, F> {
    fn null(&mut self) {
        self.builder.append_null();
    }

    fn text(&mut self, text: &str) -> bool {
        let value = (self.parse)(text);
        if let Some(value) = value {
            self.builder.append_value(value);
        }
        value.is_some()
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.builder.finish())
    }
}

impl Cells for BooleanBuilder {
    fn null(&mut self) {
        self.append_null();
    }

    fn text(&mut self, text: &str) -> bool {
        let value = value::boolean(text);
        if let Some(value) = value {
            self.append_value(value);
        }
        value.is_some()
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.finish())
    }
}

impl Cells for StringBuilder {
    fn null(&mut self) {
        self.append_null();
    }

    fn text(&mut self, text: &str) -> bool {
        self.append_value(text);
        true
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.finish())
    }

    fn takes_any_text(&self) -> bool {
        true
    }
}

impl Cells for BinaryBuilder {
    fn null(&mut self) {
        self.append_null();
    }

    fn text(&mut self, text: &str) -> bool {
        let value = value::hex(text.as_bytes());
        if let Some(value) = &value {
            self.append_value(value);
        }
        value.is_some()
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.finish())
    }

    fn takes_any_text(&self) -> bool {
        true
    }
}

impl Cells for FixedSizeBinaryBuilder {
    fn null(&mut self) {
        self.append_null();
    }

    fn text(&mut self, text: &str) -> bool {
        value::hex(text.as_bytes()).is_some_and(|value| self.append_value(value).is_ok())
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.finish())
    }
}

/// Nothing but "no value".
impl Cells for NullBuilder {
    fn null(&mut self) {
        self.append_null();
    }

    fn text(&mut self, _: &str) -> bool {
        false
    }

    fn finish(&mut self) -> ArrayRef {
        std::sync::Arc::new(self.finish())
    }
}

fn primitive<T, F>(data_type: &DataType, rows: usize, parse: F) -> Option<Box<dyn Cells>>
where
    T: ArrowPrimitiveType,
    F: FnMut(&str) -> Option<T::Native> + Send + 'static,
{
    let builder = PrimitiveBuilder::<T>::with_capacity(rows).with_data_type(data_type.clone());
    Some(Box::new(Primitive { builder, parse }))
}

fn integer<T>(data_type: &DataType, rows: usize) -> Option<Box<dyn Cells>>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    primitive::<T, _>(data_type, rows, |text| value::int64(text.as_bytes())?.try_into().ok())
}

fn moment<T: ArrowPrimitiveType<Native = i64>>(
    data_type: &DataType,
    rows: usize,
    per_second: i64,
) -> Option<Box<dyn Cells>> {
    let zoned = matches!(data_type, DataType::Timestamp(_, Some(_)));
    primitive::<T, _>(data_type, rows, move |text| {
        let moment = value::moment(text.as_bytes())?;
        if moment.zoned == zoned { moment.in_unit(per_second) } else { None }
    })
}

fn time<T>(data_type: &DataType, rows: usize, nanos_each: i64) -> Option<Box<dyn Cells>>
where
    T: ArrowPrimitiveType,
    T::Native: TryFrom<i64>,
{
    primitive::<T, _>(data_type, rows, move |text| {
        let nanos = value::time_of_day(text.as_bytes())?;
        if nanos % nanos_each == 0 { (nanos / nanos_each).try_into().ok() } else { None }
    })
}

/// A builder for a type that one text can stand for; none for lists, structs, maps and what has no text form.
pub fn cells(data_type: &DataType, rows: usize) -> Option<Box<dyn Cells>> {
    match data_type {
        DataType::Null => Some(Box::new(NullBuilder::new())),
        DataType::Boolean => Some(Box::new(BooleanBuilder::with_capacity(rows))),
        DataType::Int8 => integer::<Int8Type>(data_type, rows),
        DataType::Int16 => integer::<Int16Type>(data_type, rows),
        DataType::Int32 => integer::<Int32Type>(data_type, rows),
        DataType::Int64 => integer::<Int64Type>(data_type, rows),
        DataType::UInt8 => integer::<UInt8Type>(data_type, rows),
        DataType::UInt16 => integer::<UInt16Type>(data_type, rows),
        DataType::UInt32 => integer::<UInt32Type>(data_type, rows),
        DataType::UInt64 => primitive::<UInt64Type, _>(data_type, rows, |text| value::uint64(text.as_bytes())),
        DataType::Float16 => primitive::<Float16Type, _>(data_type, rows, value::float16),
        DataType::Float32 => primitive::<Float32Type, _>(data_type, rows, value::float32),
        DataType::Float64 => primitive::<Float64Type, _>(data_type, rows, value::float64),
        DataType::Utf8 => Some(Box::new(StringBuilder::with_capacity(rows, rows * 16))),
        DataType::Binary => Some(Box::new(BinaryBuilder::with_capacity(rows, rows * 16))),
        DataType::FixedSizeBinary(size) => Some(Box::new(FixedSizeBinaryBuilder::with_capacity(rows, *size))),
        DataType::Date32 => primitive::<Date32Type, _>(data_type, rows, |text| value::date(text.as_bytes())),
        DataType::Time32(TimeUnit::Second) => time::<Time32SecondType>(data_type, rows, 1_000_000_000),
        DataType::Time32(_) => time::<Time32MillisecondType>(data_type, rows, 1_000_000),
        DataType::Time64(TimeUnit::Nanosecond) => time::<Time64NanosecondType>(data_type, rows, 1),
        DataType::Time64(_) => time::<Time64MicrosecondType>(data_type, rows, 1_000),
        DataType::Timestamp(TimeUnit::Second, _) => moment::<TimestampSecondType>(data_type, rows, 1),
        DataType::Timestamp(TimeUnit::Millisecond, _) => moment::<TimestampMillisecondType>(data_type, rows, 1_000),
        DataType::Timestamp(TimeUnit::Microsecond, _) => moment::<TimestampMicrosecondType>(data_type, rows, 1_000_000),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            moment::<TimestampNanosecondType>(data_type, rows, 1_000_000_000)
        }
        DataType::Decimal128(precision, scale) if *scale >= 0 => {
            let (precision, scale) = (*precision, *scale);
            primitive::<Decimal128Type, _>(data_type, rows, move |text| {
                value::decimal128(text.as_bytes(), precision, scale)
            })
        }
        DataType::Decimal256(precision, scale) if *scale >= 0 => {
            let (precision, scale) = (*precision, *scale);
            primitive::<Decimal256Type, _>(data_type, rows, move |text| {
                value::decimal_parts(text.as_bytes()).filter(|parts| parts.fits(precision, scale))?;
                parse_decimal::<Decimal256Type>(text, precision, scale).ok()
            })
        }
        _ => None,
    }
}

/// What a type wants to see, for people.
pub fn expectation(data_type: &DataType) -> String {
    let example = match data_type {
        DataType::Boolean => "true or false",
        DataType::Date32 => "a date as in 2013-01-31",
        DataType::Time32(_) | DataType::Time64(_) => "a time of day as in 17:05:00",
        DataType::Timestamp(_, None) => "a timestamp without zone as in 2013-01-31T17:05:00",
        DataType::Timestamp(_, Some(_)) => "a timestamp with its zone as in 2013-01-31T17:05:00Z",
        DataType::Binary | DataType::FixedSizeBinary(_) => "bytes in hexadecimal",
        _ => "",
    };
    let word = crate::column_type::to_text(data_type);
    if example.is_empty() { word } else { format!("{word} ({example})") }
}
