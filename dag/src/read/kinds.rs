//! The bodies of the task kinds.

use indexmap::IndexMap;

use super::{
    decode::{At, Decode, Fields, Problems, decode_map, decode_words, single, wrong_type},
    tree::{Data, Node},
};
use crate::{
    spec::{
        AcceptedValues, Approval, Between, Check, Command, Contract, EndState, Expectation, Extract, Freshness, Http,
        Incremental, Limits, Load, LoadMode, Method, Notify, OnExpiry, OnFail, OnTimeout, Python, Range, References,
        RegexCheck, Returns, RunPipeline, Shell, Sql, Wait, WaitHttp, WaitRun, week,
    },
    time::Span,
};

decode_map! { Extract {
    connection: required("connection"),
    table: required("table"),
    columns: or_default("columns"),
    incremental: optional("incremental"),
} }

decode_map! { Incremental { cursor: required("cursor"), lookback: optional("lookback") } }

impl Decode for Sql {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        let Data::Map(_) = &node.data else {
            return String::decode(node, at, problems).map(Self::Text);
        };
        let mut fields = Fields::of(node, at, problems)?;
        let query = fields.required("query");
        let connection = fields.optional("connection");
        fields.done();
        Some(Self::Full { query: query?, connection })
    }
}

decode_map! { Load {
    input: required("input"),
    connection: required("connection"),
    table: required("table"),
    mode: or_default("mode"),
    key: or_default("key"),
    contract: or_default("contract"),
} }

decode_words! { LoadMode { "append" => Append, "replace" => Replace, "merge" => Merge } }
decode_words! { Contract { "evolve" => Evolve, "strict" => Strict, "ignore" => Ignore } }

decode_map! { Check {
    input: required("input"),
    expect: required("expect"),
    on_fail: or_default("on_fail"),
} }

decode_words! { OnFail { "fail" => Fail, "warn" => Warn, "quarantine" => Quarantine } }

impl Decode for Expectation {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        const WORDS: [&str; 9] = [
            "not_null",
            "unique",
            "between",
            "accepted_values",
            "regex",
            "row_count",
            "freshness",
            "references",
            "sql",
        ];
        let (word, entry) = single(node, at, &WORDS, problems)?;
        let (body, at) = (&entry.value, at.key(word));
        match word {
            "not_null" => Decode::decode(body, at, problems).map(Self::NotNull),
            "unique" => Decode::decode(body, at, problems).map(Self::Unique),
            "between" => Decode::decode(body, at, problems).map(Self::Between),
            "accepted_values" => Decode::decode(body, at, problems).map(Self::AcceptedValues),
            "regex" => Decode::decode(body, at, problems).map(Self::Regex),
            "row_count" => Decode::decode(body, at, problems).map(Self::RowCount),
            "freshness" => Decode::decode(body, at, problems).map(Self::Freshness),
            "references" => Decode::decode(body, at, problems).map(Self::References),
            "sql" => Decode::decode(body, at, problems).map(Self::Sql),
            _ => None,
        }
    }
}

decode_map! { Between { column: required("column"), min: optional("min"), max: optional("max") } }
decode_map! { AcceptedValues { column: required("column"), values: required("values") } }
decode_map! { RegexCheck { column: required("column"), pattern: required("pattern") } }
decode_map! { Range { min: optional("min"), max: optional("max") } }
decode_map! { Freshness { column: required("column"), max_age: required("max_age") } }
decode_map! { References { column: required("column"), to: required("to"), to_column: optional("to_column") } }

decode_map! { Python {
    script: optional("script"),
    code: optional("code"),
    function: or("function", "run".to_owned()),
    inputs: with(inputs, "inputs"),
    env: or_default("env"),
    args: or_default("args"),
    returns: or_default("returns"),
    limits: or_default("limits"),
} }

/// By argument name, or a list of tasks whose names are the arguments.
fn inputs(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<IndexMap<String, String>> {
    let Data::List(_) = &node.data else {
        return IndexMap::decode(node, at, problems);
    };
    let names = Vec::<String>::decode(node, at, problems)?;
    Some(names.into_iter().map(|name| (name.clone(), name)).collect())
}

decode_words! { Returns { "value" => Value, "rows" => Rows } }
decode_map! { Limits { memory_mb: optional("memory_mb"), network: or_default("network") } }

decode_map! { Shell {
    command: required("command"),
    env: or_default("env"),
    limits: or_default("limits"),
} }

impl Decode for Command {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        match &node.data {
            Data::Text(text) => Some(Self::Text(text.clone())),
            Data::List(_) => Vec::decode(node, at, problems).map(Self::List),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::Map(_) | Data::Broken => {
                wrong_type(node, at, "a command line, or a list of a program and its arguments", problems)
            }
        }
    }
}

decode_map! { Http {
    url: required("url"),
    method: or_default("method"),
    headers: or_default("headers"),
    json: optional("json"),
    expect_status: or_default("expect_status"),
} }

decode_words! { Method { "GET" => Get, "POST" => Post, "PUT" => Put, "PATCH" => Patch, "DELETE" => Delete } }

decode_map! { Wait {
    span: optional("for"),
    until: optional("until"),
    file: optional("file"),
    stable: optional("stable"),
    sql: optional("sql"),
    http: optional("http"),
    run: optional("run"),
    poll: or("poll", Span::seconds(5)),
    max_poll: optional("max_poll"),
    on_timeout: or_default("on_timeout"),
} }

decode_words! { OnTimeout { "fail" => Fail, "skip" => Skip } }
decode_words! { EndState { "succeeded" => Succeeded, "failed" => Failed, "cancelled" => Cancelled } }

decode_map! { WaitHttp {
    url: required("url"),
    headers: or_default("headers"),
    expect_status: or_default("expect_status"),
    json: or_default("json"),
} }

decode_map! { WaitRun {
    pipeline: required("pipeline"),
    within: optional("within"),
    states: or("states", vec![EndState::Succeeded]),
} }

decode_map! { RunPipeline {
    pipeline: required("pipeline"),
    params: or_default("params"),
    wait: or("wait", true),
} }

decode_map! { Notify {
    url: required("url"),
    message: optional("message"),
    secret: optional("secret"),
    headers: or_default("headers"),
} }

decode_map! { Approval {
    message: required("message"),
    shows: or_default("shows"),
    approvers: or_default("approvers"),
    required: or("required", 1),
    exclude_starter: or_default("exclude_starter"),
    expires: or("expires", week()),
    on_expiry: or_default("on_expiry"),
} }

decode_words! { OnExpiry { "fail" => Fail, "skip" => Skip, "approve" => Approve } }
