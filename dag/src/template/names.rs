//! Which names a template uses, and whether they exist.

use std::collections::{BTreeSet, HashSet};

use super::{TemplateError, environment, outline};
use crate::{codes::tm03, spec::Pipeline, suggest};

/// The names that exist.
pub(crate) struct Scope<'s> {
    pub(crate) pipeline: &'s Pipeline,
    /// Tasks that exist but could not be read.
    pub(crate) broken: &'s BTreeSet<String>,
    /// Whether `item` and `index` mean something: the task has a `for_each`.
    pub(crate) items: bool,
    /// Too much is wrong to look for similar names.
    pub(crate) crowded: bool,
}

/// What a template uses.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Tasks, by name.
    pub(crate) tasks: BTreeSet<String>,
    pub(crate) errors: Vec<TemplateError>,
}

const ROOTS: [&str; 6] = ["params", "vars", "tasks", "run", "interval", "trigger"];

/// Names in a template.
pub(crate) fn of_template(template: &str, scope: &Scope<'_>) -> Used {
    if !outline::is_template(template) {
        return Used::default();
    }
    match environment::compile(&environment::TEXT, template) {
        Ok(compiled) => check(template, compiled.undeclared_variables(true), scope),
        Err(error) => Used { errors: vec![environment::explain(&error)], ..Used::default() },
    }
}

/// Names in a condition, which may be a bare expression.
pub(crate) fn of_condition(template: &str, scope: &Scope<'_>) -> Used {
    if outline::is_template(template) {
        return of_template(template, scope);
    }
    match environment::expression(&environment::TEXT, template) {
        Ok(compiled) => {
            let mut used = check(template, compiled.undeclared_variables(true), scope);
            for error in &mut used.errors {
                error.offset = None;
            }
            used
        }
        Err(error) => {
            let mut error = environment::explain(&error);
            error.message = error.message.replace("the template", "the condition");
            error.help = Some(
                "write an expression that is true or false, as in `{{ params.full }}` or `{{ tasks.x.rows > 0 }}`"
                    .to_owned(),
            );
            Used { errors: vec![error], ..Used::default() }
        }
    }
}

/// Whether a condition says something about `item` or `index`.
pub(super) fn of_item(template: &str) -> bool {
    let names = if outline::is_template(template) {
        environment::compile(&environment::TEXT, template).map(|compiled| compiled.undeclared_variables(false))
    } else {
        environment::expression(&environment::TEXT, template).map(|compiled| compiled.undeclared_variables(false))
    };
    names.is_ok_and(|names| names.contains("item") || names.contains("index"))
}

/// What is wrong with the names of a template, or of a condition, that knows only these roots.
pub(crate) fn of_roots(template: &str, condition: bool, roots: &[&'static str]) -> Vec<TemplateError> {
    let names = if condition && !outline::is_template(template) {
        environment::expression(&environment::TEXT, template).map(|compiled| compiled.undeclared_variables(false))
    } else {
        environment::compile(&environment::TEXT, template).map(|compiled| compiled.undeclared_variables(false))
    };
    let names: BTreeSet<String> = match names {
        Ok(names) => names.into_iter().collect(),
        Err(error) => return vec![environment::explain(&error)],
    };
    let known = |name: &str| roots.contains(&name) || environment::TEXT.globals().any(|(global, _)| global == name);
    let unknown = names.iter().filter(|name| !known(name)).map(|name| TemplateError {
        code: tm03::UNKNOWN_VARIABLE,
        message: format!("`{name}` is not known here"),
        help: Some(suggest::help(name, roots.iter().copied(), "known here")),
        offset: outline::find_name(template, name),
    });
    unknown.collect()
}

fn check(template: &str, names: HashSet<String>, scope: &Scope<'_>) -> Used {
    let mut used = Used::default();
    let names: BTreeSet<String> = names.into_iter().collect();
    for name in names {
        let mut steps = name.split('.');
        let (root, second, third) = (steps.next().unwrap_or(""), steps.next(), steps.next());
        let problem = match (root, second) {
            ("params", Some(param)) => member(param, scope.pipeline.params.keys(), "parameter", "params"),
            ("vars", Some(var)) => member(var, scope.pipeline.vars.keys(), "variable", "vars"),
            ("run", Some(fact)) => fixed(fact, &["id", "pipeline", "started"], "`run`"),
            ("interval", Some(fact)) => fixed(fact, &["start", "end"], "`interval`"),
            ("tasks", Some(task)) => {
                let problem = task_fact(task, third, scope);
                if problem.is_none() {
                    used.tasks.insert(task.to_owned());
                }
                problem
            }
            ("tasks", None) => Some((
                "`tasks` alone does not say which task".to_owned(),
                "name it after a dot, as in `tasks.orders.rows`: this is how the order of tasks is known".to_owned(),
            )),
            ("params" | "vars" | "run" | "interval" | "trigger", _) => None,
            ("item" | "index", _) if scope.items => None,
            _ => stranger(root, scope),
        };
        if let Some((message, help)) = problem
            && used.errors.len() < MAX_ERRORS
        {
            let offset = outline::find_name(template, &name);
            used.errors.push(TemplateError { code: tm03::UNKNOWN_VARIABLE, message, help: Some(help), offset });
        }
    }
    used
}

/// Errors in one template; more say nothing new.
const MAX_ERRORS: usize = 50;

type Problem = Option<(String, String)>;

fn member<'k>(name: &str, known: impl Iterator<Item = &'k String> + Clone, what: &str, root: &str) -> Problem {
    if known.clone().any(|k| k == name) {
        return None;
    }
    let known: Vec<&str> = known.map(String::as_str).collect();
    let help = match known.is_empty() {
        true => format!("the definition has no `{root}:`; declare it there"),
        false => match suggest::nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`? Else declare it under `{root}:`"),
            None => format!("declare it under `{root}:`, which has {}", suggest::listed(known).unwrap_or_default()),
        },
    };
    Some((format!("there is no {what} `{name}`"), help))
}

fn fixed(name: &str, known: &[&'static str], root: &str) -> Problem {
    if known.contains(&name) {
        return None;
    }
    Some((format!("{root} has no `{name}`"), suggest::help(name, known.iter().copied(), "it has")))
}

fn task_fact(task: &str, fact: Option<&str>, scope: &Scope<'_>) -> Problem {
    if !scope.pipeline.tasks.contains_key(task) && !scope.broken.contains(task) {
        let known = scope.pipeline.tasks.keys().chain(scope.broken).map(String::as_str);
        let help = match scope.crowded {
            true => "correct the first errors first".to_owned(),
            false => suggest::help(task, known, "tasks"),
        };
        return Some((format!("there is no task `{task}`"), help));
    }
    fact.and_then(|fact| fixed(fact, &["state", "result", "rows"], "a task"))
}

/// A name at the root that is none of ours; minijinja's own functions are fine.
fn stranger(name: &str, scope: &Scope<'_>) -> Problem {
    if environment::SQL.globals().any(|(global, _)| global == name) {
        return None;
    }
    let message = format!("`{name}` is not known in templates");
    let help = if matches!(name, "item" | "index") {
        "only the templates of a task with `for_each` have it, and its `for_each` itself does not".to_owned()
    } else if matches!(name, "ref" | "source") {
        "name tasks and tables in the SQL itself: `FROM orders`, `FROM shop.orders`".to_owned()
    } else if scope.pipeline.params.contains_key(name) {
        format!("parameters are under `params`: write `params.{name}`")
    } else if scope.pipeline.vars.contains_key(name) {
        format!("constants are under `vars`: write `vars.{name}`")
    } else if scope.pipeline.tasks.contains_key(name) {
        format!(
            "in SQL, name the task without braces: `{name}`; its facts are `tasks.{name}.rows`, `.state` and `.result`"
        )
    } else {
        suggest::help(name, ROOTS, "known")
    };
    Some((message, help))
}
