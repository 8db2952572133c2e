//! Reading text files in parallel: some threads cut files into pieces, whoever takes a piece parses it. So one
//! large file, even a compressed one, keeps several processors busy.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use arrow::{array::RecordBatch, datatypes::SchemaRef};

use super::{
    adapt::adapt,
    config::{Format, TextOptions},
    csv,
    fault::{Fault, Wrong},
    find::DataFile,
    input::{Piece, Pieces, line_ends},
    nested,
};
use crate::{ConnectorError, error::FilePlace};

/// One text file with all that is needed to read it.
#[derive(Debug, Clone)]
pub struct TextFile {
    /// The file.
    pub file: DataFile,
    /// How to read it.
    pub options: Arc<TextOptions>,
    /// Its columns; none while they are still to be found out.
    pub schema: Option<SchemaRef>,
}

/// A piece on its way to a parser.
#[derive(Debug)]
pub struct Work {
    /// Position of the file in the table.
    pub file: usize,
    /// The names in the file's header, or made ones.
    pub header: Arc<Vec<String>>,
    /// The rows.
    pub piece: Piece,
}

/// Hands out all pieces of all files; several threads may call it with the same `next`. Ends early when `give` says
/// that nobody takes pieces any more.
pub fn produce(
    files: &[TextFile],
    next: &AtomicUsize,
    give: &mut dyn FnMut(Work) -> bool,
) -> Result<(), ConnectorError> {
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        match files.get(at) {
            Some(file) if pieces_of(at, file, give)? => {}
            _ => return Ok(()),
        }
    }
}

fn pieces_of(at: usize, file: &TextFile, give: &mut dyn FnMut(Work) -> bool) -> Result<bool, ConnectorError> {
    let mut pieces = Pieces::open(&file.file, &file.options)?;
    let Some(mut piece) = pieces.next()? else {
        return match file.file.format {
            Format::Csv if file.options.header => Err(ConnectorError::Empty { file: file.file.shown.clone() }),
            Format::Csv | Format::Json | Format::Parquet => Ok(true),
        };
    };
    let header = Arc::new(match file.file.format {
        Format::Csv => take_header(file, &mut piece)?,
        Format::Json | Format::Parquet => Vec::new(),
    });
    // The first piece may be without rows; it is handed out all the same, for its header.
    loop {
        if !give(Work { file: at, header: Arc::clone(&header), piece }) {
            return Ok(false);
        }
        match pieces.next()? {
            Some(next) => piece = next,
            None => return Ok(true),
        }
    }
}

/// The column names: taken off the first row, or made up where there is no header.
fn take_header(file: &TextFile, piece: &mut Piece) -> Result<Vec<String>, ConnectorError> {
    let first = csv::Index::first_row(&piece.text, &file.options.dialect);
    let (fields, end) = first.map_err(|fault| to_error(fault, &file.file.shown, piece))?;
    let made_up = |at: usize| format!("column_{}", at + 1);
    if !file.options.header {
        return Ok(match &file.schema {
            Some(schema) => schema.fields().iter().map(|field| field.name().clone()).collect(),
            None => (0..fields.len()).map(made_up).collect(),
        });
    }
    let problem = |problem: String| ConnectorError::Header { file: file.file.shown.clone(), problem };
    if fields.iter().all(String::is_empty) {
        return Err(problem("its first row, which should name the columns, is blank".into()));
    }
    if fields.iter().any(|name| name.contains('\r') && !name.contains('\n')) {
        return Err(problem("its lines end with carriage returns alone; `tr '\\r' '\\n'` repairs it".into()));
    }
    let mut seen = HashMap::new();
    let mut names = Vec::with_capacity(fields.len());
    for (at, name) in fields.into_iter().enumerate() {
        let name = if name.is_empty() { made_up(at) } else { name };
        if let Some(before) = seen.insert(name.clone(), at) {
            return Err(problem(format!("the columns {} and {} are both named `{name}`", before + 1, at + 1)));
        }
        names.push(name);
    }
    piece.line += line_ends(&piece.text.as_bytes()[..end]);
    piece.text.drain(..end);
    Ok(names)
}

/// Turns pieces into batches of the wanted columns.
pub struct Parsing {
    files: Arc<Vec<TextFile>>,
    wanted: SchemaRef,
    current: Option<(usize, Parser)>,
}

enum Parser {
    Csv(csv::Parser),
    Json(nested::Parser),
}

impl Parsing {
    /// For these files, whose schemas are known.
    pub fn new(files: Arc<Vec<TextFile>>, wanted: SchemaRef) -> Self {
        Self { files, wanted, current: None }
    }

    /// The rows of one piece.
    pub fn parse(&mut self, work: &Work) -> Result<RecordBatch, ConnectorError> {
        let file = &self.files[work.file];
        let parser = match &mut self.current {
            Some((at, parser)) if *at == work.file => parser,
            slot => &mut slot.insert((work.file, parser_for(file, &self.wanted, &work.header)?)).1,
        };
        let parsed = match parser {
            Parser::Csv(parser) => parser.parse(&work.piece.text, &file.options.dialect),
            Parser::Json(parser) => parser.parse(&work.piece.text),
        };
        let batch = parsed.map_err(|fault| {
            // The parser holds half a row now.
            self.current = None;
            to_error(fault, &self.files[work.file].file.shown, &work.piece)
        })?;
        let doing = || format!("fitting the rows of {} to the table", self.files[work.file].file.shown);
        adapt(&batch, &self.wanted).map_err(|source| ConnectorError::Arrow { doing: doing(), source })
    }
}

fn parser_for(file: &TextFile, wanted: &SchemaRef, header: &[String]) -> Result<Parser, ConnectorError> {
    let shown = || file.file.shown.clone();
    let Some(schema) = &file.schema else {
        return Err(ConnectorError::CutShort { doing: format!("finding the columns of {}", shown()) });
    };
    let names: Vec<_> = wanted.fields().iter().filter_map(|field| schema.index_of(field.name()).ok()).collect();
    let own = |source| ConnectorError::Arrow { doing: format!("choosing columns of {}", shown()), source };
    let own = Arc::new(schema.project(&names).map_err(own)?);
    let parser = match file.file.format {
        Format::Csv => {
            let places = places(&shown(), schema, header)?;
            let wanted = names.iter().map(|&name| places[name]).collect();
            csv::Parser::new(own, wanted, header.len()).map(Parser::Csv)
        }
        Format::Json | Format::Parquet => nested::Parser::new(own, schema.fields()).map(Parser::Json),
    };
    parser.ok_or_else(|| {
        let no_text = |field: &&arrow::datatypes::FieldRef| nested::Nested::new(field.data_type()).is_none();
        let field = schema.fields().iter().find(no_text).unwrap_or(&schema.fields()[0]);
        ConnectorError::UnsupportedType {
            column: field.name().clone(),
            data_type: crate::column_type::to_text(field.data_type()),
            format: "text",
        }
    })
}

/// Where each column of the schema stands in the file. Header and schema must have the same columns, in any order.
pub fn places(file: &str, schema: &SchemaRef, header: &[String]) -> Result<Vec<usize>, ConnectorError> {
    let at: HashMap<_, _> = header.iter().enumerate().map(|(at, name)| (name.as_str(), at)).collect();
    let missing: Vec<_> =
        schema.fields().iter().map(|field| field.name()).filter(|name| !at.contains_key(name.as_str())).collect();
    let extra: Vec<_> = header.iter().filter(|name| schema.index_of(name).is_err()).collect();
    if missing.is_empty() && extra.is_empty() {
        return Ok(schema.fields().iter().map(|field| at[field.name().as_str()]).collect());
    }
    let list = |names: &[&String]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let problem = match (missing.is_empty(), extra.is_empty()) {
        (false, true) => format!("the header lacks {}", list(&missing)),
        (true, _) => format!("the header has {}, which the table does not have", list(&extra)),
        (false, false) => {
            format!("the header lacks {} and has {}, which the table does not have", list(&missing), list(&extra))
        }
    };
    Err(ConnectorError::Columns { file: file.to_owned(), problem })
}

/// A fault with the file and line it is in.
pub fn to_error(fault: Fault, file: &str, piece: &Piece) -> ConnectorError {
    const SHOWN: usize = 80;
    let before = &piece.text.as_bytes()[..fault.at.min(piece.text.len())];
    let place = FilePlace { file: file.to_owned(), line: piece.line + line_ends(before) };
    match fault.what {
        Wrong::Fields { found, expected } => ConnectorError::Ragged { place, found, expected },
        Wrong::Syntax(problem) => ConnectorError::Malformed { place, problem },
        Wrong::Value { column, text, expected } => {
            let value = match text.char_indices().nth(SHOWN) {
                Some((end, _)) => format!("{}…", &text[..end]),
                None => text,
            };
            ConnectorError::Value { place, column, value, expected }
        }
        Wrong::Key(key) => ConnectorError::Columns {
            file: place.to_string(),
            problem: format!("the key `{key}` is no column of the table"),
        },
    }
}
