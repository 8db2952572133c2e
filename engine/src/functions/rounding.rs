//! `round`, `trunc`, `floor` and `ceil`: whole numbers stay what they are, decimals stay decimals.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array},
    datatypes::{DataType, Decimal128Type, Field, FieldRef, Float64Type, Int64Type},
    error::ArrowError,
};
use datafusion::{
    common::{Result, plan_err},
    logical_expr::{
        ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    },
};

use super::math::number;

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Way {
    /// To the nearest; halves away from zero.
    Nearest,
    /// Towards zero.
    Zero,
    Down,
    Up,
}

pub(crate) fn all() -> Vec<ScalarUDF> {
    let function = |name, way, digits| {
        ScalarUDF::new_from_impl(Rounding {
            name,
            way,
            digits,
            signature: Signature::user_defined(Volatility::Immutable),
        })
    };
    vec![
        function("round", Way::Nearest, true),
        function("trunc", Way::Zero, true),
        function("floor", Way::Down, false),
        function("ceil", Way::Up, false),
        function("ceiling", Way::Up, false),
    ]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Rounding {
    name: &'static str,
    way: Way,
    /// Whether a second argument says how many digits stay.
    digits: bool,
    signature: Signature,
}

impl ScalarUDFImpl for Rounding {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [value] => Ok(vec![number(self.name, value)?]),
            [value, places] if self.digits && (places.is_integer() || places.is_null()) => {
                Ok(vec![number(self.name, value)?, DataType::Int64])
            }
            _ if self.digits => plan_err!("{} takes a number and, if wanted, how many digits stay", self.name),
            _ => plan_err!("{} takes one number", self.name),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, args.arg_fields[0].data_type().clone(), nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let value = args.args[0].to_array(args.number_rows)?;
        let digits: ArrayRef = match args.args.get(1) {
            Some(digits) => digits.to_array(args.number_rows)?,
            None => Arc::new(Int64Array::from(vec![0; value.len()])),
        };
        let digits = digits.as_primitive::<Int64Type>();
        let result: ArrayRef = match value.data_type() {
            DataType::Float64 => {
                let floats = value.as_primitive::<Float64Type>();
                let rounded: Float64Array = arrow::compute::binary(floats, digits, |x, n| self.way.float(x, n))?;
                Arc::new(rounded)
            }
            DataType::Decimal128(_, scale) => {
                let decimals = value.as_primitive::<Decimal128Type>();
                let scale = i64::from(*scale);
                let rounded: Decimal128Array =
                    arrow::compute::try_binary(decimals, digits, |x, n| self.way.whole(x, scale.saturating_sub(n)))?;
                Arc::new(rounded.with_data_type(value.data_type().clone()))
            }
            whole if args.args.len() == 1 || whole.is_unsigned_integer() => value,
            whole => {
                let wide = arrow::compute::cast(&value, &DataType::Int64)?;
                let rounded: Int64Array =
                    arrow::compute::try_binary(wide.as_primitive::<Int64Type>(), digits, |x, n| {
                        let wide = self.way.whole(i128::from(x), 0_i64.saturating_sub(n))?;
                        i64::try_from(wide)
                            .map_err(|_| ArrowError::ArithmeticOverflow(format!("{wide} after rounding")))
                    })?;
                arrow::compute::cast(&rounded, whole)?
            }
        };
        Ok(ColumnarValue::Array(result))
    }
}

impl Way {
    fn float(self, x: f64, digits: i64) -> f64 {
        /// From here on every floating-point number is whole.
        const WHOLE: f64 = 4_503_599_627_370_496.0;
        if digits >= 0 && x.abs() >= WHOLE {
            return x;
        }
        let whole = |x: f64| match self {
            Self::Nearest => x.round(),
            Self::Zero => x.trunc(),
            Self::Down => x.floor(),
            Self::Up => x.ceil(),
        };
        let power = i32::try_from(digits.abs().min(400)).map_or(f64::INFINITY, |n| 10_f64.powi(n));
        let rounded = if digits >= 0 { whole(x * power) / power } else { whole(x / power) * power };
        // Beyond the precision of the number, or of the power, there is nothing to round.
        if rounded.is_finite() { rounded } else { x }
    }

    /// Drops that many decimal digits of a whole number and puts zeros in their place.
    fn whole(self, x: i128, drop: i64) -> Result<i128, ArrowError> {
        let Ok(drop) = u32::try_from(drop) else { return Ok(x) };
        let Some(unit) = 10_i128.checked_pow(drop) else { return Ok(0) };
        let (quotient, rest) = (x.div_euclid(unit), x.rem_euclid(unit));
        let up = match self {
            _ if rest == 0 => false,
            Self::Nearest => {
                if x >= 0 {
                    rest >= unit - rest
                } else {
                    rest > unit - rest
                }
            }
            Self::Zero => x < 0,
            Self::Down => false,
            Self::Up => true,
        };
        let rounded = quotient + i128::from(up);
        rounded.checked_mul(unit).ok_or_else(|| ArrowError::ArithmeticOverflow(format!("{x} after rounding")))
    }
}
