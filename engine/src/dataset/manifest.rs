//! The manifest: what a data set is, without looking at its files.

use std::sync::Arc;

use arrow::{
    datatypes::{Field, Schema, SchemaRef},
    ipc::{reader::StreamReader, writer::StreamWriter},
};
use serde::{Deserialize, Serialize};

use crate::EngineError;

/// One data set: its columns, its files, how much it is and what it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The columns, for people and for the user interface.
    pub columns: Vec<DatasetColumn>,
    /// The same columns exactly: an Arrow IPC stream without batches, in hexadecimal.
    pub arrow: String,
    /// The files, in the order in which they were written. Without rows there are none.
    pub files: Vec<DatasetFile>,
    /// Rows in all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// What the rows say, whatever their order, batches, files and compression (hexadecimal).
    ///
    /// The sum modulo 2^128 of a BLAKE3 hash per row, hashed together with the columns' names and types. Equal
    /// sets of rows have equal hashes, also when row order or file boundaries differ.
    pub hash: String,
}

/// A column as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetColumn {
    /// The column's name.
    pub name: String,
    /// Its Arrow type.
    #[serde(rename = "type")]
    pub data_type: String,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// One file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetFile {
    /// Where it is, as [`crate::DatasetFiles`] finds it.
    pub path: String,
    /// Its rows.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Manifest {
    /// A data set of these columns and files.
    pub(crate) fn new(schema: &Schema, files: Vec<DatasetFile>, hash: String) -> Result<Self, EngineError> {
        let column = |field: &Arc<arrow::datatypes::Field>| DatasetColumn {
            name: field.name().clone(),
            data_type: field.data_type().to_string(),
            nullable: field.is_nullable(),
        };
        Ok(Self {
            columns: schema.fields().iter().map(column).collect(),
            arrow: encode(schema)?,
            rows: files.iter().map(|file| file.rows).sum(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
            hash,
        })
    }

    /// Several data sets of the same columns as one, in this order. Its hash is that of the parts' hashes, so it depends on
    /// how the rows are parted.
    ///
    /// # Errors
    /// The columns differ in more than whether NULL is allowed, or there are no parts.
    pub fn union(parts: Vec<Self>) -> Result<Self, EngineError> {
        let mut fields: Vec<Arc<Field>> = Vec::new();
        let mut hasher = blake3::Hasher::new();
        let mut files = Vec::new();
        for (place, part) in parts.into_iter().enumerate() {
            let schema = part.schema()?;
            if place == 0 {
                fields = schema.fields().to_vec();
            }
            let same = |(known, new): (&Arc<Field>, &Arc<Field>)| {
                known.name() == new.name() && known.data_type() == new.data_type()
            };
            if fields.len() != schema.fields().len() || !fields.iter().zip(schema.fields()).all(same) {
                let shown = |fields: &[Arc<Field>]| {
                    let one = |field: &Arc<Field>| format!("{} {}", field.name(), field.data_type());
                    fields.iter().map(one).collect::<Vec<_>>().join(", ")
                };
                let (first, other) = (shown(&fields), shown(schema.fields()));
                let problem = format!("data sets with the columns ({first}) and ({other}) cannot become one");
                return Err(EngineError::Manifest { problem });
            }
            for (known, new) in fields.iter_mut().zip(schema.fields()) {
                if new.is_nullable() && !known.is_nullable() {
                    *known = Arc::clone(new);
                }
            }
            hasher.update(part.hash.as_bytes());
            files.extend(part.files);
        }
        if fields.is_empty() {
            return Err(EngineError::Manifest { problem: "there are no parts to put together".to_owned() });
        }
        Self::new(&Schema::new(fields), files, hasher.finalize().to_hex().to_string())
    }

    /// The columns.
    ///
    /// # Errors
    /// The text was not written by this version.
    pub fn schema(&self) -> Result<SchemaRef, EngineError> {
        decode(&self.arrow)
    }
}

fn not_understood(problem: impl ToString) -> EngineError {
    EngineError::Manifest { problem: problem.to_string() }
}

fn encode(schema: &Schema) -> Result<String, EngineError> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).map_err(not_understood)?;
    writer.finish().map_err(not_understood)?;
    let bytes = writer.into_inner().map_err(not_understood)?;
    Ok(super::hash::hex(&bytes))
}

fn decode(text: &str) -> Result<SchemaRef, EngineError> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?);
    let bytes: Option<Vec<u8>> = text.as_bytes().chunks(2).map(pair).collect();
    let bytes = bytes.ok_or_else(|| not_understood("the columns are not hexadecimal"))?;
    let reader = StreamReader::try_new(bytes.as_slice(), None).map_err(not_understood)?;
    Ok(reader.schema())
}
