//! Sensitive values that are made of digits: cards, identity numbers, telephones, addresses of machines.

use std::net::Ipv4Addr;

use super::checks;
use super::detect::{Finding, Kind, context};

/// Digits with the sign before them and the separators between them.
struct Chain {
    groups: Vec<(usize, usize)>,
}

/// Groups of one number: telephones have at most this many.
const MOST_GROUPS: usize = 8;

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let chain = chain(bytes, at);
        let end = chain.groups.last().map_or(at + 1, |g| g.1);
        if !glued_before(bytes, at) {
            windows(text, &chain, found);
        } else if chain.groups.len() > 1 {
            windows(text, &Chain { groups: chain.groups[1..].to_vec() }, found);
        }
        at = end;
    }
}

/// Part of a word or of a longer number: `a1`, `_1`, `3.14`, `$5`.
fn glued_before(bytes: &[u8], at: usize) -> bool {
    let Some(&before) = at.checked_sub(1).and_then(|i| bytes.get(i)) else { return false };
    let two = at.checked_sub(2).map(|i| bytes[i]);
    let path = before == b'/' && two != Some(b'/');
    let fraction = before == b'.' && two.is_some_and(|b| b.is_ascii_alphanumeric());
    path || fraction || before.is_ascii_alphanumeric() || matches!(before, b'_' | b'$' | b'\\' | b'%' | b'@')
}

fn glued_after(bytes: &[u8], end: usize) -> bool {
    match (bytes.get(end), bytes.get(end + 1)) {
        (Some(b), _) if b.is_ascii_alphanumeric() || matches!(b, b'_' | b'%' | b'@') => true,
        (Some(b'.' | b':' | b'-'), Some(next)) => next.is_ascii_digit(),
        _ => false,
    }
}

fn chain(bytes: &[u8], start: usize) -> Chain {
    let mut groups = Vec::new();
    let mut at = start;
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        let end = at + bytes[at..].iter().take_while(|b| b.is_ascii_digit()).count();
        groups.push((at, end));
        let gap =
            bytes[end..].iter().take(3).take_while(|b| matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')')).count();
        let fits = match &bytes[end..end + gap] {
            [_] => true,
            [a, b] => matches!((a, b), (b')', b' ' | b'-') | (b' ' | b'-', b'(')),
            _ => false,
        };
        if !fits || groups.len() > 40 {
            break;
        }
        at = end + gap;
    }
    Chain { groups }
}

/// The longest window of groups that is something, from each group on.
fn windows(text: &str, chain: &Chain, found: &mut Vec<Finding>) {
    let mut from = 0;
    while from < chain.groups.len() {
        let most = (from + MOST_GROUPS).min(chain.groups.len());
        let hit =
            (from + 1..=most).rev().find_map(|to| Window::new(text, &chain.groups[from..to]).judge().map(|f| (to, f)));
        match hit {
            Some((to, finding)) => {
                found.push(finding);
                from = to;
            }
            None => from += 1,
        }
    }
}

struct Window<'t> {
    text: &'t str,
    start: usize,
    end: usize,
    digits: Vec<u32>,
    lengths: Vec<usize>,
    /// The separators, one character each where they are single.
    gaps: Vec<&'t str>,
}

impl<'t> Window<'t> {
    fn new(text: &'t str, groups: &[(usize, usize)]) -> Self {
        let (start, end) = (groups[0].0, groups[groups.len() - 1].1);
        Self {
            text,
            start,
            end,
            digits: text[start..end].chars().filter_map(|c| c.to_digit(10)).collect(),
            lengths: groups.iter().map(|g| g.1 - g.0).collect(),
            gaps: groups.windows(2).map(|w| &text[w[0].1..w[1].0]).collect(),
        }
    }

    fn judge(&self) -> Option<Finding> {
        let dotted_four = self.lengths.len() == 4 && self.gaps == [".", ".", "."];
        if !dotted_four && !(7..=19).contains(&self.digits.len()) {
            return None;
        }
        if glued_after(self.text.as_bytes(), self.end) {
            return None;
        }
        let range = self.start..self.end;
        if self.single_gap(&[" ", "-"]) && checks::card(&self.digits) {
            return Some(Finding::new(range, Kind::Card, "card"));
        }
        if let Some(shape) = self.shaped_id().or_else(|| self.plain_id()) {
            return Some(Finding::new(range, Kind::NationalId, shape));
        }
        if self.ip() {
            return Some(Finding::new(range, Kind::Ip, "ipv4"));
        }
        self.phone().map(|start| Finding::new(start..self.end, Kind::Phone, "phone"))
    }

    /// No gap, or all gaps the same and one of these.
    fn single_gap(&self, gaps: &[&str]) -> bool {
        self.gaps.first().is_none_or(|first| gaps.contains(first) && self.gaps.iter().all(|gap| gap == first))
    }

    fn shape(&self, lengths: &[usize], gaps: &[&str]) -> bool {
        self.lengths == lengths && self.gaps == gaps
    }

    fn before(&self, words: &[&str]) -> bool {
        context(self.text, self.start, words)
    }

    /// Identity numbers in their usual spelling.
    fn shaped_id(&self) -> Option<&'static str> {
        let d = &self.digits;
        let spaced = |lengths: &[usize]| self.lengths == lengths && self.single_gap(&[" ", "-"]);
        let date = |month: usize, day: usize| {
            let number = |at: usize| d[at] * 10 + d[at + 1];
            (1..=12).contains(&number(month)) && (1..=31).contains(&number(day))
        };
        match () {
            () if spaced(&[3, 2, 4]) && checks::ssn(d) => Some("us_ssn"),
            () if self.shape(&[3, 3, 3, 2], &[".", ".", "-"]) && checks::cpf(d) => Some("br_cpf"),
            () if self.shape(&[3, 3, 3, 2], &["-", "-", " "]) && checks::snils(d) => Some("ru_snils"),
            () if self.shape(&[3, 4, 4, 2], &[".", ".", "."]) && checks::ahv(d) => Some("ch_ahv"),
            () if self.shape(&[2, 2, 2, 3, 2], &[".", ".", "-", "."]) && checks::belgium(d) => Some("be_national"),
            () if spaced(&[1, 2, 2, 2, 3, 3, 2]) && checks::nir(d) => Some("fr_nir"),
            () if spaced(&[4, 4, 4]) && checks::aadhaar(d) => Some("in_aadhaar"),
            () if spaced(&[3, 3, 3]) && !matches!(d[0], 0 | 8) && checks::luhn(d) => Some("ca_sin"),
            () if spaced(&[3, 3, 3]) && self.before(&["tfn", "tax file"]) && checks::tfn(d) => Some("au_tfn"),
            () if spaced(&[2, 3, 3, 3]) && checks::steuer_id(d) => Some("de_steuer_id"),
            () if self.shape(&[6, 7], &["-"]) && checks::korea(d) => Some("kr_rrn"),
            () if self.shape(&[6, 4], &["-"]) && checks::sweden(d) => Some("se_personnummer"),
            () if self.shape(&[8, 4], &["-"]) && checks::sweden(d) => Some("se_personnummer"),
            () if self.shape(&[6, 4], &["-"]) && date(2, 0) && self.before(&["cpr"]) => Some("dk_cpr"),
            () if self.lengths == [3, 3, 4] && self.single_gap(&[" "]) && self.before(&["nhs"]) && checks::nhs(d) => {
                Some("uk_nhs")
            }
            () if self.lengths == [6, 5] && self.single_gap(&[" "]) && checks::norway(d) => Some("no_fodselsnummer"),
            () if spaced(&[4, 4, 4]) && self.before(&["my number", "マイナンバー", "個人番号"]) && checks::japan(d) => {
                Some("jp_my_number")
            }
            () => None,
        }
    }

    /// Identity numbers without separators: by checks that chance seldom passes, or with a word before them that names them.
    fn plain_id(&self) -> Option<&'static str> {
        let d = &self.digits;
        if !self.gaps.is_empty() {
            return None;
        }
        let written = &self.text[self.start..self.end];
        match d.len() {
            9 if checks::ssn(d) && self.before(&["ssn", "social security"]) => Some("us_ssn"),
            9 if checks::bsn(d) && self.before(&["bsn", "burgerservice", "sofinummer"]) => Some("nl_bsn"),
            9 if checks::nif(d) && self.before(&["nif", "contribuinte"]) => Some("pt_nif"),
            9 if checks::luhn(d) && self.before(&["sin", "social insurance"]) => Some("ca_sin"),
            9 if checks::tfn(d) && self.before(&["tfn", "tax file"]) => Some("au_tfn"),
            10 if checks::nhs(d) && self.before(&["nhs"]) => Some("uk_nhs"),
            10 if checks::sweden(d) && self.before(&["personnummer", "personal number"]) => Some("se_personnummer"),
            11 if checks::norway(d) => Some("no_fodselsnummer"),
            11 if checks::belgium(d) => Some("be_national"),
            11 if checks::pesel(d) => Some("pl_pesel"),
            11 if checks::turkey(d) => Some("tr_kimlik"),
            11 if checks::steuer_id(d) => Some("de_steuer_id"),
            11 if checks::cpf(d) => Some("br_cpf"),
            11 if checks::snils(d) && self.before(&["снилс", "snils"]) => Some("ru_snils"),
            12 if checks::inn(d) => Some("ru_inn"),
            12 if checks::aadhaar(d) && self.before(&["aadhaar", "aadhar", "uidai"]) => Some("in_aadhaar"),
            12 if checks::sweden(d) && matches!(&written[..2], "19" | "20") => Some("se_personnummer"),
            12 if checks::japan(d) && self.before(&["my number", "マイナンバー", "個人番号"]) => {
                Some("jp_my_number")
            }
            13 if checks::ahv(d) => Some("ch_ahv"),
            13 if checks::south_africa(d) => Some("za_id"),
            15 if checks::nir(d) => Some("fr_nir"),
            18 if checks::china(written) => Some("cn_resident_id"),
            _ => None,
        }
    }

    /// Four numbers up to 255 that the whole world can reach; a version before them makes them no address.
    fn ip(&self) -> bool {
        if self.lengths.len() != 4 || self.gaps != [".", ".", "."] {
            return false;
        }
        let Ok(ip) = self.text[self.start..self.end].parse::<Ipv4Addr>() else { return false };
        let local = ip.is_private()
            || ip.is_loopback()
            || ip.is_link_local()
            || ip.is_unspecified()
            || ip.is_broadcast()
            || ip.octets()[0] == 0;
        !local && !self.before(&["version", "release", "v", "section", "chapter", "clause", "paragraph"])
    }

    /// Where the telephone number begins, with its `+` or bracket.
    fn phone(&self) -> Option<usize> {
        let d = &self.digits;
        let bytes = self.text.as_bytes();
        let sign = |back: usize, b: u8| self.start.checked_sub(back).is_some_and(|i| bytes[i] == b);
        let bracket = sign(1, b'(');
        let plus = sign(1, b'+') || (bracket && sign(2, b'+'));
        let start = self.start - usize::from(bracket || plus) - usize::from(bracket && plus);
        if self.gaps.iter().any(|gap| gap.contains('/')) && !plus {
            return None;
        }
        let dotted = self.gaps.iter().any(|gap| gap.contains('.'));
        let (n, groups) = (d.len(), self.lengths.as_slice());
        let calendar = matches!(groups, [2, 2, 4, ..] | [4, 2, 2, ..] | [4, 2] | [1, 2, 4, ..] | [2, 1, 4, ..]);
        let thousands = groups.len() > 2
            && self.single_gap(&[" ", "."])
            && groups[1..].iter().all(|g| *g == 3)
            && groups[0] <= 3
            && d[0] != 0;
        let american = matches!(groups, [3, 3, 4]) && d[0] > 1 && d[3] > 1;
        let american_long = matches!(groups, [1, 3, 3, 4]) && d[0] == 1 && d[1] > 1;
        let named = || {
            self.before(&[
                "phone",
                "tel",
                "call",
                "mobile",
                "cell",
                "fax",
                "whatsapp",
                "sms",
                "ring",
                "reach",
                "dial",
                "telefon",
                "telefono",
                "teléfono",
                "téléphone",
                "handy",
                "тел",
                "моб",
                "звон",
                "номер",
                "电话",
                "手机",
                "電話",
                "number is",
                "contact",
            ])
        };
        let fits = match () {
            () if plus => (8..=15).contains(&n),
            () if calendar || thousands => false,
            () if d[0] == 0 && d[1] == 0 && d[2] != 0 => (10..=16).contains(&n) && groups.len() > 1,
            () if american || american_long => true,
            () if bracket && self.gaps.first().is_some_and(|gap| gap.starts_with(')')) => (8..=12).contains(&n),
            () if d[0] == 0 && d[1] != 0 && groups.len() > 1 && groups.len() < 7 => {
                (9..=12).contains(&n) && (!dotted || groups.len() > 3)
            }
            () if matches!(d[0], 7 | 8) && groups == [1, 3, 3, 2, 2] => true,
            () if groups == [3, 4, 4] && d[0] == 1 && d[1] > 2 => true,
            () if groups == [5, 5] && d[0] > 5 => true,
            () => (7..=15).contains(&n) && named(),
        };
        fits.then_some(start)
    }
}
