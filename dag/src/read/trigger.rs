//! How triggers are read.

use super::{
    decode::{At, Decode, Problems, advise, decode_map, decode_words, decoder, single, word, wrong_type},
    tree::{Data, Node},
};
use crate::{
    codes::tm01,
    diagnostic::Diagnostic,
    spec::{
        AllOf, AnyOf, CatchUp, CronTrigger, DatasetTrigger, Dates, DeliveryKey, Encoding, FilledDates, OnExcept,
        Preset, Secrets, Signature, Trigger, Watched, Webhook, WebhookTrigger,
    },
    time::Span,
};

decode_map! { CronTrigger {
    name: optional("name"),
    cron: required("cron"),
    timezone: optional("timezone"),
    catch_up: or_default("catch_up"),
    jitter: optional("jitter"),
    except: optional("except"),
    on_except: or_default("on_except"),
    only: optional("only"),
} }

decode_words! { OnExcept { "skip" => Skip, "next_business_day" => NextBusinessDay } }

decode_map! { FilledDates { calendar: required("calendar"), dates: required("dates") } }

decoder!(Dates, node, at, problems, {
    match &node.data {
        Data::List(_) => Vec::decode(node, at, problems).map(Self::List),
        Data::Map(_) => FilledDates::decode(node, at, problems).map(Self::Filled),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Broken => {
            String::decode(node, at, problems).map(Self::Named)
        }
    }
});

decode_map! { WebhookTrigger { name: optional("name"), webhook: required("webhook") } }

decode_map! { Webhook {
    preset: required("preset"),
    secret: required("secret"),
    signature: optional("signature"),
    timestamp: optional("timestamp"),
    tolerance: optional("tolerance"),
    when: optional("when"),
    params: or_default("params"),
    key: optional("key"),
    max_bytes: optional("max_bytes"),
} }

decode_map! { Signature {
    header: required("header"),
    encoding: or_default("encoding"),
    prefix: optional("prefix"),
} }

decode_map! { DatasetTrigger {
    name: optional("name"),
    dataset: required("dataset"),
    debounce: optional("debounce"),
    max_wait: optional("max_wait"),
} }

decode_words! { Preset {
    "github" => Github, "stripe" => Stripe, "slack" => Slack, "generic" => Generic,
} }

decode_words! { Encoding { "hex" => Hex, "base64" => Base64 } }

decoder!(Secrets, node, at, problems, {
    match &node.data {
        Data::List(_) => Vec::decode(node, at, problems).map(Self::Many),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Map(_) | Data::Broken => {
            String::decode(node, at, problems).map(Self::One)
        }
    }
});

decoder!(DeliveryKey, node, at, problems, {
    let (form, entry) = single(node, at, &["header", "payload", "body"], problems)?;
    let at = at.key(form);
    match form {
        "header" => String::decode(&entry.value, at, problems).map(Self::Header),
        "payload" => String::decode(&entry.value, at, problems).map(Self::Payload),
        _ => Span::decode(&entry.value, at, problems).map(Self::Body),
    }
});

decoder!(Watched, node, at, problems, {
    match &node.data {
        Data::Map(_) => {
            let (form, entry) = single(node, at, &["any", "all"], problems)?;
            let list: Vec<String> = Vec::decode(&entry.value, at.key(form), problems)?;
            Some(if form == "any" { Self::Any(AnyOf { any: list }) } else { Self::All(AllOf { all: list }) })
        }
        Data::List(_) => {
            wrong_type::<()>(node, at, "a table or a map", problems);
            advise(
                problems,
                "say whether a load into any of them will do or all must come: `{any: […]}` or `{all: […]}`",
            );
            None
        }
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::Broken => {
            String::decode(node, at, problems).map(Self::One)
        }
    }
});

impl Decode for CatchUp {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        if let Data::Map(_) = &node.data {
            let (_, entry) = single(node, at, &["window"], problems)?;
            return Span::decode(&entry.value, at.key("window"), problems).map(Self::Window);
        }
        match word(node, at, &["all", "latest", "none"], problems)? {
            "all" => Some(Self::All),
            "latest" => Some(Self::Latest),
            _ => Some(Self::None),
        }
    }
}

impl Decode for Trigger {
    fn decode(node: &Node, at: At<'_>, problems: &mut Problems) -> Option<Self> {
        const FORMS: [&str; 3] = ["cron", "webhook", "dataset"];
        let Data::Map(entries) = &node.data else {
            wrong_type::<()>(node, at, "a trigger", problems);
            advise(problems, "write `- cron: \"0 6 * * *\"`");
            return None;
        };
        let forms: Vec<_> = entries.iter().filter(|entry| FORMS.contains(&entry.key.as_str())).collect();
        if let [_, second, ..] = forms.as_slice() {
            let message = format!("`{}` is one too many: a trigger has one form", second.key);
            problems.push(
                Diagnostic::error(tm01::ONE_OF, second.place, at.to_string(), message)
                    .help(format!("begin a new trigger: `- {}: …`", second.key)),
            );
            return None;
        }
        match forms.first().map(|entry| entry.key.as_str()) {
            Some("cron") => CronTrigger::decode(node, at, problems).map(Self::Cron),
            Some("webhook") => WebhookTrigger::decode(node, at, problems).map(|it| Self::Webhook(Box::new(it))),
            Some("dataset") => DatasetTrigger::decode(node, at, problems).map(Self::Dataset),
            _ => single(node, at, &FORMS, problems).and(None),
        }
    }
}
