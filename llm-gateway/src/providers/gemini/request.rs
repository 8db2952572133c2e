//! Turns are `user` and `model`, results of tools name the function and not the call, and schemas are JSON Schema
//! under names of their own.

use serde_json::{Map, Value, json};

use super::Gemini;
use crate::error::GatewayError;
use crate::providers::{Habits, Outgoing, Requests, shared};
use crate::request::{EmbedRequest, Format, Message, Part, Request, Role, ToolChoice};
use crate::wire::fields::Fields;

impl Requests for Gemini {
    fn habits(&self) -> Habits {
        Habits { serial_tools: false, ..Habits::of("gemini") }
    }

    fn request(&self, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        shared::possible(&self.habits(), outgoing)?;
        body(outgoing.request, outgoing.max_tokens).map(|body| shared::bytes(&body))
    }

    fn patch(&self, _: &Fields, outgoing: &Outgoing<'_>) -> Result<Vec<u8>, GatewayError> {
        // No caller speaks this protocol, so every request is written anew.
        self.request(outgoing)
    }

    fn embed_request(&self, request: &EmbedRequest, model: &str) -> Result<Vec<u8>, GatewayError> {
        let requests = request.inputs.iter().map(|text| {
            let mut one = json!({"model": format!("models/{model}"), "content": {"parts": [{"text": text}]}});
            if let Some(dimensions) = request.dimensions {
                one["outputDimensionality"] = dimensions.into();
            }
            one
        });
        Ok(json!({"requests": requests.collect::<Vec<_>>()}).to_string().into_bytes())
    }
}

fn body(request: &Request, max_tokens: u32) -> Result<Map<String, Value>, GatewayError> {
    let mut body = Map::new();
    let system = request.messages.iter().filter(|message| message.role == Role::System);
    let system: Vec<Value> =
        system.flat_map(|message| &message.parts).map(|part| json!({"text": part.words()})).collect();
    if !system.is_empty() {
        body.insert("systemInstruction".into(), json!({"parts": system}));
    }
    body.insert("contents".into(), Value::Array(contents(request)?));
    body.insert("generationConfig".into(), Value::Object(generation(request, max_tokens)));
    if !request.tools.is_empty() {
        let functions = request.tools.iter().map(|tool| {
            let mut function = json!({"name": tool.name, "parametersJsonSchema": tool.parameters});
            if let Some(description) = &tool.description {
                function["description"] = description.as_str().into();
            }
            function
        });
        body.insert("tools".into(), json!([{"functionDeclarations": functions.collect::<Vec<_>>()}]));
        let calling = match &request.tool_choice {
            ToolChoice::Auto => json!({"mode": "AUTO"}),
            ToolChoice::None => json!({"mode": "NONE"}),
            ToolChoice::Required => json!({"mode": "ANY"}),
            ToolChoice::Named(name) => json!({"mode": "ANY", "allowedFunctionNames": [name]}),
        };
        body.insert("toolConfig".into(), json!({"functionCallingConfig": calling}));
    }
    Ok(body)
}

fn generation(request: &Request, max_tokens: u32) -> Map<String, Value> {
    let sampling = &request.sampling;
    let mut config = Map::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            config.insert(key.to_owned(), value);
        }
    };
    set("maxOutputTokens", Some(max_tokens.into()));
    set("temperature", sampling.temperature.map(Value::from));
    set("topP", sampling.top_p.map(Value::from));
    set("topK", sampling.top_k.map(Value::from));
    set("seed", sampling.seed.map(Value::from));
    set("presencePenalty", sampling.presence_penalty.map(Value::from));
    set("frequencyPenalty", sampling.frequency_penalty.map(Value::from));
    set("stopSequences", (!sampling.stop.is_empty()).then(|| sampling.stop.clone().into()));
    match &request.format {
        Format::Text => {}
        Format::JsonObject => set("responseMimeType", Some("application/json".into())),
        Format::JsonSchema { schema, .. } => {
            set("responseMimeType", Some("application/json".into()));
            set("responseJsonSchema", Some(schema.clone()));
        }
    }
    config
}

fn contents(request: &Request) -> Result<Vec<Value>, GatewayError> {
    let turns = request.messages.iter().filter(|message| message.role != Role::System);
    turns
        .map(|message| {
            let role = if message.role == Role::Assistant { "model" } else { "user" };
            let parts = message.parts.iter().map(|part| write_part(part, request)).collect::<Result<Vec<_>, _>>()?;
            Ok(json!({"role": role, "parts": parts}))
        })
        .collect()
}

fn write_part(part: &Part, request: &Request) -> Result<Value, GatewayError> {
    let wrong = |reason: String| GatewayError::BadRequest { reason, field: Some("messages".to_owned()) };
    Ok(match part {
        Part::Text(text) => json!({"text": text}),
        Part::Image(url) => match url.strip_prefix("data:").and_then(|data| data.split_once(";base64,")) {
            Some((kind, data)) => json!({"inlineData": {"mimeType": kind, "data": data}}),
            None => json!({"fileData": {"fileUri": url}}),
        },
        Part::ToolCall { id, name, arguments } => {
            let text = if arguments.trim().is_empty() { "{}" } else { arguments };
            let args: Value = serde_json::from_str(text)
                .map_err(|_| wrong(format!("the arguments of the call `{id}` are no JSON")))?;
            json!({"functionCall": {"name": name, "args": args}})
        }
        Part::ToolResult { id, text, failed } => {
            let name = called(&request.messages, id).ok_or_else(|| wrong(format!("no call has the id `{id}`")))?;
            let key = if *failed { "error" } else { "output" };
            json!({"functionResponse": {"name": name, "response": {key: text}}})
        }
        Part::Foreign(_) => Value::Null,
    })
}

/// The function that a call with this id named.
fn called<'r>(messages: &'r [Message], wanted: &str) -> Option<&'r str> {
    messages.iter().flat_map(|message| &message.parts).find_map(|part| match part {
        Part::ToolCall { id, name, .. } if id == wanted => Some(name.as_str()),
        _ => None,
    })
}
