//! Numbers made of columns: "arrival delay minus departure delay", "distance / air_time * 60".

use super::{Read, Reader};
use crate::{
    request::{Arith, Clause, ColumnM, Expr},
    tokens::Shape,
};

impl Reader<'_> {
    /// An expression; a single column is the simplest.
    pub(super) fn expr(&self, at: usize) -> Read<Expr> {
        if let Some(found) = self.spoken(at) {
            return Some(found);
        }
        let (mut end, mut left) = self.product(at)?;
        while let Some((next, op)) =
            self.operator(end, &[("+", Arith::Add), ("plus", Arith::Add), ("-", Arith::Sub), ("minus", Arith::Sub)])
        {
            let Some((behind, right)) = self.product(next) else { break };
            left = Expr::Binary { op, left: Box::new(left), right: Box::new(right) };
            end = behind;
        }
        Some((end, left))
    }

    fn product(&self, at: usize) -> Read<Expr> {
        const OPERATORS: [(&str, Arith); 8] = [
            ("*", Arith::Mul),
            ("×", Arith::Mul),
            ("x", Arith::Mul),
            ("times", Arith::Mul),
            ("multiplied by", Arith::Mul),
            ("/", Arith::Div),
            ("divided by", Arith::Div),
            ("÷", Arith::Div),
        ];
        let (mut end, mut left) = self.atom(at)?;
        while let Some((next, op)) = self.operator(end, &OPERATORS) {
            let Some((behind, right)) = self.atom(next) else { break };
            left = Expr::Binary { op, left: Box::new(left), right: Box::new(right) };
            end = behind;
        }
        Some((end, left))
    }

    fn operator(&self, at: usize, operators: &[(&str, Arith)]) -> Read<Arith> {
        operators.iter().find_map(|(words, op)| self.phrase(at, words).map(|end| (end, *op)))
    }

    fn atom(&self, at: usize) -> Read<Expr> {
        if self.lower(at) == "(" && self.shallow(at) {
            let (end, inner) = self.expr(at + 1)?;
            return (self.lower(end) == ")").then_some((end + 1, inner));
        }
        if let Some(Shape::Number(value)) = self.token(at).map(|t| &t.shape) {
            return Some((at + 1, Expr::Number(*value)));
        }
        self.column(at).map(|(end, column)| (end, Expr::Column(column)))
    }

    /// Brackets are read by recursion, so there may not be many.
    fn shallow(&self, at: usize) -> bool {
        self.tokens[..at].iter().filter(|t| t.text == "(").count() < 20
    }

    /// "the difference between a and b", "ratio of a to b", "product of a and b".
    fn spoken(&self, at: usize) -> Read<Expr> {
        let start = self.the(at);
        let forms: [(&[&str], &str, Arith); 4] = [
            (&["difference between", "difference of"], "and", Arith::Sub),
            (&["ratio of", "ratio between"], "to", Arith::Div),
            (&["ratio of", "ratio between"], "and", Arith::Div),
            (&["product of"], "and", Arith::Mul),
        ];
        forms.iter().find_map(|(lead, joint, op)| {
            let (end, left) = self.column(self.any(start, lead)?)?;
            let (end, right) = self.column(self.phrase(end, joint)?)?;
            Some((
                end,
                Expr::Binary { op: *op, left: Box::new(Expr::Column(left)), right: Box::new(Expr::Column(right)) },
            ))
        })
    }

    /// "speed = distance / air_time * 60", "distance / air_time as speed", "add a column gain as …".
    pub(super) fn derived(&self, at: usize) -> Read<Clause> {
        self.assigned(at).or_else(|| {
            let start = self.skip(at, &["with", "and", "add", "compute", "calculate", "including", "together with"]);
            let (end, expr) = self.expr(start)?;
            let name = self
                .any(end, &["as", "called", "named"])
                .and_then(|p| self.new_name(self.skip(p, &["column", "a column"])));
            match (name, &expr) {
                (Some((behind, name)), Expr::Binary { .. }) => Some((behind, Clause::Derived { expr, name })),
                (None, Expr::Binary { op, left, right }) => {
                    Some((end, Clause::Derived { name: derived_name(self, *op, left, right)?, expr }))
                }
                (Some((behind, name)), Expr::Column(column)) => {
                    let column: ColumnM = column.clone();
                    let taken = self.any(start, &["as"]).is_some() || column.tail;
                    (!taken && !self.names_target(behind)).then_some((behind, Clause::Rename { column, name }))
                }
                _ => None,
            }
        })
    }

    fn assigned(&self, at: usize) -> Read<Clause> {
        let start = self.skip(
            at,
            &[
                "with",
                "and",
                "add",
                "add a column",
                "add the column",
                "compute",
                "calculate",
                "a column",
                "with a column",
                "where",
                "including",
            ],
        );
        let (end, name) = self.new_name(start)?;
        let end =
            self.any(end, &["=", ":=", "as", "being", "is", "equal to", "computed as", "calculated as", "defined as"])?;
        let (end, expr) = self.expr(self.the(end))?;
        matches!(expr, Expr::Binary { .. }).then_some((end, Clause::Derived { expr, name }))
    }
}

/// A name for an expression that got none.
fn derived_name(reader: &Reader<'_>, op: Arith, left: &Expr, right: &Expr) -> Option<String> {
    let name = |expr: &Expr| match expr {
        Expr::Column(column) => column.columns.first().map(|c| reader.lexis.catalog.column(*c).name.clone()),
        Expr::Number(value) => {
            Some(crate::ident::slug(&crate::ident::number(*value)).trim_start_matches("t_").to_owned())
        }
        Expr::Binary { op, left, right } => derived_name(reader, *op, left, right),
    };
    let joint = match op {
        Arith::Add => "plus",
        Arith::Sub => "minus",
        Arith::Mul => "times",
        Arith::Div => "per",
    };
    Some(format!("{}_{joint}_{}", name(left)?, name(right)?))
}
