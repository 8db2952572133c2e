//! Finding out the columns of text files: all of them, to the last row, once per state of the files.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, atomic::AtomicUsize, mpsc},
    thread,
};

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::{
    config::Format,
    csv::Index,
    infer::{self, Guess},
    text::{self, TextFile, Work, produce, to_error},
};
use crate::{ConnectorError, column_type};

/// What was found out about a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// Columns and types, in the order of the first file.
    pub columns: IndexMap<String, String>,
    /// Rows of all files.
    pub rows: u64,
    /// What a person should look at.
    pub hints: Vec<String>,
    /// The files and how they are read, hashed: if they changed, this no longer holds.
    pub of: String,
}

/// Names the present state of the files and the way they are read.
pub fn fingerprint(files: &[TextFile]) -> String {
    let mut hasher = blake3::Hasher::new();
    for TextFile { file, options, .. } in files {
        hasher.update(format!("{file:?} {options:?}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// The place of a table's knowledge in the state folder. One per table, whatever state its files are in.
pub fn place(state: &Path, connection: &str, table: &str) -> PathBuf {
    let name = blake3::hash(format!("{connection}\n{table}").as_bytes()).to_hex();
    state.join("schemas").join(format!("{}.json", &name[..32]))
}

/// What is remembered, if it still holds.
pub fn recall(path: &Path, of: &str) -> Option<Learned> {
    let learned: Learned = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    (learned.of == of).then_some(learned)
}

/// Remembers. Losing this only costs time, so a failure is no error.
pub fn remember(path: &Path, learned: &Learned) {
    let write = || -> std::io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let aside = path.with_extension(format!("{}.tmp", std::process::id()));
        fs::write(&aside, serde_json::to_vec_pretty(learned)?)?;
        fs::rename(&aside, path)
    };
    if let Err(error) = write() {
        tracing::warn!(path = %path.display(), %error, "cannot remember inferred column types");
    }
}

/// What one thread has seen.
#[derive(Default)]
struct Seen {
    headers: BTreeMap<usize, Arc<Vec<String>>>,
    guesses: IndexMap<String, Guess>,
    rows: u64,
    /// The first thing wrong, with its place among all pieces.
    wrong: Option<((usize, u64), ConnectorError)>,
}

/// Reads all rows of all files. Blocking; uses all processors.
pub fn learn(files: &[TextFile]) -> Result<Learned, ConnectorError> {
    let (next, threads) = (AtomicUsize::new(0), thread::available_parallelism().map_or(2, usize::from));
    let (give, take) = mpsc::sync_channel::<Work>(threads);
    let take = Mutex::new(take);
    let (produced, seen) = thread::scope(|scope| {
        let looking: Vec<_> = (0..threads).map(|_| scope.spawn(|| look(files, &take))).collect();
        let produced = produce(files, &next, &mut |work| give.send(work).is_ok());
        drop(give);
        (produced, looking.into_iter().map(thread::ScopedJoinHandle::join).collect::<Vec<_>>())
    });
    let mut all = Seen::default();
    for seen in seen {
        all.merge(seen.map_err(|_| ConnectorError::CutShort { doing: "finding column types".into() })?);
    }
    // What is wrong in a piece comes before what is wrong behind it.
    if let Some((_, error)) = all.wrong.take() {
        return Err(error);
    }
    produced?;
    conclude(files, all)
}

fn look(files: &[TextFile], take: &Mutex<mpsc::Receiver<Work>>) -> Seen {
    let mut seen = Seen::default();
    loop {
        let Ok(Ok(work)) = take.lock().map(|receiver| receiver.recv()) else { return seen };
        if seen.wrong.is_some() {
            continue;
        }
        if let Err(error) = seen.look_at(&files[work.file], &work) {
            seen.wrong = Some(((work.file, work.piece.line), error));
        }
    }
}

impl Seen {
    fn look_at(&mut self, file: &TextFile, work: &Work) -> Result<(), ConnectorError> {
        self.headers.entry(work.file).or_insert_with(|| Arc::clone(&work.header));
        let piece = infer::Piece { file: work.file, line: work.piece.line, text: &work.piece.text };
        let fault = |fault| to_error(fault, &file.file.shown, &work.piece);
        if file.file.format != Format::Csv {
            self.rows += infer::json_lines(&mut self.guesses, piece).map_err(fault)?;
            return Ok(());
        }
        let index = Index::new(&work.piece.text, work.header.len(), &file.options.dialect).map_err(fault)?;
        self.rows += index.rows() as u64;
        for (at, name) in work.header.iter().enumerate() {
            let guess = self.guesses.entry(name.clone()).or_default();
            guess.csv(&index.column(at), piece, |row| index.row_start(row));
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) {
        self.headers.extend(other.headers);
        self.rows += other.rows;
        for (name, guess) in other.guesses {
            self.guesses.entry(name).or_default().merge(guess);
        }
        let earlier = match (&self.wrong, &other.wrong) {
            (Some((own, _)), Some((others, _))) => others < own,
            (None, others) => others.is_some(),
            (Some(_), None) => false,
        };
        if earlier {
            self.wrong = other.wrong;
        }
    }
}

fn conclude(files: &[TextFile], seen: Seen) -> Result<Learned, ConnectorError> {
    let shown: Vec<_> = files.iter().map(|file| file.file.shown.clone()).collect();
    let mut guesses: Vec<_> = seen.guesses.into_iter().collect();
    let csv = files.first().is_some_and(|file| file.file.format == Format::Csv);
    let first = seen.headers.values().next().filter(|_| csv);
    match first {
        Some(first) => guesses.sort_by_key(|(name, _)| first.iter().position(|column| column == name)),
        None => guesses.sort_by_key(|(_, guess)| guess.first_at()),
    }
    if guesses.is_empty() {
        return Err(ConnectorError::Empty { file: shown.join(", ") });
    }
    let types = guesses.iter().map(|(name, guess)| (name.clone(), column_type::to_text(&guess.data_type())));
    let columns: IndexMap<_, _> = types.collect();
    if let Some(first) = first {
        let named = first.iter().map(|name| (name.clone(), "utf8".to_owned())).collect();
        let schema = column_type::to_schema(&named)?;
        for (&file, header) in &seen.headers {
            text::places(&shown[file], &schema, header)?;
        }
    }
    let hints = guesses.iter().filter_map(|(name, guess)| guess.hint(name, &shown)).collect();
    Ok(Learned { columns, rows: seen.rows, hints, of: fingerprint(files) })
}
