//! `+`, `-`, `*` and the sign on whole numbers, with an error where the result does not fit.

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Datum},
    compute::kernels::numeric,
    datatypes::{DataType, Field, FieldRef},
    error::ArrowError,
};
use datafusion::{
    common::{Result, exec_err},
    logical_expr::{
        BinaryExpr, ColumnarValue, Expr, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature,
        Volatility,
    },
    physical_expr_common::datum::apply,
};

/// What is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Negate,
}

impl Operation {
    const fn operator(self) -> Option<Operator> {
        match self {
            Self::Add => Some(Operator::Plus),
            Self::Subtract => Some(Operator::Minus),
            Self::Multiply => Some(Operator::Multiply),
            Self::Negate => None,
        }
    }
}

/// One operation as a function. It prints as the operator that it stands for.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Checked {
    operation: Operation,
    signature: Signature,
}

impl Checked {
    pub(crate) fn new(operation: Operation) -> Self {
        let count = if operation.operator().is_some() { 2 } else { 1 };
        Self { operation, signature: Signature::any(count, Volatility::Immutable) }
    }

    /// The expression that this call replaced.
    fn original(&self, args: &[Expr]) -> Option<Expr> {
        match (self.operation.operator(), args) {
            (Some(op), [left, right]) => {
                Some(Expr::BinaryExpr(BinaryExpr::new(Box::new(left.clone()), op, Box::new(right.clone()))))
            }
            (None, [inner]) => Some(Expr::Negative(Box::new(inner.clone()))),
            _ => None,
        }
    }
}

/// The expression as its author wrote it, if it is a call that was put in its place.
pub(crate) fn original(expr: &Expr) -> Option<Expr> {
    match expr {
        Expr::ScalarFunction(call) => {
            let checked = call.func.inner().downcast_ref::<Checked>()?;
            checked.original(&call.args)
        }
        _ => None,
    }
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        match self.operation {
            Operation::Add => "checked_add",
            Operation::Subtract => "checked_subtract",
            Operation::Multiply => "checked_multiply",
            Operation::Negate => "checked_negate",
        }
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.original(args).map_or_else(String::new, |expr| expr.to_string()))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.original(args).map_or_else(String::new, |expr| expr.schema_name().to_string()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(first) => Ok(first.clone()),
            None => exec_err!("arithmetic without operands"),
        }
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name(), self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let both = |kernel: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError>| match args.args.as_slice() {
            [left, right] => apply(left, right, kernel),
            _ => exec_err!("arithmetic needs two operands"),
        };
        match self.operation {
            Operation::Add => both(numeric::add),
            Operation::Subtract => both(numeric::sub),
            Operation::Multiply => both(numeric::mul),
            Operation::Negate => {
                let arrays = ColumnarValue::values_to_arrays(&args.args)?;
                Ok(ColumnarValue::Array(numeric::neg(arrays[0].as_ref())?))
            }
        }
    }
}
