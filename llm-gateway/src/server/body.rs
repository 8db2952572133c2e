use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::front::Front;
use crate::stream::AnswerStream;
use crate::wire::WriteStream;

/// The body of a response.
pub(super) enum Out {
    /// All of it.
    Whole(Option<Bytes>),
    /// In pieces.
    Pieces(Box<Pieces>),
}

/// An answer on its way out.
pub(super) struct Pieces {
    stream: AnswerStream,
    front: Front,
    writer: Box<dyn WriteStream>,
    over: bool,
}

impl Pieces {
    pub fn new(stream: AnswerStream, front: Front, writer: Box<dyn WriteStream>) -> Self {
        Self { stream, front, writer, over: false }
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.over {
            return Poll::Ready(None);
        }
        let native = self.stream.native();
        let out = match ready!(self.stream.poll_chunk(cx)) {
            Some(Ok(chunk)) if native => chunk.raw,
            Some(Ok(chunk)) => {
                let mut out = Vec::with_capacity(256);
                chunk.events.iter().for_each(|event| self.writer.write(event, &mut out));
                out
            }
            Some(Err(error)) => {
                self.over = true;
                self.front.error_frame(&error)
            }
            None => {
                self.over = true;
                let mut out = Vec::new();
                if !native {
                    self.writer.end(&mut out);
                }
                self.costs(&mut out);
                out
            }
        };
        // An empty piece would end the body.
        if out.is_empty() && !self.over {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready((!out.is_empty()).then(|| Bytes::from(out)))
    }

    /// What headers cannot tell before the end, as a comment that clients skip.
    fn costs(&self, out: &mut Vec<u8>) {
        let Some(facts) = self.stream.facts() else { return };
        let (input, output) = (facts.usage.input, facts.usage.output);
        let cost = crate::config::Money(facts.micros);
        let line =
            format!(": tidemill call={} tokens-input={input} tokens-output={output} cost={cost}\n\n", facts.call);
        out.extend_from_slice(line.as_bytes());
    }
}

impl Body for Out {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Pieces(pieces) => pieces.poll_bytes(cx).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Pieces(_) => SizeHint::default(),
        }
    }
}
