//! Conditions on rows that a scan may use to read less. SQL's three-valued logic: a row is wanted only where
//! the condition is true, not where it is unknown.

/// A condition on one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    /// `column op literal`; unknown for NULL.
    Compare {
        /// The column.
        column: String,
        /// The comparison.
        op: Comparison,
        /// What it is compared with.
        literal: Literal,
    },
    /// `column IN (…)`; unknown for NULL.
    In {
        /// The column.
        column: String,
        /// The values.
        values: Vec<Literal>,
    },
    /// The column is NULL.
    IsNull(String),
    /// The column is not NULL.
    IsNotNull(String),
    /// All hold; true if there are none.
    And(Vec<Predicate>),
    /// At least one holds; false if there are none.
    Or(Vec<Predicate>),
}

/// Comparison operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Comparison {
    Eq,
    NotEq,
    Lt,
    LtEq,
    Gt,
    GtEq,
}

/// A constant of the column's type (numbers may be of a wider one).
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Int(i64),
    /// A whole number above the range of [`Literal::Int`].
    UInt(u64),
    /// A floating-point number.
    Float(f64),
    /// `value / 10^scale`, exactly.
    Decimal {
        /// All digits.
        value: i128,
        /// How many of them come after the point.
        scale: i8,
    },
    /// Text.
    Text(String),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since 1970-01-01T00:00:00, in UTC if `utc`, else without a zone.
    Timestamp {
        /// Microseconds.
        micros: i64,
        /// Whether it is a moment rather than a clock reading.
        utc: bool,
    },
}

impl Predicate {
    /// Every column it mentions, each once, in order of appearance.
    pub fn columns(&self) -> Vec<&str> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::Compare { column, .. } | Self::In { column, .. } | Self::IsNull(column) | Self::IsNotNull(column) => {
                if !found.contains(&column.as_str()) {
                    found.push(column);
                }
            }
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.collect(found)),
        }
    }
}
