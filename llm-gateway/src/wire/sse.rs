//! Server-sent events: from a stream of bytes to frames, with a bound on what waits.

use bytes::BytesMut;

/// One event: the bytes as they came, with the blank line that ends it, and its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// As it came.
    pub raw: &'a [u8],
    /// The name of the event, if it has one.
    pub event: &'a str,
    /// Its data; empty for a comment. Providers send one line of data per frame, and only that is read.
    pub data: &'a str,
}

/// Cuts frames.
#[derive(Debug, Default)]
pub struct Splitter {
    waiting: BytesMut,
    /// Up to here no frame ends.
    looked: usize,
}

impl Splitter {
    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// The bytes that wait for the end of their frame.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// The next whole frame, cut off.
    pub fn next_frame(&mut self) -> Option<bytes::Bytes> {
        let mut from = self.looked;
        while let Some(at) = self.waiting[from..].iter().position(|byte| *byte == b'\n') {
            let newline = from + at;
            // A blank line ends a frame: `\n\n` or `\r\n\r\n`.
            let blank = match &self.waiting[newline + 1..] {
                [b'\n', ..] => Some(2),
                [b'\r', b'\n', ..] => Some(3),
                _ => None,
            };
            if let Some(length) = blank {
                self.looked = 0;
                return Some(self.waiting.split_to(newline + length).freeze());
            }
            from = newline + 1;
        }
        self.looked = self.waiting.len().saturating_sub(3);
        None
    }

    /// What is left when the stream ends: a last frame without its blank line.
    pub fn rest(&mut self) -> bytes::Bytes {
        self.looked = 0;
        self.waiting.split().freeze()
    }
}

/// Reads the fields of a frame.
///
/// # Errors
/// It is not UTF-8.
pub fn parse(raw: &[u8]) -> Result<Frame<'_>, std::str::Utf8Error> {
    let text = std::str::from_utf8(raw)?;
    let mut frame = Frame { raw, event: "", data: "" };
    for line in text.lines() {
        if let Some(data) = line.strip_prefix("data:") {
            frame.data = data.strip_prefix(' ').unwrap_or(data);
        } else if let Some(event) = line.strip_prefix("event:") {
            frame.event = event.trim();
        }
    }
    Ok(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_whole_however_the_bytes_are_cut() {
        let text = "data: {\"a\":1}\n\n: ping\n\nevent: x\r\ndata: 2\r\n\r\ndata:3\n\ndata: tail";
        for size in 1..text.len() {
            let mut splitter = Splitter::default();
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                splitter.push(piece);
                while let Some(frame) = splitter.next_frame() {
                    let frame = parse(&frame).expect("UTF-8");
                    found.push((frame.event.to_owned(), frame.data.to_owned()));
                }
            }
            let expected = [("", "{\"a\":1}"), ("", ""), ("x", "2"), ("", "3")];
            let expected: Vec<_> = expected.map(|(e, d)| (e.to_owned(), d.to_owned())).into();
            assert_eq!(found, expected, "cut every {size} bytes");
            assert_eq!(&*splitter.rest(), b"data: tail");
        }
    }
}
