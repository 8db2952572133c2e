//! Running a check: one pass over the rows for everything that can be counted together, one query more for each
//! `unique`, `references` and `sql`, and a short one for the sample of whatever does not hold.

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch},
    datatypes::{DataType, Date32Type, Date64Type, Int64Type, TimeUnit, TimestampMicrosecondType},
};
use datafusion::{
    common::{Column, JoinType},
    functions_aggregate::expr_fn::{count, max, sum},
    logical_expr::{Expr, ExprFunctionExt, LogicalPlan, LogicalPlanBuilder, lit},
};
use futures::StreamExt;
use tidemill_dag::{
    spec::{Check, Range},
    time::{Span, Timestamp},
};

use super::{
    CheckReport, ExpectationResult, Tested,
    condition::{self, Rule, column},
    find_column,
    sample::{SAMPLE_ROWS, to_json},
    tested,
};
use crate::{EngineError, Session};

const ROWS: &str = "_rows";
const DAY_MICROS: i64 = 86_400_000_000;

/// What an expectation found before it is put into words.
struct Finding {
    violations: u64,
    found: String,
    sample: Vec<serde_json::Map<String, serde_json::Value>>,
}

impl Finding {
    fn counted(violations: u64) -> Self {
        let found = match violations {
            0 => "it holds for every row".to_owned(),
            1 => "1 row offends".to_owned(),
            n => format!("{n} rows offend"),
        };
        Self { violations, found, sample: Vec::new() }
    }

    fn about_whole(holds: bool, found: String) -> Self {
        Self { violations: u64::from(!holds), found, sample: Vec::new() }
    }
}

impl Session {
    /// Tests the relation `check.input`. It and every relation that `references` names must have been added;
    /// templates of `sql` expectations must have been rendered. Ages are measured at `moment`.
    ///
    /// # Errors
    /// A column is not there or has the wrong type, or rows cannot be read. Violations are no errors.
    pub async fn check(&self, check: &Check, moment: Timestamp) -> Result<CheckReport, EngineError> {
        let input = self.scan_plan(&check.input).await?;
        let schema = input.schema().inner().clone();
        let all = check.expect.iter().map(|one| tested(one, &schema)).collect::<Result<Vec<_>, _>>()?;
        let counts = self.count_together(&input, &all).await?;
        let rows = whole_number(counts.column(0));
        let mut results = Vec::with_capacity(all.len());
        for (index, one) in all.iter().enumerate() {
            let counted = counts.column_by_name(&label(index));
            let finding = self.find(&input, one, rows, counted, moment).await?;
            results.push(report(one, finding));
        }
        Ok(CheckReport { rows, passed: results.iter().all(|result| result.passed), results })
    }

    /// Everything that needs only one look at each row.
    async fn count_together(&self, input: &LogicalPlan, all: &[Tested]) -> Result<RecordBatch, EngineError> {
        let mut aggregates = vec![count(lit(1_i64)).alias(ROWS)];
        for (index, one) in all.iter().enumerate() {
            match &one.rule {
                Rule::Row(offends) => {
                    aggregates.push(count(lit(1_i64)).filter(offends.clone()).build()?.alias(label(index)));
                }
                Rule::Freshness(_) => aggregates.push(max(column(&one.columns[0])).alias(label(index))),
                Rule::Unique | Rule::References { .. } | Rule::RowCount(_) | Rule::Sql(_) => {}
            }
        }
        let plan = LogicalPlanBuilder::from(input.clone()).aggregate(Vec::<Expr>::new(), aggregates)?.build()?;
        self.one_batch(plan).await
    }

    async fn find(
        &self,
        input: &LogicalPlan,
        one: &Tested,
        rows: u64,
        counted: Option<&ArrayRef>,
        moment: Timestamp,
    ) -> Result<Finding, EngineError> {
        match (&one.rule, counted) {
            (Rule::Row(offends), Some(counted)) => {
                let mut finding = Finding::counted(whole_number(counted));
                if finding.violations > 0 {
                    let offending = LogicalPlanBuilder::from(input.clone()).filter(offends.clone())?;
                    finding.sample = self.sample(offending).await?;
                }
                Ok(finding)
            }
            (Rule::Freshness(max_age), Some(newest)) => Ok(freshness(newest, *max_age, moment)),
            (Rule::Row(_) | Rule::Freshness(_), None) => Ok(Finding::counted(0)),
            (Rule::RowCount(range), _) => Ok(row_count(rows, range)),
            (Rule::Unique, _) => self.repeated(input, &one.columns).await,
            (Rule::References { to, to_column }, _) => self.orphans(input, &one.columns[0], to, to_column).await,
            (Rule::Sql(sql), _) => self.found_by(sql).await,
        }
    }

    async fn repeated(&self, input: &LogicalPlan, columns: &[String]) -> Result<Finding, EngineError> {
        let keys: Vec<Expr> = columns.iter().map(|name| column(name)).collect();
        let no_null = keys.iter().cloned().map(Expr::is_not_null).reduce(Expr::and).unwrap_or_else(|| lit(true));
        let repeated = LogicalPlanBuilder::from(input.clone())
            .filter(no_null)?
            .aggregate(keys.clone(), vec![count(lit(1_i64)).alias(ROWS)])?
            .filter(column(ROWS).gt(lit(1_i64)))?
            .build()?;
        let total = LogicalPlanBuilder::from(repeated.clone())
            .aggregate(Vec::<Expr>::new(), vec![sum(column(ROWS)).alias(ROWS), count(lit(1_i64)).alias("_groups")])?
            .build()?;
        let total = self.one_batch(total).await?;
        let mut finding = Finding::counted(whole_number(total.column(0)));
        if finding.violations > 0 {
            finding.found = format!("{} rows share {} values", finding.violations, whole_number(total.column(1)));
            let order = keys.into_iter().map(|key| key.sort(true, false));
            let first = LogicalPlanBuilder::from(repeated).sort_with_limit(order, Some(SAMPLE_ROWS))?;
            finding.sample = self.sample(first).await?;
        }
        Ok(finding)
    }

    async fn orphans(
        &self,
        input: &LogicalPlan,
        from: &str,
        to: &str,
        to_column: &str,
    ) -> Result<Finding, EngineError> {
        let orphans = self.orphan_plan(input, from, to, to_column).await?;
        let total = LogicalPlanBuilder::from(orphans.clone())
            .aggregate(Vec::<Expr>::new(), vec![count(lit(1_i64)).alias(ROWS)])?
            .build()?;
        let mut finding = Finding::counted(whole_number(self.one_batch(total).await?.column(0)));
        if finding.violations > 0 {
            finding.sample = self.sample(LogicalPlanBuilder::from(orphans)).await?;
        }
        Ok(finding)
    }

    /// The known values are the side that is kept in memory: they are usually fewer.
    async fn orphan_plan(
        &self,
        input: &LogicalPlan,
        from: &str,
        to: &str,
        to_column: &str,
    ) -> Result<LogicalPlan, EngineError> {
        let known = self.known_values(to, to_column).await?;
        let tested =
            LogicalPlanBuilder::from(input.clone()).filter(column(from).is_not_null())?.alias("_tested")?.build()?;
        let on = (vec![Column::new(Some("_known"), KNOWN)], vec![Column::new(Some("_tested"), from)]);
        let joined = LogicalPlanBuilder::from(known).join(tested, JoinType::RightAnti, on, None)?;
        Ok(joined.build()?)
    }

    /// The distinct values that a reference may have, as the column [`KNOWN`] of `_known`.
    pub(super) async fn known_values(&self, to: &str, to_column: &str) -> Result<LogicalPlan, EngineError> {
        let known = self.scan_plan(to).await?;
        let name = find_column(known.schema().as_arrow(), to_column)?.name().clone();
        let values = LogicalPlanBuilder::from(known).project([condition::column(&name).alias(KNOWN)])?.distinct()?;
        Ok(values.alias("_known")?.build()?)
    }

    /// Counts the rows of a query and keeps the first of them.
    async fn found_by(&self, sql: &str) -> Result<Finding, EngineError> {
        let mut rows = self.stream(sql).await?;
        let (mut count, mut sample) = (0_u64, Vec::new());
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            count += u64::try_from(batch.num_rows()).unwrap_or(0);
            if sample.len() < SAMPLE_ROWS {
                sample.extend(to_json(&batch, SAMPLE_ROWS - sample.len())?);
            }
        }
        let found = match count {
            0 => "the query finds nothing".to_owned(),
            1 => "the query finds 1 row".to_owned(),
            n => format!("the query finds {n} rows"),
        };
        Ok(Finding { violations: count, found, sample })
    }

    async fn sample(
        &self,
        offending: LogicalPlanBuilder,
    ) -> Result<Vec<serde_json::Map<String, serde_json::Value>>, EngineError> {
        let plan = offending.limit(0, Some(SAMPLE_ROWS))?.build()?;
        let mut sample = Vec::new();
        for batch in self.run_plan(plan)?.collect().await? {
            sample.extend(to_json(&batch, SAMPLE_ROWS)?);
        }
        Ok(sample)
    }

    async fn one_batch(&self, plan: LogicalPlan) -> Result<RecordBatch, EngineError> {
        let rows = self.run_plan(plan)?;
        let schema = rows.schema();
        let batches = rows.collect().await?;
        Ok(arrow::compute::concat_batches(&schema, &batches)?)
    }
}

/// The column of a reference's known values.
pub(super) const KNOWN: &str = "_known_value";

fn label(index: usize) -> String {
    format!("_expectation_{index}")
}

/// The only value of a count or a sum; none means zero.
fn whole_number(column: &ArrayRef) -> u64 {
    match column.as_primitive_opt::<Int64Type>() {
        Some(numbers) if !numbers.is_empty() && numbers.is_valid(0) => u64::try_from(numbers.value(0)).unwrap_or(0),
        _ => 0,
    }
}

fn report(one: &Tested, finding: Finding) -> ExpectationResult {
    ExpectationResult {
        name: one.name.to_owned(),
        columns: one.columns.clone(),
        scope: one.scope(),
        expected: one.expected.clone(),
        found: finding.found,
        passed: finding.violations == 0,
        violations: finding.violations,
        sample: finding.sample,
    }
}

fn row_count(rows: u64, range: &Range) -> Finding {
    let holds = range.min.is_none_or(|min| rows >= min) && range.max.is_none_or(|max| rows <= max);
    Finding::about_whole(holds, if rows == 1 { "there is 1 row".to_owned() } else { format!("there are {rows} rows") })
}

fn freshness(newest: &ArrayRef, max_age: Span, moment: Timestamp) -> Finding {
    let Some(newest) = moment_of(newest) else {
        return Finding::about_whole(false, "there is no value at all".to_owned());
    };
    let age = moment.since(newest);
    let whole_seconds = Span::seconds(age.as_secs());
    Finding::about_whole(age <= max_age.0, format!("the newest is {whole_seconds} old, from {newest}"))
}

/// The first value as a moment. A date stands for the end of its day.
fn moment_of(column: &ArrayRef) -> Option<Timestamp> {
    if column.is_empty() || column.is_null(0) {
        return None;
    }
    match column.data_type() {
        DataType::Date32 => {
            let days = i64::from(column.as_primitive::<Date32Type>().value(0));
            Some(Timestamp(days.saturating_add(1).saturating_mul(DAY_MICROS)))
        }
        DataType::Date64 => {
            let days = column.as_primitive::<Date64Type>().value(0).div_euclid(86_400_000);
            Some(Timestamp(days.saturating_add(1).saturating_mul(DAY_MICROS)))
        }
        DataType::Timestamp(_, zone) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let cast = arrow::compute::cast(column, &micros).ok()?;
            Some(Timestamp(cast.as_primitive::<TimestampMicrosecondType>().value(0)))
        }
        _ => None,
    }
}
