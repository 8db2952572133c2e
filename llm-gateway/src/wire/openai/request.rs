use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::error::GatewayError;
use crate::request::{Format, Message, Part, Request, Role, Tool, ToolChoice};
use crate::wire::fields::{self, Fields};

/// The name of a schema whose author gave none.
pub const SCHEMA_NAME: &str = "answer";

/// Reads `/v1/chat/completions`.
///
/// # Errors
/// A field is missing or of the wrong kind.
pub fn read_request(fields: &Fields) -> Result<Request, GatewayError> {
    let mut request = Request::default();
    for (key, raw) in fields.iter() {
        if raw != "null" {
            read_field(&mut request, key, raw)?;
        }
    }
    if fields.raw("model").is_none() {
        return Err(fields::missing("model"));
    }
    if request.messages.is_empty() {
        return Err(fields::missing("messages"));
    }
    Ok(request)
}

fn read_field(request: &mut Request, key: &str, raw: &str) -> Result<(), GatewayError> {
    let sampling = &mut request.sampling;
    match key {
        "model" => request.model = fields::read(key, raw)?,
        "messages" => {
            let messages: Vec<WireMessage> = fields::read(key, raw)?;
            request.messages = messages.into_iter().map(WireMessage::canonical).collect::<Result<_, _>>()?;
        }
        "tools" => {
            let tools: Vec<WireTool> = fields::read(key, raw)?;
            request.tools = tools.into_iter().map(WireTool::canonical).collect();
        }
        "tool_choice" => request.tool_choice = tool_choice(&fields::read(key, raw)?)?,
        "parallel_tool_calls" => request.parallel_tools = fields::read(key, raw)?,
        "response_format" => request.format = fields::read::<WireFormat>(key, raw)?.canonical(),
        "max_completion_tokens" => request.max_tokens = fields::read(key, raw)?,
        "max_tokens" => request.max_tokens = request.max_tokens.or(fields::read(key, raw)?),
        "stream" => request.stream = fields::read(key, raw)?,
        "stream_options" => request.include_usage = fields::read::<StreamOptions>(key, raw)?.include_usage,
        "temperature" => sampling.temperature = fields::read(key, raw)?,
        "top_p" => sampling.top_p = fields::read(key, raw)?,
        "seed" => sampling.seed = fields::read(key, raw)?,
        "presence_penalty" => sampling.presence_penalty = fields::read(key, raw)?,
        "frequency_penalty" => sampling.frequency_penalty = fields::read(key, raw)?,
        "stop" => sampling.stop = fields::read::<OneOrMany>(key, raw)?.0,
        "n" => {
            if fields::read::<u32>(key, raw)? != 1 {
                let reason = "one answer per request is given; `n` must be 1".to_owned();
                return Err(GatewayError::BadRequest { reason, field: Some("n".to_owned()) });
            }
        }
        _ => drop(request.extra.insert(key.to_owned(), fields::read(key, raw)?)),
    }
    Ok(())
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

struct OneOrMany(Vec<String>);

impl<'de> Deserialize<'de> for OneOrMany {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Value::deserialize(d)? {
            Value::String(one) => Ok(Self(vec![one])),
            Value::Array(many) => {
                let texts = many.into_iter().map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(D::Error::custom(format!("`{other}` is not a text"))),
                });
                texts.collect::<Result<_, _>>().map(Self)
            }
            other => Err(D::Error::custom(format!("`{other}` is neither a text nor a list of texts"))),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

#[derive(Deserialize)]
struct WireMessage {
    role: WireRole,
    #[serde(default)]
    content: Content,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default)]
    tool_calls: Option<Vec<WireCall>>,
    #[serde(default)]
    tool_call_id: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct WireCall {
    #[serde(default)]
    pub id: String,
    pub function: WireFunctionCall,
}

#[derive(Deserialize)]
pub(super) struct WireFunctionCall {
    pub name: String,
    #[serde(default)]
    pub arguments: String,
}

/// A text or a list of pieces.
#[derive(Default)]
struct Content(Vec<Part>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of content parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content(vec![Part::Text(text.to_owned())]))
            }

            fn visit_string<E>(self, text: String) -> Result<Content, E> {
                Ok(Content(vec![Part::Text(text)]))
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Content, A::Error> {
                let mut parts = Vec::new();
                while let Some(part) = seq.next_element::<Value>()? {
                    parts.push(content_part(part).map_err(A::Error::custom)?);
                }
                Ok(Content(parts))
            }
        }
        d.deserialize_any(Either)
    }
}

fn content_part(value: Value) -> Result<Part, String> {
    match value.get("type").and_then(Value::as_str) {
        Some("text") => {
            let text = value.get("text").and_then(Value::as_str).ok_or("a text part has no `text`")?;
            Ok(Part::Text(text.to_owned()))
        }
        Some("refusal") => Ok(Part::Text(value["refusal"].as_str().unwrap_or_default().to_owned())),
        Some("image_url") => {
            let url = value.pointer("/image_url/url").and_then(Value::as_str);
            Ok(Part::Image(url.ok_or("an image part has no `image_url.url`")?.to_owned()))
        }
        Some(_) => Ok(Part::Foreign(value)),
        None => Err("a content part has no `type`".to_owned()),
    }
}

impl WireMessage {
    fn canonical(self) -> Result<Message, GatewayError> {
        let Content(mut parts) = self.content;
        let role = match self.role {
            WireRole::System | WireRole::Developer => Role::System,
            WireRole::User => Role::User,
            WireRole::Assistant => Role::Assistant,
            WireRole::Tool => Role::Tool,
        };
        if role == Role::Tool {
            let id = self.tool_call_id.ok_or_else(|| fields::missing("messages[].tool_call_id"))?;
            let text = parts.iter().map(Part::words).collect();
            return Ok(Message { role, parts: vec![Part::ToolResult { id, text, failed: false }] });
        }
        parts.extend(self.refusal.map(Part::Text));
        let calls = self.tool_calls.unwrap_or_default().into_iter();
        parts.extend(calls.map(|call| Part::ToolCall {
            id: call.id,
            name: call.function.name,
            arguments: call.function.arguments,
        }));
        Ok(Message { role, parts })
    }
}

#[derive(Deserialize)]
struct WireTool {
    function: WireFunction,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    parameters: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

impl WireTool {
    fn canonical(self) -> Tool {
        let WireFunction { name, description, parameters, strict } = self.function;
        let parameters = parameters.unwrap_or_else(|| json!({"type": "object", "properties": {}}));
        Tool { name, description, parameters, strict }
    }
}

fn tool_choice(value: &Value) -> Result<ToolChoice, GatewayError> {
    match (value.as_str(), value.pointer("/function/name").and_then(Value::as_str)) {
        (Some("auto"), _) => Ok(ToolChoice::Auto),
        (Some("none"), _) => Ok(ToolChoice::None),
        (Some("required"), _) => Ok(ToolChoice::Required),
        (_, Some(name)) => Ok(ToolChoice::Named(name.to_owned())),
        _ => Err(GatewayError::BadRequest {
            reason: "`tool_choice` is auto, none, required or a function".to_owned(),
            field: Some("tool_choice".to_owned()),
        }),
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: WireSchema },
}

#[derive(Deserialize)]
struct WireSchema {
    name: String,
    #[serde(default)]
    schema: Option<Value>,
    #[serde(default)]
    strict: Option<bool>,
}

impl WireFormat {
    fn canonical(self) -> Format {
        match self {
            Self::Text => Format::Text,
            Self::JsonObject => Format::JsonObject,
            Self::JsonSchema { json_schema: WireSchema { name, schema, strict } } => {
                Format::JsonSchema { name, schema: schema.unwrap_or(Value::Bool(true)), strict }
            }
        }
    }
}

/// Writes `/v1/chat/completions`, with the most tokens under the name that the server knows.
pub fn write_request(request: &Request, model: &str, max_tokens_name: &str) -> Map<String, Value> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("messages".into(), request.messages.iter().flat_map(messages).collect());
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
        match &request.tool_choice {
            ToolChoice::Auto => {}
            ToolChoice::None => drop(body.insert("tool_choice".into(), "none".into())),
            ToolChoice::Required => drop(body.insert("tool_choice".into(), "required".into())),
            ToolChoice::Named(name) => {
                let choice = json!({"type": "function", "function": {"name": name}});
                body.insert("tool_choice".into(), choice);
            }
        }
    }
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let sampling = &request.sampling;
    set("parallel_tool_calls", request.parallel_tools.map(Value::from));
    set("response_format", format(&request.format));
    set(max_tokens_name, request.max_tokens.map(Value::from));
    set("temperature", sampling.temperature.map(Value::from));
    set("top_p", sampling.top_p.map(Value::from));
    set("seed", sampling.seed.map(Value::from));
    set("presence_penalty", sampling.presence_penalty.map(Value::from));
    set("frequency_penalty", sampling.frequency_penalty.map(Value::from));
    set("stop", (!sampling.stop.is_empty()).then(|| sampling.stop.clone().into()));
    set("stream", request.stream.then_some(Value::Bool(true)));
    set("stream_options", request.stream.then(|| json!({"include_usage": true})));
    body
}

/// A turn; results of tools are turns of their own.
fn messages(message: &Message) -> Vec<Value> {
    let mut out = Vec::new();
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for part in &message.parts {
        match part {
            Part::Text(text) => content.push(json!({"type": "text", "text": text})),
            Part::Image(url) => content.push(json!({"type": "image_url", "image_url": {"url": url}})),
            Part::ToolCall { id, name, arguments } => {
                calls.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
            }
            Part::ToolResult { id, text, .. } => {
                out.push(json!({"role": "tool", "tool_call_id": id, "content": text}));
            }
            Part::Foreign(value) => content.push(value.clone()),
        }
    }
    let role = match message.role {
        Role::System => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => return out,
    };
    if content.is_empty() && calls.is_empty() {
        if out.is_empty() {
            out.push(json!({"role": role, "content": ""}));
        }
        return out;
    }
    // One text goes as a text: older servers know no lists.
    let content = match content.as_slice() {
        [] => Value::Null,
        [one] if one["type"] == "text" => one["text"].clone(),
        _ => Value::Array(content),
    };
    let mut turn = json!({"role": role, "content": content});
    if !calls.is_empty() {
        turn["tool_calls"] = Value::Array(calls);
    }
    out.push(turn);
    out
}

fn tool(tool: &Tool) -> Value {
    let mut function = json!({"name": tool.name, "parameters": tool.parameters});
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    if let Some(strict) = tool.strict {
        function["strict"] = strict.into();
    }
    json!({"type": "function", "function": function})
}

fn format(format: &Format) -> Option<Value> {
    match format {
        Format::Text => None,
        Format::JsonObject => Some(json!({"type": "json_object"})),
        Format::JsonSchema { name, schema, strict } => {
            let mut inner = json!({"name": name, "schema": schema});
            if let Some(strict) = strict {
                inner["strict"] = (*strict).into();
            }
            Some(json!({"type": "json_schema", "json_schema": inner}))
        }
    }
}
