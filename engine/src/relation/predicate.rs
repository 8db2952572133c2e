//! DataFusion's filter expressions as predicates that a connection may understand. What has no counterpart
//! stays with the engine; nothing is ever approximated here.

use datafusion::{
    common::ScalarValue,
    logical_expr::{Between, BinaryExpr, Expr, Operator, expr::InList},
};
use tidemill_connectors::{Comparison, Literal, Predicate};

/// The same condition, or nothing if it cannot be said exactly.
pub(crate) fn to_predicate(expr: &Expr) -> Option<Predicate> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            Some(Predicate::And(vec![to_predicate(left)?, to_predicate(right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            Some(Predicate::Or(vec![to_predicate(left)?, to_predicate(right)?]))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => compare(left, *op, right),
        Expr::IsNull(inner) => Some(Predicate::IsNull(column(inner)?)),
        Expr::IsNotNull(inner) => Some(Predicate::IsNotNull(column(inner)?)),
        Expr::Column(flag) => Some(is_boolean(&flag.name, true)),
        Expr::Not(inner) => Some(is_boolean(&column(inner)?, false)),
        Expr::InList(InList { expr, list, negated: false }) => {
            let values = list.iter().map(literal).collect::<Option<Vec<_>>>()?;
            Some(Predicate::In { column: column(expr)?, values })
        }
        Expr::Between(Between { expr, negated: false, low, high }) => {
            Some(Predicate::And(vec![compare(expr, Operator::GtEq, low)?, compare(expr, Operator::LtEq, high)?]))
        }
        _ => None,
    }
}

fn is_boolean(column: &str, value: bool) -> Predicate {
    Predicate::Compare { column: column.to_owned(), op: Comparison::Eq, literal: Literal::Boolean(value) }
}

fn compare(left: &Expr, op: Operator, right: &Expr) -> Option<Predicate> {
    match (column(left), literal(right)) {
        (Some(column), Some(literal)) => Some(Predicate::Compare { column, op: comparison(op)?, literal }),
        _ => Some(Predicate::Compare { column: column(right)?, op: comparison(op.swap()?)?, literal: literal(left)? }),
    }
}

fn column(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Column(column) => Some(column.name.clone()),
        _ => None,
    }
}

fn comparison(op: Operator) -> Option<Comparison> {
    match op {
        Operator::Eq => Some(Comparison::Eq),
        Operator::NotEq => Some(Comparison::NotEq),
        Operator::Lt => Some(Comparison::Lt),
        Operator::LtEq => Some(Comparison::LtEq),
        Operator::Gt => Some(Comparison::Gt),
        Operator::GtEq => Some(Comparison::GtEq),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<Literal> {
    match expr {
        Expr::Literal(value, _) => from_scalar(value),
        _ => None,
    }
}

fn from_scalar(value: &ScalarValue) -> Option<Literal> {
    match value {
        ScalarValue::Boolean(Some(flag)) => Some(Literal::Boolean(*flag)),
        ScalarValue::Int8(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::Int16(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::Int32(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::Int64(Some(n)) => Some(Literal::Int(*n)),
        ScalarValue::UInt8(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::UInt16(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::UInt32(Some(n)) => Some(Literal::Int((*n).into())),
        ScalarValue::UInt64(Some(n)) => Some(i64::try_from(*n).map_or(Literal::UInt(*n), Literal::Int)),
        ScalarValue::Float32(Some(x)) if !x.is_nan() => Some(Literal::Float((*x).into())),
        ScalarValue::Float64(Some(x)) if !x.is_nan() => Some(Literal::Float(*x)),
        ScalarValue::Decimal128(Some(value), _, scale) => Some(Literal::Decimal { value: *value, scale: *scale }),
        ScalarValue::Utf8(Some(text)) | ScalarValue::LargeUtf8(Some(text)) | ScalarValue::Utf8View(Some(text)) => {
            Some(Literal::Text(text.clone()))
        }
        ScalarValue::Date32(Some(days)) => Some(Literal::Date(*days)),
        _ => timestamp(value),
    }
}

fn timestamp(value: &ScalarValue) -> Option<Literal> {
    let (micros, zone) = match value {
        ScalarValue::TimestampSecond(Some(n), zone) => (n.checked_mul(1_000_000)?, zone),
        ScalarValue::TimestampMillisecond(Some(n), zone) => (n.checked_mul(1_000)?, zone),
        ScalarValue::TimestampMicrosecond(Some(n), zone) => (*n, zone),
        ScalarValue::TimestampNanosecond(Some(n), zone) if n % 1_000 == 0 => (n / 1_000, zone),
        _ => return None,
    };
    Some(Literal::Timestamp { micros, utc: zone.is_some() })
}
