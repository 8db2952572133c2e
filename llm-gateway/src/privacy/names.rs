//! Names of people: after a title, after "my name is", or a common first name before a capitalised word. A guess, and so off
//! unless a policy asks for it.

use super::detect::{Finding, Kind};

const TITLES: &[&str] = &[
    "mr",
    "mrs",
    "ms",
    "miss",
    "dr",
    "prof",
    "professor",
    "herr",
    "frau",
    "sir",
    "madame",
    "monsieur",
    "señor",
    "señora",
];

const LEADS: &[&str] = &[
    "my name is ",
    "i am called ",
    "name: ",
    "patient: ",
    "customer: ",
    "signed by ",
    "regards, ",
    "ich heiße ",
    "je m'appelle ",
    "me llamo ",
];

const FIRST: &[&str] = &[
    "Aaron",
    "Adam",
    "Ahmed",
    "Aisha",
    "Alan",
    "Albert",
    "Alejandro",
    "Alex",
    "Alexander",
    "Alice",
    "Amanda",
    "Amy",
    "Ana",
    "Andrea",
    "Andrew",
    "Angela",
    "Anna",
    "Anne",
    "Anthony",
    "Antonio",
    "Arthur",
    "Barbara",
    "Ben",
    "Benjamin",
    "Bob",
    "Brandon",
    "Brian",
    "Carla",
    "Carlos",
    "Carol",
    "Caroline",
    "Catherine",
    "Charles",
    "Charlotte",
    "Chen",
    "Chloe",
    "Chris",
    "Christian",
    "Christina",
    "Christopher",
    "Claire",
    "Daniel",
    "David",
    "Deborah",
    "Dennis",
    "Diana",
    "Dmitri",
    "Donald",
    "Dorothy",
    "Edward",
    "Elena",
    "Elizabeth",
    "Emily",
    "Emma",
    "Eric",
    "Eva",
    "Fatima",
    "Fernando",
    "Francesco",
    "Frank",
    "Gary",
    "George",
    "Giulia",
    "Grace",
    "Greg",
    "Hannah",
    "Hans",
    "Harry",
    "Heather",
    "Helen",
    "Henry",
    "Ibrahim",
    "Ingrid",
    "Irina",
    "Isabel",
    "Ivan",
    "Jack",
    "Jacob",
    "James",
    "Jan",
    "Jane",
    "Jason",
    "Javier",
    "Jennifer",
    "Jessica",
    "Joan",
    "Johann",
    "John",
    "Jonathan",
    "Jorge",
    "Jose",
    "José",
    "Joseph",
    "Joshua",
    "Juan",
    "Julia",
    "Julian",
    "Karen",
    "Karl",
    "Katarina",
    "Kate",
    "Katherine",
    "Kevin",
    "Klaus",
    "Kumar",
    "Laura",
    "Lars",
    "Lauren",
    "Linda",
    "Lisa",
    "Louis",
    "Lucas",
    "Lucy",
    "Luis",
    "Maria",
    "Marie",
    "Mario",
    "Mark",
    "Martha",
    "Martin",
    "Mary",
    "Matthew",
    "Megan",
    "Michael",
    "Michelle",
    "Miguel",
    "Mohamed",
    "Mohammed",
    "Monica",
    "Nancy",
    "Natalia",
    "Nicholas",
    "Nicole",
    "Nina",
    "Oliver",
    "Olga",
    "Olivia",
    "Omar",
    "Pamela",
    "Patricia",
    "Patrick",
    "Paul",
    "Paula",
    "Pedro",
    "Peter",
    "Philip",
    "Pierre",
    "Priya",
    "Rachel",
    "Raj",
    "Rebecca",
    "Richard",
    "Robert",
    "Roger",
    "Rosa",
    "Ruth",
    "Ryan",
    "Samantha",
    "Samuel",
    "Sandra",
    "Sara",
    "Sarah",
    "Scott",
    "Sean",
    "Sergei",
    "Sharon",
    "Simon",
    "Sofia",
    "Sophia",
    "Stefan",
    "Stephanie",
    "Stephen",
    "Steven",
    "Susan",
    "Svetlana",
    "Tatiana",
    "Teresa",
    "Thomas",
    "Timothy",
    "Tom",
    "Victor",
    "Victoria",
    "Vladimir",
    "Walter",
    "Wei",
    "William",
    "Yuki",
    "Yusuf",
];

pub(super) fn find(text: &str, found: &mut Vec<Finding>) {
    let words = words(text);
    let mut at = 0;
    while at < words.len() {
        let (start, end) = words[at];
        let word = &text[start..end];
        let titled = TITLES.contains(&word.to_lowercase().as_str());
        let first = FIRST.contains(&word);
        if !(titled || first) {
            at += 1;
            continue;
        }
        let from = if titled { at + 1 } else { at };
        let to = (from..words.len().min(from + 4)).take_while(|i| part_of_name(text, &words, *i, *i == from)).last();
        match to {
            Some(to) if titled || to > from => {
                found.push(Finding::new(words[from].0..words[to].1, Kind::Name, "name"));
                at = to + 1;
            }
            _ => at += 1,
        }
    }
    led(text, &words, found);
}

fn led(text: &str, words: &[(usize, usize)], found: &mut Vec<Finding>) {
    let lower = text.to_lowercase();
    if lower.len() != text.len() {
        return;
    }
    for lead in LEADS {
        for (place, _) in lower.match_indices(lead) {
            let Some(from) = words.iter().position(|w| w.0 == place + lead.len()) else { continue };
            let to = (from..words.len().min(from + 3)).take_while(|i| part_of_name(text, words, *i, *i == from)).last();
            if let Some(to) = to {
                found.push(Finding::new(words[from].0..words[to].1, Kind::Name, "name"));
            }
        }
    }
}

/// Capitalised, and only a space, a dot or a hyphen away from the word before.
fn part_of_name(text: &str, words: &[(usize, usize)], at: usize, first: bool) -> bool {
    let (start, end) = words[at];
    let capital = text[start..end].chars().next().is_some_and(char::is_uppercase);
    let gap = at.checked_sub(1).map_or("", |before| &text[words[before].1..start]);
    let shouted = text[start..end].chars().count() > 1 && text[start..end].chars().all(char::is_uppercase);
    capital && !shouted && (matches!(gap, " " | ". " | "-") || (first && !gap.contains('\n')))
}

fn words(text: &str) -> Vec<(usize, usize)> {
    let mut out = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        match (c.is_alphabetic() || c == '\'', start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                out.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    out.extend(start.map(|from| (from, text.len())));
    out
}
