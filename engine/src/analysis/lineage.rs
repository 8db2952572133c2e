//! Column lineage from the analysed, not yet optimised plan. Columns are followed by position, never by name:
//! names repeat, unions match by position, and aliases come and go.
//!
//! Two things flow upwards: for every column the sources of its values, and once for all rows the sources that
//! decided which rows there are and in what order. They meet at the top.

use std::collections::{BTreeSet, HashMap};

use datafusion::{
    common::{
        Column, DFSchema, Result, TableReference,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    logical_expr::{
        Aggregate, Distinct, Expr, Join, JoinType, LogicalPlan, RecursiveQuery, Subquery, TableScan, Unnest,
        expr::{AggregateFunction, Case, WindowFunction, WindowFunctionDefinition},
        utils::grouping_set_to_exprlist,
    },
};

use super::{ColumnLineage, Direct, Indirect, Influence, Source, Use};
use crate::EngineError;

/// Names a scanned relation as the session knows it.
pub(crate) type Naming<'a> = &'a dyn Fn(&TableReference) -> String;

/// One entry per column of the result.
pub(crate) fn lineage(plan: &LogicalPlan, naming: Naming<'_>) -> std::result::Result<Vec<ColumnLineage>, EngineError> {
    let flow = Walk { naming, worktables: HashMap::new() }.plan(plan, None)?;
    let columns = plan.schema().fields().iter().zip(flow.columns);
    let whole = |(field, sources): (&arrow::datatypes::FieldRef, Sources)| ColumnLineage {
        column: field.name().clone(),
        sources: sources.union(&flow.rows).cloned().collect(),
    };
    Ok(columns.map(whole).collect())
}

type Sources = BTreeSet<Influence>;

/// What flows out of one node.
#[derive(Debug, Clone, Default)]
struct Flow {
    columns: Vec<Sources>,
    rows: Sources,
}

/// What an expression can see: the columns of the node below, and those around a subquery.
#[derive(Clone, Copy)]
struct Scope<'a> {
    schema: &'a DFSchema,
    flow: &'a Flow,
    outer: Option<&'a Scope<'a>>,
}

struct Walk<'a> {
    naming: Naming<'a>,
    /// What recursive queries have given so far, by name.
    worktables: HashMap<String, Flow>,
}

const IDENTITY: Use = Use::Direct(Direct::Identity);
const TRANSFORMATION: Use = Use::Direct(Direct::Transformation);
const AGGREGATION: Use = Use::Direct(Direct::Aggregation);

/// How a source is used by an expression over something that uses it already.
fn compose(inner: Use, outer: Use) -> Use {
    match (inner, outer) {
        (Use::Indirect(_), _) => inner,
        (Use::Direct(_), Use::Indirect(_)) => outer,
        (Use::Direct(a), Use::Direct(b)) => Use::Direct(a.max(b)),
    }
}

/// Everything below a computation counts as computed.
fn at_least_transformed(how: Use) -> Use {
    compose(TRANSFORMATION, how)
}

fn composed(sources: &Sources, how: Use) -> Sources {
    sources.iter().map(|it| Influence { source: it.source.clone(), how: compose(it.how, how) }).collect()
}

impl Walk<'_> {
    fn plan(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Flow> {
        match plan {
            LogicalPlan::Projection(node) => self.computed(&node.expr, &node.input, outer),
            LogicalPlan::Filter(node) => {
                self.decided(&node.input, outer, [(&node.predicate, Indirect::Filter)].into_iter())
            }
            LogicalPlan::Sort(node) => {
                let keys = node.expr.iter().map(|key| (&key.expr, Indirect::Sort));
                self.decided(&node.input, outer, keys)
            }
            LogicalPlan::Window(node) => {
                let mut flow = self.plan(&node.input, outer)?;
                let windows = self.computed_over(&node.window_expr, &node.input, &flow, outer)?;
                flow.columns.extend(windows);
                Ok(flow)
            }
            LogicalPlan::Aggregate(node) => self.aggregate(node, outer),
            LogicalPlan::Join(node) => self.join(node, outer),
            LogicalPlan::Union(node) => {
                let mut whole: Option<Flow> = None;
                for input in &node.inputs {
                    let flow = self.plan(input, outer)?;
                    whole = Some(whole.map_or(flow.clone(), |so_far| merge(so_far, flow)));
                }
                Ok(whole.unwrap_or_default())
            }
            LogicalPlan::Distinct(node) => self.distinct(node, outer),
            LogicalPlan::Unnest(node) => self.unnest(node, outer),
            LogicalPlan::RecursiveQuery(node) => self.recursive(node, outer),
            LogicalPlan::TableScan(scan) => self.scan(scan),
            LogicalPlan::SubqueryAlias(node) => self.plan(&node.input, outer),
            LogicalPlan::Limit(node) => self.plan(&node.input, outer),
            LogicalPlan::Repartition(node) => self.plan(&node.input, outer),
            LogicalPlan::Subquery(node) => self.plan(&node.subquery, outer),
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Ok(blank(plan)),
            other => self.unknown(other, outer),
        }
    }

    fn scan(&self, scan: &TableScan) -> Result<Flow> {
        let fields = scan.projected_schema.fields();
        if let Some(known) = self.worktables.get(scan.table_name.table()) {
            return Ok(known.clone());
        }
        let relation = (self.naming)(&scan.table_name);
        let column = |field: &arrow::datatypes::FieldRef| {
            let source = Source { relation: relation.clone(), column: field.name().clone() };
            BTreeSet::from([Influence { source, how: IDENTITY }])
        };
        Ok(Flow { columns: fields.iter().map(column).collect(), rows: Sources::new() })
    }

    /// A node whose columns are expressions over its input.
    fn computed(&mut self, exprs: &[Expr], input: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let flow = self.plan(input, outer)?;
        let columns = self.computed_over(exprs, input, &flow, outer)?;
        Ok(Flow { columns, rows: flow.rows })
    }

    fn computed_over(
        &mut self,
        exprs: &[Expr],
        input: &LogicalPlan,
        flow: &Flow,
        outer: Option<&Scope<'_>>,
    ) -> Result<Vec<Sources>> {
        let scope = Scope { schema: input.schema(), flow, outer };
        exprs.iter().map(|expr| self.expr(expr, IDENTITY, &scope)).collect()
    }

    /// A node that only decides about the rows of its input.
    fn decided<'e>(
        &mut self,
        input: &LogicalPlan,
        outer: Option<&Scope<'_>>,
        conditions: impl Iterator<Item = (&'e Expr, Indirect)>,
    ) -> Result<Flow> {
        let mut flow = self.plan(input, outer)?;
        let mut rows = Sources::new();
        let scope = Scope { schema: input.schema(), flow: &flow, outer };
        for (condition, how) in conditions {
            rows.extend(self.expr(condition, Use::Indirect(how), &scope)?);
        }
        flow.rows.extend(rows);
        Ok(flow)
    }

    fn aggregate(&mut self, node: &Aggregate, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let flow = self.plan(&node.input, outer)?;
        let scope = Scope { schema: node.input.schema(), flow: &flow, outer };
        let groups = grouping_set_to_exprlist(&node.group_expr)?;
        let mut columns = Vec::with_capacity(node.schema.fields().len());
        let mut rows = flow.rows.clone();
        for group in &groups {
            columns.push(self.expr(group, IDENTITY, &scope)?);
            rows.extend(self.expr(group, Use::Indirect(Indirect::GroupBy), &scope)?);
        }
        // Grouping sets add a column that says which set a row belongs to.
        let numbering = node.schema.fields().len().saturating_sub(groups.len() + node.aggr_expr.len());
        columns.extend(std::iter::repeat_n(Sources::new(), numbering));
        for aggregate in &node.aggr_expr {
            columns.push(self.expr(aggregate, IDENTITY, &scope)?);
        }
        Ok(Flow { columns, rows })
    }

    fn join(&mut self, node: &Join, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let left = self.plan(&node.left, outer)?;
        let right = self.plan(&node.right, outer)?;
        let both = node.left.schema().join(node.right.schema())?;
        let mut all = Flow { columns: left.columns.clone(), rows: left.rows.clone() };
        all.columns.extend(right.columns.iter().cloned());
        all.rows.extend(right.rows.iter().cloned());
        let scope = Scope { schema: &both, flow: &all, outer };
        let mut rows = all.rows.clone();
        let how = Use::Indirect(Indirect::Join);
        for (one, other) in &node.on {
            rows.extend(self.expr(one, how, &scope)?);
            rows.extend(self.expr(other, how, &scope)?);
        }
        if let Some(filter) = &node.filter {
            rows.extend(self.expr(filter, how, &scope)?);
        }
        let columns = match node.join_type {
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => all.columns,
            JoinType::LeftSemi | JoinType::LeftAnti => left.columns,
            JoinType::RightSemi | JoinType::RightAnti => right.columns,
            JoinType::LeftMark => left.columns.into_iter().chain([rows.clone()]).collect(),
            JoinType::RightMark => right.columns.into_iter().chain([rows.clone()]).collect(),
        };
        Ok(Flow { columns, rows })
    }

    fn distinct(&mut self, node: &Distinct, outer: Option<&Scope<'_>>) -> Result<Flow> {
        match node {
            Distinct::All(input) => {
                let mut flow = self.plan(input, outer)?;
                let how = Use::Indirect(Indirect::GroupBy);
                let decided: Sources = flow.columns.iter().flat_map(|column| composed(column, how)).collect();
                flow.rows.extend(decided);
                Ok(flow)
            }
            Distinct::On(node) => {
                let mut flow = self.computed(&node.select_expr, &node.input, outer)?;
                let on = node.on_expr.iter().map(|expr| (expr, Indirect::GroupBy));
                let sort = node.sort_expr.iter().flatten().map(|key| (&key.expr, Indirect::Sort));
                flow.rows.extend(self.decided(&node.input, outer, on.chain(sort))?.rows);
                Ok(flow)
            }
        }
    }

    fn unnest(&mut self, node: &Unnest, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let flow = self.plan(&node.input, outer)?;
        let taken_apart: Vec<usize> =
            node.list_type_columns.iter().map(|(at, _)| *at).chain(node.struct_type_columns.iter().copied()).collect();
        let column = |at: &usize| {
            let how = if taken_apart.contains(at) { TRANSFORMATION } else { IDENTITY };
            flow.columns.get(*at).map(|sources| composed(sources, how)).unwrap_or_default()
        };
        Ok(Flow { columns: node.dependency_indices.iter().map(column).collect(), rows: flow.rows })
    }

    /// The second round sees what the first gave to columns that feed each other.
    fn recursive(&mut self, node: &RecursiveQuery, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let mut flow = self.plan(&node.static_term, outer)?;
        for _ in 0..flow.columns.len().clamp(1, 8) {
            let hidden = self.worktables.insert(node.name.clone(), flow.clone());
            let round = self.plan(&node.recursive_term, outer)?;
            match hidden {
                Some(hidden) => drop(self.worktables.insert(node.name.clone(), hidden)),
                None => drop(self.worktables.remove(&node.name)),
            }
            flow = merge(flow, round);
        }
        Ok(flow)
    }

    /// A kind of node that SQL queries do not have: every column may come from everything.
    fn unknown(&mut self, plan: &LogicalPlan, outer: Option<&Scope<'_>>) -> Result<Flow> {
        let mut everything = Sources::new();
        let mut rows = Sources::new();
        for input in plan.inputs() {
            let flow = self.plan(input, outer)?;
            everything.extend(flow.columns.iter().flat_map(|column| composed(column, TRANSFORMATION)));
            rows.extend(flow.rows);
        }
        let columns = vec![everything; plan.schema().fields().len()];
        Ok(Flow { columns, rows })
    }

    fn expr(&mut self, expr: &Expr, how: Use, scope: &Scope<'_>) -> Result<Sources> {
        match expr {
            Expr::Column(column) => Ok(composed(look_up(column, scope)?, how)),
            Expr::OuterReferenceColumn(_, column) => {
                let mut around = scope.outer;
                while let Some(scope) = around {
                    if let Ok(found) = look_up(column, scope) {
                        return Ok(composed(found, how));
                    }
                    around = scope.outer;
                }
                Ok(Sources::new())
            }
            Expr::Alias(alias) => self.expr(&alias.expr, how, scope),
            Expr::Case(case) => self.case(case, how, scope),
            Expr::AggregateFunction(function) => self.aggregation(function, how, scope),
            Expr::WindowFunction(function) => self.window(function, how, scope),
            Expr::ScalarSubquery(subquery) => {
                let flow = self.subquery(subquery, scope)?;
                let value = flow.columns.first().map(|column| composed(column, how)).unwrap_or_default();
                Ok(value.into_iter().chain(flow.rows).collect())
            }
            Expr::InSubquery(membership) => {
                let how = at_least_transformed(how);
                let mut sources = self.expr(&membership.expr, how, scope)?;
                let flow = self.subquery(&membership.subquery, scope)?;
                sources.extend(flow.columns.first().map(|column| composed(column, how)).unwrap_or_default());
                sources.extend(flow.rows);
                Ok(sources)
            }
            // Only whether there are rows matters, not what is in them.
            Expr::Exists(exists) => Ok(self.subquery(&exists.subquery, scope)?.rows),
            other => {
                let how = at_least_transformed(how);
                let mut sources = Sources::new();
                other.apply_children(|child| {
                    sources.extend(self.expr(child, how, scope)?);
                    Ok(TreeNodeRecursion::Continue)
                })?;
                Ok(sources)
            }
        }
    }

    fn subquery(&mut self, subquery: &Subquery, scope: &Scope<'_>) -> Result<Flow> {
        self.plan(&subquery.subquery, Some(scope))
    }

    fn case(&mut self, case: &Case, how: Use, scope: &Scope<'_>) -> Result<Sources> {
        let deciding = compose(how, Use::Indirect(Indirect::Conditional));
        let deciding = if matches!(how, Use::Indirect(_)) { how } else { deciding };
        let value = at_least_transformed(how);
        let mut sources = Sources::new();
        for operand in case.expr.iter() {
            sources.extend(self.expr(operand, deciding, scope)?);
        }
        for (when, then) in &case.when_then_expr {
            sources.extend(self.expr(when, deciding, scope)?);
            sources.extend(self.expr(then, value, scope)?);
        }
        for otherwise in case.else_expr.iter() {
            sources.extend(self.expr(otherwise, value, scope)?);
        }
        Ok(sources)
    }

    fn aggregation(&mut self, function: &AggregateFunction, how: Use, scope: &Scope<'_>) -> Result<Sources> {
        let mut sources = Sources::new();
        for arg in &function.params.args {
            sources.extend(self.expr(arg, compose(AGGREGATION, how), scope)?);
        }
        for filter in function.params.filter.iter() {
            sources.extend(self.expr(filter, Use::Indirect(Indirect::Filter), scope)?);
        }
        for key in &function.params.order_by {
            sources.extend(self.expr(&key.expr, Use::Indirect(Indirect::Sort), scope)?);
        }
        Ok(sources)
    }

    fn window(&mut self, function: &WindowFunction, how: Use, scope: &Scope<'_>) -> Result<Sources> {
        let value = match &function.fun {
            WindowFunctionDefinition::AggregateUDF(_) => AGGREGATION,
            WindowFunctionDefinition::WindowUDF(_) => TRANSFORMATION,
        };
        let mut sources = Sources::new();
        for arg in &function.params.args {
            sources.extend(self.expr(arg, compose(value, how), scope)?);
        }
        for filter in function.params.filter.iter() {
            sources.extend(self.expr(filter, Use::Indirect(Indirect::Filter), scope)?);
        }
        let order = function.params.order_by.iter().map(|key| &key.expr);
        for key in function.params.partition_by.iter().chain(order) {
            sources.extend(self.expr(key, Use::Indirect(Indirect::Window), scope)?);
        }
        Ok(sources)
    }
}

fn look_up<'a>(column: &Column, scope: &Scope<'a>) -> Result<&'a Sources> {
    let at = scope.schema.index_of_column(column)?;
    match scope.flow.columns.get(at) {
        Some(sources) => Ok(sources),
        None => datafusion::common::internal_err!("no lineage for column {at}"),
    }
}

fn merge(mut one: Flow, other: Flow) -> Flow {
    for (column, more) in one.columns.iter_mut().zip(other.columns) {
        column.extend(more);
    }
    one.rows.extend(other.rows);
    one
}

fn blank(plan: &LogicalPlan) -> Flow {
    Flow { columns: vec![Sources::new(); plan.schema().fields().len()], rows: Sources::new() }
}
