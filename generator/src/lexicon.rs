//! Closed lists of English words: what carries no meaning of its own, what names numbers and times,
//! and what asks for things that are not done here.

/// Words that may stand between clauses without changing what is asked. No word with a meaning for
/// data (not, all, only, or, each, …) may ever be added here.
const FILLER: [&str; 66] = [
    "a",
    "an",
    "the",
    "please",
    "kindly",
    "me",
    "us",
    "i",
    "we",
    "you",
    "can",
    "could",
    "would",
    "will",
    "should",
    "want",
    "wants",
    "need",
    "like",
    "to",
    "see",
    "show",
    "list",
    "give",
    "get",
    "find",
    "fetch",
    "tell",
    "display",
    "return",
    "select",
    "compute",
    "calculate",
    "determine",
    "what",
    "is",
    "are",
    "was",
    "were",
    "do",
    "does",
    "did",
    "there",
    "then",
    "also",
    "it",
    "them",
    "build",
    "create",
    "make",
    "pipeline",
    "that",
    "and",
    "but",
    "have",
    "hi",
    "hello",
    "thanks",
    "thank",
    "know",
    "look",
    "up",
    "of",
    "pull",
    "produce",
    "finally",
];

pub(crate) fn is_filler(word: &str) -> bool {
    FILLER.contains(&word)
}

pub(crate) fn is_punctuation(sign: &str) -> bool {
    matches!(sign, "," | "." | ";" | ":" | "?" | "!" | "–" | "—" | "'s" | "’s" | "&")
}

/// Things asked for that are refused by name, with what comes nearest.
const UNSUPPORTED: [(&[&str], &str); 19] = [
    (
        &["predict", "prediction", "predictions", "forecast", "forecasts", "forecasting", "extrapolate"],
        "forecasts are not made here; averages and counts of past rows are",
    ),
    (
        &[
            "machine",
            "train",
            "training",
            "regression",
            "neural",
            "classifier",
            "classify",
            "cluster",
            "clusters",
            "clustering",
            "embedding",
            "embeddings",
        ],
        "models are not trained or applied here; a python task in a hand-written definition can",
    ),
    (
        &["delete", "drop", "truncate", "erase", "purge", "wipe", "destroy"],
        "source rows are never removed; a filtered copy can be saved instead",
    ),
    (
        &["update", "alter", "modify", "insert", "grant", "revoke", "exec", "execute"],
        "source tables are never changed; a changed copy can be saved instead",
    ),
    (
        &["email", "mail", "slack", "sms", "notify", "send", "message", "tweet", "teams", "webhook"],
        "nothing is sent to people yet; the result can be saved as a table",
    ),
    (
        &[
            "chart",
            "charts",
            "plot",
            "plots",
            "graph",
            "graphs",
            "dashboard",
            "visualise",
            "visualize",
            "visualisation",
            "visualization",
            "draw",
            "diagram",
            "histogram",
            "heatmap",
            "map",
        ],
        "nothing is drawn here; the numbers behind a drawing can be saved as a table",
    ),
    (
        &[
            "translate",
            "summarise",
            "summarize",
            "explain",
            "sentiment",
            "analyse",
            "analyze",
            "insight",
            "insights",
            "interesting",
        ],
        "texts are not read or written here; counts, sums and averages are",
    ),
    (
        &[
            "correlation",
            "correlate",
            "correlated",
            "correlations",
            "trend",
            "trends",
            "seasonality",
            "outlier",
            "outliers",
            "anomaly",
            "anomalies",
            "significance",
            "significant",
        ],
        "statistics beyond count, sum, average, median, minimum, maximum and standard deviation are not built in",
    ),
    (
        &[
            "cumulative",
            "running",
            "rolling",
            "moving",
            "previous",
            "prior",
            "lag",
            "growth",
            "change",
            "changes",
            "cumulatively",
        ],
        "values that depend on neighbouring rows (running totals, changes) are not built in",
    ),
    (
        &["percentile", "percentiles", "quartile", "quartiles", "quantile", "quantiles", "decile"],
        "only the median is exact here; other percentiles are not offered",
    ),
    (&["pivot", "crosstab", "transpose", "unpivot"], "tables are not turned round; group by both columns instead"),
    (
        &["cancelled", "canceled", "cancellation", "cancellations", "diverted"],
        "no column says so; a missing time may, for example: rows where a time is missing",
    ),
    (
        &["random", "randomly", "sample", "sampled"],
        "results must be the same each time; the first rows by a column are",
    ),
    (
        &["ignore", "disregard", "pretend", "instructions", "prompt", "system"],
        "the request describes rows, it does not instruct the planner",
    ),
    (
        &["csv", "json", "excel", "xlsx", "pdf", "html", "xml", "spreadsheet"],
        "the file format belongs to the connection, not to the request",
    ),
    (&["union", "intersect", "except", "merge", "upsert"], "rows of several results are not put together yet"),
    (
        &["weekend", "weekends", "holiday", "holidays", "christmas", "easter", "summer", "winter", "spring", "autumn"],
        "that stretch of time has no exact bounds here; name months or dates",
    ),
    (
        &[
            "recent",
            "recently",
            "soon",
            "old",
            "new",
            "big",
            "small",
            "large",
            "huge",
            "cheap",
            "expensive",
            "good",
            "bad",
            "many",
            "few",
            "some",
            "several",
            "popular",
            "usually",
            "often",
            "rarely",
            "typical",
            "typically",
        ],
        "that has no exact bound; say a number, a date or an order",
    ),
    (
        &["sync", "stream", "streaming", "realtime", "live", "incremental", "incrementally", "backfill"],
        "that way of loading is not built yet; rows are replaced or appended",
    ),
];

/// Why a word is refused by name, if it is.
pub(crate) fn unsupported(word: &str) -> Option<&'static str> {
    UNSUPPORTED.iter().find(|(words, _)| words.contains(&word)).map(|(_, why)| *why)
}

const NUMBERS: [(&str, f64); 30] = [
    ("zero", 0.0),
    ("one", 1.0),
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("fifteen", 15.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("sixty", 60.0),
    ("hundred", 100.0),
    ("thousand", 1_000.0),
    ("million", 1_000_000.0),
    ("once", 1.0),
    ("twice", 2.0),
    ("thrice", 3.0),
    ("dozen", 12.0),
    ("seventy", 70.0),
    ("eighty", 80.0),
    ("ninety", 90.0),
    ("fourteen", 14.0),
];

/// A number written as a word.
pub(crate) fn number_word(word: &str) -> Option<f64> {
    NUMBERS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value)
}

/// The month from 1; short forms too. `may` and `march` are verbs as well: the caller looks at the place.
pub(crate) fn month(word: &str) -> Option<u32> {
    let month = if word == "sept" { Ok(chrono::Month::September) } else { word.parse::<chrono::Month>() };
    month.ok().map(|month| month.number_from_month())
}

/// A month's name.
pub(crate) fn month_name(month: u32) -> &'static str {
    let month = u8::try_from(month).ok().and_then(|month| chrono::Month::try_from(month).ok());
    month.map_or("?", |month| month.name())
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// The weekday, Sunday 0, as cron counts.
pub(crate) fn weekday(word: &str) -> Option<u32> {
    let word = word.strip_suffix('s').unwrap_or(word);
    let short = |name: &str| word.len() == 3 && name.starts_with(word);
    WEEKDAYS.iter().position(|name| *name == word || short(name)).and_then(|i| u32::try_from(i).ok())
}

/// A weekday's name.
pub(crate) fn weekday_name(day: u32) -> &'static str {
    WEEKDAYS.get(day as usize).copied().unwrap_or("?")
}

/// The ordinals that schedules use.
pub(crate) fn ordinal_word(word: &str) -> Option<u32> {
    const WORDS: [&str; 10] =
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];
    WORDS.iter().position(|name| *name == word).and_then(|i| u32::try_from(i + 1).ok())
}

/// Words with a meaning in the grammar, for suggestions and so that short values are not seen in them.
pub(crate) const KEYWORDS: [&str; 85] = [
    "average",
    "total",
    "count",
    "number",
    "minimum",
    "maximum",
    "median",
    "highest",
    "lowest",
    "most",
    "fewest",
    "least",
    "longest",
    "shortest",
    "top",
    "bottom",
    "first",
    "last",
    "latest",
    "earliest",
    "per",
    "by",
    "for",
    "each",
    "every",
    "where",
    "with",
    "without",
    "between",
    "from",
    "to",
    "in",
    "on",
    "at",
    "since",
    "before",
    "after",
    "until",
    "during",
    "more",
    "less",
    "than",
    "over",
    "under",
    "above",
    "below",
    "exactly",
    "not",
    "missing",
    "null",
    "empty",
    "contains",
    "starting",
    "sorted",
    "ordered",
    "descending",
    "ascending",
    "distinct",
    "unique",
    "different",
    "duplicates",
    "save",
    "store",
    "append",
    "replace",
    "as",
    "into",
    "call",
    "name",
    "only",
    "fail",
    "warn",
    "ensure",
    "quarantine",
    "retry",
    "daily",
    "hourly",
    "weekly",
    "monthly",
    "share",
    "percentage",
    "grouped",
    "limit",
    "joined",
    "schedule",
];

/// Whether the word means something to the grammar itself.
pub(crate) fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word) || is_filler(word)
}
