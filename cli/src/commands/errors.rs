use serde_json::json;
use tidemill_dag::codes;

use crate::args::Errors;
use crate::error::{CliError, Exit};
use crate::out::Out;
use crate::table::Table;

const PAGES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// The page of a code, or all codes.
pub fn run(args: Errors, out: Out) -> Result<Exit, CliError> {
    let Some(code) = args.code else { return all(out) };
    let wanted = code.to_uppercase();
    let page = PAGES.iter().find(|(code, _)| *code == wanted);
    let Some((code, page)) = page else { return Err(CliError::UnknownCode { code }) };
    if out.json {
        out.value(&json!({"code": code, "title": codes::title(code), "page": page}))?;
    } else {
        out.text(page)?;
    }
    Ok(Exit::Ok)
}

fn all(out: Out) -> Result<Exit, CliError> {
    let codes: Vec<_> = codes::all().collect();
    if out.json {
        out.value(&codes)?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["code", "meaning"]);
    for code in codes {
        table.row(vec![code.code.to_owned(), code.title.to_owned()]);
    }
    out.text(&table.render(out.width, out.paint))?;
    Ok(Exit::Ok)
}
