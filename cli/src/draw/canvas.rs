//! A grid of characters where lines join by themselves.

const UP: u8 = 1;
const DOWN: u8 = 2;
const RIGHT: u8 = 4;
const LEFT: u8 = 8;

#[derive(Clone, Copy, Default)]
struct Cell {
    /// A character that is there as it is; lines give way.
    fixed: Option<char>,
    /// Directions in which lines leave.
    arms: u8,
    /// Which net drew here first.
    net: Option<usize>,
    /// Wide characters take two cells; the second one holds nothing.
    swallowed: bool,
}

/// The grid; rows are added as they are needed.
pub(super) struct Canvas {
    width: usize,
    rows: Vec<Vec<Cell>>,
}

impl Canvas {
    pub(super) fn new(width: usize) -> Self {
        Self { width, rows: Vec::new() }
    }

    fn cell(&mut self, row: usize, column: usize) -> Option<&mut Cell> {
        while self.rows.len() <= row {
            self.rows.push(vec![Cell::default(); self.width]);
        }
        self.rows[row].get_mut(column)
    }

    fn put(&mut self, row: usize, column: usize, fixed: char) {
        if let Some(cell) = self.cell(row, column) {
            cell.fixed = Some(fixed);
        }
    }

    /// A box with two lines of text.
    pub(super) fn frame(&mut self, row: usize, left: usize, width: usize, lines: &[String; 2]) {
        let right = left + width - 1;
        for (row, corners) in [(row, ['┌', '┐']), (row + 3, ['└', '┘'])] {
            self.put(row, left, corners[0]);
            self.put(row, right, corners[1]);
            for column in left + 1..right {
                self.put(row, column, '─');
            }
        }
        for (offset, line) in (1..).zip(lines) {
            self.put(row + offset, left, '│');
            self.put(row + offset, right, '│');
            self.text_at(row + offset, left + 2, line);
        }
    }

    fn text_at(&mut self, row: usize, column: usize, text: &str) {
        let mut column = column;
        for c in text.chars() {
            self.put(row, column, c);
            let width = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if let (2, Some(cell)) = (width, self.cell(row, column + 1)) {
                cell.swallowed = true;
            }
            column += width;
        }
    }

    /// A line down; both ends belong to it.
    pub(super) fn vertical(&mut self, column: usize, from: usize, to: usize, net: usize) {
        for row in from..=to {
            let mut arms = 0;
            arms |= if row > from { UP } else { 0 };
            arms |= if row < to { DOWN } else { 0 };
            self.join(row, column, arms, net);
        }
    }

    /// A line across; both ends belong to it.
    pub(super) fn horizontal(&mut self, row: usize, from: usize, to: usize, net: usize) {
        for column in from..=to {
            let mut arms = 0;
            arms |= if column > from { LEFT } else { 0 };
            arms |= if column < to { RIGHT } else { 0 };
            self.join(row, column, arms, net);
        }
    }

    fn join(&mut self, row: usize, column: usize, arms: u8, net: usize) {
        let Some(cell) = self.cell(row, column) else { return };
        match cell.fixed {
            // A line that leaves a box downwards.
            Some('─') if arms == DOWN => cell.fixed = Some('┬'),
            Some(_) => {}
            None => {
                let foreign = cell.net.is_some_and(|other| other != net) && net != usize::MAX;
                // Lines of different sources cross without touching: the vertical one goes over the other.
                if foreign && arms == UP | DOWN && cell.arms == LEFT | RIGHT {
                    cell.arms = arms;
                } else {
                    cell.arms |= arms;
                }
                cell.net.get_or_insert(net);
            }
        }
    }

    /// The end of a line at the upper edge of a box, or nothing where the line goes on.
    pub(super) fn arrow(&mut self, row: usize, column: usize) {
        if let Some(cell) = self.cell(row, column).filter(|cell| cell.fixed.is_some()) {
            cell.fixed = Some('▼');
        }
    }

    /// What was drawn, without trailing blanks.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for row in &self.rows {
            let line: String = row.iter().filter(|c| !c.swallowed).map(|c| c.fixed.unwrap_or(joint(c.arms))).collect();
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// The character whose lines leave in these directions.
const fn joint(arms: u8) -> char {
    const JOINTS: [char; 16] = [' ', '│', '│', '│', '─', '└', '┌', '├', '─', '┘', '┐', '┤', '─', '┴', '┬', '┼'];
    JOINTS[(arms & 15) as usize]
}
