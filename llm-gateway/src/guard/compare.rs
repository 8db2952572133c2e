//! Two canonical sequences against each other.

use super::{
    Canonical,
    lex::{Kind, Token},
    phrases::{AGGREGATES, CONFUSABLE, DIRECTIONS, NEGATIONS, OPPOSITES},
};

/// What the guard found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// One answer serves both.
    Same,
    /// They may need different answers.
    Different(Reason),
}

/// The first thing that speaks against taking one request for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Numbers, amounts or their units differ.
    Number,
    /// Times or dates differ.
    Time,
    /// A name that machines read differs.
    Identifier,
    /// A quoted string differs.
    Quoted,
    /// One denies, limits or quantifies what the other does not.
    Negation,
    /// Words of opposite meaning.
    Opposite,
    /// Another direction or another relation in time or space.
    Direction,
    /// Another aggregation or comparison.
    Aggregation,
    /// A name of a person, place or thing differs.
    Entity,
    /// The same words in another order.
    Order,
    /// Another speaker: "I owe you" is not "you owe me".
    Person,
    /// A word of the one is missing in the other.
    Words,
}

impl Reason {
    /// A word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Number => "number",
            Self::Time => "time",
            Self::Identifier => "identifier",
            Self::Quoted => "quoted",
            Self::Negation => "negation",
            Self::Opposite => "opposite",
            Self::Direction => "direction",
            Self::Aggregation => "aggregation",
            Self::Entity => "entity",
            Self::Order => "order",
            Self::Person => "person",
            Self::Words => "words",
        }
    }
}

pub(super) fn compare(one: &Canonical, other: &Canonical) -> Verdict {
    let (a, b) = (&one.tokens, &other.tokens);
    if let Some(reason) = persons(&one.persons, &other.persons) {
        return Verdict::Different(reason);
    }
    if in_order(a, b) || moved(a, b) || moved(b, a) {
        // A text without a single word that carries meaning says nothing about its answer.
        return if a.is_empty() && b.is_empty() { Verdict::Different(Reason::Words) } else { Verdict::Same };
    }
    Verdict::Different(reason(a, b))
}

/// A text may leave the person out ("cancel the subscription"), but may not speak of another.
fn persons(a: &str, b: &str) -> Option<Reason> {
    (!a.is_empty() && !b.is_empty() && a != b).then_some(Reason::Person)
}

fn in_order(a: &[Token], b: &[Token]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| alike(x, y))
}

/// `b` is `a` with the phrase after a pause moved to the front: "On my phone, how do I …".
fn moved(a: &[Token], b: &[Token]) -> bool {
    a.len() == b.len()
        && (1..b.len()).any(|seam| {
            b[seam].pause && in_order(&a[..a.len() - seam], &b[seam..]) && in_order(&a[a.len() - seam..], &b[..seam])
        })
}

fn alike(a: &Token, b: &Token) -> bool {
    a.kind == b.kind && (a.text == b.text || (a.kind == Kind::Word && !a.name && !b.name && slip(&a.text, &b.text)))
}

/// One doubled letter too few or too many, or two neighbours exchanged, inside a long word that is no other word's twin.
fn slip(a: &str, b: &str) -> bool {
    let (short, long) = if a.len() <= b.len() { (a.as_bytes(), b.as_bytes()) } else { (b.as_bytes(), a.as_bytes()) };
    let plain = |word: &[u8]| word.iter().all(u8::is_ascii_lowercase);
    if short.len() < 6 || !plain(short) || !plain(long) || CONFUSABLE.contains(&a) || CONFUSABLE.contains(&b) {
        return false;
    }
    let same = short.iter().zip(long).take_while(|(x, y)| x == y).count();
    if same == 0 || (same < 2 && short.len() == long.len()) {
        return false;
    }
    match long.len() - short.len() {
        0 => {
            let swapped = same + 1 < short.len() && short[same] == long[same + 1] && short[same + 1] == long[same];
            swapped && short[same + 2..] == long[same + 2..]
        }
        1 => long[same] == long[same - 1] && short[same..] == long[same + 1..],
        _ => false,
    }
}

/// Why two sequences differ, the gravest first.
fn reason(a: &[Token], b: &[Token]) -> Reason {
    let missing = |x: &[Token], y: &[Token]| -> Vec<Token> {
        let mut left: Vec<&Token> = y.iter().collect();
        let mut out = Vec::new();
        for token in x {
            match left.iter().position(|other| alike(token, other)) {
                Some(at) => {
                    left.swap_remove(at);
                }
                None => out.push(token.clone()),
            }
        }
        out
    };
    let (only_a, only_b) = (missing(a, b), missing(b, a));
    let differ: Vec<&Token> = only_a.iter().chain(&only_b).collect();
    if differ.is_empty() {
        return Reason::Order;
    }
    let of_kind = |kind: Kind| differ.iter().any(|t| t.kind == kind);
    let word_in = |list: &[&str]| differ.iter().any(|t| t.kind == Kind::Word && list.contains(&t.text.as_str()));
    let opposite = only_a.iter().any(|x| only_b.iter().any(|y| opposites(&x.text, &y.text)));
    match () {
        () if of_kind(Kind::Quoted) => Reason::Quoted,
        () if of_kind(Kind::Number) => Reason::Number,
        () if of_kind(Kind::Time) => Reason::Time,
        () if of_kind(Kind::Identifier) => Reason::Identifier,
        () if opposite => Reason::Opposite,
        () if word_in(NEGATIONS) => Reason::Negation,
        () if word_in(AGGREGATES) || of_kind(Kind::Sign) => Reason::Aggregation,
        () if differ.iter().any(|t| t.name) => Reason::Entity,
        () if word_in(DIRECTIONS) => Reason::Direction,
        () => Reason::Words,
    }
}

fn opposites(a: &str, b: &str) -> bool {
    let listed = OPPOSITES.iter().any(|(x, y)| (*x == a && *y == b) || (*x == b && *y == a));
    let prefixed =
        |x: &str, y: &str| ["un", "non", "dis", "in", "im", "de"].iter().any(|p| x.strip_prefix(p) == Some(y));
    listed || prefixed(a, b) || prefixed(b, a)
}
