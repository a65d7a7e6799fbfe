//! docs/COOKBOOK.md: the recipes that are run against servers that others wrote are those of tests/interop/recipes, word for word.

use std::collections::BTreeMap;
use std::fs;

use crate::{read, root};

const FOLDER: &str = "tests/interop/recipes";

/// The recipes of the cookbook that name a file: the file, and the code before `main`.
fn recipes(cookbook: &str) -> Vec<(String, String)> {
    cookbook.split("\n## ").filter_map(|section| Some((file(section)?, code(section)?))).collect()
}

/// `[name.rs](../tests/interop/recipes/name.rs)`
fn file(section: &str) -> Option<String> {
    let (_, link) = section.split_once(&format!("](../{FOLDER}/"))?;
    Some(link.split_once(')')?.0.to_owned())
}

fn code(section: &str) -> Option<String> {
    let (_, block) = section.split_once("```rust\n")?;
    let (recipe, _) = block.split_once("# fn main()")?;
    Some(recipe.trim_end().to_owned())
}

/// A file's text between its first line, which documents the module, and its checks.
fn text(source: &str) -> &str {
    let (_, rest) = source.split_once("\n\n").unwrap();
    rest.split_once("pub(crate) mod checks;").unwrap().0.trim_end()
}

#[test]
fn recipes_are_what_is_run_against_servers_of_others() {
    // What is not published is not there in a package.
    let Ok(entries) = fs::read_dir(root().join(FOLDER)) else { return };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut files: BTreeMap<_, _> = names
        .filter(|name| name.ends_with(".rs") && name != "main.rs")
        .map(|name| (name.clone(), read(&format!("{FOLDER}/{name}"))))
        .collect();
    assert!(files.len() >= 7, "{files:?}");
    for (name, recipe) in recipes(&read("docs/COOKBOOK.md")) {
        let source = files.remove(&name).unwrap_or_else(|| panic!("{name} is not there, or named twice"));
        let text = text(&source);
        let difference = text.lines().zip(recipe.lines()).find(|(in_file, in_cookbook)| in_file != in_cookbook);
        assert_eq!(difference, None, "{name}, the first line that is not the same");
        assert_eq!(text, recipe, "{name}");
    }
    assert!(files.is_empty(), "not in the cookbook: {:?}", files.keys());
}
