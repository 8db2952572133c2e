//! Signature schemes: where the signature stands, what it is over, and when it was made.

use std::time::Duration;

use chrono::DateTime;

use super::{Headers, form::digit};
use crate::{
    spec::{Encoding, Preset, Signature, Webhook},
    time::Timestamp,
};

/// A delivery whose signed time is further from now is refused, unless the trigger says otherwise.
const TOLERANCE: Duration = Duration::from_secs(300);

/// More signatures in one header are not looked at.
const MAX_SIGNATURES: usize = 8;

/// What a delivery claims: that one of these signatures is over this text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The bytes that must be signed.
    pub signed: Vec<u8>,
    /// The signatures it came with.
    pub signatures: Vec<Vec<u8>>,
}

/// Why a delivery is refused before its signature is looked at. For the operator's eyes: the caller gets one answer
/// for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no signature.
    #[error("it carries no signature")]
    NoSignature,
    /// The signature is not written as the scheme writes it.
    #[error("its signature is not written as it should be")]
    Malformed,
    /// The scheme signs the time, and there is none.
    #[error("it carries no time of sending")]
    NoTime,
    /// It was signed too long ago, or in the future.
    #[error("its time of sending is too far from now")]
    Stale,
}

/// A header that a sender adds, and the text that its signature is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// What to sign.
    pub text: Vec<u8>,
    at: i64,
}

/// What a genuine delivery's signature is over.
///
/// # Errors
/// A delivery that cannot be genuine.
pub fn claim(hook: &Webhook, headers: &Headers, body: &[u8], now: Timestamp) -> Result<Claim, Refusal> {
    let (written, time) = match hook.preset {
        Preset::Github => (plain(headers, "x-hub-signature-256", "sha256=", Encoding::Hex)?, None),
        Preset::Slack => {
            let time = headers.get("x-slack-request-timestamp").ok_or(Refusal::NoTime)?;
            (plain(headers, "x-slack-signature", "v0=", Encoding::Hex)?, Some(time.as_str()))
        }
        Preset::Stripe => {
            let header = headers.get("stripe-signature").ok_or(Refusal::NoSignature)?;
            let part = |name: &'static str| {
                header.split(',').filter_map(move |part| part.trim().strip_prefix(name)?.strip_prefix('='))
            };
            let time = part("t").next().ok_or(Refusal::NoTime)?;
            let bytes: Vec<_> = part("v1").take(MAX_SIGNATURES).filter_map(|text| bytes(text, Encoding::Hex)).collect();
            (bytes, Some(time))
        }
        Preset::Generic => {
            let Signature { header, encoding, prefix } = generic(hook);
            let time = match &hook.timestamp {
                Some(name) => Some(headers.get(&name.to_lowercase()).ok_or(Refusal::NoTime)?.as_str()),
                None => None,
            };
            (plain(headers, &header.to_lowercase(), prefix.as_deref().unwrap_or_default(), encoding)?, time)
        }
    };
    if written.is_empty() {
        return Err(Refusal::NoSignature);
    }
    if let Some(time) = time {
        let sent = moment(time).ok_or(Refusal::NoTime)?;
        let tolerance = hook.tolerance.map_or(TOLERANCE, |span| span.0);
        if now.since(sent) > tolerance || sent.since(now) > tolerance {
            return Err(Refusal::Stale);
        }
    }
    Ok(Claim { signed: base(hook.preset, time, body), signatures: written })
}

/// The text that a sender signs at a moment.
pub fn sign(hook: &Webhook, body: &[u8], now: Timestamp) -> Signed {
    let at = now.0.div_euclid(1_000_000);
    let timed = hook.preset != Preset::Generic || hook.timestamp.is_some();
    Signed { text: base(hook.preset, timed.then(|| at.to_string()).as_deref(), body), at }
}

impl Signed {
    /// The headers that carry a signature over this text.
    pub fn headers(&self, hook: &Webhook, signature: &[u8]) -> Headers {
        let (hex, at) = (hex(signature), self.at.to_string());
        let list = match hook.preset {
            Preset::Github => vec![("x-hub-signature-256".to_owned(), format!("sha256={hex}"))],
            Preset::Stripe => vec![("stripe-signature".to_owned(), format!("t={at},v1={hex}"))],
            Preset::Slack => {
                vec![
                    ("x-slack-request-timestamp".to_owned(), at),
                    ("x-slack-signature".to_owned(), format!("v0={hex}")),
                ]
            }
            Preset::Generic => {
                let Signature { header, encoding, prefix } = generic(hook);
                let text = match encoding {
                    Encoding::Hex => hex,
                    Encoding::Base64 => base64(signature),
                };
                let time = hook.timestamp.iter().map(|name| (name.to_lowercase(), at.clone()));
                time.chain([(header.to_lowercase(), prefix.unwrap_or_default() + &text)]).collect()
            }
        };
        list.into_iter().collect()
    }
}

fn generic(hook: &Webhook) -> Signature {
    let usual = || Signature { header: "x-signature".to_owned(), encoding: Encoding::Hex, prefix: None };
    hook.signature.clone().unwrap_or_else(usual)
}

fn base(preset: Preset, time: Option<&str>, body: &[u8]) -> Vec<u8> {
    let start = match (preset, time) {
        (Preset::Github, _) | (_, None) => String::new(),
        (Preset::Slack, Some(time)) => format!("v0:{time}:"),
        (Preset::Stripe | Preset::Generic, Some(time)) => format!("{time}."),
    };
    [start.as_bytes(), body].concat()
}

/// The signatures in a header of one or several, each behind a prefix.
fn plain(headers: &Headers, header: &str, prefix: &str, encoding: Encoding) -> Result<Vec<Vec<u8>>, Refusal> {
    let written = headers.get(header).ok_or(Refusal::NoSignature)?;
    let one = |text: &str| bytes(text.trim().strip_prefix(prefix)?, encoding);
    let list: Option<Vec<_>> = written.split(',').take(MAX_SIGNATURES).map(one).collect();
    list.ok_or(Refusal::Malformed)
}

/// Seconds since 1970, or RFC 3339.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    match text.parse::<i64>() {
        Ok(seconds) => seconds.checked_mul(1_000_000).map(Timestamp),
        Err(_) => DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.to_utc().into()),
    }
}

fn bytes(text: &str, encoding: Encoding) -> Option<Vec<u8>> {
    match encoding {
        Encoding::Hex => {
            let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
                [high, low] => Some(digit(*high)? * 16 + digit(*low)?),
                _ => None,
            });
            pairs.collect::<Option<Vec<u8>>>().filter(|bytes| !bytes.is_empty())
        }
        Encoding::Base64 => from_base64(text).filter(|bytes| !bytes.is_empty()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = usize::try_from(bits >> (18 - 6 * place) & 0x3f).unwrap_or(0);
            text.push(if place <= chunk.len() { char::from(DIGITS[digit]) } else { '=' });
        }
    }
    text
}

fn from_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=');
    let value = |byte: u8| {
        let byte = match byte {
            b'-' => b'+',
            b'_' => b'/',
            byte => byte,
        };
        DIGITS.iter().position(|digit| *digit == byte).and_then(|value| u32::try_from(value).ok())
    };
    let mut out = Vec::with_capacity(text.len());
    for chunk in text.as_bytes().chunks(4) {
        let missing = 4 - chunk.len();
        if missing == 3 {
            return None;
        }
        let bits = chunk.iter().try_fold(0_u32, |bits, byte| Some(bits << 6 | value(*byte)?))? << (6 * missing);
        let bytes = bits.to_be_bytes();
        out.extend_from_slice(&bytes[1..4 - missing]);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_goes_there_and_back() {
        for (bytes, text) in [
            (&b""[..], ""),
            (b"f", "Zg=="),
            (b"fo", "Zm8="),
            (b"foo", "Zm9v"),
            (b"foobar", "Zm9vYmFy"),
            (b"\xfb\xff", "+/8="),
        ] {
            assert_eq!(base64(bytes), text);
            assert_eq!(from_base64(text).as_deref(), Some(bytes), "{text}");
            assert_eq!(from_base64(text.trim_end_matches('=')).as_deref(), Some(bytes), "{text}");
        }
        assert_eq!(from_base64("-_8"), Some(vec![0xfb, 0xff]));
        assert_eq!((from_base64("Z"), from_base64("Zm9v!")), (None, None));
    }
}
