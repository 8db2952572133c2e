//! From a place in rendered SQL back to the definition's text.

use tidemill_dag::{diagnostic::Place, places::Places};

use crate::SqlPlace;

/// The place in the definition of a place in the SQL that its template was rendered to.
///
/// Rendering moves everything behind a value. So the word at the place is looked for in the template: the n-th
/// of its kind in one is the n-th in the other, if both have equally many.
pub(super) fn in_definition(
    places: &Places,
    path: &str,
    template: &str,
    rendered: &str,
    place: Option<SqlPlace>,
) -> Place {
    let found = place.and_then(|place| offset(rendered, place)).and_then(|at| in_template(template, rendered, at));
    match found {
        Some(at) => places.within(path, template, at),
        None => places.of(path),
    }
}

/// Where a line and column are, in bytes.
fn offset(text: &str, place: SqlPlace) -> Option<usize> {
    let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let start = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).nth(line)?;
    text[start..].char_indices().map(|(at, _)| start + at).chain([text.len()]).nth(column)
}

fn in_template(template: &str, rendered: &str, at: usize) -> Option<usize> {
    if template == rendered {
        return Some(at);
    }
    let end = rendered[at..].find(|c: char| !c.is_alphanumeric() && c != '_').map_or(rendered.len(), |len| at + len);
    let word = rendered.get(at..end).filter(|word| !word.is_empty())?;
    let before = rendered[..at].matches(word).count();
    let same = template.matches(word).count() == rendered.matches(word).count();
    same.then(|| template.match_indices(word).nth(before).map(|(at, _)| at)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_behind_values() {
        let template = "SELECT a\nFROM t WHERE b > {{ params.x }} AND c = b";
        let rendered = "SELECT a\nFROM t WHERE b > 12345 AND c = b";
        let at = |line, column| offset(rendered, SqlPlace { line, column });
        let c = at(2, 28).expect("a place");
        assert_eq!(&rendered[c..=c], "c");
        assert_eq!(in_template(template, rendered, c), template.rfind('c'));
        let last = at(2, 32).expect("a place");
        assert_eq!(&rendered[last..=last], "b");
        assert_eq!(in_template(template, rendered, last), template.rfind('b'));
        assert_eq!(in_template("{{ b }} b", "1 b", 2), None, "the value's name looks the same");
        assert_eq!(in_template("x", "x", 0), Some(0));
        assert_eq!(at(9, 1), None);
    }
}
