//! Quarantine: the rows that pass, and the rows that do not with the reason.

use datafusion::{
    common::{Column, JoinType},
    functions::string::expr_fn::concat_ws,
    functions_aggregate::count::count_udaf,
    logical_expr::{
        Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, WindowFunctionDefinition, expr::WindowFunction, lit,
        when,
    },
};
use tidemill_dag::spec::Check;

use super::{Split, Tested, condition::Rule, run::KNOWN, tested};
use crate::{EngineError, Session};

const INPUT: &str = "_input";
const REASON: &str = "_reason";

impl Session {
    /// Splits `check.input` by the expectations about single rows; those about the whole do not take part.
    ///
    /// # Errors
    /// As [`Session::check`].
    pub async fn split(&self, check: &Check) -> Result<Split, EngineError> {
        let input = self.scan_plan(&check.input).await?;
        let schema = input.schema().inner().clone();
        let all = check.expect.iter().map(|one| tested(one, &schema)).collect::<Result<Vec<_>, _>>()?;
        let mut reason = REASON.to_owned();
        while schema.fields().iter().any(|field| *field.name() == reason) {
            reason.insert(0, '_');
        }
        let own: Vec<Expr> = schema.fields().iter().map(|field| of_input(field.name())).collect();
        let judged = self.judged(input, &all, &own, &reason).await?;
        let verdict = Expr::Column(Column::new_unqualified(&reason));
        let passes =
            LogicalPlanBuilder::from(judged.clone()).filter(verdict.clone().eq(lit("")))?.project(own)?.build()?;
        let fails = LogicalPlanBuilder::from(judged).filter(verdict.not_eq(lit("")))?.build()?;
        Ok(Split { surviving: self.run_plan(passes)?, quarantined: self.run_plan(fails)? })
    }

    /// The rows with one more column: what they offend against, or nothing.
    async fn judged(
        &self,
        input: LogicalPlan,
        all: &[Tested],
        own: &[Expr],
        reason: &str,
    ) -> Result<LogicalPlan, EngineError> {
        let mut builder = LogicalPlanBuilder::from(input).alias(INPUT)?;
        let mut reasons = Vec::new();
        for (index, one) in all.iter().enumerate() {
            let offends = match &one.rule {
                Rule::Row(offends) => offends.clone(),
                Rule::Unique => {
                    let label = format!("_same_{index}");
                    builder = builder.window([same_values(&one.columns)?.alias(&label)])?;
                    let keys = one.columns.iter().map(|name| of_input(name).is_not_null());
                    let repeated = Expr::Column(Column::new_unqualified(label)).gt(lit(1_i64));
                    keys.fold(repeated, Expr::and)
                }
                Rule::References { to, to_column } => {
                    let side = format!("_known_{index}");
                    let known =
                        LogicalPlanBuilder::from(self.known_values(to, to_column).await?).alias(&*side)?.build()?;
                    let there = Column::new(Some(side.as_str()), KNOWN);
                    let here = Column::new(Some(INPUT), &one.columns[0]);
                    builder = builder.join(known, JoinType::Left, (vec![here], vec![there.clone()]), None)?;
                    of_input(&one.columns[0]).is_not_null().and(Expr::Column(there).is_null())
                }
                Rule::RowCount(_) | Rule::Freshness(_) | Rule::Sql(_) => continue,
            };
            reasons.push(when(offends, lit(format!("{}: {}", one.name, one.expected))).end()?);
        }
        let verdict = if reasons.is_empty() { lit("") } else { concat_ws(lit("; "), reasons) };
        let columns = own.iter().cloned().chain([verdict.alias(reason)]);
        Ok(builder.project(columns)?.build()?)
    }
}

fn of_input(name: &str) -> Expr {
    Expr::Column(Column::new(Some(INPUT), name))
}

/// How many rows have the same values. Sorting by them spills; no row is kept in memory for another partition.
fn same_values(columns: &[String]) -> Result<Expr, EngineError> {
    let count = WindowFunction::new(WindowFunctionDefinition::AggregateUDF(count_udaf()), vec![lit(1_i64)]);
    let keys = columns.iter().map(|name| of_input(name)).collect();
    Ok(Expr::from(count).partition_by(keys).build()?)
}
