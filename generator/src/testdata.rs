//! The catalog of the example data, as `Catalog::gather` gives it (a test compares the two).

use crate::catalog::Catalog;

pub(crate) fn catalog() -> Catalog {
    serde_json::from_str(include_str!("testdata/catalog.json")).expect("the stored catalog is a catalog")
}
