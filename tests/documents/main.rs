//! What the documents and the documentation say: names and links exist, and what is public has an example.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod compare;
mod cookbook;
mod links;
mod migrating;
mod promises;
mod public;

use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

/// The library's sources, with their paths below `src`.
pub(crate) fn sources() -> Vec<(String, String)> {
    fn collect(directory: &Path, all: &mut Vec<(String, String)>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("src/bin") {
                collect(&path, all);
            } else if path.is_file() {
                let name = path.strip_prefix(root().join("src")).unwrap().to_str().unwrap().replace('\\', "/");
                all.push((name, fs::read_to_string(path).unwrap()));
            }
        }
    }
    let mut all = Vec::new();
    collect(&root().join("src"), &mut all);
    all
}

/// The lines of the examples in Markdown that are compiled.
pub(crate) fn examples(markdown: &str) -> String {
    let mut compiled = String::new();
    // Within an example: whether it is compiled.
    let mut example = None;
    for line in markdown.lines() {
        match line.trim_start().strip_prefix("```") {
            Some(_) if example.is_some() => example = None,
            Some(fence) => {
                example = Some(fence.split(',').all(|word| matches!(word, "" | "rust" | "no_run" | "should_panic")));
            }
            None if example == Some(true) => compiled = compiled + line + "\n",
            None => {}
        }
    }
    compiled
}

/// The comments of a source that are documentation.
pub(crate) fn documentation(source: &str) -> String {
    let comments = source.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("///").or_else(|| line.strip_prefix("//!"))
    });
    comments.collect::<Vec<_>>().join("\n")
}
