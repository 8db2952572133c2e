use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{WireUsage, garbled};
use crate::answer::Embeddings;
use crate::error::{Failure, GatewayError};
use crate::request::EmbedRequest;
use crate::wire::fields::{self, Fields};

/// How vectors are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Lists of numbers.
    #[default]
    Float,
    /// Little-endian 32-bit floats in base64, as the official client asks for.
    Base64,
}

/// Reads `/v1/embeddings`.
///
/// # Errors
/// A field is missing, of the wrong kind, or not known.
pub fn read_embed_request(fields: &Fields) -> Result<(EmbedRequest, Encoding), GatewayError> {
    let mut request = EmbedRequest::default();
    let mut encoding = Encoding::Float;
    let refuse = |key: &str, reason: String| GatewayError::BadRequest { reason, field: Some(key.to_owned()) };
    for (key, raw) in fields.iter().filter(|(_, raw)| *raw != "null") {
        match key {
            "model" => request.model = fields::read(key, raw)?,
            "dimensions" => request.dimensions = fields::read(key, raw)?,
            "input" => {
                request.inputs = match fields::read::<Value>(key, raw)? {
                    Value::String(one) => vec![one],
                    Value::Array(many) => many
                        .into_iter()
                        .map(|item| match item {
                            Value::String(text) => Ok(text),
                            _ => Err(refuse(key, "`input` is a text or a list of texts".to_owned())),
                        })
                        .collect::<Result<_, _>>()?,
                    _ => return Err(refuse(key, "`input` is a text or a list of texts".to_owned())),
                }
            }
            "encoding_format" => {
                encoding = match fields::read::<String>(key, raw)?.as_str() {
                    "float" => Encoding::Float,
                    "base64" => Encoding::Base64,
                    other => return Err(refuse(key, format!("`{other}` is neither float nor base64"))),
                }
            }
            "user" => {}
            _ => return Err(refuse(key, format!("`{key}` is not known"))),
        }
    }
    if fields.raw("model").is_none() {
        return Err(fields::missing("model"));
    }
    if request.inputs.is_empty() || request.inputs.iter().any(String::is_empty) {
        return Err(refuse("input", "`input` must hold a text".to_owned()));
    }
    Ok((request, encoding))
}

/// Writes `/v1/embeddings`; numbers are asked for as numbers, which every server knows.
pub fn write_embed_request(request: &EmbedRequest, model: &str) -> Value {
    let mut body = json!({"model": model, "input": request.inputs, "encoding_format": "float"});
    if let Some(dimensions) = request.dimensions {
        body["dimensions"] = dimensions.into();
    }
    body
}

#[derive(Deserialize)]
struct WireEmbeddings {
    #[serde(default)]
    model: String,
    data: Vec<Row>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    index: Option<usize>,
    embedding: Vec<f32>,
}

/// Reads vectors and puts them in the order of the texts.
///
/// # Errors
/// It is not of the protocol, or a vector is missing.
pub fn read_embeddings(body: &[u8], texts: usize) -> Result<(Embeddings, bool), Failure> {
    let wire: WireEmbeddings = serde_json::from_slice(body).map_err(|error| garbled(&error, body))?;
    let mut vectors = vec![Vec::new(); texts];
    for (place, row) in wire.data.into_iter().enumerate() {
        let slot = vectors.get_mut(row.index.unwrap_or(place));
        *slot.ok_or_else(|| Failure::Garbled("there are more vectors than texts".to_owned()))? = row.embedding;
    }
    if vectors.iter().any(Vec::is_empty) {
        return Err(Failure::Empty);
    }
    if vectors.iter().any(|vector| vector.len() != vectors[0].len()) {
        return Err(Failure::Garbled("vectors differ in length".to_owned()));
    }
    let told = wire.usage.is_some();
    let usage = wire.usage.unwrap_or_default().canonical();
    Ok((Embeddings { model: wire.model, vectors, usage }, told))
}

/// Writes vectors for a caller.
pub fn write_embeddings(embeddings: &Embeddings, encoding: Encoding) -> Value {
    let rows = embeddings.vectors.iter().enumerate().map(|(index, vector)| {
        let embedding = match encoding {
            Encoding::Float => json!(vector),
            Encoding::Base64 => base64(vector).into(),
        };
        json!({"object": "embedding", "index": index, "embedding": embedding})
    });
    let usage = &embeddings.usage;
    json!({
        "object": "list",
        "data": rows.collect::<Vec<_>>(),
        "model": embeddings.model,
        "usage": {"prompt_tokens": usage.input, "total_tokens": usage.total()},
    })
}

fn base64(vector: &[f32]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let sign = SIGNS[(word >> (18 - 6 * place)) as usize & 63];
            out.push(if place <= three.len() { char::from(sign) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_written_in_base64_as_rfc_4648_has_it() {
        assert_eq!(base64(&[1.0]), "AACAPw==");
        assert_eq!(base64(&[1.0, -2.5]), "AACAPwAAIMA=");
        assert_eq!(base64(&[0.0, 1.0, 2.0]), "AAAAAAAAgD8AAABA");
    }

    #[test]
    fn vectors_come_back_in_the_order_of_the_texts() {
        let body = br#"{"model":"m","data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}]}"#;
        let (read, told) = read_embeddings(body, 2).expect("two vectors");
        assert_eq!((read.vectors, told), (vec![vec![1.0], vec![2.0]], false));
        assert_eq!(read_embeddings(body, 3), Err(Failure::Empty));
        assert!(read_embeddings(body, 1).is_err());
    }
}
