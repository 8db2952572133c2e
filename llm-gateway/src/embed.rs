//! Texts to vectors, for the semantic part of the cache. Three ways: hashed n-grams (built in), a MiniLM model from a folder, any
//! server with `/v1/embeddings`. Similarities of different embeddings have nothing to do with each other, so each has a name, and
//! bounds belong to names.

mod endpoint;
mod minilm;
pub mod ngrams;

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidemill_dag::codes::tm11;
use tidemill_dag::time::Span;

pub use endpoint::Endpoint;
pub use minilm::MiniLm;

use crate::guard::Canonical;
use crate::secret::Place;

/// Which embedding the cache uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EmbeddingSection {
    /// Hashed n-grams of the canonical words: no files, microseconds.
    #[default]
    Ngrams,
    /// A folder with `model.safetensors`, `config.json` and `tokenizer.json` of a BERT sentence model such as all-MiniLM-L6-v2.
    Minilm(String),
    /// A server that speaks OpenAI's `/v1/embeddings`.
    Endpoint(EndpointSection),
}

/// A server with embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointSection {
    /// Its address up to and without `/embeddings`, as `http://127.0.0.1:8080/v1`.
    pub url: String,
    /// The model to ask for.
    pub model: String,
    /// Its key, as `${env:EMBEDDINGS_KEY}`.
    #[serde(default)]
    pub key: Option<Place>,
    /// How long a vector may take. A look-up that waits longer costs more than it can save: the request goes out instead.
    #[serde(default = "patience")]
    pub timeout: Span,
}

const fn patience() -> Span {
    Span::seconds(2)
}

/// Why there is no vector.
#[derive(Debug, Clone, thiserror::Error)]
pub enum EmbedError {
    /// A model's folder cannot be used.
    #[error("the model in {folder} cannot be used: {reason}")]
    Model {
        /// Where it should be.
        folder: String,
        /// What is wrong.
        reason: String,
    },
    /// A server did not answer with a vector.
    #[error("{url} gives no vectors: {reason}")]
    Endpoint {
        /// Its address.
        url: String,
        /// What it did.
        reason: String,
    },
}

impl EmbedError {
    /// The public code.
    pub const fn code(&self) -> &'static str {
        tm11::EMBEDDING_UNAVAILABLE
    }
}

/// An embedding that is ready for use.
#[derive(Clone)]
pub enum Embedding {
    /// See [`ngrams`].
    Ngrams,
    /// See [`MiniLm`].
    MiniLm(Arc<MiniLm>),
    /// See [`Endpoint`].
    Endpoint(Arc<Endpoint>),
}

/// Similarity from which a near request is served, if the guard agrees: for each embedding the strictest bound that loses none of
/// the true repeats the guard lets pass, on one half of the pairs of `fow-cache`. The tests of the cache compute them anew.
const CALIBRATED: &[(&str, f32)] = &[("ngrams-512", 0.96), ("minilm-8087e9bf97c2", 0.89)];

impl Embedding {
    /// Makes it ready. A model is read whole; a server is not asked yet.
    ///
    /// # Errors
    /// The folder or the address cannot be used.
    pub fn open(section: &EmbeddingSection) -> Result<Self, EmbedError> {
        Ok(match section {
            EmbeddingSection::Ngrams => Self::Ngrams,
            EmbeddingSection::Minilm(folder) => Self::MiniLm(Arc::new(MiniLm::open(folder.as_ref())?)),
            EmbeddingSection::Endpoint(section) => Self::Endpoint(Arc::new(Endpoint::new(section)?)),
        })
    }

    /// Its name: what headers say, and what bounds belong to.
    pub fn name(&self) -> &str {
        match self {
            Self::Ngrams => "ngrams-512",
            Self::MiniLm(model) => model.name(),
            Self::Endpoint(endpoint) => endpoint.name(),
        }
    }

    /// The bound that was measured for it; `None`: it is not known what its similarities mean.
    pub fn calibrated(&self) -> Option<f32> {
        CALIBRATED.iter().find(|(name, _)| *name == self.name()).map(|(_, bound)| *bound)
    }

    /// The unit vector of a text. `canonical` is the same text as the guard reads it.
    ///
    /// # Errors
    /// The model or the server fails.
    pub async fn embed(&self, text: &str, canonical: &Canonical) -> Result<Vec<f32>, EmbedError> {
        match self {
            Self::Ngrams => Ok(ngrams::embed(canonical)),
            Self::MiniLm(model) => Arc::clone(model).embed_elsewhere(text.to_owned()).await,
            Self::Endpoint(endpoint) => endpoint.embed(text).await,
        }
    }
}

/// Brings a vector to length 1; a zero vector stays.
pub(crate) fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}

/// A unit vector in a byte per number: a quarter of the memory, and similarities within some thousandths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    scale: f32,
    values: Vec<i8>,
}

impl Packed {
    /// Packs a unit vector.
    pub fn new(vector: &[f32]) -> Self {
        let most = vector.iter().fold(0f32, |most, x| most.max(x.abs()));
        let scale = if most > 0.0 { most / 127.0 } else { 1.0 };
        Self { scale, values: vector.iter().map(|x| (x / scale).round() as i8).collect() }
    }

    /// Cosine of the angle between two; 0 if their lengths differ.
    pub fn similarity(&self, other: &Self) -> f32 {
        if self.values.len() != other.values.len() {
            return 0.0;
        }
        let dot: i32 = self.values.iter().zip(&other.values).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        (dot as f32 * self.scale * other.scale).clamp(-1.0, 1.0)
    }

    /// Bytes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.values.len() + size_of::<Self>()
    }
}

#[cfg(test)]
mod tests;
