//! What is wrong with a piece of text, before it is known which file and line that is.

/// A fault at one byte of a piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Offset of the byte, for the line number.
    pub at: usize,
    /// What is wrong.
    pub what: Wrong,
}

/// Kinds of faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// A row with too few or too many fields.
    Fields {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
    },
    /// Broken syntax, or a shape that rows cannot have.
    Syntax(String),
    /// A value that does not fit its column's type.
    Value {
        /// The column's name.
        column: String,
        /// The value's text.
        text: String,
        /// What it should have been.
        expected: String,
    },
    /// A key that is no column.
    Key(String),
}

impl Fault {
    /// Broken syntax.
    pub fn syntax(at: usize, what: impl Into<String>) -> Self {
        Self { at, what: Wrong::Syntax(what.into()) }
    }
}
