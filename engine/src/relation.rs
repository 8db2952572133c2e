//! What a session can read: a connection's table, a data set.

mod connection_table;
mod dataset_table;
mod predicate;

pub(crate) use connection_table::{ConnectionTable, of_source};
pub(crate) use dataset_table::DatasetTable;
pub(crate) use predicate::to_predicate;

use arrow::datatypes::SchemaRef;

/// The columns of a scan: those of a projection, or all.
fn projected(schema: &SchemaRef, projection: Option<&Vec<usize>>) -> Result<SchemaRef, arrow::error::ArrowError> {
    match projection {
        Some(indices) => Ok(std::sync::Arc::new(schema.project(indices)?)),
        None => Ok(SchemaRef::clone(schema)),
    }
}
