//! What each scan of an optimised plan asks of its source.

use std::collections::HashSet;

use datafusion::{
    common::{
        Column,
        tree_node::{Transformed, TreeNode, TreeNodeRecursion},
    },
    datasource::{empty::EmptyTable, source_as_provider},
    logical_expr::{Expr, FetchType, Limit, LogicalPlan, SkipType, TableScan, utils::split_conjunction},
};
use tidemill_connectors::Pushdown;

use super::{Local, ScanFacts, lineage::Naming};
use crate::{
    EngineError, functions,
    relation::{ConnectionTable, DatasetTable, of_source},
};

/// One entry per scan, in the order of the plan.
pub(crate) fn pushdown(plan: &LogicalPlan, naming: Naming<'_>) -> Result<Vec<ScanFacts>, EngineError> {
    let mut facts = Vec::new();
    // Conditions right above a scan belong to it; they are remembered until the scan itself is met.
    let mut above: Vec<Expr> = Vec::new();
    let mut limit: Option<String> = None;
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Filter(filter) => {
                above = split_conjunction(&filter.predicate).into_iter().cloned().collect();
            }
            LogicalPlan::Limit(found) => {
                above.clear();
                limit = Some(found_limit(found));
            }
            LogicalPlan::TableScan(scan) => {
                let facts_here = describe(scan, &std::mem::take(&mut above), limit.take())?;
                facts.push(ScanFacts { relation: naming(&scan.table_name), ..facts_here });
            }
            LogicalPlan::Projection(_) | LogicalPlan::SubqueryAlias(_) => {}
            _ => {
                above.clear();
                limit = None;
            }
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(facts)
}

fn found_limit(limit: &Limit) -> String {
    let skip = limit.get_skip_type();
    let fetch = limit.get_fetch_type();
    match (skip, fetch) {
        (Ok(SkipType::Literal(0)), Ok(FetchType::Literal(Some(fetch)))) => format!("LIMIT {fetch}"),
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(Some(fetch)))) => format!("LIMIT {fetch} OFFSET {skip}"),
        (Ok(SkipType::Literal(skip)), Ok(FetchType::Literal(None))) => format!("OFFSET {skip}"),
        _ => "LIMIT".to_owned(),
    }
}

fn describe(scan: &TableScan, above: &[Expr], limit: Option<String>) -> datafusion::common::Result<ScanFacts> {
    let provider = source_as_provider(&scan.source)?;
    let schema = provider.schema();
    let columns = match &scan.projection {
        Some(indices) => indices.iter().map(|index| schema.field(*index).name().clone()).collect(),
        None => schema.fields().iter().map(|field| field.name().clone()).collect(),
    };
    let connection = of_source(provider.as_ref());
    let kind = match connection {
        Some(table) => table.source().0.to_owned(),
        None if (provider.as_ref() as &dyn std::any::Any).is::<EmptyTable>() => "empty".to_owned(),
        None if (provider.as_ref() as &dyn std::any::Any).is::<DatasetTable>() => "dataset".to_owned(),
        None => "built-in".to_owned(),
    };
    let pushed: HashSet<String> = scan.filters.iter().map(text).collect();
    let mut local: Vec<Local> =
        above.iter().map(|filter| Local { what: text(filter), why: why(connection, filter, &pushed) }).collect();
    let pushed_limit = scan.fetch.and_then(|fetch| u64::try_from(fetch).ok());
    if let Some(what) = limit.filter(|_| pushed_limit.is_none() && connection.is_some()) {
        let why = "rows are left out here first, so the source cannot know when to stop".to_owned();
        local.push(Local { what, why });
    }
    Ok(ScanFacts {
        relation: String::new(),
        kind,
        columns,
        of_columns: schema.fields().len(),
        filters: scan.filters.iter().map(text).collect(),
        limit: pushed_limit,
        local,
    })
}

fn why(connection: Option<&ConnectionTable>, filter: &Expr, pushed: &HashSet<String>) -> String {
    match connection {
        Some(table) => {
            let (pushdown, reason) = table.judge(filter);
            match pushdown {
                Pushdown::Inexact => format!("{reason}, so it is applied again"),
                Pushdown::Exact | Pushdown::None => reason.to_owned(),
            }
        }
        None if pushed.contains(&text(filter)) => "whole row groups are left out by it; single rows here".to_owned(),
        None => "the source cannot use it".to_owned(),
    }
}

/// A condition as people write it: operators for the calls in their place, no relation in front of every column.
fn text(expr: &Expr) -> String {
    let plain = expr.clone().transform(|expr| {
        let expr = functions::original(&expr).unwrap_or(expr);
        Ok(Transformed::yes(match expr {
            Expr::Column(column) => Expr::Column(Column::new_unqualified(column.name)),
            other => other,
        }))
    });
    let plain = plain.map_or_else(|_| expr.clone(), |found| found.data);
    plain.human_display().to_string()
}
