//! Rules that read the Rust sources.

use std::path::Path;

use syn::{spanned::Spanned, visit::Visit};

use crate::LIMITS;

/// One parsed source file, its path relative to the top.
pub struct Source {
    path: String,
    text: String,
    syntax: syn::File,
}

impl Source {
    /// Parses one file.
    pub fn new(path: &str, text: &str) -> Self {
        let syntax = syn::parse_file(text).unwrap_or_else(|error| panic!("{path}: {error}"));
        Self { path: path.to_owned(), text: text.to_owned(), syntax }
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/")
            || self.path.contains("/tests/")
            || self.path.ends_with("/tests.rs")
            || self.path.ends_with("_tests.rs")
    }

    /// First line of the tests inside the file, from 0.
    fn tests_begin(&self) -> Option<usize> {
        self.syntax.items.iter().find_map(|item| match item {
            syn::Item::Mod(inner) if inner.content.is_some() && is_cfg_test(&inner.attrs) => {
                Some(inner.span().start().line - 1)
            }
            _ => None,
        })
    }
}

fn is_cfg_test(attrs: &[syn::Attribute]) -> bool {
    attrs.iter().any(|attr| {
        attr.path().is_ident("cfg") && attr.parse_args::<syn::Path>().is_ok_and(|path| path.is_ident("test"))
    })
}

/// Every Rust source of the repository.
pub fn sources(root: &Path) -> Vec<Source> {
    let hidden = |entry: &walkdir::DirEntry| {
        let name = entry.file_name().to_string_lossy();
        name != "target" && (entry.depth() == 0 || !name.starts_with('.'))
    };
    walkdir::WalkDir::new(root)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(hidden)
        .map(|entry| entry.expect("the repository can be read"))
        .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "rs"))
        .map(|entry| {
            let text = std::fs::read_to_string(entry.path()).expect("sources are UTF-8");
            let path = entry.path().strip_prefix(root).expect("it lies below the root");
            Source::new(&path.to_string_lossy(), &text)
        })
        .collect()
}

struct Functions<'a> {
    path: &'a str,
    found: Vec<String>,
}

impl Functions<'_> {
    fn look(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let first = signature.fn_token.span.start().line;
        let lines = block.span().end().line - first + 1;
        if lines > LIMITS[0].most {
            self.found.push(format!("{}:{first} {}: {lines} lines", self.path, signature.ident));
        }
    }
}

impl<'ast> Visit<'ast> for Functions<'_> {
    fn visit_item_fn(&mut self, f: &'ast syn::ItemFn) {
        self.look(&f.sig, &f.block);
        syn::visit::visit_item_fn(self, f);
    }

    fn visit_impl_item_fn(&mut self, f: &'ast syn::ImplItemFn) {
        self.look(&f.sig, &f.block);
        syn::visit::visit_impl_item_fn(self, f);
    }

    fn visit_trait_item_fn(&mut self, f: &'ast syn::TraitItemFn) {
        if let Some(block) = &f.default {
            self.look(&f.sig, block);
        }
        syn::visit::visit_trait_item_fn(self, f);
    }
}

/// Functions longer than the limit.
pub fn long_functions(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .flat_map(|source| {
            let mut functions = Functions { path: &source.path, found: Vec::new() };
            functions.visit_file(&source.syntax);
            functions.found
        })
        .collect()
}

/// Files longer than the limit without their tests, or with too many lines of tests inside.
pub fn long_files(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| !source.is_test()) {
        let all = source.text.lines().count();
        let code = source.tests_begin().unwrap_or(all);
        if code > LIMITS[1].most {
            found.push(format!("{}: {code} lines", source.path));
        }
        if all - code > LIMITS[2].most {
            found.push(format!("{}: {} lines of tests", source.path, all - code));
        }
    }
    found
}

/// Files other than the queue's own that name apalis in code.
pub fn only_queue_names_apalis(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| source.path != "worker/src/queue.rs" && !source.path.starts_with("tests/tidy/"))
        .filter(|source| {
            source.text.lines().any(|line| !line.trim_start().starts_with("//") && line.contains("apalis"))
        })
        .map(|source| source.path.clone())
        .collect()
}

/// Calls that read the wall clock or draw randomness, outside `cli/` and tests. A comment line may name them.
pub fn banned_calls(sources: &[Source]) -> Vec<String> {
    const BANNED: [&str; 9] = [
        "SystemTime::now",
        "Utc::now",
        "Local::now",
        "Uuid::new_v4",
        "Uuid::now_v7",
        "rand::rng",
        "rand::random",
        "thread_rng",
        "getrandom::",
    ];
    let mut found = Vec::new();
    for source in sources.iter().filter(|s| !s.path.starts_with("cli/") && !s.is_test()) {
        let code = source.tests_begin().unwrap_or(usize::MAX);
        for (number, line) in source.text.lines().take(code).enumerate() {
            if !line.trim_start().starts_with("//") && BANNED.iter().any(|banned| line.contains(banned)) {
                found.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    found
}
