use super::{Embedding, EmbeddingSection, EndpointSection, Packed, ngrams, normalise};
use crate::guard::Canonical;

fn vector(text: &str) -> Vec<f32> {
    ngrams::embed(&Canonical::read(text))
}

fn endpoint(url: &str) -> EndpointSection {
    let text = format!("{{\"url\": \"{url}\", \"model\": \"m\"}}");
    serde_json::from_str(&text).expect("a section")
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

#[test]
fn near_texts_are_nearer_than_far_ones() {
    let base = vector("Load paid orders into the lake every day");
    let near = cosine(&base, &vector("please load paid orders into the lake daily"));
    let far = cosine(&base, &vector("Which customers complained about the invoice?"));
    assert!(near > 0.99 && far < 0.3, "{near} {far}");
    assert!(vector("").iter().all(|x| *x == 0.0));
}

#[test]
fn packing_keeps_similarities() {
    let texts = ["copy users to staging", "copy users from staging", "sum of amounts per month", "drop table orders"];
    for a in texts {
        for b in texts {
            let (x, y) = (vector(a), vector(b));
            let packed = Packed::new(&x).similarity(&Packed::new(&y));
            assert!((packed - cosine(&x, &y)).abs() < 0.01, "{a} | {b}: {packed}");
        }
    }
    let mut short = vec![1.0, 2.0];
    normalise(&mut short);
    assert_eq!(Packed::new(&short).similarity(&Packed::new(&vector("x"))), 0.0);
}

#[test]
fn what_cannot_be_opened_says_why() {
    let missing =
        Embedding::open(&EmbeddingSection::Minilm("/nonexistent".to_owned())).err().expect("there is no model");
    assert_eq!(missing.code(), "TM1152");
    assert!(missing.to_string().contains("config.json"), "{missing}");
    let odd = endpoint("nowhere");
    assert!(Embedding::open(&EmbeddingSection::Endpoint(odd)).is_err());
}

#[test]
fn only_known_embeddings_have_a_bound() {
    assert!(Embedding::Ngrams.calibrated().is_some());
    let endpoint =
        Embedding::open(&EmbeddingSection::Endpoint(endpoint("http://127.0.0.1:1/v1"))).expect("is an address");
    assert_eq!((endpoint.name(), endpoint.calibrated()), ("endpoint-m", None));
}
