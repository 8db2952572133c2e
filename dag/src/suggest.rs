//! "Did you mean …?"

/// The candidate that looks most like a mistyped `word`, if one looks like it at all.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = word.to_lowercase();
    let length = word.chars().count();
    let allowed = match length {
        0..=3 => 1,
        4..=8 => 2,
        _ => length / 3,
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= allowed)
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| {
            // Short words have many neighbours: two edits only if at least the beginning is the same.
            let begins_alike = candidate.to_lowercase().chars().next() == word.chars().next();
            *distance <= allowed && (*distance <= 1 || length > 5 || begins_alike)
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words; a plural counts as one edit at most.
fn distance(word: &str, candidate: &str) -> usize {
    let plural = word.strip_suffix('s') == Some(candidate) || candidate.strip_suffix('s') == Some(word);
    if plural { 1 } else { strsim::damerau_levenshtein(word, candidate) }
}

/// What others call it, and what it is called here.
const SYNONYMS: [(&str, &str); 38] = [
    ("after", "needs"),
    ("always", "all_done"),
    ("bool", "boolean"),
    ("datetime", "timestamp"),
    ("decimal", "number"),
    ("dependencies", "needs"),
    ("depends", "needs"),
    ("depends_on", "needs"),
    ("double", "number"),
    ("error", "fail"),
    ("expectations", "expect"),
    ("float", "number"),
    ("if", "when"),
    ("insert", "append"),
    ("int", "integer"),
    ("jobs", "tasks"),
    ("name", "pipeline"),
    ("overwrite", "replace"),
    ("parameters", "params"),
    ("primary_key", "key"),
    ("query", "sql"),
    ("quarantined", "quarantine"),
    ("read", "extract"),
    ("retry", "retries"),
    ("schedule", "triggers"),
    ("sink", "load"),
    ("source", "extract"),
    ("steps", "tasks"),
    ("str", "string"),
    ("test", "check"),
    ("tests", "check"),
    ("text", "string"),
    ("timestamptz", "timestamp"),
    ("transform", "sql"),
    ("truncate", "replace"),
    ("upsert", "merge"),
    ("variables", "vars"),
    ("write", "load"),
];

/// `did you mean `x`?`, or else all there are, if they are few enough to read.
pub(crate) fn help<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone, what: &str) -> String {
    let synonym = SYNONYMS
        .iter()
        .filter(|(other, _)| *other == word)
        .find_map(|(_, ours)| candidates.clone().into_iter().find(|candidate| candidate == ours));
    if let Some(near) = synonym.or_else(|| nearest(word, candidates.clone())) {
        return format!("did you mean `{near}`?");
    }
    match listed(candidates) {
        Some(all) => format!("{what}: {all}"),
        None => format!("{what}: none"),
    }
}

/// `a`, `b` and 3 more; nothing for none.
pub(crate) fn listed<'c>(names: impl IntoIterator<Item = &'c str>) -> Option<String> {
    const SHOWN: usize = 16;
    let mut names = names.into_iter();
    let shown: Vec<String> = names.by_ref().take(SHOWN).map(|name| format!("`{name}`")).collect();
    let more = names.count();
    match (shown.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown.join(", ")),
        (false, more) => Some(format!("{} and {more} more", shown.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_found_and_strangers_are_not() {
        let words = ["extract", "sql", "load", "check", "connection"];
        assert_eq!(nearest("extrct", words), Some("extract"));
        assert_eq!(nearest("Connections", words), Some("connection"));
        assert_eq!(nearest("sqll", words), Some("sql"));
        assert_eq!(nearest("banana", words), None);
        assert_eq!(nearest("", words), None);
    }

    #[test]
    fn long_lists_are_cut() {
        let names: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
        let text = listed(names.iter().map(String::as_str)).expect("some");
        assert!(text.ends_with("`t15` and 4 more"), "{text}");
        assert_eq!(listed([]), None);
    }
}
