//! One version each of the crates whose types cross our walls.

use std::path::Path;

const ONE: [&str; 6] = ["arrow-array", "arrow-schema", "datafusion", "object_store", "parquet", "sqlparser"];

/// Crates of the list that Cargo.lock holds in other than one version.
pub fn one_version_each(root: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(root.join("Cargo.lock")).expect("Cargo.lock is kept in the repository");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("Cargo.lock lists packages");
    ONE.iter()
        .filter_map(|wanted| {
            let versions: Vec<_> = packages
                .iter()
                .filter(|package| package["name"].as_str() == Some(wanted))
                .filter_map(|package| package["version"].as_str())
                .collect();
            (versions.len() != 1).then(|| format!("{wanted}: {versions:?}"))
        })
        .collect()
}
