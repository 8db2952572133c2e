//! Check digits. Each function takes digits (or letters) without separators and says whether they can be what they look like.

/// The values of ASCII digits; `None` if there is anything else.
pub(super) fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|c| c.to_digit(10)).collect()
}

fn weighted(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| d * w).sum()
}

fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |n, d| n * 10 + u64::from(*d))
}

/// A plausible day and month.
fn date(month: u32, day: u32) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

fn pair(digits: &[u32], at: usize) -> u32 {
    digits[at] * 10 + digits[at + 1]
}

/// Luhn: cards, Swedish and Canadian numbers and many more.
pub(super) fn luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, d)| match place % 2 {
            0 => *d,
            _ if *d > 4 => d * 2 - 9,
            _ => d * 2,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// A payment card: a prefix that is issued, its length, Luhn.
pub(super) fn card(d: &[u32]) -> bool {
    if !(13..=19).contains(&d.len()) || !luhn(d) {
        return false;
    }
    let four = number(&d[..4]);
    let (two, three) = (four / 100, four / 10);
    match d.len() {
        15 => matches!(two, 34 | 37) || (2131..=2131).contains(&four) || four == 1800,
        14 => matches!(two, 36 | 38 | 39) || (300..=305).contains(&three),
        13 => d[0] == 4,
        _ => {
            d[0] == 4
                || (51..=55).contains(&two)
                || (2221..=2720).contains(&four)
                || matches!(two, 62 | 65 | 50 | 56 | 57 | 58 | 63 | 67)
                || four == 6011
                || (644..=649).contains(&three)
                || (3528..=3589).contains(&four)
                || (2200..=2204).contains(&four)
        }
    }
}

/// Length of an IBAN by country; the check digits are tested for all of them.
const IBAN: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
];

/// The length an IBAN of this country has.
pub(super) fn iban_length(country: &str) -> Option<usize> {
    IBAN.iter().find(|(code, _)| *code == country).map(|(_, length)| *length)
}

/// ISO 7064 mod 97-10 over the rotated text.
pub(super) fn iban(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    if !upper.is_ascii() || upper.len() < 5 || iban_length(&upper[..2]) != Some(upper.len()) {
        return false;
    }
    let mut rotated = upper[4..].bytes().chain(upper[..4].bytes());
    let rest = rotated.try_fold(0u32, |rest, byte| {
        let value = (byte as char).to_digit(36)?;
        Some(if value < 10 { rest * 10 + value } else { rest * 100 + value } % 97)
    });
    rest == Some(1)
}

/// France, NIR: 13 digits and 97 minus their rest; Corsica's letters are not read.
pub(super) fn nir(d: &[u32]) -> bool {
    d.len() == 15
        && matches!(d[0], 1 | 2)
        && (1..=12).contains(&pair(d, 3))
        && 97 - number(&d[..13]) % 97 == number(&d[13..])
}

/// Germany, tax id: ISO 7064 mod 11,10; one digit twice or thrice among the first ten.
pub(super) fn steuer_id(d: &[u32]) -> bool {
    if d.len() != 11 || d[0] == 0 {
        return false;
    }
    let mut counts = [0u8; 10];
    for digit in &d[..10] {
        counts[*digit as usize] += 1;
    }
    let repeated = counts.iter().filter(|n| **n > 1).count() == 1 && counts.iter().all(|n| *n <= 3);
    let product = d[..10].iter().fold(10, |product, digit| {
        let sum = (digit + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    repeated && (11 - product) % 10 == d[10]
}

/// Spain, DNI and NIE: the letter is the rest by 23.
pub(super) fn dni(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let body = match text.as_bytes().first() {
        Some(b'X') => format!("0{}", &text[1..]),
        Some(b'Y') => format!("1{}", &text[1..]),
        Some(b'Z') => format!("2{}", &text[1..]),
        _ => text,
    };
    if body.len() != 9 || !body.is_ascii() {
        return false;
    }
    let letter = body.as_bytes()[8];
    digits(&body[..8]).is_some_and(|d| b"TRWAGMYFPDXBNJZSQVHLCKE"[(number(&d) % 23) as usize] == letter)
}

/// Italy, codice fiscale: 16 signs, the last of them checks the rest.
pub(super) fn codice_fiscale(text: &str) -> bool {
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let text = text.to_ascii_uppercase();
    let bytes = text.as_bytes();
    let shape = bytes.len() == 16
        && bytes.iter().enumerate().all(|(at, b)| match at {
            0..=5 | 8 | 11 | 15 => b.is_ascii_uppercase(),
            _ => b.is_ascii_digit() || b"LMNPQRSTUV".contains(b),
        });
    if !shape {
        return false;
    }
    let sum: u32 = bytes[..15]
        .iter()
        .enumerate()
        .map(|(at, b)| {
            let value = if b.is_ascii_digit() { u32::from(b - b'0') } else { u32::from(b - b'A') };
            if at % 2 == 0 { ODD[value as usize] } else { value }
        })
        .sum();
    sum % 26 == u32::from(bytes[15] - b'A')
}

/// Netherlands, BSN: the eleven test.
pub(super) fn bsn(d: &[u32]) -> bool {
    d.len() == 9 && d[0] + d[1] > 0 && (weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) + 11 * 9 - d[8]).is_multiple_of(11)
}

/// Belgium, national number: a birth date and 97 minus the rest, with a 2 before it for those born since 2000.
pub(super) fn belgium(d: &[u32]) -> bool {
    if d.len() != 11 || pair(d, 2) > 12 || pair(d, 4) > 31 {
        return false;
    }
    let (body, check) = (number(&d[..9]), number(&d[9..]));
    97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check
}

/// Poland, PESEL: a birth date whose month says the century, and a check digit.
pub(super) fn pesel(d: &[u32]) -> bool {
    d.len() == 11
        && date(pair(d, 2) % 20, pair(d, 4))
        && (weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) + d[10]).is_multiple_of(10)
}

/// Sweden, personnummer: a birth date, and Luhn over the last ten.
pub(super) fn sweden(d: &[u32]) -> bool {
    let d = if d.len() == 12 { &d[2..] } else { d };
    d.len() == 10 && date(pair(d, 2), pair(d, 4) % 60) && luhn(d)
}

/// Finland: `ddmmyy`, the sign of the century, three digits, and the letter of the rest by 31.
pub(super) fn finland(text: &str) -> bool {
    let bytes = text.as_bytes();
    let shape = bytes.len() == 11 && text.is_ascii() && b"+-ABCDEFYXWVU".contains(&bytes[6]);
    if !shape {
        return false;
    }
    let Some(d) = digits(&format!("{}{}", &text[..6], &text[7..10])) else { return false };
    let letter = b"0123456789ABCDEFHJKLMNPRSTUVWXY"[(number(&d) % 31) as usize];
    date(pair(&d, 2), pair(&d, 0)) && letter == bytes[10].to_ascii_uppercase()
}

/// Norway, fødselsnummer: a birth date and two check digits by eleven.
pub(super) fn norway(d: &[u32]) -> bool {
    let check = |sum: u32| (11 - sum % 11) % 11;
    d.len() == 11
        && date(pair(d, 2), pair(d, 0) % 40)
        && check(weighted(d, &[3, 7, 6, 1, 8, 9, 4, 5, 2])) == d[9]
        && check(weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2])) == d[10]
}

/// Russia, SNILS: weights 9 to 1, by 101.
pub(super) fn snils(d: &[u32]) -> bool {
    d.len() == 11 && weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2, 1]) % 101 % 100 == pair(d, 9)
}

/// Russia, INN of a person: twelve digits, the last two check.
pub(super) fn inn(d: &[u32]) -> bool {
    d.len() == 12
        && weighted(d, &[7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d[10]
        && weighted(d, &[3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8]) % 11 % 10 == d[11]
}

/// China, resident identity: a birth date, and mod 11-2 with `X` for ten.
pub(super) fn china(text: &str) -> bool {
    let Some(d) = (text.len() == 18).then(|| text.get(..17).and_then(digits)).flatten() else { return false };
    let sum = weighted(&d, &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let check = b"10X98765432"[(sum % 11) as usize];
    matches!(pair(&d, 6), 19 | 20)
        && date(pair(&d, 10), pair(&d, 12))
        && text.as_bytes()[17].to_ascii_uppercase() == check
}

/// India, Aadhaar: Verhoeff's scheme, in the dihedral group of the pentagon.
pub(super) fn aadhaar(d: &[u32]) -> bool {
    const TURN: [u32; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let product = |a: u32, b: u32| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a + 5 - b - 5) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let turned = |digit: u32, times: usize| (0..times).fold(digit, |d, _| TURN[d as usize]);
    d.len() == 12
        && d[0] > 1
        && d.iter().rev().enumerate().fold(0, |c, (at, digit)| product(c, turned(*digit, at % 8))) == 0
}

/// Brazil, CPF: two check digits by eleven.
pub(super) fn cpf(d: &[u32]) -> bool {
    let check = |sum: u32| sum * 10 % 11 % 10;
    d.len() == 11
        && d.iter().any(|x| *x != d[0])
        && check(weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2])) == d[9]
        && check(weighted(d, &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2])) == d[10]
}

/// United Kingdom, NHS number: by eleven.
pub(super) fn nhs(d: &[u32]) -> bool {
    d.len() == 10 && (11 - weighted(d, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11 == d[9]
}

/// Turkey: the tenth digit from odd and even places, the eleventh from all.
pub(super) fn turkey(d: &[u32]) -> bool {
    d.len() == 11 && d[0] != 0 && {
        let odd: u32 = d[..9].iter().step_by(2).sum();
        let even: u32 = d[1..8].iter().step_by(2).sum();
        (odd * 7 + 90 - even) % 10 == d[9] && d[..10].iter().sum::<u32>() % 10 == d[10]
    }
}

/// Switzerland, AHV: 756 and the check digit of EAN-13.
pub(super) fn ahv(d: &[u32]) -> bool {
    d.len() == 13
        && d[..3] == [7, 5, 6]
        && (weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]) + d[12]).is_multiple_of(10)
}

/// South Korea: a birth date and a check digit by eleven.
pub(super) fn korea(d: &[u32]) -> bool {
    d.len() == 13
        && date(pair(d, 2), pair(d, 4))
        && (11 - weighted(d, &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10 == d[12]
}

/// Japan, My Number: by eleven.
pub(super) fn japan(d: &[u32]) -> bool {
    let rest = weighted(d, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    d.len() == 12 && (if rest <= 1 { 0 } else { 11 - rest }) == d[11]
}

/// South Africa: a birth date and Luhn.
pub(super) fn south_africa(d: &[u32]) -> bool {
    d.len() == 13 && date(pair(d, 2), pair(d, 4)) && d[10] < 2 && luhn(d)
}

/// Australia, tax file number: by eleven.
pub(super) fn tfn(d: &[u32]) -> bool {
    d.len() == 9 && weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// Portugal, NIF: by eleven.
pub(super) fn nif(d: &[u32]) -> bool {
    let rest = weighted(d, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    d.len() == 9 && (if rest < 2 { 0 } else { 11 - rest }) == d[8]
}

/// United States, social security: ranges that were never issued.
pub(super) fn ssn(d: &[u32]) -> bool {
    d.len() == 9 && d[0] != 9 && !matches!(number(&d[..3]), 0 | 666) && pair(d, 3) != 0 && number(&d[5..]) != 0
}

/// United Kingdom, national insurance: letters that are issued, six digits, A to D.
pub(super) fn nino(text: &str) -> bool {
    let t = text.to_ascii_uppercase();
    let b = t.as_bytes();
    b.len() == 9
        && b[0].is_ascii_uppercase()
        && b[1].is_ascii_uppercase()
        && !b"DFIQUV".contains(&b[0])
        && !b"DFIOQUV".contains(&b[1])
        && !["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&&t[..2])
        && b[2..8].iter().all(u8::is_ascii_digit)
        && b"ABCD".contains(&b[8])
}

/// Singapore, NRIC and FIN: a letter for the century, seven digits, a letter that checks.
pub(super) fn nric(text: &str) -> bool {
    let t = text.to_ascii_uppercase();
    let b = t.as_bytes();
    let Some(d) = (b.len() == 9 && t.is_ascii()).then(|| digits(&t[1..8])).flatten() else { return false };
    let sum = weighted(&d, &[2, 7, 6, 5, 4, 3, 2]) + if matches!(b[0], b'T' | b'G') { 4 } else { 0 };
    let letters: &[u8; 11] = match b[0] {
        b'S' | b'T' => b"JZIHGFEDCBA",
        b'F' | b'G' => b"XWUTRQPNMLK",
        _ => return false,
    };
    letters[(sum % 11) as usize] == b[8]
}

/// India, PAN: five letters of which the fourth says what the holder is, four digits, a letter.
pub(super) fn pan(text: &str) -> bool {
    let b = text.as_bytes();
    b.len() == 10
        && b[..5].iter().all(u8::is_ascii_uppercase)
        && b"ABCFGHLJPT".contains(&b[3])
        && b[5..9].iter().all(u8::is_ascii_digit)
        && b[9].is_ascii_uppercase()
}
