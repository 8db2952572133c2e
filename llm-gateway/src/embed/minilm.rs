//! A BERT sentence model from a folder, run by candle on the CPU: mean of the last layer, unit length.

use std::path::Path;
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use tokenizers::{Tokenizer, TruncationParams};
use tokio::sync::Semaphore;

use super::EmbedError;

/// The model was trained on so many tokens; what follows does not change the vector. The guard reads the whole text.
const MOST_TOKENS: usize = 256;

/// At once: one text takes some milliseconds of a core, and requests that only pass through shall not wait for them.
const AT_ONCE: usize = 1;

/// A model in memory.
pub struct MiniLm {
    name: String,
    folder: String,
    model: BertModel,
    tokenizer: Tokenizer,
    turns: Semaphore,
}

impl MiniLm {
    /// Reads `model.safetensors`, `config.json` and `tokenizer.json`.
    ///
    /// # Errors
    /// A file is missing or is of another kind.
    pub fn open(folder: &Path) -> Result<Self, EmbedError> {
        let failed = |reason: String| EmbedError::Model { folder: folder.display().to_string(), reason };
        let read = |name: &str| std::fs::read(folder.join(name)).map_err(|error| failed(format!("{name}: {error}")));
        let config: Config =
            serde_json::from_slice(&read("config.json")?).map_err(|error| failed(format!("config.json: {error}")))?;
        let mut tokenizer = Tokenizer::from_bytes(read("tokenizer.json")?)
            .map_err(|error| failed(format!("tokenizer.json: {error}")))?;
        let truncation = TruncationParams {
            max_length: MOST_TOKENS.min(config.max_position_embeddings),
            ..TruncationParams::default()
        };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(|error| failed(error.to_string()))?;
        let weights = read("model.safetensors")?;
        let name = format!("minilm-{}", &blake3::hash(&weights).to_hex()[..12]);
        let weights = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)
            .map_err(|error| failed(format!("model.safetensors: {error}")))?;
        let model = BertModel::load(weights, &config).map_err(|error| failed(format!("model.safetensors: {error}")))?;
        Ok(Self { name, folder: folder.display().to_string(), model, tokenizer, turns: Semaphore::new(AT_ONCE) })
    }

    /// `minilm-` and the beginning of the hash of its weights.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vector of a text, on this thread: milliseconds of work.
    ///
    /// # Errors
    /// The model cannot be run on the text.
    pub fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        self.run(text).map_err(|reason| EmbedError::Model { folder: self.folder.clone(), reason })
    }

    fn run(&self, text: &str) -> Result<Vec<f32>, String> {
        let encoding = self.tokenizer.encode(text, true).map_err(|error| error.to_string())?;
        let vector = || -> candle_core::Result<Vec<f32>> {
            let ids = Tensor::new(encoding.get_ids(), &Device::Cpu)?.unsqueeze(0)?;
            let kinds = ids.zeros_like()?;
            let hidden = self.model.forward(&ids, &kinds, None)?;
            hidden.mean(1)?.squeeze(0)?.to_vec1()
        };
        let mut vector = vector().map_err(|error| error.to_string())?;
        super::normalise(&mut vector);
        Ok(vector)
    }

    /// The same on a thread for blocking work, one text at a time.
    pub(super) async fn embed_elsewhere(self: Arc<Self>, text: String) -> Result<Vec<f32>, EmbedError> {
        let failed = |reason: &str| EmbedError::Model { folder: self.folder.clone(), reason: reason.to_owned() };
        let _turn = self.turns.acquire().await.map_err(|_| failed("it is shut down"))?;
        let model = Arc::clone(&self);
        tokio::task::spawn_blocking(move || model.embed(&text)).await.map_err(|_| failed("it failed on a text"))?
    }
}
