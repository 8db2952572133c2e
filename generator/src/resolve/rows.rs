//! Single rows: which columns are shown, and what they are called.

use super::{Draft, Resolved, Resolver, columns::Col};
use crate::{
    answer::{Problem, codes},
    query::Output,
    request::{ColumnM, Expr},
};

impl Resolver<'_> {
    pub(super) fn fill_rows(&mut self, draft: &Draft) -> Resolved<()> {
        let nouns: Vec<&ColumnM> = draft.nouns.iter().filter_map(|n| n.column.as_ref()).collect();
        let columns: Vec<&ColumnM> = nouns.into_iter().chain(&draft.columns).collect();
        for mention in &columns {
            if mention.plural && self.names_rows(mention) {
                return Err(self.contradiction(&mention.at, "this names rows in a list of columns"));
            }
            let col = self.column(mention)?;
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.query.outputs.push(output);
        }
        self.query.distinct = draft.distinct;
        self.query.star = columns.is_empty();
        if let [only] = columns.as_slice() {
            self.once_each(draft, only)?;
        }
        for (at, mention, instead) in &draft.attach {
            if self.names_rows(mention) {
                return Err(
                    self.contradiction(&mention.at, "this names other rows; say which column of them is wanted")
                );
            }
            let col = self.column(mention)?;
            let output = Output { sql: self.sql(&col), name: self.output_name(&col) };
            self.mean(at, format!("shown beside each row: {}", self.label(&col)));
            if *instead {
                self.replace_code(&col, output);
            } else {
                self.query.outputs.push(output);
            }
        }
        for (at, expr, name) in &draft.derived {
            let (sql, _) = self.expr(expr)?;
            self.mean(at, format!("column {name}"));
            self.query.outputs.push(Output { sql, name: name.clone() });
        }
        Ok(())
    }

    /// "destinations" alone are the different ones; "names of customers" are one per customer.
    pub(super) fn once_each(&mut self, draft: &Draft, only: &ColumnM) -> Resolved<()> {
        let col = self.column(only)?;
        let column = self.catalog().column(col.id);
        // "names of customers" are one per customer; "manufacturers of planes" may be meant once each.
        let own = crate::words::parts(&column.name).last().is_some_and(|last| {
            matches!(last.as_str(), "name" | "email" | "title" | "phone" | "address" | "id" | "number")
        });
        let asked = draft.distinct
            || draft.best.is_some()
            || draft.limit.is_some()
            || (only.owner.is_some() && own)
            || !draft.attach.is_empty()
            || !draft.derived.is_empty();
        if asked || (column.unique && col.path.is_empty()) {
            return Ok(());
        }
        let words = self.words(&only.at);
        if !only.plural || only.owner.is_some() || !draft.about.is_empty() || column.kind.is_number() {
            let choices = [format!("distinct {words}"), format!("all rows with {words}")];
            return Err(Problem::new(
                codes::AMBIGUOUS,
                words,
                "it is not clear whether each different value is wanted once, or the value of every row",
            )
            .choices(choices));
        }
        self.assume(format!("each different `{words}` is listed once"));
        self.query.distinct = true;
        Ok(())
    }

    pub(super) fn replace_code(&mut self, col: &Col, output: Output) {
        let Some(link) = col.path.last().copied() else { return };
        self.expand_star();
        let key = Col { path: col.path[..col.path.len() - 1].to_vec(), id: link.from };
        let key = self.sql(&key);
        match self.query.outputs.iter_mut().find(|o| o.sql == key) {
            Some(found) => *found = output,
            None => self.query.outputs.push(output),
        }
    }

    /// All columns of the base table by name instead of `*`.
    pub(super) fn expand_star(&mut self) {
        if !std::mem::take(&mut self.query.star) {
            return;
        }
        let all: Vec<_> = self.catalog().columns(self.base()).map(|id| Col { path: Vec::new(), id }).collect();
        let mut outputs: Vec<Output> = all
            .iter()
            .map(|col| Output { sql: self.sql(col), name: self.catalog().column(col.id).name.clone() })
            .collect();
        outputs.append(&mut self.query.outputs);
        self.query.outputs = outputs;
    }

    pub(super) fn rename(&mut self, draft: &Draft) -> Resolved<()> {
        for (mention, name) in &draft.renames {
            let (sql, _) = self.expr(&Expr::Column(mention.clone()))?;
            self.expand_star();
            match self.query.outputs.iter_mut().find(|o| o.sql == sql) {
                Some(output) => output.name.clone_from(name),
                None => {
                    return Err(
                        self.contradiction(&mention.at, "this column is not in the result, so it cannot be renamed")
                    );
                }
            }
            self.mean(&mention.at, format!("called {name}"));
        }
        for (at, measure, name) in &draft.measure_names {
            let sql = match measure {
                Some(measure) => self.measure(measure)?.sql,
                None => {
                    self.only_measure()
                        .ok_or_else(|| self.contradiction(at, "there is not exactly one number that could be renamed"))?
                        .sql
                }
            };
            match self.query.outputs.iter_mut().find(|o| o.sql == sql) {
                Some(output) => output.name.clone_from(name),
                None => return Err(self.contradiction(at, "this number is not in the result, so it cannot be renamed")),
            }
            self.mean(at, format!("called {name}"));
        }
        Ok(())
    }

    /// The one output that is not a group.
    pub(super) fn only_measure(&self) -> Option<Output> {
        let mut measures = self.query.outputs.iter().filter(|o| !self.query.group.contains(&o.sql));
        let first = measures.next()?;
        measures.next().is_none().then(|| first.clone())
    }

    /// Two columns of one name: the later ones are numbered.
    pub(super) fn unique_names(&mut self) {
        let mut taken: Vec<String> = Vec::new();
        if self.query.star {
            taken.extend(self.catalog().table(self.base()).columns.iter().map(|c| c.name.to_lowercase()));
        }
        for output in &mut self.query.outputs {
            let plain = output.name.clone();
            let mut n = 2;
            while taken.contains(&output.name.to_lowercase()) {
                output.name = format!("{plain}_{n}");
                n += 1;
            }
            taken.push(output.name.to_lowercase());
        }
    }

    pub(super) fn output_name(&self, col: &Col) -> String {
        let name = self.catalog().column(col.id).name.clone();
        match col.path.last() {
            Some(link)
                if matches!(name.as_str(), "name" | "type" | "id" | "year" | "code" | "description" | "title") =>
            {
                let several = self.ways(link.to.table).len() > 1;
                let owner = if several {
                    self.catalog().column(link.from).name.clone()
                } else {
                    crate::words::stem(&self.catalog().table(link.to.table).name)
                };
                format!("{owner}_{name}")
            }
            Some(_) | None => name,
        }
    }
}
