//! Checks of a request as expectations: on the result where it has the columns, else on the rows it is made of.

use serde_json::{Value, json};

use crate::{
    answer::{Problem, codes},
    catalog::{Kind, TableId},
    query::plain,
    read::Reader,
    request::{Action, CheckM, ColumnM, Cond, Expr, Op, Rule, ValueM},
    resolve::{Built, Resolved, Resolver},
};

/// Whose rows are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum On {
    Result,
    Table(TableId),
}

/// A check, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Checked {
    pub(crate) on: On,
    pub(crate) action: Action,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone)]
pub(crate) enum Expect {
    /// An expectation as it stands in a definition.
    Plain(Value),
    /// Rows for which this holds are wrong.
    Offending(String),
    /// Every value of the column is found in the key of this table.
    Known { column: String, table: TableId, key: String },
}

/// Resolves every check of a request.
pub(crate) fn checks(reader: &Reader<'_>, built: &mut Built, all: &[CheckM]) -> Result<Vec<Checked>, Vec<Problem>> {
    let mut resolver = Resolver::new(reader, built.query.scope.base, None);
    resolver.query.scope = built.query.scope.clone();
    let (mut checked, mut problems) = (Vec::new(), Vec::new());
    for check in all {
        match resolver.check(built, check) {
            Ok(found) => {
                for one in found {
                    resolver.mean(&check.at, format!("check: {}", told(&one)));
                    checked.push(one);
                }
            }
            Err(problem) => problems.push(problem),
        }
    }
    built.assumptions.extend(resolver.assumptions);
    built.meanings.extend(resolver.meanings);
    if problems.is_empty() { Ok(checked) } else { Err(problems) }
}

fn told(check: &Checked) -> String {
    let action = match check.action {
        Action::Fail => "else fail",
        Action::Warn => "else warn",
        Action::Quarantine => "else set aside",
    };
    match &check.expect {
        Expect::Plain(value) => format!("{value}, {action}"),
        Expect::Offending(sql) => format!("no row with {sql}, {action}"),
        Expect::Known { column, key, .. } => format!("{column} is among {key}, {action}"),
    }
}

impl Resolver<'_> {
    fn check(&mut self, built: &Built, check: &CheckM) -> Resolved<Vec<Checked>> {
        let on_result = |value: Value| Checked { on: On::Result, action: check.action, expect: Expect::Plain(value) };
        match &check.rule {
            Rule::NotNull(columns) => self.same_place(built, check, columns, "not_null").map(|c| vec![c]),
            Rule::Unique(columns) => self.same_place(built, check, columns, "unique").map(|c| vec![c]),
            Rule::Rows(min, max) => {
                Ok(vec![on_result(json!({"row_count": bounds(min.map(Value::from), max.map(Value::from))}))])
            }
            Rule::Never(cond) => self.rule(built, check, cond, true),
            Rule::Always(cond) => self.rule(built, check, cond, false),
            Rule::Known(column, table) => self.known(built, check, column, *table).map(|c| vec![c]),
        }
    }

    fn same_place(&mut self, built: &Built, check: &CheckM, columns: &[ColumnM], what: &str) -> Resolved<Checked> {
        let mut places = Vec::new();
        for column in columns {
            places.push(self.place(built, column)?);
        }
        let on = places[0].0;
        if places.iter().any(|(place, ..)| *place != on) {
            return Err(
                self.contradiction(&check.at, "these columns are not in one set of rows; check them one by one")
            );
        }
        let names: Vec<&String> = places.iter().map(|(_, name, _)| name).collect();
        Ok(Checked { on, action: check.action, expect: Expect::Plain(json!({ what: names })) })
    }

    /// Whose rows have the column, and its name there.
    fn place(&mut self, built: &Built, mention: &ColumnM) -> Resolved<(On, String, Kind)> {
        let words = self.words(&mention.at);
        if let Some(output) = built.query.outputs.iter().find(|o| o.name.eq_ignore_ascii_case(&words)) {
            let kind = if output.sql.contains('(') { Kind::Number } else { self.kind_of(mention) };
            return Ok((On::Result, output.name.clone(), kind));
        }
        let col = self.column(mention)?;
        let kind = self.catalog().column(col.id).kind;
        let name = self.catalog().column(col.id).name.clone();
        let sql = self.sql(&col);
        if let Some(output) = built.query.outputs.iter().find(|o| o.sql == sql) {
            return Ok((On::Result, output.name.clone(), kind));
        }
        if built.query.star && col.path.is_empty() {
            return Ok((On::Result, name, kind));
        }
        let table = self.catalog().table(col.id.table).name.clone();
        self.assume(format!(
            "`{words}` is not in the result: it is checked in the rows of `{table}`, before anything is computed"
        ));
        Ok((On::Table(col.id.table), name, kind))
    }

    fn kind_of(&self, mention: &ColumnM) -> Kind {
        mention.columns.first().map_or(Kind::Other, |c| self.catalog().column(*c).kind)
    }

    /// Conditions that stand for one expectation each; others become the rows that break them.
    fn rule(&mut self, built: &Built, check: &CheckM, cond: &Cond, never: bool) -> Resolved<Vec<Checked>> {
        match (cond, never) {
            (Cond::Any(parts), true) | (Cond::All(parts), false) => {
                let each: Vec<Vec<Checked>> =
                    parts.iter().map(|part| self.rule(built, check, part, never)).collect::<Resolved<_>>()?;
                Ok(each.concat())
            }
            (Cond::Not(inner), _) => self.rule(built, check, inner, !never),
            (Cond::Null { column, negated }, _) if *negated != never => {
                self.same_place(built, check, std::slice::from_ref(column), "not_null").map(|c| vec![c])
            }
            (Cond::Compare { column: Expr::Column(column), op, value: value @ ValueM::Number { .. } }, _) => {
                self.bounded(built, check, (column, *op, value), never)
            }
            (Cond::Between { column: Expr::Column(column), low, high }, false) => {
                let (on, name, _) = self.place(built, column)?;
                let (low, high) = (self.plain_number(column, low)?, self.plain_number(column, high)?);
                let mut between = bounds(Some(low), Some(high));
                between["column"] = json!(name);
                Ok(vec![Checked {
                    on,
                    action: check.action,
                    expect: Expect::Plain(json!({"between": ordered(&between)})),
                }])
            }
            (Cond::In { column: Some(column), values, negated, .. }, _) if *negated == never => {
                self.accepted(built, check, column, values).map(|c| vec![c])
            }
            _ => self.offending(built, check, cond, never),
        }
    }

    fn plain_number(&mut self, column: &ColumnM, value: &ValueM) -> Resolved<Value> {
        let text = self.scalar(value, None, &Expr::Column(column.clone()))?;
        Ok(serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    fn bounded(
        &mut self,
        built: &Built,
        check: &CheckM,
        (column, op, value): (&ColumnM, Op, &ValueM),
        never: bool,
    ) -> Resolved<Vec<Checked>> {
        let (on, name, kind) = self.place(built, column)?;
        if !kind.is_number() {
            return Err(self.contradiction(&column.at, format!("`{name}` does not hold numbers")));
        }
        let number = self.plain_number(column, value)?;
        let whole = number.as_i64().filter(|_| kind == Kind::Integer);
        // What must hold, from what must not.
        let op = if never { opposite(op) } else { op };
        let range = match (op, whole) {
            (Op::Ge, _) => Some((Some(number.clone()), None)),
            (Op::Le, _) => Some((None, Some(number.clone()))),
            (Op::Gt, Some(n)) => Some((Some(json!(n + 1)), None)),
            (Op::Lt, Some(n)) => Some((None, Some(json!(n - 1)))),
            (Op::Eq, _) => Some((Some(number.clone()), Some(number.clone()))),
            (Op::Gt | Op::Lt, None) | (Op::Ne, _) => None,
        };
        let expect = match range {
            Some((min, max)) => {
                let mut between = bounds(min, max);
                between["column"] = json!(name);
                Expect::Plain(json!({"between": ordered(&between)}))
            }
            None => {
                let sign = crate::resolve::op_sql(opposite(op));
                Expect::Offending(format!("{} {sign} {number}", crate::ident::ident(&name)))
            }
        };
        self.allowed(check, &expect)?;
        Ok(vec![Checked { on, action: check.action, expect }])
    }

    /// Rows can only be set aside by what is tested row by row.
    fn allowed(&self, check: &CheckM, expect: &Expect) -> Resolved<()> {
        if check.action == Action::Quarantine && matches!(expect, Expect::Offending(_)) {
            let why = "rows can be set aside for a missing value, a value out of a range with its bounds included, or one not in a list; this is none of them";
            return Err(Problem::new(codes::UNSUPPORTED, self.words(&check.at), why));
        }
        Ok(())
    }

    fn accepted(&mut self, built: &Built, check: &CheckM, column: &ColumnM, values: &[ValueM]) -> Resolved<Checked> {
        let (on, name, _) = self.place(built, column)?;
        let list: Vec<Value> = values
            .iter()
            .map(|value| match value {
                ValueM::Number { value, .. } => {
                    serde_json::from_str(&crate::ident::number(*value)).unwrap_or(Value::Null)
                }
                ValueM::Flag { value, .. } => json!(value),
                ValueM::Words { text, seen, .. } => {
                    json!(seen.iter().find(|s| column.columns.contains(&s.column)).map_or(text, |s| &s.value))
                }
            })
            .collect();
        Ok(Checked {
            on,
            action: check.action,
            expect: Expect::Plain(json!({"accepted_values": {"column": name, "values": list}})),
        })
    }

    fn offending(&mut self, built: &Built, check: &CheckM, cond: &Cond, never: bool) -> Resolved<Vec<Checked>> {
        let mut fresh = Resolver::new(self.reader, built.query.scope.base, None);
        let sql = fresh.cond(cond)?;
        let scope = &fresh.query.scope;
        let mut words = fresh.assumptions.clone();
        self.assumptions.append(&mut words);
        if !scope.joins.is_empty() || !scope.others.is_empty() {
            return Err(self.contradiction(&check.at, "a check can only look at the columns of one table"));
        }
        let sql = plain(&if never { sql } else { format!("NOT ({sql})") });
        let on = if built.query.star { On::Result } else { On::Table(built.query.scope.base) };
        if on != On::Result {
            self.assume("a check on single rows looks at the rows read, before anything is computed");
        }
        let expect = Expect::Offending(sql);
        self.allowed(check, &expect)?;
        Ok(vec![Checked { on, action: check.action, expect }])
    }

    fn known(&mut self, built: &Built, check: &CheckM, column: &ColumnM, table: TableId) -> Resolved<Checked> {
        let (on, name, _) = self.place(built, column)?;
        let link = self.lexis.links.iter().find(|l| column.columns.contains(&l.from) && l.to.table == table);
        let Some(link) = link else {
            return Err(self.contradiction(&check.at, "no key of that table fits this column"));
        };
        let key = self.catalog().column(link.to).name.clone();
        Ok(Checked { on, action: check.action, expect: Expect::Known { column: name, table, key } })
    }
}

fn bounds(min: Option<Value>, max: Option<Value>) -> Value {
    let mut range = serde_json::Map::new();
    range.extend(min.map(|v| ("min".to_owned(), v)));
    range.extend(max.map(|v| ("max".to_owned(), v)));
    Value::Object(range)
}

/// The column before its bounds, as people write it.
fn ordered(between: &Value) -> Value {
    let mut out = serde_json::Map::new();
    for key in ["column", "min", "max"] {
        out.extend(between.get(key).map(|v| (key.to_owned(), v.clone())));
    }
    Value::Object(out)
}

fn opposite(op: Op) -> Op {
    match op {
        Op::Eq => Op::Ne,
        Op::Ne => Op::Eq,
        Op::Lt => Op::Ge,
        Op::Le => Op::Gt,
        Op::Gt => Op::Le,
        Op::Ge => Op::Lt,
    }
}
