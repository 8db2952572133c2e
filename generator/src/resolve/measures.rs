//! Measures as SQL, with the names their columns get.

use super::{Resolved, Resolver, columns::Col};
use crate::{
    answer::{Problem, codes},
    catalog::{Kind, TableId},
    ident,
    query::{Output, task_name},
    request::{Agg, Expr, MeasureM, Noun, Role, What},
    words::stem,
};

impl Resolver<'_> {
    pub(crate) fn measure(&mut self, measure: &MeasureM) -> Resolved<Output> {
        let (sql, name) = self.what(measure)?;
        let name = measure.name.clone().unwrap_or(name);
        if !measure.at.is_empty() {
            self.mean(&measure.at, format!("measure {name}"));
        }
        Ok(Output { sql, name })
    }

    fn what(&mut self, measure: &MeasureM) -> Resolved<(String, String)> {
        match &measure.what {
            What::Rows(None) => Ok(self.rows_of_base()),
            What::Rows(Some(noun)) if noun.tables.contains(&self.base()) => Ok(self.rows_of_base()),
            What::Rows(Some(noun)) => self.distinct_of(noun, false),
            What::Distinct(noun, said) => self.distinct_of(noun, *said),
            What::Of { agg, expr } => self.aggregate(*agg, expr, measure),
            What::Share { noun, percent } => {
                self.of_base(noun.as_ref())?;
                let (factor, name) = shares(*percent);
                self.assume(format!("each {name} is the group's part of all rows that fulfil the conditions"));
                Ok((format!("{factor} * count(*) / sum(count(*)) OVER ()"), format!("{name}_of_{}", self.base_name())))
            }
            What::ShareWhere { noun, percent, cond } => {
                self.of_base(noun.as_ref())?;
                let (factor, name) = shares(*percent);
                let cond = self.cond(cond)?;
                self.assume(format!(
                    "the {name} is of all rows in the group, also of those where the value is missing"
                ));
                Ok((
                    format!("{factor} * sum(CASE WHEN {cond} THEN 1 ELSE 0 END) / count(*)"),
                    format!("{name}_of_{}", self.base_name()),
                ))
            }
        }
    }

    fn of_base(&self, noun: Option<&Noun>) -> Resolved<()> {
        match noun {
            Some(noun) if !noun.tables.contains(&self.base()) => Err(Problem::new(
                codes::CONTRADICTION,
                self.words(&noun.at),
                format!("the rows counted are those of `{}`", self.catalog().table(self.base()).name),
            )),
            Some(_) | None => Ok(()),
        }
    }

    fn base_name(&self) -> String {
        task_name(self.catalog(), self.base())
    }

    fn rows_of_base(&mut self) -> (String, String) {
        let catalog = self.catalog();
        let table = catalog.table(self.base());
        let repeated = table.columns.iter().any(|c| c.unique_once && !c.unique);
        if repeated {
            self.assume(format!("`{}` holds some rows more than once; each row counts", table.name));
        }
        let name = crate::words::parts(&table.name).iter().map(|p| stem(p)).collect::<Vec<_>>().join("_");
        ("count(*)".to_owned(), ident::slug(&format!("{name}_count")))
    }

    fn distinct_of(&mut self, noun: &Noun, said: bool) -> Resolved<(String, String)> {
        let col = match &noun.column {
            Some(mention) => {
                let col = self.column(mention)?;
                let kind = self.catalog().column(col.id).kind;
                let key = self.lexis.links.iter().any(|l| l.from == col.id || l.to == col.id);
                if (kind.is_number() || kind.is_time()) && !key && !said {
                    let (words, label) = (self.words(&mention.at), self.label(&col));
                    let choices = [format!("total {words}"), format!("different {words}")];
                    return Err(Problem::new(
                        codes::AMBIGUOUS,
                        words,
                        format!(
                            "{label} can be counted in more than one way: the rows that have one, the different values"
                        ),
                    )
                    .choices(choices));
                }
                col
            }
            None if noun.tables.contains(&self.base()) => self.own_key(noun)?,
            None => self.entity_key(noun, Role::Any)?,
        };
        let label = self.label(&col);
        self.assume(format!(
            "`{}` counts different values of {label}; rows without one do not count",
            self.words(&noun.at)
        ));
        let sql = self.sql(&col);
        Ok((format!("count(DISTINCT {sql})"), ident::slug(&format!("{}_count", self.catalog().column(col.id).name))))
    }

    fn own_key(&self, noun: &Noun) -> Resolved<Col> {
        let base: TableId = self.base();
        let key = self
            .catalog()
            .columns(base)
            .find(|c| self.catalog().column(*c).unique || self.catalog().column(*c).unique_once);
        key.map(|id| Col { path: Vec::new(), id }).ok_or_else(|| {
            Problem::new(
                codes::AMBIGUOUS,
                self.words(&noun.at),
                "no column tells these rows apart; say which values are to be different",
            )
        })
    }

    fn aggregate(&mut self, agg: Agg, expr: &Expr, measure: &MeasureM) -> Resolved<(String, String)> {
        let (sql, col) = self.expr(expr)?;
        let kind = col.as_ref().map(|c| self.catalog().column(c.id).kind);
        let name = match (&col, expr) {
            (Some(col), _) => self.catalog().column(col.id).name.clone(),
            (None, _) => self.expr_name(expr),
        };
        if let Some(kind) = kind
            && !matches!(agg, Agg::Min | Agg::Max)
            && !kind.is_number()
        {
            return Err(Problem::new(
                codes::CONTRADICTION,
                self.words(&measure.at),
                format!("`{name}` does not hold numbers"),
            ));
        }
        if matches!(kind, Some(Kind::Other)) {
            return Err(Problem::new(codes::CONTRADICTION, self.words(&measure.at), format!("`{name}` has no order")));
        }
        let (sql, prefix) = match agg {
            Agg::Sum => (format!("sum({sql})"), "total"),
            Agg::Avg => (format!("avg({sql})"), "avg"),
            Agg::Min => (format!("min({sql})"), "min"),
            Agg::Max => (format!("max({sql})"), "max"),
            // The median of whole numbers would otherwise be cut to a whole number.
            Agg::Median => (format!("median(CAST({sql} AS DOUBLE))"), "median"),
            Agg::Deviation => (format!("stddev({sql})"), "stddev"),
        };
        if matches!(agg, Agg::Avg | Agg::Median) {
            self.assume("rows without a value do not count in averages and medians");
        }
        Ok((sql, ident::slug(&format!("{prefix}_{name}"))))
    }

    fn expr_name(&self, expr: &Expr) -> String {
        match expr {
            Expr::Column(mention) => {
                mention.columns.first().map_or_else(String::new, |c| self.catalog().column(*c).name.clone())
            }
            Expr::Number(value) => ident::number(*value),
            Expr::Binary { left, right, .. } => format!("{}_{}", self.expr_name(left), self.expr_name(right)),
        }
    }
}

fn shares(percent: bool) -> (&'static str, &'static str) {
    if percent { ("100.0", "percentage") } else { ("1.0", "share") }
}
