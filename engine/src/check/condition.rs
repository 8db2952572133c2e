//! Expectations as conditions on rows: which columns, of which types, and when a row offends.

use arrow::{
    compute::kernels::cast_utils::parse_decimal,
    datatypes::{DataType, Decimal128Type, Field, Schema},
};
use datafusion::{
    common::{Column, ScalarValue},
    functions::regex::expr_fn::regexp_like,
    logical_expr::{Expr, lit, not},
};
use serde_json::{Number, Value};
use tidemill_dag::{
    spec::{AcceptedValues, Between, Expectation, Range, RegexCheck},
    time::Span,
};

use super::Scope;
use crate::{EngineError, name::nearest};

/// An expectation that fits the relation's columns.
#[derive(Debug, Clone)]
pub(crate) struct Tested {
    pub name: &'static str,
    pub columns: Vec<String>,
    pub expected: String,
    pub rule: Rule,
}

/// When it is violated.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// By each row for which this is true. Columns are unqualified.
    Row(Expr),
    /// By rows that have the same values.
    Unique,
    /// By rows whose value is not there.
    References { to: String, to_column: String },
    /// By too few or too many rows.
    RowCount(Range),
    /// By a newest value that is too old.
    Freshness(Span),
    /// By every row of a query.
    Sql(String),
}

impl Tested {
    pub(crate) fn scope(&self) -> Scope {
        match self.rule {
            Rule::Row(_) | Rule::Unique | Rule::References { .. } => Scope::Rows,
            Rule::RowCount(_) | Rule::Freshness(_) | Rule::Sql(_) => Scope::Whole,
        }
    }
}

/// A column of the relation being tested, by its exact name.
pub(super) fn column(name: &str) -> Expr {
    Expr::Column(Column::new_unqualified(name))
}

/// Finds a column by its exact name, or by the only one that differs in nothing but case.
pub(crate) fn find_column<'s>(schema: &'s Schema, wanted: &str) -> Result<&'s Field, EngineError> {
    let fields = schema.fields();
    let mut alike = fields.iter().filter(|field| field.name().eq_ignore_ascii_case(wanted));
    let exact = fields.iter().find(|field| field.name() == wanted);
    match (exact, alike.next(), alike.next()) {
        (Some(field), ..) | (None, Some(field), None) => Ok(field),
        _ => Err(EngineError::UnknownColumn {
            column: wanted.to_owned(),
            near: nearest(wanted, fields.iter().map(|field| field.name().as_str())),
            known: fields.iter().map(|field| field.name().clone()).collect(),
            place: None,
        }),
    }
}

/// Fits one expectation to a relation's columns.
///
/// `sql` expectations must have been rendered.
///
/// # Errors
/// A column is not there, or its type has no answer.
pub(crate) fn tested(expectation: &Expectation, schema: &Schema) -> Result<Tested, EngineError> {
    let name = expectation.name();
    let make = |columns: Vec<String>, expected: String, rule| Ok(Tested { name, columns, expected, rule });
    let names = |columns: &[String]| -> Result<Vec<String>, EngineError> {
        columns.iter().map(|column| Ok(find_column(schema, column)?.name().clone())).collect()
    };
    match expectation {
        Expectation::NotNull(columns) => {
            let columns = names(columns.as_slice())?;
            let any_null = columns.iter().map(|name| column(name).is_null()).reduce(Expr::or);
            let expected = format!("no NULL in {}", ticked(&columns));
            make(columns, expected, Rule::Row(any_null.unwrap_or_else(|| lit(false))))
        }
        Expectation::Unique(columns) => {
            let columns = names(columns.as_slice())?;
            let expected = format!("no two rows with the same {}", ticked(&columns));
            make(columns, expected, Rule::Unique)
        }
        Expectation::Between(between) => {
            let field = find_column(schema, &between.column)?;
            let expected = format!("`{}` {}", field.name(), range_text(between.min.as_ref(), between.max.as_ref()));
            make(vec![field.name().clone()], expected, Rule::Row(outside(field, between)?))
        }
        Expectation::AcceptedValues(accepted) => {
            let field = find_column(schema, &accepted.column)?;
            let expected = format!("`{}` is one of {}", field.name(), value_list(&accepted.values));
            make(vec![field.name().clone()], expected, Rule::Row(not_accepted(field, accepted)?))
        }
        Expectation::Regex(check) => {
            let field = find_column(schema, &check.column)?;
            let expected = format!("`{}` matches `{}`", field.name(), check.pattern);
            make(vec![field.name().clone()], expected, Rule::Row(not_matching(field, check)?))
        }
        Expectation::RowCount(range) => {
            let expected = match (range.min, range.max) {
                (Some(min), Some(max)) => format!("between {min} and {max} rows"),
                (Some(min), None) => format!("at least {min} rows"),
                (None, Some(max)) => format!("at most {max} rows"),
                (None, None) => "any number of rows".to_owned(),
            };
            make(Vec::new(), expected, Rule::RowCount(range.clone()))
        }
        Expectation::Freshness(freshness) => {
            let field = find_column(schema, &freshness.column)?;
            if !matches!(field.data_type(), DataType::Date32 | DataType::Date64 | DataType::Timestamp(..)) {
                return Err(refused("freshness", field, "which is neither a date nor a point in time"));
            }
            let expected = format!("the newest `{}` is at most {} old", field.name(), freshness.max_age);
            make(vec![field.name().clone()], expected, Rule::Freshness(freshness.max_age))
        }
        Expectation::References(references) => {
            let field = find_column(schema, &references.column)?;
            let to_column = references.to_column.clone().unwrap_or_else(|| references.column.clone());
            let expected = format!("every `{}` is found in `{}` of `{}`", field.name(), to_column, references.to);
            make(vec![field.name().clone()], expected, Rule::References { to: references.to.clone(), to_column })
        }
        Expectation::Sql(sql) => make(Vec::new(), "the query finds no rows".to_owned(), Rule::Sql(sql.clone())),
    }
}

fn refused(expectation: &'static str, field: &Field, problem: &str) -> EngineError {
    EngineError::Expectation {
        expectation,
        column: field.name().clone(),
        problem: format!("it is {}, {problem}", field.data_type()),
    }
}

fn ticked(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn range_text(min: Option<&Value>, max: Option<&Value>) -> String {
    match (min, max) {
        (Some(min), Some(max)) => format!("lies between {min} and {max}"),
        (Some(min), None) => format!("is at least {min}"),
        (None, Some(max)) => format!("is at most {max}"),
        (None, None) => "has any value".to_owned(),
    }
}

fn value_list(values: &[Value]) -> String {
    const SHOWN: usize = 10;
    let mut text = values.iter().take(SHOWN).map(Value::to_string).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        text.push_str(&format!(" and {} more", values.len() - SHOWN));
    }
    text
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

fn outside(field: &Field, between: &Between) -> Result<Expr, EngineError> {
    if matches!(field.data_type(), DataType::Boolean) {
        return Err(refused("between", field, "which has no range"));
    }
    let value = column(field.name());
    let mut offends = Vec::new();
    for (bound, lower) in [(&between.min, true), (&between.max, false)] {
        let Some(bound) = bound else { continue };
        let literal = Expr::Literal(literal("between", field, bound)?, None);
        offends.push(if lower { value.clone().lt(literal) } else { value.clone().gt(literal) });
    }
    if field.data_type().is_floating() {
        // Comparisons order NaN behind both infinities, by its sign.
        offends.push(value.clone().gt(lit(f64::INFINITY)));
        offends.push(value.lt(lit(f64::NEG_INFINITY)));
    }
    Ok(offends.into_iter().reduce(Expr::or).unwrap_or_else(|| lit(false)))
}

fn not_accepted(field: &Field, accepted: &AcceptedValues) -> Result<Expr, EngineError> {
    let some = accepted.values.iter().filter(|value| !value.is_null());
    let values = some.map(|value| Ok(Expr::Literal(literal("accepted_values", field, value)?, None)));
    let values = values.collect::<Result<Vec<_>, EngineError>>()?;
    let value = column(field.name());
    if values.is_empty() { Ok(value.is_not_null()) } else { Ok(value.in_list(values, true)) }
}

fn not_matching(field: &Field, check: &RegexCheck) -> Result<Expr, EngineError> {
    if !is_text(field.data_type()) {
        return Err(refused("regex", field, "not text"));
    }
    if let Err(error) = regex::Regex::new(&check.pattern) {
        let problem = format!("the pattern is not valid: {error}");
        return Err(EngineError::Expectation { expectation: "regex", column: field.name().clone(), problem });
    }
    Ok(not(regexp_like(column(field.name()), lit(check.pattern.as_str()), None)))
}

/// A value of a definition as a value that the column can be compared with, exactly.
fn literal(expectation: &'static str, field: &Field, value: &Value) -> Result<ScalarValue, EngineError> {
    let data_type = field.data_type();
    let wrong = |problem: &str| EngineError::Expectation {
        expectation,
        column: field.name().clone(),
        problem: format!("it is {data_type}, and {value} is not {problem}"),
    };
    match (data_type, value) {
        (numeric, Value::Number(number)) if numeric.is_floating() => {
            number.as_f64().map(ScalarValue::from).ok_or_else(|| wrong("a number"))
        }
        (numeric, Value::Number(number)) if numeric.is_numeric() => exact(number).ok_or_else(|| wrong("a number")),
        (numeric, _) if numeric.is_numeric() => Err(wrong("a number")),
        (DataType::Boolean, Value::Bool(flag)) => Ok(ScalarValue::from(*flag)),
        (DataType::Boolean, _) => Err(wrong("true or false")),
        (text, Value::String(value)) if is_text(text) => Ok(ScalarValue::from(value.as_str())),
        (text, _) if is_text(text) => Err(wrong("text; put it in quotes")),
        (
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) | DataType::Time32(_) | DataType::Time64(_),
            Value::String(text),
        ) => ScalarValue::try_from_string(text.clone(), data_type)
            .map_err(|_| wrong("such a value in the form of ISO 8601, as in \"2026-03-01\"")),
        _ => Err(wrong("comparable with it")),
    }
}

/// A number of a definition with all its digits.
fn exact(number: &Number) -> Option<ScalarValue> {
    if let Some(whole) = number.as_i64() {
        return Some(ScalarValue::Int64(Some(whole)));
    }
    if let Some(whole) = number.as_u64() {
        return Some(ScalarValue::UInt64(Some(whole)));
    }
    let text = number.to_string();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text.as_str(), "0"));
    let exponent: i32 = exponent.parse().ok()?;
    let fraction = mantissa.split_once('.').map_or(0, |(_, digits)| i32::try_from(digits.len()).unwrap_or(i32::MAX));
    let scale = fraction.saturating_sub(exponent).clamp(0, 30);
    let scale = i8::try_from(scale).ok()?;
    let value = parse_decimal::<Decimal128Type>(&text, 38, scale).ok()?;
    Some(ScalarValue::Decimal128(Some(value), 38, scale))
}
