//! The embedding that needs no weights: hashed n-grams of words and letters of the canonical text.

use crate::guard::Canonical;

/// Length of the vectors.
pub const DIMENSIONS: usize = 512;

/// Words count more than their pieces: pieces catch slips and endings, words carry the request.
const WORD: f32 = 1.0;
const PAIR: f32 = 0.6;
const PIECE: f32 = 0.25;

/// The unit vector of a text; all zeros for a text without words.
pub fn embed(text: &Canonical) -> Vec<f32> {
    let mut vector = vec![0.0; DIMENSIONS];
    let mut before: Option<&str> = None;
    for word in text.words() {
        add(&mut vector, &[b"w", word.as_bytes()], WORD);
        if let Some(before) = before {
            add(&mut vector, &[b"p", before.as_bytes(), b" ", word.as_bytes()], PAIR);
        }
        before = Some(word);
        let padded = format!("<{word}>");
        for length in [3, 4] {
            for piece in padded.as_bytes().windows(length) {
                add(&mut vector, &[b"c", piece], PIECE);
            }
        }
    }
    super::normalise(&mut vector);
    vector
}

/// A feature goes to one place with one sign, both from its hash, so that collisions cancel on average.
fn add(vector: &mut [f32], parts: &[&[u8]], weight: f32) {
    let hash = mix(parts
        .iter()
        .flat_map(|p| p.iter())
        .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)));
    let sign = if hash >> 63 == 0 { weight } else { -weight };
    let place = (hash % DIMENSIONS as u64) as usize;
    vector[place] += sign;
}

fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}
