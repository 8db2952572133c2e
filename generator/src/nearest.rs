//! The nearest request that would be understood: one is only offered after it was planned.

use crate::{
    answer::{Options, Problem, codes},
    lexicon::KEYWORDS,
    link::Lexis,
    plan::once,
};

/// How many requests are tried.
const TRIES: usize = 12;

/// The problems with words that may have been meant, and the nearest request that can be planned.
pub(crate) fn nearest(
    request: &str,
    lexis: &Lexis<'_>,
    options: &Options,
    problems: Vec<Problem>,
) -> (Vec<Problem>, Option<String>) {
    if problems.iter().any(|p| p.code == codes::TOO_LONG) {
        return (problems, None);
    }
    let vocabulary = lexis.vocabulary();
    let problems: Vec<Problem> = problems.into_iter().map(|p| with_similar(p, &vocabulary)).collect();
    let mut tries = Vec::new();
    // With so much not understood nothing near is left of the request.
    if problems.len() <= 6 {
        corrected(request, &problems, &mut tries);
        tries.push(without(request, &problems));
        tries.extend(without_clauses(request, &problems));
    }
    tries.extend(plainest(lexis, request));
    let good = tries
        .into_iter()
        .filter(|t| !t.trim().is_empty() && t != request)
        .take(TRIES)
        .find(|t| once(t, lexis, options).is_ok());
    (problems, good)
}

/// From here on one word may have been meant by the other.
const ALIKE: f64 = 0.9;

/// How alike two spellings are, from 0 to 1. One wrong letter may be anywhere in a word, which Jaro and Winkler's measure forgives
/// at the end only.
fn alike(word: &str, known: &str) -> f64 {
    let measure = strsim::jaro_winkler(word, known);
    let one_slip = known.chars().count() > 4 && strsim::damerau_levenshtein(word, known) == 1;
    if one_slip { measure.max(ALIKE) } else { measure }
}

/// Words spelled like the unknown one.
fn with_similar(mut problem: Problem, vocabulary: &[String]) -> Problem {
    if problem.code != codes::UNKNOWN_WORDS || !problem.choices.is_empty() || problem.words.chars().count() < 4 {
        return problem;
    }
    let word = problem.words.to_lowercase();
    if KEYWORDS.contains(&word.as_str()) {
        return problem;
    }
    let known = vocabulary.iter().map(String::as_str).chain(KEYWORDS);
    let mut near: Vec<(f64, &str)> =
        known.map(|k| (alike(&word, &k.to_lowercase()), k)).filter(|(score, _)| *score >= ALIKE).collect();
    near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    near.dedup_by(|a, b| a.1 == b.1);
    problem.choices = near.into_iter().take(3).map(|(_, word)| word.to_owned()).collect();
    problem
}

/// Each choice in the place of the words it stands for; all problems at once by their first choice.
fn corrected(request: &str, problems: &[Problem], tries: &mut Vec<String>) {
    let mut all = request.to_owned();
    for problem in problems.iter().filter(|p| !p.words.is_empty() && p.words != request) {
        for choice in problem.choices.iter().take(3) {
            tries.push(request.replacen(&problem.words, said(choice), 1));
        }
        if let Some(first) = problem.choices.first() {
            all = all.replacen(&problem.words, said(first), 1);
        }
    }
    if problems.len() > 1 {
        tries.insert(0, all);
    }
}

/// A choice as one would write it: `flights.dep_delay` without explanations.
fn said(choice: &str) -> &str {
    choice.split([' ', '=']).next().filter(|_| choice.contains('.')).unwrap_or(choice)
}

fn without(request: &str, problems: &[Problem]) -> String {
    let mut rest = request.to_owned();
    for problem in problems.iter().filter(|p| !p.words.is_empty()) {
        rest = rest.replacen(&problem.words, "", 1);
    }
    rest.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The request without the parts between commas that hold a problem.
fn without_clauses(request: &str, problems: &[Problem]) -> Option<String> {
    let parts: Vec<&str> = request.split([',', ';']).collect();
    let good: Vec<&str> = parts
        .iter()
        .copied()
        .filter(|part| !problems.iter().any(|p| !p.words.is_empty() && part.contains(&p.words)))
        .collect();
    (good.len() < parts.len() && !good.is_empty()).then(|| good.join(",").trim().to_owned())
}

/// What can always be asked of a table that the request speaks of.
fn plainest(lexis: &Lexis<'_>, request: &str) -> Vec<String> {
    let tokens = crate::tokens::tokenise(request);
    let named = (0..tokens.len()).filter_map(|at| lexis.table_at(&tokens, at)).flat_map(|(_, tables)| tables);
    let columns =
        (0..tokens.len()).filter_map(|at| lexis.columns_at(&tokens, at)).flat_map(|n| n.columns).map(|c| c.table);
    let first = lexis.catalog.table_ids().next();
    let mut tables: Vec<_> = named.chain(columns).chain(first).collect();
    tables.dedup();
    tables.into_iter().take(2).map(|t| format!("how many {}", lexis.catalog.table(t).name)).collect()
}
