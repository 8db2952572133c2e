//! Values that movers of data like to change: each comes back as it was, or the load is refused.

use std::sync::Arc;

use arrow::{
    array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Decimal256Array, DictionaryArray,
        DurationMicrosecondArray, FixedSizeBinaryArray, Float32Array, Float64Array, Int8Array, Int16Array, Int64Array,
        Int64Builder, IntervalMonthDayNanoArray, ListBuilder, MapBuilder, NullArray, RecordBatch, StringArray,
        StringBuilder, StringViewArray, StructArray, Time64MicrosecondArray, TimestampMicrosecondArray,
        TimestampNanosecondArray, UInt64Array,
    },
    datatypes::{DataType, Field, Int32Type, IntervalMonthDayNano, i256},
};
use tidemill_dag::spec::LoadMode::Replace;

use super::{Outcome, Subject, build, canonical, check, said};
use crate::ConnectorError;

/// Every class, each as a column of its own; NULL is in most of them.
fn columns() -> Vec<(&'static str, ArrayRef)> {
    let mut all = numbers();
    all.extend(times());
    all.extend(texts());
    all.extend(nested());
    all
}

fn numbers() -> Vec<(&'static str, ArrayRef)> {
    let wide = 10_i128.pow(38) - 1;
    let decimal = |values: Vec<Option<i128>>, precision, scale| -> ArrayRef {
        let array = Decimal128Array::from(values);
        Arc::new(array.clone().with_precision_and_scale(precision, scale).unwrap_or(array))
    };
    let wider =
        Decimal256Array::from(vec![i256::from_string("12345678901234567890123456789012345678901234567890"), None]);
    vec![
        ("decimal_wide", decimal(vec![Some(wide), Some(-wide), Some(0), None], 38, 0)),
        ("decimal_money", decimal(vec![Some(1), Some(-1_500_000), Some(0), None], 10, 6)),
        ("decimal_wider", Arc::new(wider.clone().with_precision_and_scale(50, 5).unwrap_or(wider))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MIN), Some(i64::MAX), Some(9_007_199_254_740_993), None]))),
        ("int16", Arc::new(Int16Array::from(vec![Some(i16::MIN), Some(i16::MAX), None]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(i8::MIN), Some(i8::MAX), None]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), Some(0), None]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(1.1), Some(f32::MIN_POSITIVE), Some(f32::NAN), None]))),
        (
            "float64",
            Arc::new(Float64Array::from(vec![
                Some(f64::NAN),
                Some(f64::INFINITY),
                Some(f64::NEG_INFINITY),
                Some(-0.0),
                Some(0.1 + 0.2),
                Some(5e-324),
                Some(f64::MAX),
                None,
            ])),
        ),
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
    ]
}

fn times() -> Vec<(&'static str, ArrayRef)> {
    // 1900-01-01 and one microsecond, 0001-01-01, 9999-12-31T23:59:59.999999, a moment before Christ.
    let micros = vec![
        Some(-2_208_988_799_999_999),
        Some(-62_135_596_800_000_000),
        Some(253_402_300_799_999_999),
        Some(-63_549_360_000_000_000),
        None,
    ];
    let interval = IntervalMonthDayNano::new(14, -3, 1);
    vec![
        ("date", Arc::new(Date32Array::from(vec![Some(-735_160), Some(2_932_896), Some(-719_162), Some(0), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(86_399_999_999), Some(0), None]))),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(micros.clone()))),
        ("timestamp_utc", Arc::new(TimestampMicrosecondArray::from(micros).with_timezone("UTC"))),
        ("timestamp_ns", Arc::new(TimestampNanosecondArray::from(vec![Some(1), Some(i64::MAX), None]))),
        ("duration", Arc::new(DurationMicrosecondArray::from(vec![Some(1), Some(-86_400_000_001), None]))),
        ("interval", Arc::new(IntervalMonthDayNanoArray::from(vec![Some(interval), None]))),
    ]
}

fn texts() -> Vec<(&'static str, ArrayRef)> {
    let words = vec![
        Some(""),
        None,
        Some("NULL"),
        Some("\\N"),
        Some("NA"),
        Some(" "),
        Some("a,b"),
        Some("say \"hi\""),
        Some("\""),
        Some("two\nlines"),
        Some("two\r\nlines"),
        Some("\r"),
        Some("tab\there"),
        Some("'"),
        Some("\\"),
        Some("ünï😀"),
        Some("00123"),
        Some("1e5"),
        Some("2020-01-01"),
        Some("true"),
        Some("\u{1}"),
    ];
    let json = vec![Some(r#"{"id": 12345678901234567890, "price": 1.10, "none": null}"#), Some("[]"), None];
    let uuid =
        FixedSizeBinaryArray::try_from_sparse_iter_with_size([Some([0_u8; 16]), Some([255; 16]), None].into_iter(), 16);
    let enumeration: DictionaryArray<Int32Type> =
        vec![Some("red"), None, Some("green"), Some("red")].into_iter().collect();
    vec![
        ("text", Arc::new(StringArray::from(words.clone()))),
        ("text_view", Arc::new(StringViewArray::from(words))),
        ("json", Arc::new(StringArray::from(json))),
        ("inet", Arc::new(StringArray::from(vec![Some("::ffff:10.0.0.1/96"), None]))),
        ("enumeration", Arc::new(enumeration)),
        ("bytes", Arc::new(BinaryArray::from(vec![Some(b"".as_slice()), None, Some(&[0, 0, 255]), Some(b"text")]))),
        ("uuid", uuid.map_or_else(|_| Arc::new(NullArray::new(1)) as ArrayRef, |array| Arc::new(array))),
        ("nothing", Arc::new(NullArray::new(3))),
    ]
}

fn nested() -> Vec<(&'static str, ArrayRef)> {
    let mut ints = ListBuilder::new(Int64Builder::new());
    ints.append_value([Some(1), None, Some(i64::MAX)]);
    ints.append_value([]);
    ints.append_null();
    let mut words = ListBuilder::new(StringBuilder::new());
    words.append_value([Some("a,b"), Some("\""), None, Some(""), Some("NULL"), Some("{}")]);
    words.append_null();
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    map.keys().append_value("a \"key\"");
    map.values().append_value(1);
    map.keys().append_value("");
    map.values().append_null();
    let ended = [map.append(true), map.append(false), map.append(true)];
    debug_assert!(ended.iter().all(Result::is_ok), "keys and values are as many");
    let fields = vec![Field::new("x", DataType::Int64, true), Field::new("a b", DataType::Utf8, true)];
    let parts: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from(vec![Some(1), None, None])),
        Arc::new(StringArray::from(vec![Some(""), None, None])),
    ];
    let structs = StructArray::new(fields.into(), parts, Some(vec![true, true, false].into()));
    vec![
        ("list_int", Arc::new(ints.finish())),
        ("list_text", Arc::new(words.finish())),
        ("map", Arc::new(map.finish())),
        ("struct", Arc::new(structs)),
    ]
}

/// A column and the number of its row, so that order can be restored.
fn numbered(name: &str, column: ArrayRef) -> RecordBatch {
    let rows = column.len() as i64;
    let field = Field::new(name, column.data_type().clone(), true);
    build(
        vec![Field::new("n", DataType::Int64, true), field],
        vec![Arc::new(Int64Array::from_iter_values(0..rows)), column],
    )
}

pub async fn awkward_values_come_back_or_are_refused(subject: &Subject) -> Outcome {
    for (name, column) in columns() {
        let batch = numbered(name, column);
        let request = subject.request(&format!("value_{name}"), &format!("value_{name}"), Replace, batch.schema());
        match subject.load(request, batch.clone()).await {
            Err(ConnectorError::UnsupportedType { .. }) => continue,
            Err(error) => return Err(format!("{name}: {}", said(error))),
            Ok(_) => {}
        }
        let found = subject.whole(&format!("value_{name}")).await.map_err(|found| format!("{name}: {found}"))?;
        let (found, expected) = (canonical(&found)?, canonical(&batch)?);
        check(found == expected, || format!("{name}: {expected:?} became {found:?}"))?;
    }
    Ok(())
}
