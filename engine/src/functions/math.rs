//! The usual mathematics on floating-point numbers, and `abs`.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray},
    datatypes::{
        ArrowNativeTypeOp, DataType, Decimal128Type, Field, FieldRef, Float64Type, Int8Type, Int16Type, Int32Type,
        Int64Type,
    },
    error::ArrowError,
};
use datafusion::{
    common::{Result, exec_err, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

type One = fn(f64) -> f64;
type Two = fn(f64, f64) -> f64;

const ONE: &[(&str, One)] = &[
    ("sqrt", f64::sqrt),
    ("cbrt", f64::cbrt),
    ("exp", f64::exp),
    ("ln", f64::ln),
    ("log10", f64::log10),
    ("log2", f64::log2),
    ("sin", f64::sin),
    ("cos", f64::cos),
    ("tan", f64::tan),
    ("asin", f64::asin),
    ("acos", f64::acos),
    ("atan", f64::atan),
    ("degrees", f64::to_degrees),
    ("radians", f64::to_radians),
    ("signum", sign),
    ("sign", sign),
];

const TWO: &[(&str, Two)] = &[
    ("power", f64::powf),
    ("pow", f64::powf),
    ("atan2", f64::atan2),
    ("log", |base, x| x.log(base)),
    ("nanvl", nanvl),
];

fn sign(x: f64) -> f64 {
    if x == 0.0 || x.is_nan() { x } else { x.signum() }
}

fn nanvl(x: f64, other: f64) -> f64 {
    if x.is_nan() { other } else { x }
}

pub(crate) fn all() -> Vec<ScalarUDF> {
    let one = ONE.iter().map(|(name, f)| ScalarUDF::new_from_impl(Float::new(name, Body::One(*f))));
    let two = TWO.iter().map(|(name, f)| ScalarUDF::new_from_impl(Float::new(name, Body::Two(*f))));
    let rest = [
        ScalarUDF::new_from_impl(Float::new("pi", Body::Constant(std::f64::consts::PI))),
        ScalarUDF::new_from_impl(Abs { signature: Signature::user_defined(Volatility::Immutable) }),
    ];
    one.chain(two).chain(rest).collect()
}

#[derive(Debug, Clone, Copy)]
enum Body {
    Constant(f64),
    One(One),
    Two(Two),
}

/// A function of floating-point numbers, told apart by its name.
#[derive(Debug)]
struct Float {
    name: &'static str,
    body: Body,
    signature: Signature,
}

impl Float {
    fn new(name: &'static str, body: Body) -> Self {
        let signature = match body {
            Body::Constant(_) => Signature::nullary(Volatility::Immutable),
            Body::One(_) => Signature::exact(vec![DataType::Float64], Volatility::Immutable),
            Body::Two(_) => Signature::exact(vec![DataType::Float64; 2], Volatility::Immutable),
        };
        Self { name, body, signature }
    }
}

impl PartialEq for Float {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Float {}

impl std::hash::Hash for Float {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Float {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Float64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let floats: Vec<_> = arrays.iter().map(AsArray::as_primitive::<Float64Type>).collect();
        let result: PrimitiveArray<Float64Type> = match (self.body, floats.as_slice()) {
            (Body::Constant(value), []) => return Ok(ColumnarValue::Scalar(value.into())),
            (Body::One(f), [x]) => x.unary(f),
            (Body::Two(f), [x, y]) => arrow::compute::binary(x, y, f)?,
            _ => return exec_err!("{} got {} arguments", self.name, floats.len()),
        };
        Ok(ColumnarValue::Array(Arc::new(result)))
    }
}

/// `abs`: keeps the type; the smallest whole number of a type has no counterpart and is an error.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Abs {
    signature: Signature,
}

impl ScalarUDFImpl for Abs {
    fn name(&self) -> &'static str {
        "abs"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [only] => Ok(vec![number("abs", only)?]),
            other => plan_err!("abs takes one argument, not {}", other.len()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new("abs", args.arg_fields[0].data_type().clone(), args.arg_fields[0].is_nullable())))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let array = args.args[0].to_array(args.number_rows)?;
        let result: ArrayRef = match array.data_type() {
            DataType::Int8 => checked_abs::<Int8Type>(&array)?,
            DataType::Int16 => checked_abs::<Int16Type>(&array)?,
            DataType::Int32 => checked_abs::<Int32Type>(&array)?,
            DataType::Int64 => checked_abs::<Int64Type>(&array)?,
            DataType::Decimal128(..) => checked_abs::<Decimal128Type>(&array)?,
            DataType::Float64 => Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs)),
            _ => array,
        };
        Ok(ColumnarValue::Array(result))
    }
}

fn checked_abs<T: ArrowPrimitiveType>(array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let zero = T::default_value();
    let result: PrimitiveArray<T> =
        array.as_primitive::<T>().try_unary(|x| if x.is_lt(zero) { x.neg_checked() } else { Ok(x) })?;
    Ok(Arc::new(result.with_data_type(array.data_type().clone())))
}

/// The type in which a number is computed: whole numbers and decimals as they are, all else floating-point.
pub(crate) fn number(function: &str, given: &DataType) -> Result<DataType> {
    match given {
        exact if exact.is_integer() => Ok(exact.clone()),
        DataType::Decimal128(..) => Ok(given.clone()),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            Ok(DataType::Decimal128(*precision, *scale))
        }
        DataType::Float16 | DataType::Float32 | DataType::Float64 | DataType::Null | DataType::Decimal256(..) => {
            Ok(DataType::Float64)
        }
        other => plan_err!("{function} needs a number, not {other}"),
    }
}
