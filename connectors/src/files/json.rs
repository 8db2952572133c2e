//! JSON, pure: a strict reader over text. Numbers stay texts until their column's type has looked at them, so that
//! no digit is lost on the way.

use std::borrow::Cow;

use memchr::memchr;

use super::fault::Fault;

/// Deepest nesting that is read.
const MAX_DEPTH: usize = 128;

/// Gets a member's key and reads its value.
pub type Member<'f, 'a> = dyn FnMut(&mut Reader<'a>, Cow<'a, str>) -> Result<(), Fault> + 'f;

/// What a value begins as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `null`.
    Null,
    /// `true`, `false` or a number.
    Bare,
    /// A string.
    Text,
    /// `[`.
    List,
    /// `{`.
    Object,
}

/// Reads JSON values from text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    /// From `at` on.
    pub fn new(text: &'a str, at: usize) -> Self {
        Self { text, at }
    }

    /// The whole text.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// Offset of the next byte to be read.
    pub fn at(&self) -> usize {
        self.at
    }

    fn fault<T>(&self, what: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::syntax(self.at, what))
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    fn take(&mut self, mark: u8) -> bool {
        let found = self.peek() == Some(mark);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, mark: u8) -> Result<(), Fault> {
        if self.take(mark) { Ok(()) } else { self.fault(format!("`{}` is missing here", char::from(mark))) }
    }

    /// What the next value begins as.
    pub fn shape(&mut self) -> Result<Shape, Fault> {
        match self.peek() {
            Some(b'n') => Ok(Shape::Null),
            Some(b't' | b'f' | b'-' | b'0'..=b'9') => Ok(Shape::Bare),
            Some(b'"') => Ok(Shape::Text),
            Some(b'[') => Ok(Shape::List),
            Some(b'{') => Ok(Shape::Object),
            Some(_) => self.fault("this is not a JSON value"),
            None => self.fault("the line ends where a JSON value should be"),
        }
    }

    /// `null`, `true`, `false` or a number, as it stands there.
    pub fn bare(&mut self) -> Result<&'a str, Fault> {
        let rest = &self.text.as_bytes()[self.at..];
        let end = rest.iter().position(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'-' | b'+' | b'.'));
        let word = &self.text[self.at..self.at + end.unwrap_or(rest.len())];
        if matches!(word, "null" | "true" | "false") || is_number(word.as_bytes()) {
            self.at += word.len();
            Ok(word)
        } else {
            self.fault(format!("`{word}` is not a JSON value"))
        }
    }

    /// A string.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let start = self.at;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => {
                    let inner = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(Cow::Borrowed(inner));
                }
                Some(b'\\') => return self.escaped(start).map(Cow::Owned),
                Some(0..=0x1f) => return self.fault("a string holds a control character; write it as an escape"),
                Some(_) => self.at += 1,
                None => return self.fault("a string is not closed"),
            }
        }
    }

    fn escaped(&mut self, start: usize) -> Result<String, Fault> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    let whole = &self.text[start - 1..self.at];
                    return serde_json::from_str(whole)
                        .map_err(|error| Fault::syntax(start, format!("a string cannot be read ({error})")));
                }
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.fault("a string is not closed")
    }

    /// All members of an object: `each` gets the key and reads the value.
    pub fn object(&mut self, each: &mut Member<'_, 'a>) -> Result<(), Fault> {
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.peek();
            let key = self.string()?;
            self.expect(b':')?;
            each(self, key)?;
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// All items of a list: `each` reads one.
    pub fn list(&mut self, each: &mut dyn FnMut(&mut Self) -> Result<(), Fault>) -> Result<(), Fault> {
        self.expect(b'[')?;
        if self.take(b']') {
            return Ok(());
        }
        loop {
            each(self)?;
            if self.take(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Any value, as it stands there.
    pub fn raw(&mut self) -> Result<&'a str, Fault> {
        self.peek();
        let start = self.at;
        self.skip(0)?;
        Ok(&self.text[start..self.at])
    }

    fn skip(&mut self, depth: usize) -> Result<(), Fault> {
        if depth > MAX_DEPTH {
            return self.fault(format!("nested deeper than {MAX_DEPTH}"));
        }
        match self.shape()? {
            Shape::Null | Shape::Bare => self.bare().map(drop),
            Shape::Text => self.string().map(drop),
            Shape::List => self.list(&mut |reader| reader.skip(depth + 1)),
            Shape::Object => self.object(&mut |reader, _| reader.skip(depth + 1)),
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Fault> {
        if self.peek().is_none() { Ok(()) } else { self.fault("there is more after the end of the value") }
    }
}

fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let whole = digits(text);
    if whole == 0 || (whole > 1 && text[0] == b'0') {
        return false;
    }
    let mut rest = &text[whole..];
    if let [b'.', fraction @ ..] = rest {
        let count = digits(fraction);
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    if let [b'e' | b'E', exponent @ ..] = rest {
        let exponent = exponent.strip_prefix(b"-").or(exponent.strip_prefix(b"+")).unwrap_or(exponent);
        return !exponent.is_empty() && digits(exponent) == exponent.len();
    }
    rest.is_empty()
}

/// Calls `row` at the object of every line.
pub fn each_line<'a>(text: &'a str, mut row: impl FnMut(&mut Reader<'a>) -> Result<(), Fault>) -> Result<(), Fault> {
    let mut start = 0;
    while start < text.len() {
        let end = memchr(b'\n', &text.as_bytes()[start..]).map_or(text.len(), |end| start + end);
        let mut reader = Reader::new(&text[..end], start);
        start = end + 1;
        if reader.peek().is_none() {
            continue;
        }
        if reader.shape()? != Shape::Object {
            return reader.fault("every line must be one JSON object; `jq -c '.[]'` makes lines of a list");
        }
        row(&mut reader)?;
        reader.end()?;
    }
    Ok(())
}
