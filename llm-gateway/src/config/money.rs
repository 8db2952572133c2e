use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// An amount of money in millionths; written as a decimal number with at most six digits after the point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(pub u64);

const MILLION: u64 = 1_000_000;

impl FromStr for Money {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is not an amount of money; write it as in 2.50, at most six digits after the point");
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 6 {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let part: u64 = format!("{part:0<6}").parse().map_err(|_| wrong())?;
        whole.checked_mul(MILLION).and_then(|micros| micros.checked_add(part)).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / MILLION, self.0 % MILLION)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        // Numbers print as the shortest text that reads back the same, so 0.15 stays 0.15.
        let text = match serde_json::Value::deserialize(d)? {
            serde_json::Value::String(text) => text,
            serde_json::Value::Number(number) => match (number.as_u64(), number.as_f64()) {
                (Some(whole), _) => whole.to_string(),
                (None, Some(part)) => part.to_string(),
                (None, None) => number.to_string(),
            },
            other => return Err(D::Error::custom(format!("`{other}` is not an amount of money"))),
        };
        text.parse().map_err(D::Error::custom)
    }
}

impl schemars::JsonSchema for Money {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Money".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": ["string", "number"],
            "description": "An amount of money with at most six digits after the point."
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_reads_and_prints_exactly() {
        for (text, micros) in [("0", 0), ("2.5", 2_500_000), ("0.15", 150_000), ("0.000001", 1), ("12", 12_000_000)] {
            assert_eq!(text.parse(), Ok(Money(micros)), "{text}");
            assert_eq!(serde_json::from_str::<Money>(text).ok(), Some(Money(micros)), "{text}");
        }
        assert_eq!(Money(2_500_000).to_string(), "2.500000");
        for text in ["", ".5", "-1", "1e3", "0.0000001", "1,5", "99999999999999999999"] {
            assert!(text.parse::<Money>().is_err(), "{text}");
        }
    }
}
