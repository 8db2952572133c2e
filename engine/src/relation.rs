//! What a session can read: a connection's table, a data set.

mod connection_table;
mod dataset_table;
mod predicate;

pub(crate) use connection_table::{ConnectionTable, of_source};
pub(crate) use dataset_table::DatasetTable;
pub(crate) use predicate::to_predicate;
