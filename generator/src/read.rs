//! The grammar: every clause is a function from a place in the tokens to what stands there and where it
//! ends, or nothing. At each place the longest clause wins; what no clause takes is reported.

mod arith;
mod check;
mod columns;
mod compare;
mod condition;
mod group;
mod keep;
mod measure;
mod order;
mod period;
mod punctual;
mod rules;
mod schedule;
mod target;
mod value;

pub(crate) use order::is_rows;

use crate::{
    answer::{Problem, codes},
    lexicon::{is_filler, is_keyword, is_punctuation, number_word, unsupported},
    link::Lexis,
    request::{At, Clause},
    tokens::{Shape, Token},
};

/// Something read, and the place behind it.
pub(crate) type Read<T> = Option<(usize, T)>;

/// A request being read.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) lexis: &'a Lexis<'a>,
    pub(crate) request: &'a str,
    pub(crate) tokens: &'a [Token],
}

/// Every clause with its tokens, and the words that none took.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) clauses: Vec<(At, Clause)>,
    pub(crate) problems: Vec<Problem>,
}

type Parser<'a> = fn(&Reader<'a>, usize) -> Read<Clause>;

impl<'a> Reader<'a> {
    /// Reads the whole request.
    pub(crate) fn read(&self) -> Outcome {
        let mut outcome = Outcome::default();
        let mut at = 0;
        while at < self.tokens.len() {
            match self.clause(at) {
                Some((end, clause)) if end > at => {
                    outcome.clauses.push((at..end, clause));
                    at = end;
                }
                _ => at = self.loose(at, &mut outcome),
            }
        }
        // A word of the grammar is only in the way because of the unknown word behind it.
        let unknown = |p: &Problem| p.code == codes::UNKNOWN_WORDS && !is_keyword(&p.words.to_lowercase());
        if outcome.problems.iter().any(unknown) {
            outcome.problems.retain(|p| p.code != codes::UNKNOWN_WORDS || unknown(p));
        }
        outcome
    }

    fn clause(&self, at: usize) -> Read<Clause> {
        // Equal length: the one that stands first here.
        let parsers: [Parser<'a>; 23] = [
            Self::schedule,
            Self::check,
            Self::retries,
            Self::target,
            Self::called,
            Self::rename,
            Self::limit,
            Self::order,
            Self::latest,
            Self::top,
            Self::which_most,
            Self::derived,
            Self::measures,
            Self::having,
            Self::attach,
            Self::dims,
            Self::filter,
            Self::distinct,
            Self::dated,
            Self::placed,
            Self::adjective,
            Self::listed,
            Self::about,
        ];
        let mut best: Read<Clause> = None;
        for parser in parsers {
            let found = parser(self, at);
            if let Some((end, _)) = &found
                && best.as_ref().is_none_or(|(longest, _)| end > longest)
            {
                best = found;
            }
        }
        best.or_else(|| self.head(at))
    }

    /// A token outside all clauses: filler is passed over, all else is a problem.
    fn loose(&self, at: usize, outcome: &mut Outcome) -> usize {
        let token = &self.tokens[at];
        let harmless = match token.shape {
            Shape::Word => is_filler(&token.lower),
            Shape::Sign => is_punctuation(&token.text),
            Shape::Number(_)
            | Shape::Ordinal(_)
            | Shape::Date(_)
            | Shape::YearMonth(..)
            | Shape::Time(..)
            | Shape::Quoted => false,
        };
        if harmless {
            return at + 1;
        }
        let words = self.words(&(at..at + 1));
        let problem = match unsupported(&token.lower).filter(|_| token.is_word()) {
            Some(why) => Problem::new(codes::UNSUPPORTED, words, why),
            None => self.not_understood(at, words),
        };
        outcome.problems.push(problem);
        at + 1
    }

    fn not_understood(&self, at: usize, words: String) -> Problem {
        if let Some(values) = self.lexis.values_at(self.tokens, at) {
            let places: Vec<String> = values
                .seen
                .iter()
                .take(5)
                .map(|s| format!("{} = {}", self.lexis.catalog.label(s.column), s.value))
                .collect();
            return Problem::new(codes::AMBIGUOUS, words, "it is not clear what this value has to do with the rows")
                .choices(places);
        }
        if let Some(named) = self.lexis.columns_at(self.tokens, at) {
            let places: Vec<String> = named.columns.iter().take(6).map(|c| self.lexis.catalog.label(*c)).collect();
            let why = "it is a column, but not clear what is to be done with it";
            return Problem::new(codes::AMBIGUOUS, words, why).choices(places);
        }
        let why = if is_keyword(&words.to_lowercase()) {
            "it is not clear what this word asks for in this place"
        } else {
            "no table, column or value has this name and it is no word that the planner knows in this place"
        };
        Problem::new(codes::UNKNOWN_WORDS, words, why)
    }

    /// The words of some tokens, as written.
    pub(crate) fn words(&self, at: &At) -> String {
        match (self.tokens.get(at.start), self.tokens.get(at.end.saturating_sub(1).max(at.start))) {
            (Some(first), Some(last)) => self.request[first.start..last.end.max(first.end)].to_owned(),
            _ => String::new(),
        }
    }

    pub(crate) fn token(&self, at: usize) -> Option<&Token> {
        self.tokens.get(at)
    }

    /// The word or sign here in lower case; nothing for numbers and quoted text.
    pub(crate) fn lower(&self, at: usize) -> &str {
        self.tokens.get(at).filter(|t| matches!(t.shape, Shape::Word | Shape::Sign)).map_or("", |t| &t.lower)
    }

    /// These words, one after the other.
    pub(crate) fn phrase(&self, at: usize, phrase: &str) -> Option<usize> {
        let mut end = at;
        for word in phrase.split(' ') {
            if self.lower(end) != word {
                return None;
            }
            end += 1;
        }
        Some(end)
    }

    /// The longest of these phrases.
    pub(crate) fn any(&self, at: usize, phrases: &[&str]) -> Option<usize> {
        phrases.iter().filter_map(|phrase| self.phrase(at, phrase)).max()
    }

    /// The place behind these phrases, or the same place.
    pub(crate) fn skip(&self, at: usize, phrases: &[&str]) -> usize {
        self.any(at, phrases).unwrap_or(at)
    }

    /// Behind an article or possessive.
    pub(crate) fn the(&self, at: usize) -> usize {
        self.skip(at, &["the", "a", "an", "its", "their", "all the", "all of the", "all", "any", "our", "my"])
    }

    /// A plain number, in digits or as a word.
    pub(crate) fn number(&self, at: usize) -> Read<f64> {
        let token = self.token(at)?;
        match token.shape {
            Shape::Number(value) => {
                let times = self.any(at + 1, &["thousand", "million"]);
                let factor = times.and_then(|_| number_word(self.lower(at + 1))).unwrap_or(1.0);
                Some((times.unwrap_or(at + 1), value * factor))
            }
            Shape::Word => {
                let (start, value) = match (self.any(at, &["a", "an"]), number_word(&token.lower)) {
                    (Some(next), _) if self.any(next, &["hundred", "thousand", "million", "dozen"]).is_some() => {
                        (next, 1.0)
                    }
                    (_, Some(value)) => (at + 1, value),
                    _ => return None,
                };
                let times = self.any(start, &["hundred", "thousand", "million", "dozen"]);
                let factor = times.and_then(|_| number_word(self.lower(start))).unwrap_or(1.0);
                Some((times.unwrap_or(start), value * factor))
            }
            Shape::Ordinal(_)
            | Shape::Date(_)
            | Shape::YearMonth(..)
            | Shape::Time(..)
            | Shape::Quoted
            | Shape::Sign => None,
        }
    }

    /// A whole number from 1.
    pub(crate) fn count(&self, at: usize) -> Read<u64> {
        let (end, value) = self.number(at)?;
        (value >= 1.0 && value.fract() == 0.0 && value < 1e9).then_some((end, value as u64))
    }

    /// Items with commas and "and" between them.
    pub(crate) fn list<T>(&self, at: usize, item: impl Fn(usize) -> Read<T>) -> Read<Vec<T>> {
        let (mut end, first) = item(at)?;
        let mut items = vec![first];
        while let Some(next) =
            self.any(end, &[", and", ",", "and", "&", "and also", ", as well as", "as well as", "plus"])
        {
            match item(next) {
                Some((behind, found)) => {
                    items.push(found);
                    end = behind;
                }
                None => break,
            }
        }
        Some((end, items))
    }
}
