use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::ANSWER_TOOL;
use crate::error::GatewayError;
use crate::request::{Format, Message, Part, Request, Role, Tool, ToolChoice};
use crate::wire::fields::{self, Fields};

/// Reads `/v1/messages`.
///
/// # Errors
/// A field is missing or of the wrong kind.
pub fn read_request(fields: &Fields) -> Result<Request, GatewayError> {
    let mut request = Request { include_usage: true, ..Request::default() };
    let mut system = None;
    for (key, raw) in fields.iter() {
        match key {
            _ if raw == "null" => {}
            "system" => system = Some(blocks(fields::read(key, raw)?, key)?),
            _ => read_field(&mut request, key, raw)?,
        }
    }
    for key in ["model", "messages", "max_tokens"] {
        if fields.raw(key).is_none_or(|raw| raw == "null") {
            return Err(fields::missing(key));
        }
    }
    if request.messages.is_empty() {
        return Err(fields::missing("messages"));
    }
    if let Some(parts) = system {
        request.messages.insert(0, Message { role: Role::System, parts });
    }
    Ok(request)
}

fn read_field(request: &mut Request, key: &str, raw: &str) -> Result<(), GatewayError> {
    match key {
        "model" => request.model = fields::read(key, raw)?,
        "messages" => {
            let messages: Vec<WireMessage> = fields::read(key, raw)?;
            request.messages = messages.into_iter().map(WireMessage::canonical).collect::<Result<_, _>>()?;
        }
        "max_tokens" => request.max_tokens = Some(fields::read(key, raw)?),
        "stream" => request.stream = fields::read(key, raw)?,
        "temperature" => request.sampling.temperature = fields::read(key, raw)?,
        "top_p" => request.sampling.top_p = fields::read(key, raw)?,
        "top_k" => request.sampling.top_k = fields::read(key, raw)?,
        "stop_sequences" => request.sampling.stop = fields::read(key, raw)?,
        "tools" => {
            for tool in fields::read::<Vec<Value>>(key, raw)? {
                // Tools that the provider runs itself have a type and no schema.
                match serde_json::from_value::<WireTool>(tool.clone()) {
                    Ok(tool) => request.tools.push(tool.canonical()),
                    Err(_) => drop(request.extra.insert(format!("tools[{}]", named(&tool)), tool)),
                }
            }
        }
        "tool_choice" => {
            let choice: WireChoice = fields::read(key, raw)?;
            request.parallel_tools = choice.disable_parallel_tool_use.map(|disabled| !disabled);
            request.tool_choice = match (choice.kind.as_str(), choice.name) {
                ("none", _) => ToolChoice::None,
                ("any", _) => ToolChoice::Required,
                ("tool", Some(name)) => ToolChoice::Named(name),
                _ => ToolChoice::Auto,
            };
        }
        "output_config" | "output_format" => {
            let value: Value = fields::read(key, raw)?;
            let format = value.get("format").unwrap_or(&value);
            match format.get("schema") {
                Some(schema) => {
                    let name = crate::wire::openai::SCHEMA_NAME.to_owned();
                    request.format = Format::JsonSchema { name, schema: schema.clone(), strict: Some(true) };
                }
                None => drop(request.extra.insert(key.to_owned(), value)),
            }
        }
        _ => drop(request.extra.insert(key.to_owned(), fields::read(key, raw)?)),
    }
    Ok(())
}

fn named(tool: &Value) -> &str {
    tool.get("type").or_else(|| tool.get("name")).and_then(Value::as_str).unwrap_or("unnamed")
}

#[derive(Deserialize)]
struct WireChoice {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
struct WireTool {
    name: String,
    #[serde(default)]
    description: Option<String>,
    input_schema: Value,
    #[serde(default)]
    strict: Option<bool>,
}

impl WireTool {
    fn canonical(self) -> Tool {
        Tool { name: self.name, description: self.description, parameters: self.input_schema, strict: self.strict }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum WireRole {
    System,
    User,
    Assistant,
}

#[derive(Deserialize)]
struct WireMessage {
    role: WireRole,
    content: Value,
}

impl WireMessage {
    fn canonical(self) -> Result<Message, GatewayError> {
        let role = match self.role {
            WireRole::System => Role::System,
            WireRole::User => Role::User,
            WireRole::Assistant => Role::Assistant,
        };
        Ok(Message { role, parts: blocks(self.content, "messages[].content")? })
    }
}

/// A text, or a list of blocks.
fn blocks(value: Value, key: &str) -> Result<Vec<Part>, GatewayError> {
    let wrong =
        |reason: &str| GatewayError::BadRequest { reason: format!("`{key}`: {reason}"), field: Some(key.into()) };
    match value {
        Value::String(text) => Ok(vec![Part::Text(text)]),
        Value::Array(list) => list.into_iter().map(|item| block(item).map_err(|reason| wrong(&reason))).collect(),
        _ => Err(wrong("neither a text nor a list of blocks")),
    }
}

fn block(value: Value) -> Result<Part, String> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let must = |key: &str| text(key).ok_or_else(|| format!("a block has no `{key}`"));
    match must("type")?.as_str() {
        "text" => must("text").map(Part::Text),
        "image" => image(&value),
        "tool_use" => {
            let arguments = value.get("input").map_or_else(|| "{}".to_owned(), Value::to_string);
            Ok(Part::ToolCall { id: must("id")?, name: must("name")?, arguments })
        }
        "tool_result" => {
            let failed = value.get("is_error").and_then(Value::as_bool).unwrap_or(false);
            let text = match value.get("content") {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(Value::Array(list)) if list.iter().all(|item| item["type"] == "text") => {
                    list.iter().filter_map(|item| item["text"].as_str()).collect()
                }
                Some(_) => return Ok(Part::Foreign(value)),
            };
            Ok(Part::ToolResult { id: must("tool_use_id")?, text, failed })
        }
        _ => Ok(Part::Foreign(value)),
    }
}

fn image(value: &Value) -> Result<Part, String> {
    let source = value.get("source").ok_or("an image has no `source`")?;
    let text = |key: &str| source.get(key).and_then(Value::as_str);
    match (text("url"), text("media_type"), text("data")) {
        (Some(url), ..) => Ok(Part::Image(url.to_owned())),
        (_, Some(kind), Some(data)) => Ok(Part::Image(format!("data:{kind};base64,{data}"))),
        _ => Ok(Part::Foreign(value.clone())),
    }
}

/// Writes `/v1/messages`.
///
/// # Errors
/// Arguments of a call in the conversation are no JSON.
pub fn write_request(request: &Request, model: &str, max_tokens: u32) -> Result<Map<String, Value>, GatewayError> {
    let mut body = Map::new();
    body.insert("model".into(), model.into());
    body.insert("max_tokens".into(), max_tokens.into());
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let system: Vec<&str> = system.flat_map(|message| &message.parts).map(Part::words).collect();
    if !system.is_empty() {
        body.insert("system".into(), system.join("\n\n").into());
    }
    body.insert("messages".into(), Value::Array(turns(request)?));
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(key.to_owned(), value);
        }
    };
    let sampling = &request.sampling;
    set("temperature", sampling.temperature.map(|t| t.min(1.0).into()));
    set("top_p", sampling.top_p.map(Value::from));
    set("top_k", sampling.top_k.map(Value::from));
    set("stop_sequences", (!sampling.stop.is_empty()).then(|| sampling.stop.clone().into()));
    set("stream", request.stream.then_some(Value::Bool(true)));
    let (tools, choice) = tools(request);
    set("tools", tools);
    set("tool_choice", choice);
    Ok(body)
}

/// Turns alternate between user and assistant here, and results of tools are the user's.
fn turns(request: &Request) -> Result<Vec<Value>, GatewayError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in request.messages.iter().filter(|message| message.role != Role::System) {
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        let content = message.parts.iter().filter(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        let content = content.map(write_block).collect::<Result<Vec<_>, _>>()?;
        match turns.last_mut() {
            Some((last, list)) if *last == role => list.extend(content),
            _ => turns.push((role, content)),
        }
    }
    Ok(turns.into_iter().map(|(role, content)| json!({"role": role, "content": content})).collect())
}

fn write_block(part: &Part) -> Result<Value, GatewayError> {
    Ok(match part {
        Part::Text(text) => json!({"type": "text", "text": text}),
        Part::Image(url) => match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
            Some((kind, data)) => {
                json!({"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}})
            }
            None => json!({"type": "image", "source": {"type": "url", "url": url}}),
        },
        Part::ToolCall { id, name, arguments } => {
            let text = if arguments.trim().is_empty() { "{}" } else { arguments };
            let input: Value = serde_json::from_str(text).map_err(|_| GatewayError::BadRequest {
                reason: format!("the arguments of the call `{id}` are no JSON"),
                field: Some("messages".to_owned()),
            })?;
            json!({"type": "tool_use", "id": id, "name": name, "input": input})
        }
        Part::ToolResult { id, text, failed } => {
            json!({"type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed})
        }
        Part::Foreign(value) => value.clone(),
    })
}

/// JSON of a schema is asked for as a tool that must be called, which every model of the protocol knows.
fn tools(request: &Request) -> (Option<Value>, Option<Value>) {
    let mut list: Vec<Value> = request.tools.iter().map(tool).collect();
    let single = request.parallel_tools == Some(false);
    if let Format::JsonSchema { schema, .. } = &request.format
        && request.tools.is_empty()
    {
        let about = "Give the answer through this tool.";
        list.push(json!({"name": ANSWER_TOOL, "description": about, "input_schema": schema}));
        return (Some(Value::Array(list)), Some(json!({"type": "tool", "name": ANSWER_TOOL})));
    }
    if list.is_empty() {
        return (None, None);
    }
    let mut choice = match &request.tool_choice {
        ToolChoice::Auto if !single => None,
        ToolChoice::Auto => Some(json!({"type": "auto"})),
        ToolChoice::None => Some(json!({"type": "none"})),
        ToolChoice::Required => Some(json!({"type": "any"})),
        ToolChoice::Named(name) => Some(json!({"type": "tool", "name": name})),
    };
    if let Some(choice) = choice.as_mut().filter(|choice| single && choice["type"] != "none") {
        choice["disable_parallel_tool_use"] = true.into();
    }
    (Some(Value::Array(list)), choice)
}

fn tool(tool: &Tool) -> Value {
    let mut out = json!({"name": tool.name, "input_schema": tool.parameters});
    if let Some(description) = &tool.description {
        out["description"] = description.as_str().into();
    }
    out
}
