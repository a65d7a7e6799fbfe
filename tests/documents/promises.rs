//! docs/PROMISES.md: each promise has a test, and each test that it names is there. Beside it, what is promised of the source itself.

use crate::{read, root, sources};

/// The rows of the tables that name tests: what is promised, and the tests.
fn rows(document: &str) -> Vec<(&str, &str)> {
    document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| (row.split(" | ").next().unwrap(), row.rsplit(" | ").next().unwrap()))
        .filter(|(promise, _)| !matches!(*promise, "promise" | "not promised" | "---"))
        .collect()
}

/// The files that a cell names, each with what it names of that.
fn named(cell: &str) -> Vec<(&str, Vec<&str>)> {
    let mut files: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in cell.split('`').skip(1).step_by(2) {
        match files.last_mut() {
            _ if name.contains('/') => files.push((name, Vec::new())),
            Some((_, names)) => names.push(name),
            None => panic!("{name} stands behind no file: {cell}"),
        }
    }
    files
}

/// Whether a source has a test of this name, by itself or for each TLS library.
fn has_test(source: &str, name: &str) -> bool {
    let by_itself = source.split("#[test]").skip(1).any(|test| {
        let Some((attributes, rest)) = test.split_once("fn ") else { return false };
        let between = attributes.trim();
        (between.is_empty() || between.starts_with("#["))
            && rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('('))
    });
    let lists = source.split("on_each_backend! {").skip(1).filter_map(|list| list.split('}').next());
    by_itself || lists.flat_map(str::split_whitespace).any(|test| test == name)
}

#[test]
fn each_promise_has_a_test_that_exists() {
    let document = read("docs/PROMISES.md");
    let rows = rows(&document);
    assert!(rows.len() > 45, "{} rows", rows.len());
    let mut missing = Vec::new();
    for (promise, cell) in rows {
        let files = named(cell);
        let mut number = 0;
        for (path, names) in files {
            number += names.len();
            // A published package has no `.ci` and no `fuzz`.
            if (path.starts_with(".ci/") || path.starts_with("fuzz/")) && !root().join(".ci").exists() {
                continue;
            }
            let source = read(path);
            for name in names {
                let exists = match path {
                    ".ci/nightly" => source.contains(&format!("\nstep_{name}() ")),
                    // A function of the script that is called, or a command of cargo that is run.
                    ".ci/run" => {
                        [format!("\n{name} "), format!(".log cargo {name} ")].iter().any(|call| source.contains(call))
                    }
                    _ => has_test(&source, name),
                };
                if !exists {
                    missing.push(format!("{path}: {name}"));
                }
            }
        }
        assert!(number > 0, "nothing tests this: {promise}");
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn unsafe_code_is_forbidden() {
    let manifest = read("Cargo.toml");
    assert!(manifest.contains("\n[workspace.lints.rust]\n") && manifest.contains("\nunsafe_code = \"forbid\"\n"));
    assert!(manifest.contains("\n[lints]\nworkspace = true\n"));
}

/// Whoever draws random numbers in the library draws them from `SysRng`: no generator of a process's own is there to be seeded or forked.
#[test]
fn random_bytes_come_from_the_operating_system() {
    let mut users = 0;
    for (path, source) in sources() {
        // Those of shuttle belong to its schedules.
        for line in source.lines().filter(|line| line.contains("rand::") && !line.contains("shuttle::rand::")) {
            assert!(line.contains("rand::rngs::SysRng") || line.contains("rand::TryRng"), "{path}: {line}");
            users += 1;
        }
    }
    assert!(users > 2, "{users}");
}
