//! The session's moment, and text or numbers as points in time, all in microseconds.

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, AsArray, Int64Array},
    compute::cast,
    datatypes::{DataType, Field, FieldRef, Float64Type, Int64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_err},
    logical_expr::{
        ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
        simplify::{ExprSimplifyResult, SimplifyContext},
    },
};
use tidemill_dag::time::Timestamp;

const MICROS: i64 = 1_000_000;

/// `now()` and `current_timestamp`: the moment the session was given, never the machine's clock.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Now {
    moment: i64,
    signature: Signature,
    aliases: Vec<String>,
}

impl Now {
    pub(crate) fn new(now: Timestamp) -> Self {
        let aliases = vec!["current_timestamp".to_owned()];
        Self { moment: now.0, signature: Signature::nullary(Volatility::Stable), aliases }
    }

    fn value(&self) -> ScalarValue {
        ScalarValue::TimestampMicrosecond(Some(self.moment), Some(Arc::from("UTC")))
    }
}

impl ScalarUDFImpl for Now {
    fn name(&self) -> &'static str {
        "now"
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.value().data_type())
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(Arc::new(Field::new(self.name(), self.value().data_type(), false)))
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.value()))
    }

    fn simplify(&self, _: Vec<Expr>, _: &SimplifyContext) -> Result<ExprSimplifyResult> {
        Ok(ExprSimplifyResult::Simplified(Expr::Literal(self.value(), None)))
    }
}

/// `to_timestamp`: seconds as numbers, or text (with formats, if given), in microseconds instead of nanoseconds,
/// which end in the year 2262.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ToTimestamp {
    micros: Arc<ScalarUDF>,
    signature: Signature,
}

impl ToTimestamp {
    pub(crate) fn new(micros: Arc<ScalarUDF>) -> Self {
        let signature = micros.signature().clone();
        Self { micros, signature }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &'static str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.micros.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.micros.return_field_from_args(args)?;
        Ok(Arc::new(field.as_ref().clone().with_name(self.name())))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(first) = args.args.first() else {
            return exec_err!("to_timestamp needs an argument");
        };
        let data_type = first.data_type();
        if data_type.is_numeric() {
            let scaled = seconds_to_micros(&first.to_array(args.number_rows)?)?;
            args.args[0] = ColumnarValue::Array(scaled);
            args.arg_fields[0] = Arc::new(Field::new("seconds", DataType::Int64, true));
        } else if args.args.len() == 1 {
            // The built-in function reads text by way of nanoseconds; the cast does not.
            let array = first.to_array(args.number_rows)?;
            return Ok(ColumnarValue::Array(cast(&array, args.return_field.data_type())?));
        }
        self.micros.invoke_with_args(args)
    }
}

fn seconds_to_micros(seconds: &ArrayRef) -> Result<ArrayRef> {
    if seconds.data_type().is_integer() {
        let whole = cast(seconds, &DataType::Int64)?;
        let scaled: Int64Array = whole.as_primitive::<Int64Type>().try_unary(|n| {
            n.checked_mul(MICROS).ok_or_else(|| {
                arrow::error::ArrowError::ArithmeticOverflow(format!("{n} seconds are not a point in time"))
            })
        })?;
        return Ok(Arc::new(scaled));
    }
    let fractions = cast(seconds, &DataType::Float64)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "the range is checked first")]
    let scaled: Int64Array = fractions.as_primitive::<Float64Type>().try_unary(|x| {
        let micros = (x * MICROS as f64).round();
        if micros.abs() < i64::MAX as f64 {
            Ok(micros as i64)
        } else {
            Err(arrow::error::ArrowError::ArithmeticOverflow(format!("{x} seconds are not a point in time")))
        }
    })?;
    Ok(Arc::new(scaled))
}
