//! docs/MIGRATING.md: each public name of websocket-client and wsproto has its row, each row says what there is now, what it names
//! exists, and each option is called by an example that is compiled.

use std::collections::BTreeSet;

use crate::{documentation, examples, read, sources};

/// The public names of a version of a Python package, as `names.py` prints them, such as `_core.WebSocket.recv`.
const WEBSOCKET_CLIENT: &str = include_str!("websocket-client-1.9.2.txt");
const WSPROTO: &str = include_str!("wsproto-1.3.2.txt");

/// What rows name that is not of this crate: of Rust, of other crates, of the environment, parts of URLs.
const FOREIGN: &str = "Arc Display Duration ZERO Some None drop for in mut ws
    native_tls TlsConnector rustls ClientConfig log error warn info debug log_enabled
    ws_proxy wss_proxy all_proxy socks";

/// The parts on websocket-client, without that on its program, and on wsproto.
fn parts(document: &str) -> (String, &str) {
    let (client, wsproto) = document.split_once("\n# wsproto\n").expect("the part on wsproto is the second one");
    let (before, program) = client.split_once("\n## wsdump\n").expect("a table of flags");
    let (_, after) = program.split_once("\n## ").expect("it is not the last");
    (format!("{before}\n{after}"), wsproto)
}

/// The rows of the tables: what Python has, what there is here, and the remark.
fn rows(part: &str) -> Vec<(&str, &str, &str)> {
    part.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(python, _)| !matches!(*python, "Python" | "wsproto" | "---"))
        .map(|(python, rest)| {
            let (here, remark) = rest.split_once(" |").unwrap();
            (python, here, remark)
        })
        .collect()
}

/// A word of a piece of code.
struct Word<'a> {
    text: &'a str,
    is_called: bool,
    /// What a call is given, such as `d` in `.timeout(d)`.
    is_argument: bool,
}

/// The pieces of code in a text.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The words of a piece of code, but for those between quotation marks.
fn words(code: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut depth, mut is_quoted, mut rest) = (0_u32, false, code);
    while let Some(first) = rest.chars().next() {
        let length = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let (text, after) = rest.split_at(length.max(first.len_utf8()));
        rest = after;
        match first {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '"' => is_quoted = !is_quoted,
            _ if length > 0 && !is_quoted && !first.is_numeric() => {
                words.push(Word { text, is_called: after.starts_with('('), is_argument: depth > 0 });
            }
            _ => {}
        }
    }
    words
}

/// The names that the library's sources declare for everybody: items, variants, fields, and what traits demand.
fn declared() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (_, source) in sources() {
        let mut container = "";
        for line in source.lines() {
            if line.starts_with("pub enum ") || line.starts_with("pub trait ") {
                container = line;
            } else if line.starts_with('}') {
                container = "";
            }
            let is_inside = line.starts_with("    ") && !line.starts_with("     ");
            let declaration = match line.trim_start().strip_prefix("pub ") {
                Some(declaration) => declaration,
                None if is_inside && !container.is_empty() => line.trim_start(),
                None => continue,
            };
            let mut tokens =
                declaration.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|token| !token.is_empty());
            let is_keyword = |token: &&str| {
                matches!(*token, "const" | "enum" | "fn" | "mod" | "static" | "struct" | "trait" | "type")
            };
            names.extend(tokens.find(|token| !is_keyword(token)).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_name_of_python_has_a_row() {
    let document = read("docs/MIGRATING.md");
    let (client, wsproto) = parts(&document);
    for (part, names, least) in [(&*client, WEBSOCKET_CLIENT, 300), (wsproto, WSPROTO, 200)] {
        let rows = rows(part);
        let known: BTreeSet<&str> =
            rows.iter().flat_map(|(python, ..)| code(python)).flat_map(words).map(|word| word.text).collect();
        assert!(names.lines().count() > least);
        let last = |name: &str| name.trim_end_matches([')', ']']).rsplit(['.', '(', '[']).next().unwrap().to_owned();
        let missing: Vec<&str> = names.lines().filter(|name| !known.contains(&*last(name))).collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

#[test]
fn no_row_puts_anybody_off() {
    let document = read("docs/MIGRATING.md");
    let (client, wsproto) = parts(&document);
    for (part, least) in [(&*client, 180), (wsproto, 50)] {
        let rows = rows(part);
        assert!(rows.len() > least, "{} rows", rows.len());
        for (python, here, _) in rows {
            assert!(!here.starts_with("later") && !here.trim().is_empty(), "{python}: {here}");
        }
    }
}

#[test]
fn what_a_row_names_exists() {
    let document = read("docs/MIGRATING.md");
    let (client, wsproto) = parts(&document);
    let declared = declared();
    assert!(declared.len() > 800, "{}", declared.len());
    let is_here = |word: &Word<'_>| {
        declared.contains(word.text) || FOREIGN.split_whitespace().any(|foreign| foreign == word.text)
    };
    let (mut named, mut missing) = (0, Vec::new());
    for (python, here, remark) in [rows(&client), rows(wsproto)].concat() {
        // An argument is a placeholder, unless it is a type or a constant; and a remark speaks of Python, too.
        let here = code(here).flat_map(words).filter(|word| word.is_called || !word.is_argument || is_type(word.text));
        let remarked = code(remark).flat_map(words).filter(|word| word.is_called && !is_type(word.text));
        for word in here.chain(remarked) {
            named += 1;
            if !is_here(&word) {
                missing.push((word.text, python));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(named > 500, "{named}");
}

fn is_type(word: &str) -> bool {
    word.starts_with(|first: char| first.is_uppercase())
}

#[test]
fn every_option_is_called_by_an_example() {
    let document = read("docs/MIGRATING.md");
    let (client, wsproto) = parts(&document);
    let mut compiled = examples(&document) + &examples(&read("README.md"));
    for (_, source) in sources() {
        compiled += &examples(&documentation(&source));
    }
    let mut options = BTreeSet::new();
    for (_, here, remark) in [rows(&client), rows(wsproto)].concat() {
        let setters = code(here).chain(code(remark)).filter_map(|code| code.strip_prefix('.')?.split_once('('));
        options.extend(setters.map(|(name, _)| name));
    }
    assert!(options.len() > 75, "{options:?}");
    let uncalled: Vec<_> = options.into_iter().filter(|name| !compiled.contains(&format!(".{name}("))).collect();
    assert!(uncalled.is_empty(), "{uncalled:?}");
}

/// Names of Python's that nobody would look for: steps and state of its parsers, bounds, classes between a user and what they use.
const INTERNAL: &str = "cont_data extract is_fire recving_frames recv_fn has_mask mask_value needs_header needs_length needs_mask
    recv_header recv_length recv_mask DispatcherBase SSLDispatcher WrappedDispatcher handleDisconnect proxy_protocol traceable
    DEFAULT_CLIENT_MAX_WINDOW_BITS DEFAULT_SERVER_MAX_WINDOW_BITS effective_opcode extension_processing masker
    parse_extended_payload_length payload_consumed payload_required process_buffer decoder process_frame process
    MIN_CLOSE_REASON MIN_LIBRARY_CLOSE_REASON MIN_PRIVATE_CLOSE_REASON MIN_PROTOCOL_CLOSE_REASON MAX_LIBRARY_CLOSE_REASON
    MAX_PRIVATE_CLOSE_REASON MAX_PROTOCOL_CLOSE_REASON";

/// The names that the search of the documentation knows, as it compares them: items and their aliases, without case and underscores.
fn searchable() -> BTreeSet<String> {
    let sources = sources();
    let aliases = sources.iter().flat_map(|(_, source)| source.split("doc(alias = \"").skip(1));
    let aliases = aliases.filter_map(|rest| rest.split('"').next()).map(str::to_owned);
    declared().into_iter().chain(aliases).map(|name| as_searched(&name)).collect()
}

fn as_searched(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

#[test]
fn the_search_finds_what_there_is_by_its_name_in_python() {
    let document = read("docs/MIGRATING.md");
    let (client, wsproto) = parts(&document);
    let searchable = searchable();
    let (mut found, mut missing) = (0, Vec::new());
    for (part, names) in [(&*client, WEBSOCKET_CLIENT), (wsproto, WSPROTO)] {
        // What is of another crate, or of the language, has no entry.
        let is_here = |here: &str| !here.starts_with("none") && !here.starts_with("`log::");
        let known = rows(part).into_iter().filter(|(_, here, _)| is_here(here));
        let known: BTreeSet<&str> =
            known.flat_map(|(python, ..)| code(python)).flat_map(words).map(|word| word.text).collect();
        for name in names.lines() {
            let last = name.trim_end_matches([')', ']']).rsplit(['.', '(', '[']).next().unwrap();
            if !known.contains(last) || INTERNAL.split_whitespace().any(|internal| internal == last) {
                continue;
            }
            let searched = as_searched(last);
            if searchable.iter().any(|entry| entry.contains(&searched)) {
                found += 1;
            } else {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(found > 400, "{found}");
}
