//! What is public has an example: each function is called by one that is compiled, its own or a neighbour's.

use std::collections::BTreeSet;

use crate::{documentation, examples, sources};

/// Where the functions are that are looked for. Those of the app have tests and examples of their own.
const PARTS: &[&str] = &[
    "cancellation.rs",
    "cookies/",
    "message.rs",
    "options/",
    "protocol/inbound/",
    "protocol/outbound.rs",
    "websocket/",
];

/// What no example calls, and why.
const EXCEPTIONS: &[(&str, &str)] = &[("as_socket", "examples are for Unix; it is `as_fd` on Windows")];

/// The functions that a source declares for everybody.
fn functions(source: &str) -> impl Iterator<Item = &str> {
    let code = source.split("#[cfg(test)]\nmod tests").next().unwrap();
    code.lines().filter_map(|line| {
        let declaration = line.trim_start().strip_prefix("pub ")?.trim_start_matches("const ").strip_prefix("fn ")?;
        declaration.split(['(', '<']).next()
    })
}

#[test]
fn every_public_function_is_called_by_an_example() {
    let sources = sources();
    let compiled: String = sources.iter().map(|(_, source)| examples(&documentation(source))).collect();
    let called: BTreeSet<&str> = compiled.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    let mut found = 0;
    let mut missing = Vec::new();
    for (path, source) in &sources {
        // What is there for the fuzz targets is public to them alone.
        if !PARTS.iter().any(|part| path.starts_with(part)) || path.ends_with("fuzzing.rs") {
            continue;
        }
        for function in functions(source) {
            found += 1;
            if !called.contains(function) && !EXCEPTIONS.iter().any(|(exception, _)| *exception == function) {
                missing.push(format!("{path}: {function}"));
            }
        }
    }
    assert!(found > 250, "{found}");
    assert!(missing.is_empty(), "{missing:#?}");
}
