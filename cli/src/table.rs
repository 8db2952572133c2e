//! Rows of text as an aligned table that fits the terminal.

use unicode_width::UnicodeWidthStr;

use crate::out::Paint;

/// No cell is shown wider.
const WIDEST: usize = 40;

/// A table to be printed.
#[derive(Debug, Clone, Default)]
pub struct Table {
    /// Column names.
    pub head: Vec<String>,
    /// Which columns are aligned to the right.
    pub right: Vec<bool>,
    /// The cells; `None` is shown as NULL.
    pub rows: Vec<Vec<Option<String>>>,
}

impl Table {
    /// A table with these columns, all aligned to the left.
    pub fn new(head: &[&str]) -> Self {
        let head: Vec<String> = head.iter().map(|h| (*h).to_owned()).collect();
        Self { right: vec![false; head.len()], head, rows: Vec::new() }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.into_iter().map(Some).collect());
    }

    /// The table as text, at most `width` columns wide; what does not fit is said.
    pub fn render(&self, width: usize, paint: Paint) -> String {
        let widths: Vec<usize> = (0..self.head.len()).map(|column| self.column_width(column)).collect();
        let shown = fitting(&widths, width);
        let mut out = String::new();
        let head: Vec<_> = self.head.iter().map(|h| Some(h.clone())).collect();
        self.line(&head, &widths[..shown], &mut out, |text| paint.bold(text));
        let rule: Vec<String> = widths[..shown].iter().map(|w| "─".repeat(*w)).collect();
        out.push_str(&paint.dim(&rule.join("  ")));
        out.push('\n');
        for row in &self.rows {
            self.line(row, &widths[..shown], &mut out, str::to_owned);
        }
        if shown < self.head.len() {
            let more = self.head[shown..].join(", ");
            out.push_str(&paint.dim(&format!("… and {} more columns: {more}", self.head.len() - shown)));
            out.push('\n');
        }
        out
    }

    fn column_width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| text_of(cell).width());
        cells.chain([cut(&self.head[column]).width()]).max().unwrap_or(0)
    }

    fn line(&self, cells: &[Option<String>], widths: &[usize], out: &mut String, style: impl Fn(&str) -> String) {
        let last = widths.len().saturating_sub(1);
        let mut parts = Vec::with_capacity(widths.len());
        for (column, width) in widths.iter().enumerate() {
            let text = cells.get(column).map(text_of).unwrap_or_default();
            let pad = " ".repeat(width.saturating_sub(text.width()));
            let right = self.right.get(column).copied().unwrap_or(false);
            parts.push(match (right, column == last) {
                (true, _) => format!("{pad}{}", style(&text)),
                (false, true) => style(&text),
                (false, false) => format!("{}{pad}", style(&text)),
            });
        }
        out.push_str(parts.join("  ").trim_end());
        out.push('\n');
    }
}

fn text_of(cell: &Option<String>) -> String {
    cell.as_deref().map_or_else(|| "NULL".to_owned(), cut)
}

/// One line, without control characters, of bounded width.
pub fn cut(text: &str) -> String {
    let clean = text.replace('\n', "⏎");
    let clean: String = clean.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(&clean, WIDEST)
}

/// Cut to a width, with an ellipsis where something is missing.
pub fn shorten(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += unicode_width::UnicodeWidthChar::width(*c).unwrap_or(0);
        used <= width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// How many columns fit beside each other; always at least one.
fn fitting(widths: &[usize], width: usize) -> usize {
    let mut used = 0;
    let mut shown = 0;
    for (index, column) in widths.iter().enumerate() {
        used += column + if index == 0 { 0 } else { 2 };
        if used > width && index > 0 {
            break;
        }
        shown += 1;
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_null_is_visible() {
        let mut table = Table::new(&["name", "n"]);
        table.right = vec![false, true];
        table.rows = vec![vec![Some("é中".into()), Some("1".into())], vec![None, Some("1000".into())]];
        assert_eq!(table.render(80, Paint(false)), "name     n\n────  ────\né中      1\nNULL  1000\n");
    }

    #[test]
    fn what_does_not_fit_is_said() {
        let mut table = Table::new(&["a", "b", "c"]);
        table.row(vec!["x".repeat(200), "y".repeat(30), "z".into()]);
        let text = table.render(60, Paint(false));
        assert!(text.contains('…') && text.contains("and 2 more columns: b, c"), "{text}");
        assert!(text.lines().all(|line| line.width() <= 60), "{text}");
    }

    #[test]
    fn line_ends_do_not_break_the_table() {
        let mut table = Table::new(&["a"]);
        table.row(vec!["x\ny\tz".into()]);
        assert_eq!(table.render(80, Paint(false)).lines().count(), 3);
    }
}
