//! Rules that this engine adds to DataFusion's: arithmetic that fails instead of wrapping around, and points in
//! time in microseconds.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::{
    common::{
        DFSchema, Result,
        config::ConfigOptions,
        tree_node::{Transformed, TreeNode},
    },
    logical_expr::{
        BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, expr::ScalarFunction,
        expr_rewriter::NamePreserver, planner::TypePlanner, utils::merge_schema,
    },
    optimizer::AnalyzerRule,
};
use sqlparser::ast::{DataType as SqlType, TimezoneInfo};

use crate::functions::{Checked, Operation};

/// `TIMESTAMP` means microseconds, so that every year from -290307 to 294247 has a place in it.
#[derive(Debug)]
pub(crate) struct MicrosecondTypes;

impl TypePlanner for MicrosecondTypes {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        let zoned = match sql_type {
            SqlType::Timestamp(None, zone) => matches!(zone, TimezoneInfo::WithTimeZone | TimezoneInfo::Tz),
            SqlType::Datetime(None) => false,
            _ => return Ok(None),
        };
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, zoned.then(|| Arc::from("UTC")));
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}

/// Puts [`Checked`] in the place of `+`, `-`, `*` and the sign on whole numbers, whose kernels wrap around.
/// Runs after type coercion, so both sides have one type.
#[derive(Debug)]
pub(crate) struct CheckedArithmetic;

impl AnalyzerRule for CheckedArithmetic {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(check_node)?.data)
    }

    fn name(&self) -> &'static str {
        "checked_arithmetic"
    }
}

fn check_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let mut schema = merge_schema(&plan.inputs());
    if let LogicalPlan::TableScan(scan) = &plan {
        schema.merge(&DFSchema::try_from_qualified_schema(scan.table_name.clone(), &scan.source.schema())?);
    }
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| Ok(check(expr, &schema)))?.update_data(|expr| name.restore(expr)))
    })
}

fn check(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let whole = |expr: &Expr| expr.get_type(schema).is_ok_and(|data_type| data_type.is_integer());
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match operation(op) {
            Some(operation) if whole(&left) && whole(&right) => Transformed::yes(call(operation, vec![*left, *right])),
            _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })),
        },
        Expr::Negative(inner) if whole(&inner) => Transformed::yes(call(Operation::Negate, vec![*inner])),
        other => Transformed::no(other),
    }
}

fn operation(op: Operator) -> Option<Operation> {
    match op {
        Operator::Plus => Some(Operation::Add),
        Operator::Minus => Some(Operation::Subtract),
        Operator::Multiply => Some(Operation::Multiply),
        _ => None,
    }
}

fn call(operation: Operation, args: Vec<Expr>) -> Expr {
    let function = Arc::new(ScalarUDF::new_from_impl(Checked::new(operation)));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
}
