//! What words have in common: singular and plural, the parts of a name, and what people say for them.

/// The singular, roughly. Only equality of two results matters, not that a result is a word.
pub(crate) fn stem(word: &str) -> String {
    match word {
        "people" => return "person".to_owned(),
        "children" => return "child".to_owned(),
        _ => {}
    }
    let ends = |suffix: &str| word.len() > suffix.len() + 1 && word.ends_with(suffix);
    let cut = |n: usize| word[..word.len() - n].to_owned();
    if ends("ies") && word.len() > 4 {
        return cut(3) + "y";
    }
    if ["sses", "xes", "ches", "shes", "zzes"].iter().any(|suffix| ends(suffix)) || (ends("uses") && word.len() > 6) {
        return cut(2);
    }
    if ends("s") && !["ss", "us", "is"].iter().any(|suffix| word.ends_with(suffix)) {
        return cut(1);
    }
    word.to_owned()
}

/// Whether the word is written as a plural.
pub(crate) fn plural(word: &str) -> bool {
    stem(word) != word
}

/// The parts of a name: `dep_delay`, `depDelay` and `dep delay` are the same two.
pub(crate) fn parts(name: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() || (c.is_uppercase() && lower_before) {
            parts.push(String::new());
        }
        if c.is_alphanumeric() {
            parts.last_mut().expect("never empty").extend(c.to_lowercase());
        }
        lower_before = c.is_lowercase() || c.is_ascii_digit();
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// What people say for a part of a name; each may be several words. The part itself is always among them.
const SAID: [(&str, &[&str]); 53] = [
    ("acct", &["account"]),
    ("addr", &["address"]),
    ("alt", &["altitude", "elevation"]),
    ("amount", &["amt"]),
    ("amt", &["amount"]),
    ("arr", &["arrival"]),
    ("avg", &["average", "mean"]),
    ("cat", &["category"]),
    ("cnt", &["count"]),
    ("cust", &["customer"]),
    ("dep", &["departure"]),
    ("dept", &["department"]),
    ("desc", &["description"]),
    ("dest", &["destination"]),
    ("dewp", &["dew point", "dewpoint"]),
    ("dir", &["direction"]),
    ("dist", &["distance"]),
    ("dob", &["date of birth", "birth date"]),
    ("dst", &["daylight saving", "daylight savings"]),
    ("dt", &["date"]),
    ("email", &["e mail", "mail address", "email address"]),
    ("emp", &["employee"]),
    ("faa", &["faa code", "airport code"]),
    ("fname", &["first name"]),
    ("humid", &["humidity"]),
    ("id", &["identifier", "number"]),
    ("lat", &["latitude"]),
    ("lname", &["last name"]),
    ("lng", &["longitude"]),
    ("lon", &["longitude"]),
    ("mfr", &["manufacturer"]),
    ("msg", &["message"]),
    ("no", &["number"]),
    ("num", &["number"]),
    ("orig", &["origin"]),
    ("origin", &["departure airport", "airport of departure"]),
    ("pct", &["percent", "percentage"]),
    ("phone", &["telephone", "phone number"]),
    ("precip", &["precipitation", "rainfall"]),
    ("prod", &["product"]),
    ("qty", &["quantity"]),
    ("quantity", &["qty"]),
    ("sched", &["scheduled", "planned"]),
    ("signup", &["sign up", "signed up", "registration", "registered"]),
    ("tailnum", &["tail number", "tail num"]),
    ("temp", &["temperature"]),
    ("ts", &["timestamp", "time"]),
    ("tz", &["timezone offset", "utc offset"]),
    ("tzone", &["time zone", "timezone"]),
    ("usr", &["user"]),
    ("val", &["value"]),
    ("visib", &["visibility"]),
    ("yr", &["year"]),
];

/// Several names that are one thing to people, as whole phrases.
const WHOLE: [(&str, &[&str]); 6] = [
    ("dest", &["arrival airport", "airport of arrival"]),
    ("air_time", &["flight time", "flying time", "time in the air", "airtime"]),
    ("dep_time", &["actual departure time"]),
    ("arr_time", &["actual arrival time"]),
    ("hour", &["hour of the day", "hour of day"]),
    ("day", &["day of the month", "day of month"]),
];

/// What people call the rows of a table of this name (singular).
const CALLED: [(&str, &[&str]); 8] = [
    ("plane", &["aircraft", "airplane", "aeroplane"]),
    ("customer", &["client"]),
    ("order", &["purchase"]),
    ("order item", &["line item", "order line", "item"]),
    ("airline", &["airline company"]),
    ("weather", &["weather record", "weather observation", "weather reading"]),
    ("product", &["article"]),
    ("employee", &["worker"]),
];

fn looked_up(table: &[(&str, &[&'static str])], name: &str) -> Vec<&'static str> {
    table.iter().filter(|(key, _)| *key == name).flat_map(|(_, said)| said.iter().copied()).collect()
}

/// Every way to say a column's name, as stems, the plainest first. Bounded.
pub(crate) fn column_phrases(name: &str) -> Vec<Vec<String>> {
    let parts = parts(name);
    let mut phrases: Vec<Vec<String>> = vec![Vec::new()];
    for part in &parts {
        let mut said = vec![part.as_str()];
        said.extend(looked_up(&SAID, part));
        let grown = phrases.iter().flat_map(|phrase| said.iter().map(|words| [phrase.clone(), stems(words)].concat()));
        phrases = grown.take(64).collect();
    }
    phrases.extend(looked_up(&WHOLE, name).into_iter().map(stems));
    if let Some((last, first)) = parts.split_last()
        && ["at", "date", "on"].contains(&last.as_str())
        && !first.is_empty()
    {
        let first: Vec<String> = first.iter().map(|p| stem(p)).collect();
        let bare: Vec<Vec<String>> =
            phrases.iter().filter(|p| p.len() > 1).map(|p| p[..p.len() - 1].to_vec()).collect();
        for tail in ["date", "time"] {
            phrases.push([first.clone(), vec![tail.to_owned()]].concat());
        }
        // `ordered_at` is the order date.
        if let [verb] = first.as_slice()
            && let Some(noun) = verb.strip_suffix("ed")
        {
            phrases.extend(["date", "time"].map(|tail| vec![noun.to_owned(), tail.to_owned()]));
        }
        phrases.extend(bare);
    }
    phrases
}

/// Every way to say a table's name, as stems.
pub(crate) fn table_phrases(name: &str) -> Vec<Vec<String>> {
    let singular: Vec<String> = parts(name).iter().map(|part| stem(part)).collect();
    let mut phrases = vec![singular.clone()];
    phrases.extend(looked_up(&CALLED, &singular.join(" ")).into_iter().map(stems));
    phrases
}

/// The stems of a phrase.
pub(crate) fn stems(phrase: &str) -> Vec<String> {
    phrase.split(' ').map(stem).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals_meet_their_singular() {
        for (many, one) in [
            ("flights", "flight"),
            ("countries", "country"),
            ("statuses", "status"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("prices", "price"),
        ] {
            assert_eq!(stem(many), stem(one), "{many}");
        }
        assert_eq!(stem("status"), "status");
        assert!(plural("carriers") && !plural("carrier") && !plural("status"));
    }

    #[test]
    fn names_come_apart() {
        assert_eq!(parts("dep_delay"), ["dep", "delay"]);
        assert_eq!(parts("orderTotal"), ["order", "total"]);
        assert!(column_phrases("dep_delay").contains(&stems("departure delay")));
        assert!(column_phrases("created_at").contains(&stems("created")));
        assert!(column_phrases("tailnum").contains(&stems("tail number")));
    }
}
