//! Which column a mention is, seen from the base table, and the way to it.

use super::{Resolved, Resolver};
use crate::{
    answer::{Problem, codes},
    catalog::{ColumnId, TableId},
    joins::{Link, Path, Rows, paths},
    request::{Arith, ColumnM, Expr, Noun, Role},
};

/// A column and the way to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Col {
    pub(crate) path: Path,
    pub(crate) id: ColumnId,
}

impl Col {
    /// The key column that leads to it, when it is nothing but the key on the other side.
    fn nearest(mut self) -> Self {
        while let Some(last) = self.path.last().filter(|l| l.to == self.id).copied() {
            self.path.pop();
            self.id = last.from;
        }
        self
    }
}

impl Resolver<'_> {
    /// The one column that a mention means.
    pub(crate) fn column(&mut self, mention: &ColumnM) -> Resolved<Col> {
        let mut options = self.options(mention);
        if options.len() > 1 && !self.keys.is_empty() {
            let depending: Vec<Col> = options.iter().filter(|o| self.depends(o)).cloned().collect();
            if depending.len() == 1 {
                options = depending;
            }
        }
        let words = self.words(&mention.at);
        match options.len() {
            0 => Err(self.unreachable(mention, words)),
            1 => {
                let col = options.remove(0);
                self.usable(&col, &words)?;
                if mention.tail {
                    self.assume(format!("`{words}` is {}, the only column of that kind in reach", self.label(&col)));
                }
                let label = self.label(&col);
                self.mean(&mention.at, format!("column {label}"));
                Ok(col)
            }
            _ => Err(self.ambiguous(words, &options)),
        }
    }

    /// "flights" where a column is called `flight`: the word means the rows.
    pub(crate) fn names_rows(&self, mention: &ColumnM) -> bool {
        let word = crate::words::stems(&self.words(&mention.at).to_lowercase());
        let table = |c: &ColumnId| crate::words::table_phrases(&self.catalog().table(c.table).name);
        mention.via.is_empty() && mention.columns.iter().all(|c| table(c).contains(&word))
    }

    fn unreachable(&self, mention: &ColumnM, words: String) -> Problem {
        let base = &self.catalog().table(self.base()).name;
        let places = mention.columns.iter().map(|c| self.catalog().label(*c));
        Problem::new(codes::NO_JOIN, words, format!("no key leads from a row of `{base}` to this column"))
            .choices(places)
    }

    fn ambiguous(&self, words: String, options: &[Col]) -> Problem {
        let choices: Vec<String> = options.iter().map(|o| self.label(o)).collect();
        Problem::new(codes::AMBIGUOUS, words, "more than one column can be meant; say which").choices(choices)
    }

    /// A column reached over a key that names several rows would multiply them.
    pub(crate) fn usable(&mut self, col: &Col, words: &str) -> Resolved<()> {
        for link in &col.path {
            let (table, key) =
                (self.catalog().table(link.to.table).name.clone(), self.catalog().column(link.to).name.clone());
            match link.rows {
                Rows::One => {}
                Rows::Repeated => self.assume(format!(
                    "`{table}` holds some rows more than once, each time the same: every `{key}` is used once"
                )),
                Rows::Several => {
                    let why = format!(
                        "`{key}` names more than one row of `{table}`: joining would count rows more than once"
                    );
                    return Err(Problem::new(codes::NO_JOIN, words, why));
                }
            }
        }
        Ok(())
    }

    /// Every reading of a mention from the base table; columns of the base itself come before all others.
    pub(crate) fn options(&self, mention: &ColumnM) -> Vec<Col> {
        if mention.via.is_empty() {
            let own: Vec<Col> = mention
                .columns
                .iter()
                .filter(|c| c.table == self.base())
                .map(|c| Col { path: Vec::new(), id: *c })
                .collect();
            if !own.is_empty() {
                return own;
            }
        }
        let all =
            mention.columns.iter().flat_map(|id| self.ways(id.table).into_iter().map(|path| Col { path, id: *id }));
        let through =
            |col: &Col| mention.via.is_empty() || col.path.last().is_some_and(|l| mention.via.contains(&l.from));
        let mut options: Vec<Col> = Vec::new();
        for col in all.filter(through).map(Col::nearest) {
            if !options.contains(&col) {
                options.push(col);
            }
        }
        // A foreign key is the same on every table that it passes through.
        let shortest = |col: &Col| {
            !options.iter().any(|o| {
                o.path.len() < col.path.len()
                    && self.catalog().column(o.id).name == self.catalog().column(col.id).name
                    && self.same_key(o, col)
            })
        };
        options.iter().filter(|c| shortest(c)).cloned().collect()
    }

    fn same_key(&self, a: &Col, b: &Col) -> bool {
        self.lexis.links.iter().any(|l| (l.from == a.id && l.to == b.id) || (l.from == b.id && l.to == a.id))
    }

    pub(crate) fn ways(&self, goal: TableId) -> Vec<Path> {
        paths(&self.lexis.links, self.base(), goal)
    }

    /// `origin`, or `airports.name by origin`.
    pub(crate) fn label(&self, col: &Col) -> String {
        let label = self.catalog().label(col.id);
        match col.path.last() {
            Some(link) => format!("{label} by {}", self.catalog().label(link.from)),
            None => label,
        }
    }

    /// The column as SQL.
    pub(crate) fn sql(&mut self, col: &Col) -> String {
        let catalog = self.catalog();
        let name = &catalog.column(col.id).name;
        self.scope().reference(catalog, &col.path, name)
    }

    /// Whether a group has one value of this column: it lies behind one of its keys.
    pub(crate) fn depends(&self, col: &Col) -> bool {
        let behind = |key: &Col| {
            let n = key.path.len();
            col == key
                || (col.path.len() > n && col.path[..n] == key.path[..] && col.path[n].from == key.id)
                || (col.path == key.path && self.catalog().column(key.id).unique)
        };
        self.keys.iter().any(behind)
    }

    /// The key columns of the base that name rows of a table.
    pub(crate) fn entity(&self, noun: &Noun, role: Role) -> Vec<Col> {
        let mut keys: Vec<Col> = Vec::new();
        for table in &noun.tables {
            for mut path in self.ways(*table) {
                if let Some(last) = path.pop() {
                    keys.push(Col { path, id: last.from }.nearest());
                }
            }
        }
        keys.dedup();
        let fitting: Vec<Col> = keys.iter().filter(|k| self.plays(k, role)).cloned().collect();
        if fitting.is_empty() { keys } else { fitting }
    }

    /// Whether a column's name says that it plays this part.
    pub(crate) fn plays(&self, col: &Col, role: Role) -> bool {
        let named = |id: ColumnId, words: &[&str]| {
            crate::words::parts(&self.catalog().column(id).name).iter().any(|p| words.contains(&p.as_str()))
        };
        let part = |words: &[&str]| named(col.id, words) || col.path.iter().any(|l: &Link| named(l.from, words));
        match role {
            Role::From => part(&["origin", "orig", "from", "source", "src", "departure", "start"]),
            Role::To => part(&["dest", "destination", "to", "target", "arrival", "end"]),
            Role::Any => true,
        }
    }

    /// The one key column that names rows of a table.
    pub(crate) fn entity_key(&mut self, noun: &Noun, role: Role) -> Resolved<Col> {
        let mut keys = self.entity(noun, role);
        let words = self.words(&noun.at);
        match keys.len() {
            0 => {
                let base = &self.catalog().table(self.base()).name;
                Err(Problem::new(codes::NO_JOIN, words, format!("no key leads from a row of `{base}` to these")))
            }
            1 => {
                let key = keys.remove(0);
                self.usable(&key, &words)?;
                let label = self.label(&key);
                self.assume(format!("`{words}` is told apart by {label}; those without any such row do not appear"));
                self.mean(&noun.at, format!("column {label}"));
                Ok(key)
            }
            _ => Err(self.ambiguous(words, &keys)),
        }
    }

    /// An expression as SQL, and its one column if it is nothing else.
    pub(crate) fn expr(&mut self, expr: &Expr) -> Resolved<(String, Option<Col>)> {
        match expr {
            Expr::Column(mention) => {
                if self.names_rows(mention) {
                    return Err(self.contradiction(
                        &mention.at,
                        "this names the rows themselves; say which column of them, or the number of them",
                    ));
                }
                let col = self.column(mention)?;
                Ok((self.sql(&col), Some(col)))
            }
            Expr::Number(value) => Ok((crate::ident::number(*value), None)),
            Expr::Binary { op, left, right } => self.binary(*op, left, right).map(|sql| (sql, None)),
        }
    }

    fn binary(&mut self, op: Arith, left: &Expr, right: &Expr) -> Resolved<String> {
        let (a, a_col) = self.expr(left)?;
        let (b, b_col) = self.expr(right)?;
        for (expr, col) in [(left, &a_col), (right, &b_col)] {
            if let (Expr::Column(mention), Some(col)) = (expr, col)
                && !self.catalog().column(col.id).kind.is_number()
            {
                return Err(Problem::new(
                    codes::CONTRADICTION,
                    self.words(&mention.at),
                    "this column holds no numbers to compute with",
                ));
            }
        }
        let wrap =
            |expr: &Expr, sql: String| if matches!(expr, Expr::Binary { .. }) { format!("({sql})") } else { sql };
        let (a, b) = (wrap(left, a), wrap(right, b));
        Ok(match op {
            Arith::Add => format!("{a} + {b}"),
            Arith::Sub => format!("{a} - {b}"),
            Arith::Mul => format!("{a} * {b}"),
            Arith::Div => {
                self.assume("divisions keep their decimals, and dividing by zero gives no value");
                format!("CAST({a} AS DOUBLE) / NULLIF({b}, 0)")
            }
        })
    }
}
