//! The catalog of the example data, as `Catalog::gather` gives it (a test compares the two).

use std::sync::LazyLock;

use crate::catalog::Catalog;

static CATALOG: LazyLock<Catalog> = LazyLock::new(|| {
    serde_json::from_str(include_str!("testdata/catalog.json")).expect("the stored catalog is a catalog")
});

pub(crate) fn catalog() -> Catalog {
    CATALOG.clone()
}
