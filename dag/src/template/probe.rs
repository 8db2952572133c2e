//! What a template's SQL can look like, before there are values: every branch is taken once, with
//! stand-ins of the right types, so that its names can be found and its syntax proved.

use std::{collections::BTreeMap, fmt, sync::Arc};

use minijinja::{
    Environment, Error, ErrorKind, Value,
    value::{Enumerator, Object, ObjectRepr},
};

use super::{
    TemplateError, environment,
    literal::{self, END_MARK, MARK},
    outline::{self, Part, Piece},
};
use crate::{
    codes::tm03,
    spec::{ParamType, Pipeline},
};

/// More renderings than this say nothing new about any template a person wrote.
const MAX_RENDERINGS: usize = 64;

/// SQL that a template can give.
#[derive(Debug)]
pub(crate) struct Probe {
    pub(crate) sql: String,
    origins: Vec<(usize, usize)>,
}

impl Probe {
    /// Where in the template an offset of `sql` came from.
    pub(crate) fn origin(&self, offset: usize) -> usize {
        let behind = self.origins.partition_point(|(at, _)| *at <= offset);
        let (at, origin) = behind.checked_sub(1).map_or((0, 0), |last| self.origins[last]);
        let next = self.origins.get(behind).map_or(usize::MAX, |(_, origin)| *origin);
        (origin + (offset - at)).min(next.max(origin))
    }
}

/// What a template gives for all its branches.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    pub(crate) probes: Vec<Probe>,
    /// Errors that any values would bring.
    pub(crate) errors: Vec<TemplateError>,
    /// Set where only real values can show whether the template works.
    pub(crate) unproved: Option<TemplateError>,
}

/// Renders every branch as SQL.
pub(crate) fn sql(template: &str, stand_ins: &Value) -> Probed {
    if let Err(error) = literal::no_reserved(template) {
        return Probed { errors: vec![error], ..Probed::default() };
    }
    if !outline::is_template(template) {
        let probe = Probe { sql: template.to_owned(), origins: Vec::new() };
        return Probed { probes: vec![probe], ..Probed::default() };
    }
    branches(&environment::SQL, template, stand_ins)
}

/// Renders every branch as text, for its errors only.
pub(crate) fn text(template: &str, stand_ins: &Value) -> Probed {
    if !outline::is_template(template) {
        return Probed::default();
    }
    branches(&environment::TEXT, template, stand_ins)
}

fn branches(environment: &Environment<'_>, template: &str, stand_ins: &Value) -> Probed {
    let parts = outline::parts(template);
    let mut chains = Chains::of(&parts);
    let mut probed = Probed::default();
    for _ in 0..MAX_RENDERINGS {
        let source = Instrumented::new(template, &parts, &chains);
        match environment::render(environment, &source.text, stand_ins.clone()) {
            Ok(rendered) => probed.take(&rendered),
            Err(error) => probed.fail(&error, &source),
        }
        if !probed.errors.is_empty() || !chains.next() {
            break;
        }
    }
    probed
}

impl Probed {
    fn take(&mut self, rendered: &str) {
        let settled = literal::examine(rendered);
        self.errors.extend(settled.misplaced.into_iter().map(TemplateError::from));
        self.probes.push(Probe { sql: settled.sql, origins: settled.origins });
    }

    fn fail(&mut self, error: &Error, source: &Instrumented) {
        let mut explained = environment::explain(error);
        explained.offset = explained.offset.map(|offset| source.origin(offset));
        let certain = matches!(
            error.kind(),
            ErrorKind::SyntaxError
                | ErrorKind::OutOfFuel
                | ErrorKind::WriteFailure
                | ErrorKind::UnknownFilter
                | ErrorKind::UnknownFunction
                | ErrorKind::UnknownTest
                | ErrorKind::TemplateNotFound
                | ErrorKind::TooManyArguments
                | ErrorKind::MissingArgument
                | ErrorKind::UndefinedError
        );
        if certain || explained.code == tm03::NO_LITERAL {
            self.errors.push(explained);
        } else {
            self.unproved.get_or_insert(explained);
        }
    }
}

/// The blocks around a place: `if` chains with the arm it is in, and loops, which have an `else` too.
#[derive(Default)]
struct Open(Vec<(Option<usize>, usize)>);

impl Open {
    fn begin(&mut self, chain: Option<usize>) {
        self.0.push((chain, 0));
    }

    fn meet(&mut self, word: &str) {
        match word {
            "for" => self.begin(None),
            "elif" | "else" => {
                if let Some((_, arm)) = self.0.last_mut() {
                    *arm += 1;
                }
            }
            "endif" | "endfor" => {
                self.0.pop();
            }
            _ => {}
        }
    }

    /// The innermost chain and arm.
    fn arm(&self) -> Option<(usize, usize)> {
        self.0.iter().rev().find_map(|(chain, arm)| chain.map(|chain| (chain, *arm)))
    }
}

/// A template's `if` chains, and which arm of each the next rendering takes.
struct Chains {
    chains: Vec<Chain>,
}

struct Chain {
    /// The chain and arm around this one.
    parent: Option<(usize, usize)>,
    arms: usize,
    chosen: usize,
    seen: Vec<bool>,
}

impl Chains {
    fn of(parts: &[Part<'_>]) -> Self {
        let mut chains: Vec<Chain> = Vec::new();
        let mut open = Open::default();
        for part in parts {
            match part.piece {
                Piece::Block("if") => {
                    let parent = open.arm();
                    open.begin(Some(chains.len()));
                    chains.push(Chain { parent, arms: 1, chosen: 0, seen: Vec::new() });
                }
                Piece::Block(word) => {
                    open.meet(word);
                    if let ("elif", Some((chain, _))) = (word, open.arm()) {
                        chains[chain].arms += 1;
                    }
                }
                Piece::Text | Piece::Output(_) | Piece::Comment => {}
            }
        }
        for chain in &mut chains {
            // The last arm is `else`, written or not.
            chain.arms += 1;
            chain.seen = vec![false; chain.arms];
        }
        Self { chains }
    }

    /// Notes what the last rendering took, and turns to something it did not take. `false`: nothing is left.
    fn next(&mut self) -> bool {
        for index in 0..self.chains.len() {
            if self.reached(index) {
                let chain = &mut self.chains[index];
                chain.seen[chain.chosen] = true;
            }
        }
        let unseen = self
            .chains
            .iter()
            .enumerate()
            .find_map(|(index, chain)| chain.seen.iter().position(|seen| !seen).map(|arm| (index, arm)));
        let Some((index, arm)) = unseen else { return false };
        for chain in &mut self.chains {
            chain.chosen = chain.seen.iter().position(|seen| !seen).unwrap_or(0);
        }
        self.chains[index].chosen = arm;
        let mut child = index;
        while let Some((parent, arm)) = self.chains[child].parent {
            self.chains[parent].chosen = arm;
            child = parent;
        }
        true
    }

    /// Whether the chosen arms lead to this chain.
    fn reached(&self, index: usize) -> bool {
        let mut child = index;
        while let Some((parent, arm)) = self.chains[child].parent {
            if self.chains[parent].chosen != arm {
                return false;
            }
            child = parent;
        }
        true
    }
}

/// A template with its conditions decided, and marks that say where each piece came from.
struct Instrumented {
    text: String,
    /// Offsets in `text` and in the template.
    origins: Vec<(usize, usize)>,
}

impl Instrumented {
    fn new(template: &str, parts: &[Part<'_>], chains: &Chains) -> Self {
        let mut made = Self { text: String::with_capacity(template.len() * 2), origins: Vec::new() };
        let mut next_chain = 0;
        let mut open = Open::default();
        for part in parts {
            let written = &template[part.start..part.end];
            match part.piece {
                Piece::Text | Piece::Output(_) => {
                    made.text.push_str(&format!("{MARK}{}{END_MARK}", part.start));
                    made.copy(part.start, written);
                }
                Piece::Block("if") => {
                    made.copy(part.start, &condition("if", chains.chains[next_chain].chosen == 0));
                    open.begin(Some(next_chain));
                    next_chain += 1;
                }
                Piece::Block(word) => {
                    open.meet(word);
                    match (word, open.arm()) {
                        ("elif", Some((chain, arm))) => {
                            made.copy(part.start, &condition(word, chains.chains[chain].chosen == arm));
                        }
                        _ => made.copy(part.start, written),
                    }
                }
                Piece::Comment => {}
            }
        }
        made
    }

    fn copy(&mut self, origin: usize, text: &str) {
        self.origins.push((self.text.len(), origin));
        self.text.push_str(text);
    }

    fn origin(&self, offset: usize) -> usize {
        let behind = self.origins.partition_point(|(at, _)| *at <= offset);
        behind.checked_sub(1).map_or(0, |last| {
            let (at, origin) = self.origins[last];
            origin + (offset - at)
        })
    }
}

fn condition(word: &str, taken: bool) -> String {
    format!("{{% {word} {taken} %}}")
}

/// Stand-ins for everything a template may name.
pub(crate) fn stand_ins(pipeline: &Pipeline) -> Value {
    let params = pipeline.params.iter().map(|(name, param)| {
        let value = match &param.default {
            Some(value) if !value.is_null() => super::typed_value(value, Some(param.kind)),
            Some(_) | None => stand_in(param.kind),
        };
        (name.clone(), value)
    });
    let params = Known::value(params.collect());
    let vars = Known::value(pipeline.vars.iter().map(|(name, value)| (name.clone(), super::plain(value))).collect());
    let moment = || Value::from_safe_string("2000-01-01T00:00:00Z".to_owned());
    let run = Value::from_pairs([
        ("id", Value::from("run_0")),
        ("pipeline", Value::from(pipeline.pipeline.as_str())),
        ("started", moment()),
    ]);
    Value::from_pairs([
        ("params", params),
        ("interval", Value::from_pairs([("start", moment()), ("end", moment())])),
        ("run", run),
        ("trigger", Value::from_object(Anything)),
        // Tasks without `for_each` may not name them, which is checked elsewhere.
        ("item", Value::from_object(Anything)),
        ("index", Value::from(0)),
        ("tasks", Value::from_object(AnyTask)),
        ("vars", vars),
    ])
}

fn stand_in(kind: ParamType) -> Value {
    match kind {
        ParamType::String => Value::from("text"),
        ParamType::Integer => Value::from(1),
        ParamType::Number => Value::from(1.5),
        ParamType::Boolean => Value::from(true),
        ParamType::Date => Value::from_safe_string("2000-01-01".to_owned()),
        ParamType::Timestamp => Value::from_safe_string("2000-01-01T00:00:00Z".to_owned()),
    }
}

/// Stands for a value of unknown shape: it has every field, and is a list of one.
#[derive(Debug)]
struct Anything;

impl Object for Anything {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        Some(Value::from_object(Self))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(vec![Value::from(1)])
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1")
    }
}

/// Values by name. An unknown name, which is reported elsewhere, stands for anything.
#[derive(Debug)]
struct Known(BTreeMap<String, Value>);

impl Known {
    fn value(values: BTreeMap<String, Value>) -> Value {
        Value::from_object(Self(values))
    }
}

impl Object for Known {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let known = key.as_str().and_then(|name| self.0.get(name)).cloned();
        known.or_else(|| Some(Value::from_object(Anything)))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.keys().map(|name| Value::from(name.as_str())).collect())
    }
}

/// Stands for `tasks`: which names exist is checked elsewhere.
#[derive(Debug)]
struct AnyTask;

impl Object for AnyTask {
    fn get_value(self: &Arc<Self>, _: &Value) -> Option<Value> {
        let facts =
            [("state", Value::from("succeeded")), ("result", Value::from_object(Anything)), ("rows", Value::from(1))];
        Some(Value::from_pairs(facts))
    }
}
