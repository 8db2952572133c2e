//! Forms as browsers and some senders of webhooks write them.

use serde_json::{Map, Value};

/// The fields of a form as a map of texts. A form that is one field `payload` of JSON stands for that JSON.
pub(super) fn fields(text: &str) -> Value {
    let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), Value::String(decoded(value)))
    });
    let fields: Map<String, Value> = pairs.collect();
    if fields.len() == 1
        && let Some(Value::String(inner)) = fields.get("payload")
        && let Ok(inner) = serde_json::from_str(inner)
    {
        return inner;
    }
    Value::Object(fields)
}

/// `+` is a space and `%41` a byte; what is neither stays as it is.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    bytes.push(high * 16 + low);
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (byte, _) => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}
