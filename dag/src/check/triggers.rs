//! Settings of triggers that must belong together.

use std::{collections::HashMap, time::Duration};

use serde_json::Value;

use super::{connection, name, plain_text};
use crate::{
    codes::{tm01, tm02, tm12},
    compile::Known,
    hook,
    report::Report,
    schedule::{Schedule, ScheduleError, calendar::day},
    secret::{Piece, split},
    spec::{
        CronTrigger, DatasetTrigger, Dates, DeliveryKey, FilledDates, OnExcept, Pipeline, Preset, Trigger, Webhook,
    },
    suggest,
    template::names,
    time::{Span, Timestamp},
    wake::{Sleeper, fits},
};

/// The API reads no longer body.
const MOST_BYTES: u32 = 5_000_000;
/// A secret is changed from one to the next; more than a few at once are a mistake.
const MOST_SECRETS: usize = 4;
/// What templates of a webhook know.
const ROOTS: [&str; 2] = ["payload", "headers"];

pub(super) fn all(pipeline: &Pipeline, known: &Known, report: &mut Report) {
    let mut seen = HashMap::new();
    for (index, trigger) in pipeline.triggers.iter().enumerate() {
        let path = format!("triggers[{index}]");
        if let Some(called) = trigger.name() {
            name(called, &format!("{path}.name"), false, report);
            if let Some(first) = seen.insert(called, index) {
                let message = format!("`{called}` is the name of the trigger at place {first} already");
                report
                    .error(tm12::TRIGGER_TWICE, format!("{path}.name"), message)
                    .advise("give each a name of its own");
            }
        }
        match trigger {
            Trigger::Cron(cron) => self::cron(&path, cron, report),
            Trigger::Webhook(it) => webhook(&format!("{path}.webhook"), &it.webhook, pipeline, report),
            Trigger::Dataset(it) => dataset(&path, it, pipeline, known, report),
        }
    }
}

fn cron(path: &str, cron: &CronTrigger, report: &mut Report) {
    if let Err(ScheduleError::Expression { expression, reason }) = Schedule::new(&cron.cron, None) {
        let message = format!("`{expression}` is not a cron expression: {reason}");
        report
            .error(tm01::BAD_CRON, format!("{path}.cron"), message)
            .advise("five fields: minute hour day month weekday, as in `0 6 * * MON-FRI`");
    }
    if let Err(ScheduleError::Zone { zone, nearest }) = Schedule::new("0 0 * * *", cron.timezone.as_deref()) {
        let help = match nearest {
            Some(near) => format!("did you mean `{near}`?"),
            None => "use an IANA name such as `Europe/Berlin` or `UTC`".to_owned(),
        };
        let message = format!("`{zone}` is not a known time zone");
        report.error(tm01::UNKNOWN_ZONE, format!("{path}.timezone"), message).advise(help);
    }
    days(path, cron, report);
}

/// The definition with the days of the calendars that it names, as they are now.
pub(crate) fn with_calendars(mut pipeline: Pipeline, known: &Known, report: &mut Report) -> Pipeline {
    for (index, trigger) in pipeline.triggers.iter_mut().enumerate() {
        let Trigger::Cron(cron) = trigger else { continue };
        for (key, dates) in [("except", &mut cron.except), ("only", &mut cron.only)] {
            let Some(Dates::Named(name)) = dates else { continue };
            if let Some(days) = known.calendars.get(name) {
                *dates = Some(Dates::Filled(FilledDates { calendar: name.clone(), dates: days.clone() }));
                continue;
            }
            let message = format!("there is no calendar `{name}`");
            let help = match known.calendars.is_empty() {
                true => format!("add a file `calendars/{name}.yaml` with a list `dates`"),
                false => suggest::help(name, known.calendars.keys().map(String::as_str), "calendars"),
            };
            report.error(tm12::UNKNOWN_CALENDAR, format!("triggers[{index}].{key}"), message).advise(help);
        }
    }
    pipeline
}

fn days(path: &str, cron: &CronTrigger, report: &mut Report) {
    for (key, dates) in [("except", &cron.except), ("only", &cron.only)] {
        for text in dates.iter().flat_map(Dates::list).filter(|text| day(text).is_none()) {
            let message = format!("`{text}` is not a day");
            report.error(tm12::BAD_DATES, format!("{path}.{key}"), message).advise("write `2026-12-25`");
        }
    }
    if cron.on_except != OnExcept::Skip && cron.except.is_none() {
        report
            .error_at_key(tm01::MEANINGLESS, format!("{path}.on_except"), "`on_except` has no effect without `except`")
            .advise("leave it out, or list the days under `except`");
    }
    let Ok(schedule) = Schedule::new(&cron.cron, cron.timezone.as_deref()) else { return };
    let mut moments = schedule.upcoming(Timestamp::default());
    let Some(gap) = moments.next().zip(moments.next()).map(|(first, second)| second.since(first)) else { return };
    if cron.jitter.is_some_and(|jitter| jitter.0.is_zero() || jitter.0 > gap) {
        let message =
            format!("the jitter is more than nothing and at most the time between two moments, {}", Span(gap));
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.jitter"), message)
            .advise("a small part of it spreads the load as well");
    }
    if cron.on_except == OnExcept::NextBusinessDay && gap < Duration::from_secs(3_600) {
        report
            .error(
                tm01::MEANINGLESS,
                format!("{path}.on_except"),
                "what fires more often than every hour cannot be moved",
            )
            .advise("leave `on_except` out: the next day has moments of its own");
    }
}

fn webhook(path: &str, hook: &Webhook, pipeline: &Pipeline, report: &mut Report) {
    secrets(path, hook, report);
    scheme(path, hook, report);
    if let Some(when) = &hook.when {
        let path = format!("{path}.when");
        plain_text(when, &path, report);
        for error in names::of_roots(when, true, &ROOTS) {
            report.template(&path, when, error);
        }
    }
    mapping(path, hook, pipeline, report);
    key(path, hook, report);
    if hook.max_bytes.is_some_and(|most| !(1..=MOST_BYTES).contains(&most)) {
        let message = format!("a body of 1 to {MOST_BYTES} bytes can be allowed");
        report.error(tm01::OUT_OF_RANGE, format!("{path}.max_bytes"), message).advise("senders keep well below 1 MB");
    }
}

fn secrets(path: &str, hook: &Webhook, report: &mut Report) {
    let list = hook.secret.list();
    let path = format!("{path}.secret");
    if list.is_empty() || list.len() > MOST_SECRETS {
        let message = format!("{} secrets are listed; 1 to {MOST_SECRETS} are allowed", list.len());
        report.error(tm12::HOOK_SETTINGS, &path, message).advise("the new one and, while senders change, the old one");
    }
    for text in list {
        match split(text).as_deref() {
            Ok([Piece::Secret(_)]) => {}
            Err(error) => {
                let message = format!("`{}` is not a secret place", error.written);
                report.error(tm02::BAD_SECRET, &path, message).advise(error.reason.clone());
            }
            Ok(_) => {
                report
                    .error(
                        tm02::BAD_SECRET,
                        &path,
                        "a secret must not stand in a definition; name the place it is read from",
                    )
                    .advise("write `${env:NAME}` or `${file:/run/secrets/name}`");
            }
        }
    }
}

fn scheme(path: &str, hook: &Webhook, report: &mut Report) {
    let fixed = hook.preset != Preset::Generic;
    let mut senseless = |key: &str, senseless: bool, why: &str| {
        if senseless {
            report
                .error_at_key(tm01::MEANINGLESS, format!("{path}.{key}"), format!("`{key}` has no effect here: {why}"))
                .advise("leave it out");
        }
    };
    senseless("signature", fixed && hook.signature.is_some(), "the preset says where the signature is");
    senseless("timestamp", fixed && hook.timestamp.is_some(), "the preset says where the time is");
    let untimed = hook.preset == Preset::Github || !fixed && hook.timestamp.is_none();
    senseless("tolerance", untimed && hook.tolerance.is_some(), "no time of sending is signed");
    let day = Duration::from_secs(86_400);
    if hook.tolerance.is_some_and(|span| span.0.is_zero() || span.0 > day) {
        report
            .error(tm01::OUT_OF_RANGE, format!("{path}.tolerance"), "a tolerance is more than nothing and at most 1d")
            .advise("5m is usual: clocks differ, and networks are slow");
    }
    let headers = hook.signature.iter().map(|it| ("signature.header", &it.header));
    for (key, header) in headers.chain(hook.timestamp.iter().map(|it| ("timestamp", it))) {
        header_name(header, &format!("{path}.{key}"), report);
    }
}

fn header_name(header: &str, path: &str, report: &mut Report) {
    let sound = !header.is_empty() && header.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !sound {
        report
            .error(tm12::HOOK_SETTINGS, path, format!("`{header}` is not the name of a header"))
            .advise("letters, digits and `-`, as in `X-Signature`");
    }
}

fn mapping(path: &str, hook: &Webhook, pipeline: &Pipeline, report: &mut Report) {
    for (param, how) in &hook.params {
        let path = format!("{path}.params.{param}");
        if !pipeline.params.contains_key(param) {
            let help = suggest::help(param, pipeline.params.keys().map(String::as_str), "parameters");
            let message = format!("there is no parameter `{param}`");
            report.error_at_key(tm02::UNKNOWN_PARAM, &path, message).advise(help);
        }
        template(how, &path, report);
    }
    for (param, declared) in &pipeline.params {
        if declared.default.is_none() && !hook.params.contains_key(param) {
            let message = format!("the parameter `{param}` would have no value in runs that this webhook starts");
            report
                .error(tm02::MISSING_PARAM, path, message)
                .advise(format!("map it, as in `params: {{{param}: /{param}}}`, or give it a `default`"));
        }
    }
}

/// Every text in a mapping.
fn template(how: &Value, path: &str, report: &mut Report) {
    match how {
        Value::String(text) => {
            plain_text(text, path, report);
            if !text.starts_with('/') {
                for error in names::of_roots(text, false, &ROOTS) {
                    report.template(path, text, error);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| template(item, path, report)),
        Value::Object(map) => map.values().for_each(|item| template(item, path, report)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn key(path: &str, hook: &Webhook, report: &mut Report) {
    let path = format!("{path}.key");
    match &hook.key {
        Some(DeliveryKey::Header(header)) => {
            let path = format!("{path}.header");
            header_name(header, &path, report);
            let headers = hook::Headers::from([(header.to_lowercase(), String::new())]);
            if hook::shown(&headers, hook).is_empty() {
                let message = format!("`{header}` may hold a secret or a signature, so it cannot name an event");
                report.error(tm12::HOOK_SETTINGS, &path, message).advise("choose a header with the id of the event");
            }
        }
        Some(DeliveryKey::Payload(pointer)) if !pointer.starts_with('/') => {
            let message = format!("`{pointer}` is not a JSON pointer");
            let help = format!("write `/{}`", pointer.trim_start_matches(['$', '.']).replace('.', "/"));
            report.error(tm12::HOOK_SETTINGS, format!("{path}.payload"), message).advise(help);
        }
        Some(DeliveryKey::Body(Span(span))) if span.is_zero() || *span > hook::REMEMBERED => {
            report
                .error(tm01::OUT_OF_RANGE, format!("{path}.body"), "the time is more than nothing and at most 7d")
                .advise("10m is usual");
        }
        Some(DeliveryKey::Payload(_) | DeliveryKey::Body(_)) | None => {}
    }
}

fn dataset(path: &str, trigger: &DatasetTrigger, pipeline: &Pipeline, known: &Known, report: &mut Report) {
    let own = Sleeper::from(pipeline).loads;
    let patterns = trigger.dataset.patterns();
    let place = format!("{path}.dataset");
    for (param, _) in pipeline.params.iter().filter(|(_, declared)| declared.default.is_none()) {
        let message = format!("the parameter `{param}` would have no value in runs that fresh data starts");
        report.error(tm02::MISSING_PARAM, &place, message).advise("give it a `default`");
    }
    if patterns.is_empty() {
        report
            .error(tm01::EMPTY_VALUE, &place, "no data set is named")
            .advise("name at least one, as `connection.table`");
    }
    for pattern in patterns {
        match pattern.split_once('.') {
            Some((owner, table)) if !owner.is_empty() && !table.is_empty() => {
                if !owner.contains('*') {
                    connection(owner, &place, known, report);
                }
            }
            _ => {
                let message = format!("`{pattern}` is not `connection.table`");
                report
                    .error(tm12::BAD_DATASET, &place, message)
                    .advise("as in `warehouse.public.orders`, or `warehouse.*`");
            }
        }
        if let Some(loaded) = own.iter().find(|loaded| fits(pattern, loaded)) {
            let message = format!("the pipeline loads `{loaded}` itself, so each run would start the next");
            report.error(tm12::WAKES_ITSELF, &place, message).advise("watch what it reads, not what it writes");
        }
    }
    let too_long = |span: Option<Span>| span.is_some_and(|span| span.0 > Duration::from_secs(86_400));
    if too_long(trigger.debounce) || too_long(trigger.max_wait) {
        report
            .error(tm01::OUT_OF_RANGE, path, "a trigger waits for at most 1d")
            .advise("what comes once a day is better started by a `cron` trigger");
    }
    match (trigger.debounce, trigger.max_wait) {
        (None, Some(_)) => {
            report
                .error_at_key(
                    tm01::MEANINGLESS,
                    format!("{path}.max_wait"),
                    "`max_wait` has no effect without `debounce`",
                )
                .advise("leave it out, or say how long it must be quiet: `debounce: 30s`");
        }
        (Some(debounce), Some(most)) if most < debounce => {
            report
                .error(
                    tm01::BAD_RANGE,
                    format!("{path}.max_wait"),
                    format!("{most} is shorter than `debounce`, {debounce}"),
                )
                .advise("make it several times as long");
        }
        (_, None) | (Some(_), Some(_)) => {}
    }
}
