//! A JSON object as a list of its fields, each still the bytes it was sent as. What is passed on is patched, never
//! parsed and printed anew.

use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::error::GatewayError;

/// The fields of an object, in the order they were sent.
#[derive(Debug, Clone)]
pub struct Fields {
    body: Bytes,
    list: Vec<(String, Range<usize>)>,
}

struct Scan<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Scan<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Fill;
        impl<'de> Visitor<'de> for Fill {
            type Value = Scan<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scan<'de>, A::Error> {
                let mut list = Vec::with_capacity(12);
                while let Some(entry) = map.next_entry::<String, &'de RawValue>()? {
                    list.push(entry);
                }
                Ok(Scan(list))
            }
        }
        d.deserialize_map(Fill)
    }
}

impl Fields {
    /// Finds the fields of a body.
    ///
    /// # Errors
    /// It is not a JSON object, or a field comes twice: two readers could see two requests.
    pub fn of(body: Bytes) -> Result<Self, GatewayError> {
        let wrong = |reason: String| GatewayError::BadRequest { reason, field: None };
        let text = std::str::from_utf8(&body).map_err(|_| wrong("it is not UTF-8".to_owned()))?;
        let Scan(found) = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let start = text.as_ptr() as usize;
        let mut list: Vec<(String, Range<usize>)> = Vec::with_capacity(found.len());
        for (key, raw) in found {
            if list.iter().any(|(known, _)| *known == key) {
                return Err(GatewayError::BadRequest { reason: format!("`{key}` comes twice"), field: Some(key) });
            }
            let at = raw.get().as_ptr() as usize - start;
            list.push((key, at..at + raw.get().len()));
        }
        Ok(Self { body, list })
    }

    /// The bytes of one field.
    pub fn raw(&self, key: &str) -> Option<&str> {
        let (_, range) = self.list.iter().find(|(known, _)| known == key)?;
        std::str::from_utf8(&self.body[range.clone()]).ok()
    }

    /// Every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.iter().map(|(key, range)| {
            // It was checked as a whole; a field lies between ASCII signs.
            (key.as_str(), std::str::from_utf8(&self.body[range.clone()]).unwrap_or_default())
        })
    }

    /// The size of the whole body in bytes.
    pub fn len(&self) -> usize {
        self.body.len()
    }

    /// Whether there was nothing at all.
    pub fn is_empty(&self) -> bool {
        self.body.is_empty()
    }

    /// The object with some fields set to other values, `None` takes one out. A field that was not there comes last.
    pub fn patched(&self, patches: &[(&str, Option<String>)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.body.len() + 128);
        out.push(b'{');
        let kept = self.list.iter().map(|(key, range)| {
            let patch = patches.iter().find(|(patched, _)| patched == key);
            (
                key.as_str(),
                patch.map_or(Some(&self.body[range.clone()]), |(_, value)| value.as_deref().map(str::as_bytes)),
            )
        });
        let added = patches.iter().filter(|(key, _)| !self.list.iter().any(|(known, _)| known == key));
        let added = added.map(|(key, value)| (*key, value.as_deref().map(str::as_bytes)));
        for (key, value) in kept.chain(added).filter_map(|(key, value)| value.map(|value| (key, value))) {
            if out.len() > 1 {
                out.push(b',');
            }
            // Writing text into memory does not fail.
            let _ = serde_json::to_writer(&mut out, key);
            out.push(b':');
            out.extend_from_slice(value);
        }
        out.push(b'}');
        out
    }
}

/// Reads the value of a field.
///
/// # Errors
/// It is of another kind.
pub fn read<T: DeserializeOwned>(key: &str, raw: &str) -> Result<T, GatewayError> {
    serde_json::from_str(raw)
        .map_err(|error| GatewayError::BadRequest { reason: format!("`{key}`: {error}"), field: Some(key.to_owned()) })
}

/// A field that must be there.
pub fn missing(key: &str) -> GatewayError {
    GatewayError::BadRequest { reason: format!("`{key}` is missing"), field: Some(key.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_patched_keeps_its_bytes() {
        let body = r#"{ "model": "a", "x" : 1.0e2, "messages":[{"content":"\u00e9"}] }"#;
        let fields = Fields::of(Bytes::from_static(body.as_bytes())).expect("an object");
        let patched = fields.patched(&[("model", Some("\"b\"".into())), ("max_tokens", Some("5".into()))]);
        let expected = r#"{"model":"b","x":1.0e2,"messages":[{"content":"\u00e9"}],"max_tokens":5}"#;
        assert_eq!(String::from_utf8_lossy(&patched), expected);
        let patched = fields.patched(&[("x", None)]);
        assert_eq!(String::from_utf8_lossy(&patched), r#"{"model":"a","messages":[{"content":"\u00e9"}]}"#);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in ["", "[]", "{", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "\u{feff}{}"] {
            assert!(Fields::of(Bytes::from(body)).is_err(), "{body}");
        }
        assert!(Fields::of(Bytes::from_static(b"{\"a\":\"\xff\"}")).is_err());
    }
}
