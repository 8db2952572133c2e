//! The planner: a request in English becomes a definition, or a refusal that quotes what stood in the way.

use crate::{
    answer::{Answer, Options, Problem, Proposal, Provenance, Refusal, codes},
    catalog::Catalog,
    checks::checks,
    link::Lexis,
    nearest::nearest,
    read::Reader,
    render::Definition,
    resolve::{Draft, build, explained},
    tokens::tokenise,
};

/// A request longer than this is no sentence.
pub const MAX_CHARS: usize = 4_000;

/// More words and signs than this are no sentence either; reading takes time with their square.
const MAX_TOKENS: usize = 400;

/// The name under which the planner answers.
pub const PLANNER: &str = concat!("built-in ", env!("CARGO_PKG_VERSION"));

/// Reads a request against a catalog. Pure: the same arguments give the same answer.
pub fn plan(request: &str, catalog: &Catalog, options: &Options) -> Answer {
    let provenance = Provenance {
        planner: PLANNER.to_owned(),
        request: request.chars().take(MAX_CHARS).collect(),
        catalog: catalog.hash(),
    };
    let sources = sources(catalog, options);
    let lexis = Lexis::new(&sources);
    match once(request, &lexis, options) {
        Ok(found) => Answer::Proposed(Box::new(Proposal {
            pipeline: found.pipeline,
            definition: found.definition,
            explanation: found.explanation,
            assumptions: found.assumptions,
            provenance,
        })),
        Err(problems) => {
            let (problems, nearest) = nearest(request, &lexis, options, problems);
            Answer::Refused(Refusal { problems, nearest, provenance })
        }
    }
}

/// Results of earlier requests are no sources, unless there is nothing else.
fn sources(catalog: &Catalog, options: &Options) -> Catalog {
    let without = catalog.without(&options.default_target);
    if without.tables.is_empty() { catalog.clone() } else { without }
}

/// What one reading gives.
pub(crate) struct Found {
    pub(crate) pipeline: String,
    pub(crate) definition: String,
    pub(crate) explanation: Vec<crate::answer::Meaning>,
    pub(crate) assumptions: Vec<String>,
}

/// One reading, without suggestions.
pub(crate) fn once(request: &str, lexis: &Lexis<'_>, options: &Options) -> Result<Found, Vec<Problem>> {
    if request.chars().count() > MAX_CHARS {
        let why = format!("a request may have {MAX_CHARS} characters at most");
        return Err(vec![Problem::new(codes::TOO_LONG, "", why)]);
    }
    let tokens = tokenise(request);
    if tokens.is_empty() {
        return Err(vec![Problem::new(codes::NOTHING_ASKED, "", "the request is empty")]);
    }
    if tokens.len() > MAX_TOKENS {
        let why = format!("a request may have {MAX_TOKENS} words and signs at most");
        return Err(vec![Problem::new(codes::TOO_LONG, "", why)]);
    }
    let reader = Reader { lexis, request, tokens: &tokens };
    let outcome = reader.read();
    let mut draft = Draft::new(&reader, outcome.clauses);
    let mut problems = outcome.problems;
    problems.append(&mut draft.problems);
    if !problems.is_empty() {
        return Err(merged(problems));
    }
    let now = options
        .now
        .filter(|_| draft.schedules.is_empty())
        .map(|now| now.to_utc().format("%Y-%m-%d %H:%M:%S").to_string());
    let mut built = build(&reader, &draft, now.as_deref())?;
    let checked = checks(&reader, &mut built, &draft.checks)?;
    let (definition, pipeline) = {
        let (name, text) = Definition::write(lexis.catalog, (&draft, &built, &checked), request, options);
        (text, name)
    };
    let mut assumptions = built.assumptions.clone();
    assumptions.extend(defaults(&draft, &built.name, options));
    let mut meanings = built.meanings.clone();
    meanings.extend(draft.plain.iter().cloned());
    let explanation = explained(&reader, meanings);
    Ok(Found { pipeline, definition, explanation, assumptions })
}

/// What the request left open about the target and the schedule.
fn defaults(draft: &Draft, name: &str, options: &Options) -> Vec<String> {
    let mut all = Vec::new();
    if draft.target_table.is_none() && draft.called.is_none() {
        all.push(format!("no name was given: the result is called `{name}`"));
    }
    if draft.target_connection.is_none() {
        all.push(format!("no target was named: rows go to the connection `{}`", options.default_target));
    }
    if draft.append.is_none() {
        all.push("every run replaces the rows of the run before".to_owned());
    }
    all.extend(draft.schedules.iter().flat_map(|(_, _, said)| said.clone()));
    all
}

/// Neighbouring words with the same problem are one phrase.
fn merged(problems: Vec<Problem>) -> Vec<Problem> {
    let mut all: Vec<Problem> = Vec::new();
    for problem in problems {
        if !all.contains(&problem) {
            all.push(problem);
        }
    }
    all.truncate(50);
    all
}
