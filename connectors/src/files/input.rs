//! Text files as a sequence of pieces that hold whole rows: opened, decompressed, decoded to UTF-8, cut at row
//! ends. Memory is that of a few pieces, whatever the file's size. Blocking: runs on threads made for that.

use std::{
    io::{self, Read},
    path::Path,
};

use encoding_rs::{Decoder, DecoderResult, Encoding};

use super::{
    config::{Compression, Format, TextOptions},
    csv::{Splitter, looks_like_utf16},
    find::DataFile,
    publish::open_part,
};
use crate::{ConnectorError, error::FilePlace};

/// How much is read at once.
const BLOCK: usize = 1 << 20;
/// Longest row.
const MAX_ROW: usize = 64 << 20;

/// Whole rows of one file, as UTF-8.
#[derive(Debug)]
pub struct Piece {
    /// The rows; ends with a line end.
    pub text: String,
    /// The line of the first one.
    pub line: u64,
}

/// A text file, piece by piece.
pub struct Pieces<'a> {
    file: &'a DataFile,
    input: Box<dyn Read + Send>,
    options: &'a TextOptions,
    splitter: Splitter,
    carry: Vec<u8>,
    line: u64,
    started: bool,
    done: bool,
}

impl<'a> Pieces<'a> {
    /// Opens a file.
    pub fn open(file: &'a DataFile, options: &'a TextOptions) -> Result<Self, ConnectorError> {
        let unreadable = |source| ConnectorError::Unreadable { path: Path::new(&file.shown).into(), source };
        let plain = open_file(&file.path).map_err(unreadable)?;
        let input: Box<dyn Read + Send> = match file.compression {
            Compression::None => Box::new(plain),
            Compression::Gz => Box::new(flate2::read::MultiGzDecoder::new(plain)),
            Compression::Zstd => Box::new(zstd::stream::read::Decoder::new(plain).map_err(unreadable)?),
        };
        let input: Box<dyn Read + Send> = match options.encoding {
            Some(encoding) => Box::new(Transcoder::new(input, encoding)),
            None => input,
        };
        let splitter = match file.format {
            Format::Csv => Splitter::csv(&options.dialect),
            Format::Json | Format::Parquet => Splitter::lines(),
        };
        Ok(Self { file, input, options, splitter, carry: Vec::new(), line: 1, started: false, done: false })
    }

    fn place(&self, line: u64) -> FilePlace {
        FilePlace { file: self.file.shown.clone(), line }
    }

    /// The next piece; none at the end of the file.
    pub fn next(&mut self) -> Result<Option<Piece>, ConnectorError> {
        while !self.done {
            let filled = self.fill()?;
            if !self.started {
                self.start()?;
            }
            if filled == 0 {
                self.done = true;
                if self.carry.is_empty() {
                    return Ok(None);
                }
                if self.carry.last() != Some(&b'\n') {
                    self.carry.push(b'\n');
                }
            }
            self.splitter.feed(&self.carry);
            if self.done
                && let Some(open) = self.splitter.open_quote()
            {
                return Err(self.never_closed(open));
            }
            let cut = self.splitter.cut();
            if cut > 0 {
                return self.piece(cut).map(Some);
            }
            if self.carry.len() > MAX_ROW {
                return Err(match self.splitter.open_quote() {
                    Some(open) => self.never_closed(open),
                    None => {
                        let problem = format!("a row is longer than {} MiB", MAX_ROW >> 20);
                        ConnectorError::Malformed { place: self.place(self.line), problem }
                    }
                });
            }
        }
        Ok(None)
    }

    fn never_closed(&self, open: usize) -> ConnectorError {
        let line = self.line + line_ends(&self.carry[..open]);
        ConnectorError::Malformed { place: self.place(line), problem: "a quote that opens here is never closed".into() }
    }

    fn fill(&mut self) -> Result<usize, ConnectorError> {
        self.carry.reserve(BLOCK);
        let read = (&mut self.input).take(BLOCK as u64).read_to_end(&mut self.carry);
        read.map_err(|error| match error.downcast::<NotInEncoding>() {
            Ok(wrong) => {
                let line = self.line + line_ends(&self.carry);
                ConnectorError::Encoding {
                    place: self.place(line),
                    encoding: wrong.0.to_owned(),
                    detail: String::new(),
                    advice: "set `encoding` of the table to what the file is really written in".into(),
                }
            }
            Err(source) => ConnectorError::Unreadable { path: Path::new(&self.file.shown).into(), source },
        })
    }

    /// What can only be seen at a file's very beginning.
    fn start(&mut self) -> Result<(), ConnectorError> {
        self.started = true;
        let wrong = |encoding: &str, detail: &str| ConnectorError::Encoding {
            place: self.place(1),
            encoding: "UTF-8".into(),
            detail: format!(": {detail}"),
            advice: format!("set `encoding: {encoding}` for the table"),
        };
        if self.options.encoding.is_none() {
            match self.carry.as_slice() {
                [0xff, 0xfe, ..] => return Err(wrong("utf-16le", "it begins with the mark of UTF-16")),
                [0xfe, 0xff, ..] => return Err(wrong("utf-16be", "it begins with the mark of UTF-16")),
                bytes if looks_like_utf16(&bytes[..bytes.len().min(4_096)]) => {
                    let encoding = if bytes[0] == 0 { "utf-16be" } else { "utf-16le" };
                    return Err(wrong(encoding, "every second byte is zero, as in UTF-16"));
                }
                _ => {}
            }
        }
        if self.carry.starts_with(b"\xef\xbb\xbf") {
            self.carry.drain(..3);
        }
        Ok(())
    }

    fn piece(&mut self, cut: usize) -> Result<Piece, ConnectorError> {
        let rest = self.carry.split_off(cut);
        let bytes = std::mem::replace(&mut self.carry, rest);
        let line = self.line;
        let text = String::from_utf8(bytes).map_err(|error| self.not_utf8(&error))?;
        self.line += line_ends(text.as_bytes());
        Ok(Piece { text, line })
    }

    fn not_utf8(&self, error: &std::string::FromUtf8Error) -> ConnectorError {
        let bytes = error.as_bytes();
        let at = error.utf8_error().valid_up_to();
        ConnectorError::Encoding {
            place: self.place(self.line + line_ends(&bytes[..at])),
            encoding: "UTF-8".into(),
            detail: format!(" (byte 0x{:02x})", bytes[at]),
            advice: "set `encoding` of the table to what the file is written in, as in `encoding: windows-1252`".into(),
        }
    }
}

/// How many line ends there are.
pub fn line_ends(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// A file as long as it is now: what is appended while it is read belongs to the next reading.
fn open_file(path: &Path) -> io::Result<impl Read + Send + use<>> {
    let file = open_part(path)?;
    let meta = file.metadata()?;
    if meta.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    Ok(file.take(meta.len()))
}

/// Bytes that are not in the declared encoding, on their way through [`io::Error`].
#[derive(Debug, thiserror::Error)]
#[error("not valid {0}")]
struct NotInEncoding(&'static str);

/// Decodes to UTF-8 and stops at the first byte that is not in the encoding.
struct Transcoder<R> {
    input: R,
    decoder: Decoder,
    name: &'static str,
    ready: Vec<u8>,
    given: usize,
    ended: bool,
}

impl<R: Read> Transcoder<R> {
    fn new(input: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder();
        Self { input, decoder, name: encoding.name(), ready: Vec::new(), given: 0, ended: false }
    }

    fn refill(&mut self) -> io::Result<()> {
        let mut raw = Vec::with_capacity(64 << 10);
        self.ended = (&mut self.input).take(64 << 10).read_to_end(&mut raw)? == 0;
        let most = self.decoder.max_utf8_buffer_length_without_replacement(raw.len()).unwrap_or(raw.len() * 3 + 64);
        self.ready.clear();
        self.ready.resize(most, 0);
        self.given = 0;
        let (result, _, written) = self.decoder.decode_to_utf8_without_replacement(&raw, &mut self.ready, self.ended);
        self.ready.truncate(written);
        match result {
            DecoderResult::InputEmpty => Ok(()),
            DecoderResult::Malformed(..) => Err(io::Error::other(NotInEncoding(self.name))),
            DecoderResult::OutputFull => Err(io::Error::other("the decoder wrote more than it announced")),
        }
    }
}

impl<R: Read> Read for Transcoder<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.given == self.ready.len() && !self.ended {
            self.refill()?;
        }
        let count = out.len().min(self.ready.len() - self.given);
        out[..count].copy_from_slice(&self.ready[self.given..self.given + count]);
        self.given += count;
        Ok(count)
    }
}
