//! Texts of single values: what is a number, a date, a moment. Nothing here is lenient: a text either is
//! exactly a value of the type or it is not.

use arrow::datatypes::{ArrowPrimitiveType, Float16Type};

#[expect(non_camel_case_types, reason = "named like the primitive it is")]
type f16 = <Float16Type as ArrowPrimitiveType>::Native;

/// Most significant digits for which every decimal text survives the way through `f64` and back.
pub const EXACT_FLOAT_DIGITS: usize = 17;

/// A whole number, optionally signed.
pub fn int64(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if digits.is_empty() {
        return None;
    }
    if digits.len() <= 18 {
        let mut value = 0_i64;
        for byte in digits {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            value = value * 10 + i64::from(digit);
        }
        return Some(if negative { -value } else { value });
    }
    // The long form is rare: checked step by step, downwards so that the least value fits.
    let mut value = 0_i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value.checked_mul(10)?.checked_sub(i64::from(digit))?;
    }
    if negative { Some(value) } else { value.checked_neg() }
}

/// A whole number from zero.
pub fn uint64(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// A floating-point number; a finite text that is too large for the type is none.
pub fn float64(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || names_no_number(text)).then_some(value)
}

/// The same in single precision.
pub fn float32(text: &str) -> Option<f32> {
    let value: f32 = text.parse().ok()?;
    (value.is_finite() || names_no_number(text)).then_some(value)
}

/// The same in half precision.
pub fn float16(text: &str) -> Option<f16> {
    let value = f16::from_f32(float32(text)?);
    (value.is_finite() || names_no_number(text)).then_some(value)
}

/// Whether a text that parses as a float is a word rather than digits: NaN or an infinity.
fn names_no_number(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_digit())
}

/// `true` or `false` in any case, or a short form.
pub fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "t" | "T" | "1" => Some(true),
        "false" | "False" | "FALSE" | "f" | "F" | "0" => Some(false),
        _ => None,
    }
}

/// The parts of a plain decimal number: no exponent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecimalParts<'a> {
    /// Whether it is below zero.
    pub negative: bool,
    /// Digits before the point.
    pub whole: &'a [u8],
    /// Digits after it.
    pub fraction: &'a [u8],
}

/// Takes a plain decimal number apart: `-12.50`, `.5`, `7`.
pub fn decimal_parts(text: &[u8]) -> Option<DecimalParts<'_>> {
    let (negative, rest) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        rest => (false, rest),
    };
    let point = rest.iter().position(|&byte| byte == b'.').unwrap_or(rest.len());
    let (whole, fraction) = (&rest[..point], rest.get(point + 1..).unwrap_or(&[]));
    let digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    (digits && whole.len() + fraction.len() > 0).then_some(DecimalParts { negative, whole, fraction })
}

impl DecimalParts<'_> {
    /// Digits before the point without leading zeros.
    pub fn whole_digits(&self) -> usize {
        self.whole.len() - self.whole.iter().take_while(|&&byte| byte == b'0').count()
    }

    /// Digits after the point without trailing zeros.
    pub fn fraction_digits(&self) -> usize {
        self.fraction.len() - self.fraction.iter().rev().take_while(|&&byte| byte == b'0').count()
    }

    /// Whether it is exactly a value of `decimal(precision, scale)`.
    pub fn fits(&self, precision: u8, scale: i8) -> bool {
        let (precision, scale) = (i32::from(precision), i32::from(scale));
        self.whole_digits() as i32 <= precision - scale && self.fraction_digits() as i32 <= scale
    }
}

/// A decimal with up to 38 digits and a scale that is not negative, exactly.
pub fn decimal128(text: &[u8], precision: u8, scale: i8) -> Option<i128> {
    let parts = decimal_parts(text)?;
    if !parts.fits(precision, scale) {
        return None;
    }
    let scale = usize::try_from(scale).ok()?;
    let fraction = parts.fraction.iter().copied().chain(std::iter::repeat(b'0')).take(scale);
    let mut value = 0_i128;
    for digit in parts.whole.iter().copied().chain(fraction) {
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    Some(if parts.negative { -value } else { value })
}

/// Days since 1970-01-01 of an ISO 8601 calendar date. Years have four digits, or a sign and four to six.
pub fn date(text: &[u8]) -> Option<i32> {
    let (days, rest) = leading_date(text)?;
    if rest.is_empty() { i32::try_from(days).ok() } else { None }
}

fn leading_date(text: &[u8]) -> Option<(i64, &[u8])> {
    let (sign, unsigned) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] => (1, rest),
        rest => (0, rest),
    };
    let year_digits = unsigned.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if year_digits != 4 && (sign == 0 || !(4..=6).contains(&year_digits)) {
        return None;
    }
    let (year, rest) = unsigned.split_at(year_digits);
    let year = int64(year)? * if sign < 0 { -1 } else { 1 };
    let [b'-', m1, m2, b'-', d1, d2, rest @ ..] = rest else { return None };
    let (month, day) = (two(*m1, *m2)?, two(*d1, *d2)?);
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    Some((days_from_civil(year, month, day), rest))
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. The year is counted from March, so that the leap
/// day is its last; eras of 400 years all have 146,097 days.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A moment, or a clock reading without a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00, in UTC if `zoned`.
    pub seconds: i64,
    /// Nanoseconds within the second.
    pub nanos: u32,
    /// Whether the text carried a zone.
    pub zoned: bool,
}

impl Moment {
    /// In parts of which `per_second` make a second; none if that would lose something.
    pub fn in_unit(self, per_second: i64) -> Option<i64> {
        let nanos_each = 1_000_000_000 / per_second;
        let nanos = i64::from(self.nanos);
        if nanos % nanos_each != 0 {
            return None;
        }
        i64::try_from(i128::from(self.seconds) * i128::from(per_second) + i128::from(nanos / nanos_each)).ok()
    }
}

/// `2013-01-01T05:00:00.25+01:00`: ISO 8601 with `T` or a blank, seconds and zone optional.
pub fn moment(text: &[u8]) -> Option<Moment> {
    let (days, rest) = leading_date(text)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    let (seconds, nanos, rest) = leading_clock(rest)?;
    let offset = match rest {
        [] => None,
        [b'Z' | b'z'] => Some(0),
        [b' ', b'U', b'T', b'C'] => Some(0),
        [sign @ (b'+' | b'-'), offset @ ..] => {
            let (hours, minutes) = match offset {
                [a, b] => (two(*a, *b)?, 0),
                [a, b, c, d] | [a, b, b':', c, d] => (two(*a, *b)?, two(*c, *d)?),
                _ => return None,
            };
            if hours > 23 || minutes > 59 {
                return None;
            }
            Some((hours * 3_600 + minutes * 60) * if *sign == b'-' { -1 } else { 1 })
        }
        _ => return None,
    };
    Some(Moment { seconds: days * 86_400 + seconds - offset.unwrap_or(0), nanos, zoned: offset.is_some() })
}

fn leading_clock(text: &[u8]) -> Option<(i64, u32, &[u8])> {
    let [h1, h2, b':', m1, m2, rest @ ..] = text else { return None };
    let (hour, minute) = (two(*h1, *h2)?, two(*m1, *m2)?);
    let (second, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (two(*s1, *s2)?, rest),
        rest => (0, rest),
    };
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = match rest {
        [b'.' | b',', rest @ ..] => fraction(rest)?,
        rest => (0, rest),
    };
    Some((hour * 3_600 + minute * 60 + second, nanos, rest))
}

/// Up to nine digits after the point; further ones must be zeros.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits == 0 || text[..digits].iter().skip(9).any(|&byte| byte != b'0') {
        return None;
    }
    let padded = text[..digits].iter().copied().chain(std::iter::repeat(b'0')).take(9);
    Some((padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), &text[digits..]))
}

/// A time of day in nanoseconds since midnight.
pub fn time_of_day(text: &[u8]) -> Option<i64> {
    let (seconds, nanos, rest) = leading_clock(text)?;
    rest.is_empty().then(|| seconds * 1_000_000_000 + i64::from(nanos))
}

/// Bytes in hexadecimal, two digits each.
pub fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some((digit(pair[0])? * 16 + digit(pair[1])?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        assert_eq!(int64(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(int64(b"9223372036854775807"), Some(i64::MAX));
        assert_eq!(int64(b"9223372036854775808"), None);
        for wrong in ["", "-", "1.0", "1_000", " 1", "1e3", "0x10", "٣"] {
            assert_eq!(int64(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn floats_never_become_infinite_by_themselves() {
        assert_eq!(float64("1e308"), Some(1e308));
        assert_eq!(float64("1e309"), None);
        assert_eq!(float32("1e39"), None);
        assert_eq!(float64("-inf"), Some(f64::NEG_INFINITY));
        assert!(float64("NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(decimal128(b"12.50", 4, 2), Some(1250));
        assert_eq!(decimal128(b"-0.10000", 3, 2), Some(-10));
        assert_eq!(decimal128(b"12.505", 6, 2), None);
        assert_eq!(decimal128(b"123.4", 4, 2), None);
        assert_eq!(decimal128(b"99999999999999999999999999999999999999", 38, 0), Some(10_i128.pow(38) - 1));
        assert_eq!(decimal128(b"1e2", 6, 2), None);
    }

    #[test]
    fn dates_before_christ_and_leap_days() {
        assert_eq!(date(b"1970-01-01"), Some(0));
        assert_eq!(date(b"2000-02-29"), Some(11_016));
        assert_eq!(date(b"9999-12-31"), Some(2_932_896));
        assert_eq!(date(b"-0044-03-15"), Some(-735_525));
        for wrong in ["1900-02-29", "2020-13-01", "2020-00-10", "20-01-01", "2020-1-1", "01/02/2020", "12345-01-01"] {
            assert_eq!(date(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn moments_with_and_without_zone() {
        let at = |text: &str| moment(text.as_bytes());
        assert_eq!(at("1970-01-01T00:00:00Z"), Some(Moment { seconds: 0, nanos: 0, zoned: true }));
        assert_eq!(at("1970-01-01 01:00"), Some(Moment { seconds: 3_600, nanos: 0, zoned: false }));
        assert_eq!(
            at("1900-01-01T00:00:00.000001+01:30").and_then(|m| m.in_unit(1_000_000)),
            Some((-2_208_988_800 - 5_400) * 1_000_000 + 1)
        );
        assert_eq!(at("2020-01-01T00:00:00.1234567").and_then(|m| m.in_unit(1_000_000)), None);
        for wrong in ["2020-01-01", "2020-01-01T24:00:00", "2020-01-01T00:00:60", "2020-01-01T00:00:00 CET"] {
            assert_eq!(at(wrong), None, "{wrong}");
        }
        assert_eq!(time_of_day(b"23:59:59.999999"), Some(86_399_999_999_000));
    }

    #[test]
    fn hexadecimal_bytes() {
        assert_eq!(hex(b"00fF"), Some(vec![0, 255]));
        assert_eq!(hex(b""), Some(vec![]));
        assert_eq!(hex(b"0"), None);
        assert_eq!(hex(b"zz"), None);
    }
}
