//! A unified diff of two texts by Myers' shortest edit script.

use std::fmt::Write as _;

/// Lines around a change that are shown with it.
const CONTEXT: usize = 3;
/// Texts that differ by more edits than this are shown as one removed and one added whole: the search is
/// quadratic in the number of edits.
const MAX_EDITS: isize = 1_000;

/// One line of the way from the old text to the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Keep(usize, usize),
    Remove(usize),
    Add(usize),
}

/// The lines that differ, with three lines around them, in hunks that begin with `@@ -old,count +new,count @@`.
/// Equal texts give an empty one.
pub fn unified(old: &str, new: &str) -> String {
    let (a, b): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let steps = script(&a, &b);
    let mut out = String::new();
    for hunk in hunks(&steps) {
        header(&steps, hunk.clone(), &mut out);
        for step in &steps[hunk] {
            // Writing to a String cannot fail.
            let _ = match *step {
                Step::Keep(at, _) => writeln!(out, " {}", a[at]),
                Step::Remove(at) => writeln!(out, "-{}", a[at]),
                Step::Add(at) => writeln!(out, "+{}", b[at]),
            };
        }
    }
    out
}

fn header(steps: &[Step], hunk: std::ops::Range<usize>, out: &mut String) {
    let before = |old: bool| steps[..hunk.start].iter().filter(|step| counts(**step, old)).count();
    let inside = |old: bool| steps[hunk.clone()].iter().filter(|step| counts(**step, old)).count();
    // A side without lines names the line before it, as `diff -u` does.
    let side = |old: bool| (before(old) + usize::from(inside(old) > 0), inside(old));
    let ((old_at, old_lines), (new_at, new_lines)) = (side(true), side(false));
    let _ = writeln!(out, "@@ -{old_at},{old_lines} +{new_at},{new_lines} @@");
}

fn counts(step: Step, old: bool) -> bool {
    match step {
        Step::Keep(..) => true,
        Step::Remove(_) => old,
        Step::Add(_) => !old,
    }
}

/// Ranges of steps around changes; those whose surroundings touch are one.
fn hunks(steps: &[Step]) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if matches!(step, Step::Keep(..)) {
            continue;
        }
        let (start, end) = (at.saturating_sub(CONTEXT), (at + 1 + CONTEXT).min(steps.len()));
        match found.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => found.push(start..end),
        }
    }
    found
}

/// The way from `a` to `b` with the fewest removed and added lines; what both begin and end with is set aside first.
fn script(a: &[&str], b: &[&str]) -> Vec<Step> {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
    let (inner_a, inner_b) = (&a[head..a.len() - tail], &b[head..b.len() - tail]);
    let inner = shortest(inner_a, inner_b).unwrap_or_else(|| {
        let removed = (0..inner_a.len()).map(Step::Remove);
        removed.chain((0..inner_b.len()).map(Step::Add)).collect()
    });
    let shifted = inner.into_iter().map(|step| match step {
        Step::Keep(x, y) => Step::Keep(x + head, y + head),
        Step::Remove(x) => Step::Remove(x + head),
        Step::Add(y) => Step::Add(y + head),
    });
    let kept = |n: usize| (0..n).map(|at| Step::Keep(at, at));
    let end = (0..tail).map(|at| Step::Keep(a.len() - tail + at, b.len() - tail + at));
    kept(head).chain(shifted).chain(end).collect()
}

/// The furthest old line reached on each diagonal `k` (old line minus new line), from `-most - 1` to `most + 1`.
#[derive(Clone)]
struct Furthest {
    most: isize,
    reached: Vec<isize>,
}

impl Furthest {
    fn at(&self, k: isize) -> isize {
        self.reached[(k + self.most + 1) as usize]
    }

    fn set(&mut self, k: isize, x: isize) {
        self.reached[(k + self.most + 1) as usize] = x;
    }

    /// Whether the best way to diagonal `k` with `d` edits ends with an added line, and where it starts from.
    fn step(&self, k: isize, d: isize) -> (bool, isize) {
        let down = k == -d || (k != d && self.at(k - 1) < self.at(k + 1));
        (down, if down { k + 1 } else { k - 1 })
    }
}

/// Myers' greedy search; nothing where it would take too many edits.
fn shortest(a: &[&str], b: &[&str]) -> Option<Vec<Step>> {
    let (n, m) = (a.len() as isize, b.len() as isize);
    let most = (n + m).min(MAX_EDITS);
    let mut furthest = Furthest { most, reached: vec![0; (2 * most + 3) as usize] };
    let mut trail = Vec::new();
    for d in 0..=most {
        trail.push(furthest.clone());
        for k in (-d..=d).step_by(2) {
            let (down, from) = furthest.step(k, d);
            let mut x = furthest.at(from) + isize::from(!down);
            while x < n && x - k < m && a[x as usize] == b[(x - k) as usize] {
                x += 1;
            }
            furthest.set(k, x);
            if x >= n && x - k >= m {
                return Some(back(&trail, (n, m)));
            }
        }
    }
    None
}

/// Walks the trail from the end to the start.
fn back(trail: &[Furthest], (n, m): (isize, isize)) -> Vec<Step> {
    let mut steps = Vec::new();
    let (mut x, mut y) = (n, m);
    for (d, furthest) in trail.iter().enumerate().rev() {
        let d = d as isize;
        let (down, from) = furthest.step(x - y, d);
        let (before_x, before_y) = if d == 0 { (0, 0) } else { (furthest.at(from), furthest.at(from) - from) };
        while x > before_x && y > before_y {
            (x, y) = (x - 1, y - 1);
            steps.push(Step::Keep(x as usize, y as usize));
        }
        if d > 0 && down {
            y -= 1;
            steps.push(Step::Add(y as usize));
        } else if d > 0 {
            x -= 1;
            steps.push(Step::Remove(x as usize));
        }
    }
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_texts_differ_in_nothing() {
        assert_eq!(unified("a\nb\n", "a\nb\n"), "");
        assert_eq!(unified("", ""), "");
    }

    #[test]
    fn a_changed_line_is_shown_with_its_surroundings() {
        let old = "1\n2\n3\n4\n5\n6\n7\n8\n9\n";
        let new = "1\n2\n3\n4\nfive\n6\n7\n8\n9\n";
        assert_eq!(unified(old, new), "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
    }

    #[test]
    fn changes_far_apart_are_hunks_of_their_own() {
        let old: String = (0..30).map(|n| format!("{n}\n")).collect();
        let new = old.replace("2\n3\n", "2\nX\n3\n").replace("\n27\n", "\n");
        let diff = unified(&old, &new);
        assert_eq!(diff.matches("@@ -").count(), 2, "{diff}");
        assert!(diff.contains("+X\n") && diff.contains("-27\n"), "{diff}");
    }

    #[test]
    fn all_new_and_all_gone() {
        assert_eq!(unified("", "a\nb\n"), "@@ -0,0 +1,2 @@\n+a\n+b\n");
        assert_eq!(unified("a\n", ""), "@@ -1,1 +0,0 @@\n-a\n");
    }

    #[test]
    fn texts_with_nothing_in_common_end_soon() {
        let side = |word: &str| -> String { (0..5_000).map(|n| format!("{word}{n}\n")).collect() };
        let diff = unified(&side("a"), &side("b"));
        assert_eq!(diff.lines().count(), 10_001);
    }

    proptest! {
        /// Walking the script over the old text gives the new one, and never longer than both together.
        #[test]
        fn the_script_leads_from_one_to_the_other(a in "[abc\n]{0,40}", b in "[abc\n]{0,40}") {
            let (a, b): (Vec<&str>, Vec<&str>) = (a.lines().collect(), b.lines().collect());
            let steps = script(&a, &b);
            let old: Vec<&str> = steps.iter().filter_map(|s| match s { Step::Keep(x, _) | Step::Remove(x) => Some(a[*x]), Step::Add(_) => None }).collect();
            let new: Vec<&str> = steps.iter().filter_map(|s| match s { Step::Keep(_, y) | Step::Add(y) => Some(b[*y]), Step::Remove(_) => None }).collect();
            prop_assert_eq!(old, a.clone());
            prop_assert_eq!(new, b.clone());
            for step in &steps {
                if let Step::Keep(x, y) = step {
                    prop_assert_eq!(a[*x], b[*y]);
                }
            }
            let longest = longest_common(&a, &b);
            let kept = steps.iter().filter(|s| matches!(s, Step::Keep(..))).count();
            prop_assert_eq!(kept, longest);
        }
    }

    /// The textbook table, as the measure.
    fn longest_common(a: &[&str], b: &[&str]) -> usize {
        let mut table = vec![vec![0_usize; b.len() + 1]; a.len() + 1];
        for (i, x) in a.iter().enumerate() {
            for (j, y) in b.iter().enumerate() {
                table[i + 1][j + 1] = if x == y { table[i][j] + 1 } else { table[i][j + 1].max(table[i + 1][j]) };
            }
        }
        table[a.len()][b.len()]
    }
}
