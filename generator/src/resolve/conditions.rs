//! Conditions as SQL: every value is met with the column it belongs to.

use super::{Resolved, Resolver, columns::Col};
use crate::{
    answer::{Problem, codes},
    catalog::Kind,
    ident,
    link::Seen,
    query::task_name,
    request::{At, ColumnM, Cond, Expr, Measurement, Noun, Op, Pattern, Role, ValueM},
    words::parts,
};

pub(crate) fn op_sql(op: Op) -> &'static str {
    match op {
        Op::Eq => "=",
        Op::Ne => "<>",
        Op::Lt => "<",
        Op::Le => "<=",
        Op::Gt => ">",
        Op::Ge => ">=",
    }
}

/// Units and the parts of column names that can be counted in them.
const UNITS: [(&str, &[&str]); 9] = [
    ("miles", &["distance", "dist", "miles", "visib", "visibility", "length"]),
    ("feet", &["alt", "altitude", "elevation", "height", "feet"]),
    ("degrees Fahrenheit", &["temp", "temperature", "dewp"]),
    ("miles per hour", &["speed", "gust"]),
    ("inches", &["precip", "precipitation", "rainfall"]),
    ("euros", &["price", "amount", "total", "revenue", "cost", "value", "sum", "fee"]),
    ("dollars", &["price", "amount", "total", "revenue", "cost", "value", "sum", "fee"]),
    ("percent", &["humid", "humidity", "pct", "percent", "percentage", "rate", "share"]),
    ("millibars", &["pressure"]),
];

impl Resolver<'_> {
    /// A condition as SQL.
    pub(crate) fn cond(&mut self, cond: &Cond) -> Resolved<String> {
        match cond {
            Cond::Compare { column, op, value } => self.compare(column, *op, value),
            Cond::Between { column, low, high } => {
                let (sql, col) = self.expr(column)?;
                let (low, high) = (self.scalar(low, col.as_ref(), column)?, self.scalar(high, col.as_ref(), column)?);
                Ok(format!("{sql} BETWEEN {low} AND {high}"))
            }
            Cond::Columns { left, op, right } => {
                let ((a, _), (b, _)) = (self.expr(left)?, self.expr(right)?);
                Ok(format!("{a} {} {b}", op_sql(*op)))
            }
            Cond::In { column: Some(column), values, negated, .. } => self.listed(column, values, *negated),
            Cond::In { column: None, role, values, negated } => self.found(*role, values, *negated),
            Cond::Null { column, negated } => {
                let col = self.column(column)?;
                let sql = self.sql(&col);
                Ok(format!("{sql} IS {}NULL", if *negated { "NOT " } else { "" }))
            }
            Cond::Like { column, pattern, text } => self.like(column, *pattern, text),
            Cond::When { column, period, at } => self.period(column.as_ref(), period, at),
            Cond::Related { table, negated } => self.related(table, *negated),
            Cond::All(all) => self.joined(all, " AND "),
            Cond::Any(any) => self.joined(any, " OR "),
            Cond::Not(inner) => self.cond(inner).map(|sql| format!("NOT ({sql})")),
            Cond::Unclear { at, why } => Err(Problem::new(codes::AMBIGUOUS, self.words(at), *why)),
        }
    }

    fn joined(&mut self, conds: &[Cond], joint: &str) -> Resolved<String> {
        let all: Vec<String> = conds.iter().map(|c| self.cond(c)).collect::<Resolved<_>>()?;
        let wrapped: Vec<String> = all
            .into_iter()
            .map(|sql| if sql.contains(" AND ") && joint == " OR " { format!("({sql})") } else { sql })
            .collect();
        Ok(format!("({})", wrapped.join(joint)))
    }

    fn compare(&mut self, column: &Expr, op: Op, value: &ValueM) -> Resolved<String> {
        if let (Expr::Column(mention), ValueM::Words { .. }) = (column, value) {
            return match op {
                Op::Eq | Op::Ne => self.listed(mention, std::slice::from_ref(value), op == Op::Ne),
                Op::Lt | Op::Le | Op::Gt | Op::Ge => Err(Problem::new(
                    codes::CONTRADICTION,
                    self.value_words(value),
                    "words have no order to compare by here",
                )),
            };
        }
        let (sql, col) = self.expr(column)?;
        let value = self.scalar(value, col.as_ref(), column)?;
        Ok(format!("{sql} {} {value}", op_sql(op)))
    }

    fn value_words(&self, value: &ValueM) -> String {
        match value {
            ValueM::Number { at, .. } | ValueM::Words { at, .. } | ValueM::Flag { at, .. } => self.words(at),
        }
    }

    /// A number or flag for a column, in the column's unit.
    pub(crate) fn scalar(&mut self, value: &ValueM, col: Option<&Col>, expr: &Expr) -> Resolved<String> {
        let words = self.value_words(value);
        match value {
            ValueM::Number { value, unit, .. } => {
                if let Some(col) = col {
                    let column = self.catalog().column(col.id);
                    if !column.kind.is_number() {
                        let why = format!("`{}` does not hold numbers", column.name);
                        return Err(Problem::new(codes::CONTRADICTION, words, why));
                    }
                }
                let factor = self.factor(*unit, col, expr, &words)?;
                Ok(ident::number(value * factor))
            }
            ValueM::Flag { value, .. } => Ok(value.to_string()),
            ValueM::Words { .. } => Err(Problem::new(codes::CONTRADICTION, words, "a number was expected here")),
        }
    }

    fn factor(&mut self, unit: Option<Measurement>, col: Option<&Col>, expr: &Expr, words: &str) -> Resolved<f64> {
        let Some(unit) = unit else { return Ok(1.0) };
        let mut names: Vec<String> = Vec::new();
        self.names(expr, &mut names);
        if let Some(col) = col {
            names = vec![self.catalog().column(col.id).name.clone()];
        }
        let told = names.join("` and `");
        let all_parts =
            |fits: &dyn Fn(&str) -> bool| !names.is_empty() && names.iter().all(|n| parts(n).iter().any(|p| fits(p)));
        let minutes = |p: &str| matches!(p, "delay" | "duration" | "minutes" | "mins" | "air");
        let (name, fits, factor) = match unit {
            Measurement::Minutes => ("minutes", all_parts(&minutes), 1.0),
            Measurement::Hours => ("minutes", all_parts(&minutes), 60.0),
            Measurement::Named(name) => {
                let known = UNITS.iter().find(|(unit, _)| *unit == name).map_or(&[][..], |(_, parts)| parts);
                (name, all_parts(&|p| known.contains(&p)), 1.0)
            }
        };
        if !fits {
            return Err(Problem::new(
                codes::AMBIGUOUS,
                words,
                format!("nothing says that `{told}` is measured in this unit; say the number alone"),
            ));
        }
        self.assume(format!("`{told}` is in {name}"));
        Ok(factor)
    }

    fn names(&self, expr: &Expr, names: &mut Vec<String>) {
        match expr {
            Expr::Column(mention) => {
                names.extend(mention.columns.first().map(|c| self.catalog().column(*c).name.clone()))
            }
            Expr::Number(_) => {}
            Expr::Binary { left, right, .. } => {
                self.names(left, names);
                self.names(right, names);
            }
        }
    }

    /// A column and the values it may have.
    fn listed(&mut self, mention: &ColumnM, values: &[ValueM], negated: bool) -> Resolved<String> {
        let mut col = self.column(mention)?;
        if let Some(behind) = self.value_behind(&col, values) {
            col = behind;
        }
        let kind = self.catalog().column(col.id).kind;
        let mut list = Vec::new();
        for value in values {
            list.push(match (value, kind) {
                (ValueM::Words { .. }, Kind::Text) => {
                    let text = self.text_value(&col, value)?;
                    ident::text(&text)
                }
                (ValueM::Number { value: number, .. }, Kind::Text) => ident::text(&ident::number(*number)),
                (ValueM::Words { .. }, _) => {
                    return Err(Problem::new(
                        codes::CONTRADICTION,
                        self.value_words(value),
                        format!("`{}` does not hold words", self.catalog().column(col.id).name),
                    ));
                }
                (ValueM::Number { .. } | ValueM::Flag { .. }, _) => {
                    self.scalar(value, Some(&col), &Expr::Column(mention.clone()))?
                }
            });
        }
        Ok(self.membership(&col, &list, negated))
    }

    fn membership(&mut self, col: &Col, list: &[String], negated: bool) -> String {
        let sql = self.sql(col);
        if negated && self.catalog().column(col.id).nulls {
            self.assume(format!("rows without {} are left out as well", self.label(col)));
        }
        match (list, negated) {
            ([one], false) => format!("{sql} = {one}"),
            ([one], true) => format!("{sql} <> {one}"),
            (many, false) => format!("{sql} IN ({})", many.join(", ")),
            (many, true) => format!("{sql} NOT IN ({})", many.join(", ")),
        }
    }

    /// "carrier is Delta": the value belongs to the table behind the key.
    fn value_behind(&self, col: &Col, values: &[ValueM]) -> Option<Col> {
        let ValueM::Words { seen, .. } = values.first()? else { return None };
        if seen.iter().any(|s| s.column == col.id) {
            return None;
        }
        let link =
            self.lexis.links.iter().find(|l| l.from == col.id && seen.iter().any(|s| s.column.table == l.to.table))?;
        let id = seen.iter().find(|s| s.column.table == link.to.table)?.column;
        Some(Col { path: [col.path.clone(), vec![*link]].concat(), id })
    }

    /// The one value of a column that words mean.
    fn text_value(&mut self, col: &Col, value: &ValueM) -> Resolved<String> {
        let ValueM::Words { at, text, seen, whole, quoted } = value else { return Ok(String::new()) };
        let column = self.catalog().column(col.id);
        let label = self.label(col);
        let words = self.words(at);
        let mut fitting: Vec<&Seen> = seen.iter().filter(|s| s.column == col.id).collect();
        if let Some(exact) = fitting.iter().find(|s| s.value == *text) {
            fitting = vec![*exact];
        }
        match fitting.as_slice() {
            [] if column.complete && !column.values.is_empty() => {
                let near = column
                    .values
                    .iter()
                    .filter(|v| strsim::jaro_winkler(&v.to_lowercase(), &text.to_lowercase()) > 0.8)
                    .take(5)
                    .cloned();
                Err(Problem::new(codes::UNKNOWN_WORDS, words, format!("no row has this value in {label}"))
                    .choices(near))
            }
            [] => {
                self.assume(format!("`{text}` is taken as it is written; it was not seen in {label}"));
                self.mean(at, format!("value of {label}"));
                Ok(text.clone())
            }
            [one] => {
                let longer = if *whole && !quoted && one.value != *text { self.lexis.longer(one) } else { Vec::new() };
                if !longer.is_empty() {
                    let all = std::iter::once(format!("\"{}\"", one.value)).chain(longer);
                    return Err(Problem::new(
                        codes::AMBIGUOUS,
                        words,
                        format!("several values of {label} begin like this; quote the one that is meant"),
                    )
                    .choices(all));
                }
                if !whole {
                    self.assume(format!("`{words}` is '{}', the only value of {label} that begins so", one.value));
                }
                self.mean(at, format!("{label} = '{}'", one.value));
                Ok(one.value.clone())
            }
            many => {
                let choices: Vec<String> = many.iter().take(8).map(|s| s.value.clone()).collect();
                Err(Problem::new(codes::AMBIGUOUS, words, format!("several values of {label} can be meant"))
                    .choices(choices))
            }
        }
    }

    /// Values without a column: the one column in reach that has them all and plays the part.
    fn found(&mut self, role: Role, values: &[ValueM], negated: bool) -> Resolved<String> {
        let words: Vec<String> = values.iter().map(|v| self.value_words(v)).collect();
        let mut options: Option<Vec<Col>> = None;
        for value in values {
            let here = self.places(value);
            options = Some(match options {
                None => here,
                Some(before) => before.into_iter().filter(|o| here.contains(o)).collect(),
            });
        }
        let all = options.unwrap_or_default();
        let mut options: Vec<Col> = all.iter().filter(|o| role != Role::Any && self.plays(o, role)).cloned().collect();
        if options.is_empty() {
            let other = if role == Role::From { Role::To } else { Role::From };
            options = all
                .iter()
                .filter(|o| role == Role::Any || (role == Role::From && !self.plays(o, other)))
                .cloned()
                .collect();
        }
        let text = words.join(", ");
        match options.as_slice() {
            [] => {
                let base = self.catalog().table(self.base()).name.clone();
                let seen: Vec<String> = all.iter().map(|o| self.label(o)).collect();
                Err(Problem::new(
                    codes::UNKNOWN_WORDS,
                    text,
                    format!("no column that a row of `{base}` leads to has this value in this part"),
                )
                .choices(seen))
            }
            [col] => {
                let col = col.clone();
                self.usable(&col, &text)?;
                let list: Vec<String> = values
                    .iter()
                    .map(|v| self.text_value(&col, v).map(|t| ident::text(&t)))
                    .collect::<Resolved<_>>()?;
                Ok(self.membership(&col, &list, negated))
            }
            many => {
                let choices: Vec<String> = many.iter().map(|o| self.label(o)).collect();
                Err(Problem::new(codes::AMBIGUOUS, text, "more than one column has this value; say which")
                    .choices(choices))
            }
        }
    }

    /// Every column in reach that has a value. A key stands for the table behind it.
    fn places(&self, value: &ValueM) -> Vec<Col> {
        let ValueM::Words { seen, .. } = value else { return Vec::new() };
        let mut places: Vec<Col> = Vec::new();
        for s in seen {
            let mention =
                ColumnM { at: 0..0, columns: vec![s.column], via: Vec::new(), tail: false, plural: false, owner: None };
            for col in self.options(&mention) {
                let column = self.catalog().column(col.id);
                let has = !column.complete || column.values.contains(&s.value);
                if has && !places.contains(&col) {
                    places.push(col);
                }
            }
        }
        places
    }

    fn like(&mut self, mention: &ColumnM, pattern: Pattern, text: &str) -> Resolved<String> {
        let col = self.column(mention)?;
        if self.catalog().column(col.id).kind != Kind::Text {
            return Err(Problem::new(
                codes::CONTRADICTION,
                self.words(&mention.at),
                "only text can be searched for a part",
            ));
        }
        let sql = self.sql(&col);
        let literal = ident::text(text);
        self.assume("upper and lower case differ when a text is searched");
        Ok(match pattern {
            Pattern::Contains => format!("strpos({sql}, {literal}) > 0"),
            Pattern::Starts => format!("starts_with({sql}, {literal})"),
            Pattern::Ends => format!("ends_with({sql}, {literal})"),
        })
    }

    /// Rows with, or without, rows of another table that point to them.
    fn related(&mut self, noun: &Noun, negated: bool) -> Resolved<String> {
        let base = self.base();
        let mut links: Vec<_> = self
            .lexis
            .links
            .iter()
            .filter(|l| l.to.table == base && noun.tables.contains(&l.from.table))
            .copied()
            .collect();
        if links.is_empty() {
            // "products never ordered": the lines of an order point to products, not the order itself.
            let stems: Vec<String> = noun
                .tables
                .iter()
                .flat_map(|t| parts(&self.catalog().table(*t).name).first().map(|p| crate::words::stem(p)))
                .collect();
            let line = |t| {
                parts(&self.catalog().table(t).name).first().is_some_and(|p| stems.contains(&crate::words::stem(p)))
            };
            links = self.lexis.links.iter().filter(|l| l.to.table == base && line(l.from.table)).copied().collect();
        }
        let words = self.words(&noun.at);
        let [link] = links.as_slice() else {
            let name = &self.catalog().table(base).name;
            let choices: Vec<String> = links.iter().map(|l| self.catalog().label(l.from)).collect();
            let code = if links.is_empty() { codes::NO_JOIN } else { codes::AMBIGUOUS };
            return Err(Problem::new(
                code,
                words,
                format!("exactly one key must lead from these to a row of `{name}`"),
            )
            .choices(choices));
        };
        let catalog = self.catalog();
        let key = self.sql(&Col { path: Vec::new(), id: link.to });
        self.scope().others.push(link.from.table);
        let table = ident::ident(&task_name(catalog, link.from.table));
        let from = ident::ident(&catalog.column(link.from).name);
        self.mean(&noun.at, format!("rows of {} by {}", catalog.table(link.from.table).name, catalog.label(link.from)));
        Ok(format!("{}EXISTS (SELECT 1 FROM {table} WHERE {table}.{from} = {key})", if negated { "NOT " } else { "" }))
    }

    /// What a problem says about a place.
    pub(crate) fn contradiction(&self, at: &At, why: impl Into<String>) -> Problem {
        Problem::new(codes::CONTRADICTION, self.words(at), why)
    }
}
