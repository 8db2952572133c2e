//! Tokens before a call. Three answers of rising cost: an upper bound by bytes (in [`crate::limits`]), an estimate from the shapes of words
//! (no tables, within some per cent on ordinary text), and the exact count of OpenAI's tokenizers.
//!
//! The exact tables take 25 MB (`cl100k`) to 46 MB (`o200k`) of memory and a tenth of a second to load, more than the rest of the
//! gateway together. So they are loaded on first use, and used only where the configuration asks for it. What was really used
//! comes from the provider after the call.

use tiktoken_rs::CoreBPE;

/// A tokenizer that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// GPT-4o, GPT-4.1, GPT-5, o1 and later.
    O200k,
    /// GPT-4, GPT-3.5, OpenAI's embeddings.
    Cl100k,
}

impl Encoding {
    /// The tokenizer of a model, by the name that OpenAI gives it. Deployments elsewhere carry other names and are not known.
    pub fn of(model: &str) -> Option<Self> {
        let model = model.strip_prefix("openai/").unwrap_or(model);
        let starts = |names: &[&str]| names.iter().any(|name| model.starts_with(name));
        if starts(&["gpt-4o", "gpt-4.1", "gpt-4.5", "gpt-5", "chatgpt-4o", "o1", "o3", "o4"]) {
            return Some(Self::O200k);
        }
        starts(&["gpt-4", "gpt-3.5", "text-embedding-3", "text-embedding-ada-002"]).then_some(Self::Cl100k)
    }

    /// Loads the tables, so that the first count does not wait for them.
    pub fn load(self) {
        self.tables();
    }

    /// The exact number of tokens of a text. The first call loads the tables.
    pub fn count(self, text: &str) -> u64 {
        self.tables().count_ordinary(text) as u64
    }

    fn tables(self) -> &'static CoreBPE {
        match self {
            Self::O200k => tiktoken_rs::o200k_base_singleton(),
            Self::Cl100k => tiktoken_rs::cl100k_base_singleton(),
        }
    }
}

/// What a run of characters is, for the estimate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Latin,
    /// Alphabets that tokenizers know less well: Cyrillic, Greek, accented Latin.
    Alphabet,
    /// Scripts without spaces between words.
    Dense,
    Digit,
    Newline,
    Space,
    Sign,
}

fn class(c: char) -> Class {
    match c {
        'a'..='z' | 'A'..='Z' => Class::Latin,
        '0'..='9' => Class::Digit,
        '\n' | '\r' => Class::Newline,
        c if c.is_whitespace() => Class::Space,
        c if c.is_ascii() => Class::Sign,
        '\u{2e80}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' => {
            Class::Dense
        }
        c if c.is_alphabetic() => Class::Alphabet,
        _ => Class::Sign,
    }
}

/// Tokens of a run, in hundredths. The tests print how near it comes to `o200k` on prose, SQL, JSON, code and three languages more.
const fn cost(class: Class, length: u64) -> u64 {
    match class {
        // A word of everyday length is one token; longer ones fall apart.
        Class::Latin => {
            if length <= 8 {
                104
            } else {
                104 + (length - 8) * 16
            }
        }
        Class::Alphabet => 60 + length * 19,
        Class::Dense => length * 78,
        Class::Digit => length.div_ceil(3) * 100,
        Class::Newline => 70,
        // One space belongs to the word after it.
        Class::Space => {
            if length > 1 {
                90
            } else {
                0
            }
        }
        Class::Sign => 45 + length * 42,
    }
}

/// A guess at the tokens of a text, for choosing a route and for showing; never for limits.
pub fn estimate(text: &str) -> u64 {
    let mut hundredths = 0;
    let mut run: Option<(Class, u64)> = None;
    for c in text.chars() {
        let class = class(c);
        run = match run {
            Some((same, length)) if same == class => Some((same, length + 1)),
            Some((Class::Latin | Class::Alphabet, length)) if matches!(class, Class::Latin | Class::Alphabet) => {
                Some((Class::Alphabet, length + 1))
            }
            other => {
                hundredths += other.map_or(0, |(class, length)| cost(class, length));
                Some((class, 1))
            }
        };
    }
    hundredths += run.map_or(0, |(class, length)| cost(class, length));
    hundredths.div_ceil(100)
}

#[cfg(test)]
mod tests;
