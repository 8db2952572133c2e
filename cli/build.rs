//! Puts the pages of `docs/errors` into the binary, so that `tidemill errors CODE` needs no files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?);
    let folder = root.join("../docs/errors");
    println!("cargo:rerun-if-changed={}", folder.display());
    let mut pages: Vec<PathBuf> =
        fs::read_dir(&folder)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
    pages.sort();
    let mut table = String::from("&[\n");
    for page in pages.iter().filter(|page| page.extension().is_some_and(|e| e == "md")) {
        let code = page.file_stem().unwrap_or_default().to_string_lossy();
        // A page is part of the program: the text itself, not a path that differs from machine to machine.
        writeln!(table, "    ({code:?}, {:?}),", fs::read_to_string(page)?).map_err(io::Error::other)?;
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?);
    fs::write(out.join("pages.rs"), table)
}
