//! How many tokens a request can be at most. No tokenizer makes more tokens than there are bytes; what templates add
//! is covered by what each turn and tool is charged on top.

use crate::request::{EmbedRequest, Format, Part, Request};
use crate::tokens::{self, Encoding};

/// A turn's own tokens in any template known.
const PER_TURN: u64 = 16;
/// What a request adds, whatever is in it.
const PER_REQUEST: u64 = 32;
/// What offering tools adds to the instructions, and each tool on top of its schema.
const TOOLS: u64 = 640;
const PER_TOOL: u64 = 48;

/// The most tokens that the prompt can take, whatever the tokenizer.
pub fn prompt_bound(request: &Request, image_tokens: u32) -> u64 {
    bound(request, image_tokens, |text| text.len() as u64)
}

/// The most tokens that the prompt can take with a tokenizer that is known: words are counted, templates bounded.
pub fn prompt_counted(request: &Request, image_tokens: u32, tokenizer: Encoding) -> u64 {
    bound(request, image_tokens, |text| tokenizer.count(text))
}

fn bound(request: &Request, image_tokens: u32, of: impl Fn(&str) -> u64) -> u64 {
    let mut bound = PER_REQUEST;
    for part in request.messages.iter().flat_map(|message| &message.parts) {
        bound += match part {
            Part::Text(text) => of(text),
            Part::Image(_) => u64::from(image_tokens),
            Part::ToolCall { name, arguments, id } => of(name) + of(arguments) + of(id) + PER_TURN,
            Part::ToolResult { text, id, .. } => of(text) + of(id) + PER_TURN,
            Part::Foreign(value) => of(&value.to_string()),
        };
    }
    bound += PER_TURN * request.messages.len() as u64;
    if !request.tools.is_empty() {
        bound += TOOLS;
    }
    for tool in &request.tools {
        let words = of(&tool.name) + tool.description.as_deref().map_or(0, &of);
        bound += words + of(&tool.parameters.to_string()) + PER_TOOL;
    }
    if let Format::JsonSchema { schema, name, .. } = &request.format {
        bound += of(&schema.to_string()) + of(name) + TOOLS;
    }
    bound
}

/// The most tokens that texts to embed can take.
pub fn embed_bound(request: &EmbedRequest) -> u64 {
    request.inputs.iter().map(|text| text.len() as u64 + PER_TURN).sum()
}

/// A fair guess at the tokens of a request, for rules that choose a route.
pub fn estimate(request: &Request) -> u64 {
    let words: u64 = request.texts().map(tokens::estimate).sum();
    let schemas: usize = request.tools.iter().map(|tool| tool.parameters.to_string().len()).sum();
    words + schemas as u64 / 4 + 4 * request.messages.len() as u64
}
