//! Against the real example data: the stored catalog is what gathering gives, and every definition is
//! proved by the engine: names, types and functions, without reading a row.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use tidemill_connectors::{ConnectionConfig, Connections, Folders};
use tidemill_dag::{
    compile::read,
    template::{Context, RunFacts},
};
use tidemill_engine::{Engine, EngineConfig, prove};

use super::{expected, known, proposed};
use crate::{Catalog, testdata::catalog};

fn connections() -> Connections {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let configs: BTreeMap<String, ConnectionConfig> = serde_json::from_value(serde_json::json!({
        "nyc": {"kind": "files", "path": "data/nyc", "null_values": ["NA", "\\N"]},
        "shop": {"kind": "files", "path": "data/shop"},
        "out": {"kind": "files", "path": "out-of-planner-tests", "format": "parquet"},
    }))
    .expect("the example's connections");
    Connections::open(&configs, &Folders::at(base)).expect("folders that are there")
}

#[tokio::test]
async fn the_stored_catalog_is_what_gathering_gives() {
    let gathered = Catalog::gather(&connections()).await;
    let stored = catalog();
    assert_eq!(
        gathered.unreadable.iter().filter(|u| !u.name.starts_with("out")).count(),
        0,
        "{:?}",
        gathered.unreadable
    );
    for (found, kept) in gathered.tables.iter().zip(&stored.tables) {
        for (found, kept) in found.columns.iter().zip(&kept.columns) {
            assert_eq!(found, kept);
        }
    }
    assert_eq!(gathered.tables.len(), stored.tables.len());
}

#[tokio::test]
async fn every_definition_is_proved() {
    let connections = connections();
    let spill = tempfile::tempdir().expect("a folder");
    let engine = Engine::new(EngineConfig::new(spill.path())).expect("an engine");
    let catalog = catalog();
    for (request, _) in expected().into_iter().filter(|(_, e)| !e.starts_with('!')) {
        let definition = proposed(&request).definition;
        let compiled = Arc::new(read(&definition, &known(&catalog)).expect("it compiles"));
        let context = Context::new(&compiled.pipeline, serde_json::Map::new(), RunFacts::default());
        if let Err(problems) = prove(&engine, &compiled, &connections, &context).await {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            panic!("{request}\n{definition}\n{}", told.join("\n"));
        }
    }
}
