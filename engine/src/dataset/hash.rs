//! A hash of what rows say, whatever order they come in.

use arrow::{
    array::RecordBatch,
    datatypes::Schema,
    row::{RowConverter, SortField},
};

use crate::EngineError;

/// Bytes as hexadecimal text.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let pair = |byte: &u8| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
    bytes.iter().flat_map(pair).map(char::from).collect()
}

/// Adds up the rows of one data set.
pub(crate) struct ContentHash {
    rows: RowConverter,
    columns: blake3::Hasher,
    sum: u128,
    count: u64,
}

impl ContentHash {
    pub(crate) fn new(schema: &Schema) -> Result<Self, EngineError> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone())).collect();
        let mut columns = blake3::Hasher::new();
        for field in schema.fields() {
            let text = format!("{}\u{0}{}\u{0}", field.name(), field.data_type());
            columns.update(text.as_bytes());
        }
        Ok(Self { rows: RowConverter::new(fields)?, columns, sum: 0, count: 0 })
    }

    pub(crate) fn add(&mut self, batch: &RecordBatch) -> Result<(), EngineError> {
        self.count += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        if batch.num_columns() == 0 {
            return Ok(());
        }
        for row in &self.rows.convert_columns(batch.columns())? {
            let mut half = [0_u8; 16];
            half.copy_from_slice(&blake3::hash(row.as_ref()).as_bytes()[..16]);
            self.sum = self.sum.wrapping_add(u128::from_le_bytes(half));
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> String {
        self.columns.update(&self.sum.to_le_bytes());
        self.columns.update(&self.count.to_le_bytes());
        self.columns.finalize().to_hex().to_string()
    }
}
