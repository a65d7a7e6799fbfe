//! The rooms of docs/DESIGN.md, enforced: which part of the source may name which other part, crate or corner of std.
//!
//! Every path in `src` counts, wherever it stands: in a `use`, in a signature, in the middle of an expression. Comments,
//! strings and `#[cfg(test)]` items do not.

mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use source::{Scan, tokenize, without_tests};

/// A part of the source and what it may name.
struct Room {
    /// Top-level modules of the crate.
    modules: &'static [&'static str],
    /// Other modules of the crate that it may use, whole or a module of theirs.
    uses: &'static [&'static str],
    /// Dependencies that it may use.
    crates: &'static [&'static str],
    /// What it may not use of std.
    not_std: &'static [&'static str],
}

const ROOMS: &[Room] = &[
    Room {
        modules: &["protocol"],
        uses: &["message", "buffer"],
        crates: &["base64", "httparse", "sha1", "simdutf8", "thiserror", "zlib_rs"],
        not_std: &[
            "std::env",
            "std::fs",
            "std::io",
            "std::net",
            "std::os",
            "std::process",
            "std::sync",
            "std::thread",
            "std::time",
        ],
    },
    Room {
        modules: &["authentication", "cancellation", "error", "message", "timings", "url"],
        uses: &["authentication", "cancellation", "error", "message", "options", "protocol", "sync", "timings", "url"],
        crates: &["base64", "md5", "serde", "serde_json", "sha2", "thiserror", "url"],
        not_std: &["std::net::TcpStream", "std::os", "std::thread"],
    },
    Room {
        // Reads and writes a file that only its owner may read.
        modules: &["cookies"],
        uses: &["cookies", "error", "url"],
        crates: &["log", "psl", "thiserror"],
        not_std: &["std::net::TcpListener", "std::net::TcpStream", "std::thread"],
    },
    Room {
        // Values only: a ready connector, and hooks that are handed a socket or give a stream.
        modules: &["options"],
        uses: &["authentication", "cancellation", "cookies", "error", "net::Transport", "options", "protocol", "url"],
        crates: &["native_tls", "rustls", "socket2"],
        not_std: &["std::net::TcpListener", "std::os", "std::thread"],
    },
    Room {
        // Std's clock, locks and threads under names of the crate's own.
        modules: &["sync"],
        uses: &[],
        crates: &[],
        not_std: &["std::env", "std::fs", "std::net", "std::os", "std::process"],
    },
    Room {
        modules: &["buffer"],
        uses: &[],
        crates: &[],
        not_std: &["std::fs", "std::io", "std::net", "std::os", "std::sync", "std::thread", "std::time"],
    },
    Room {
        // Of the protocol it is the header of a frame, and its mask.
        modules: &["trace"],
        uses: &["protocol"],
        crates: &[],
        not_std: &["std::env", "std::fs", "std::net", "std::os", "std::process", "std::thread", "std::time"],
    },
    Room {
        modules: &["net"],
        // Of the protocol it is HTTP alone, for proxies.
        uses: &[
            "authentication",
            "cancellation",
            "error",
            "options",
            "protocol::handshake",
            "sync",
            "timings",
            "trace",
            "url",
            "buffer",
        ],
        // Randomness is for the nonce of Digest.
        crates: &[
            "base64",
            "log",
            "native_tls",
            "pkcs8",
            "rand",
            "rustix",
            "rustls",
            "rustls_native_certs",
            "sha2",
            "socket2",
        ],
        not_std: &[],
    },
    Room {
        modules: &["websocket"],
        uses: &[
            "authentication",
            "cancellation",
            "cookies",
            "error",
            "message",
            "net",
            "options",
            "protocol",
            "sync",
            "timings",
            "trace",
            "url",
            "websocket",
        ],
        // Of serde it is the traits that a message is made by.
        crates: &["log", "rand", "serde", "simdutf8"],
        not_std: &["std::net::TcpListener", "std::net::ToSocketAddrs"],
    },
    Room {
        // Of the network it is what a loop waits for and what bounds its helper threads, of a URL the host.
        modules: &["app"],
        uses: &[
            "cancellation",
            "error",
            "message",
            "net::HelperLock",
            "net::Source",
            "options",
            "sync",
            "timings",
            "url::Target",
            "websocket",
        ],
        crates: &["log", "mio", "rand", "serde", "thiserror"],
        // A descriptor is what a loop waits for.
        not_std: &["std::net", "std::os::linux", "std::os::unix"],
    },
    Room {
        // With `--cfg fuzzing` only: what is private, for the fuzz targets.
        modules: &["fuzzing"],
        uses: &["app::fuzzing", "authentication", "cookies::fuzzing", "error", "net", "protocol::handshake", "url"],
        crates: &[],
        not_std: &["std::fs", "std::net", "std::os", "std::process", "std::thread"],
    },
    Room {
        // What users see of frames and transports; sockets and TLS are its own. What it tests it does not use.
        modules: &["test_kit"],
        uses: &[
            "message",
            "net::Interest",
            "net::Transport",
            "options::TlsOptions",
            "protocol",
            "trace::TraceDirection",
        ],
        crates: &["native_tls", "rustls", "socket2", "thiserror"],
        not_std: &["std::env", "std::fs", "std::process"],
    },
    Room {
        // A program of its own: of this crate it sees what everybody sees. Sockets and terminals it opens by std and by crates; the TLS
        // libraries read the certificate of its server.
        modules: &["bin"],
        uses: &[],
        crates: &[
            "base64",
            "clap",
            "clap_complete",
            "clap_mangen",
            "ctrlc",
            "flate2",
            "indicatif",
            "native_tls",
            "rustix",
            "rustls",
            "rustyline",
            "serde_json",
        ],
        not_std: &[],
    },
];

#[test]
fn every_room_uses_only_what_it_may() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let library = read(&crate_root.join("src/lib.rs"));
    let world = World::new(&library, &read(&crate_root.join("Cargo.toml")));
    let mut found = Vec::new();
    let mut files = 0;
    visit(&crate_root.join("src"), &mut |path| {
        let file = path.strip_prefix(crate_root.join("src")).unwrap().to_str().unwrap().replace('\\', "/");
        found.extend(world.violations(&file, &read(path)));
        files += 1;
    });
    assert!(files > 5, "only {files} files seen");
    assert!(found.is_empty(), "{} forbidden paths:\n{}", found.len(), found.join("\n"));
}

/// Files that only tests have, besides those in directories called `tests`.
const OF_TESTS: [&str; 2] = ["net/system_calls/faults.rs", "tests.rs"];

/// One word for one thing, one thing for one word: what a type is called, no other is, in the library and in the program.
#[test]
fn no_two_types_have_the_same_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut types: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    visit(&root, &mut |path| {
        let file = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
        if !file.contains("tests/") && !OF_TESTS.iter().any(|of_tests| file.ends_with(of_tests)) {
            for name in types_in(&read(path)) {
                types.entry(name).or_default().insert(file.clone());
            }
        }
    });
    assert!(types.len() > 400, "{}", types.len());
    types.retain(|_, files| files.len() > 1);
    assert!(types.is_empty(), "{types:#?}");
}

/// The types that a file declares outside of functions, blocks and modules within it, so of its tests.
fn types_in(source: &str) -> Vec<String> {
    let declared = |line: &str| {
        // `pub struct`, `pub(in crate::protocol) struct`, `struct`.
        let item = match line.strip_prefix("pub") {
            Some(item) if item.starts_with('(') => item.split_once(") ")?.1,
            Some(item) => item.trim_start(),
            None => line,
        };
        let (keyword, name) = item.split_once(' ')?;
        let end = name.find(|c: char| !c.is_alphanumeric()).unwrap_or(name.len());
        matches!(keyword, "struct" | "enum" | "trait" | "type").then(|| name[..end].to_owned())
    };
    source.lines().filter(|line| line.starts_with(|first: char| first.is_lowercase())).filter_map(declared).collect()
}

/// What `protocol::events` adds to the two halves and the handshake. It stands on them, and nothing else in the crate on it.
const EVENTS: [&str; 17] = [
    "events",
    "AcceptConnection",
    "BytesMessage",
    "CloseConnection",
    "Connection",
    "ConnectionBuilder",
    "ConnectionState",
    "Event",
    "Halves",
    "Ping",
    "Pong",
    "ProtocolViolation",
    "RejectConnection",
    "RejectData",
    "RemoteProtocolError",
    "Request",
    "TextMessage",
];

#[test]
fn nothing_uses_the_events_of_the_protocol() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    visit(&source, &mut |path| {
        let file = path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/");
        // These two re-export them.
        if !["protocol/mod.rs", "protocol/handshake/mod.rs"].contains(&file.as_str()) {
            found.extend(uses_of_events(&file, &read(path)));
        }
    });
    assert!(found.is_empty(), "{found:?}");
}

/// The paths in a file that lead to the events.
fn uses_of_events(file: &str, source: &str) -> Vec<String> {
    let module = module_of(file);
    if module.starts_with(&["crate", "protocol", "events"]) || module.contains(&"tests") {
        return Vec::new();
    }
    let paths = Scan::new(&without_tests(tokenize(source)), &module).run().paths;
    let leads_there = |path: &[String]| {
        path.starts_with(&["crate".into(), "protocol".into()])
            && path.get(2).is_some_and(|name| EVENTS.contains(&&**name))
    };
    paths
        .into_iter()
        .filter(|(path, _)| leads_there(path))
        .map(|(path, line)| format!("{file}:{line}: {path:?}"))
        .collect()
}

/// The rooms whose parts stand in layers: no part uses one that uses it, by itself or through others.
const LAYERED: [&str; 6] = ["authentication", "cookies", "net", "options", "trace", "url"];

#[test]
fn no_two_parts_of_a_layered_room_use_each_other() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for room in LAYERED {
        let mut files = Vec::new();
        visit(&source.join(room), &mut |path| {
            files.push((path.strip_prefix(&source).unwrap().to_str().unwrap().replace('\\', "/"), read(path)));
        });
        let circles = circles(room, &files);
        assert!(circles.is_empty(), "{room}: {circles:?}");
    }
}

/// The parts of a room that use each other, and what uses those, with what each uses of them. A part is a file or a folder of the room.
fn circles(room: &str, files: &[(String, String)]) -> BTreeMap<String, BTreeSet<String>> {
    let part_of = |file: &str| Some((*module_of(file).get(2)?).to_owned());
    let parts: BTreeSet<_> = files.iter().filter_map(|(file, _)| part_of(file)).collect();
    let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, source) in files {
        let module = module_of(file);
        let Some(part) = part_of(file).filter(|_| !module.contains(&"tests") && !module.contains(&"fuzzing")) else {
            continue;
        };
        let paths = Scan::new(&without_tests(tokenize(source)), &module).run().paths;
        let within = paths.into_iter().filter(|(path, _)| path.starts_with(&["crate".into(), room.into()]));
        let used = within.filter_map(|(path, _)| path.into_iter().nth(2));
        let others = used.filter(|used| *used != part && parts.contains(used)).collect::<Vec<_>>();
        uses.entry(part).or_default().extend(others);
    }
    // What uses none of those that are left is in no circle.
    while let Some(part) = uses.iter().find(|(_, used)| used.is_empty()).map(|(part, _)| part.clone()) {
        uses.remove(&part);
        uses.values_mut().for_each(|used| _ = used.remove(&part));
    }
    uses
}

#[test]
fn the_crate_root_is_a_list_and_nothing_else() {
    let root = read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs"));
    let tokens = without_tests(tokenize(&root));
    let item =
        tokens.iter().find(|token| ["fn", "struct", "enum", "impl", "trait", "macro_rules"].contains(&&*token.text));
    assert!(item.is_none(), "src/lib.rs holds {item:?}");
}

/// What the rules need to know beside the source file at hand.
struct World {
    /// The names that the crate root re-exports: `Error` -> `crate::error::Error`.
    root: HashMap<String, Vec<String>>,
    dependencies: Vec<String>,
}

impl World {
    fn new(library: &str, manifest: &str) -> Self {
        let tokens = without_tests(tokenize(library));
        Self { root: Scan::new(&tokens, &["crate"]).run().names, dependencies: dependencies(manifest) }
    }

    /// One line for each path in the file that its room may not use.
    fn violations(&self, file: &str, source: &str) -> Vec<String> {
        let module = module_of(file);
        if file == "lib.rs" || module.contains(&"tests") {
            return Vec::new();
        }
        let Some(room) = ROOMS.iter().find(|room| room.modules.contains(&module[1])) else {
            return vec![format!("src/{file}: in no room; give it one in this test and in docs/DESIGN.md")];
        };
        let tokens = without_tests(tokenize(source));
        let mut complaints: Vec<_> = Scan::new(&tokens, &module)
            .run()
            .paths
            .into_iter()
            .filter(|(path, _)| !self.allows(room, module[1], path))
            .map(|(path, line)| format!("src/{file}:{line}: {}", path.join("::")))
            .collect();
        complaints.dedup();
        complaints
    }

    fn allows(&self, room: &Room, module: &str, path: &[String]) -> bool {
        match path {
            // The crate of a program is the program.
            [first, ..] if first == "crate" && module == "bin" => true,
            [first, second, ..] if first == "crate" => {
                // `crate::Error` is where the root says it is.
                let path = self.root.get(second).map_or(path, Vec::as_slice)[1..].join("::");
                lies_in(&path, module) || room.uses.iter().any(|used| lies_in(&path, used))
            }
            [first, ..] if ["std", "core", "alloc"].contains(&first.as_str()) => {
                let path = path.join("::").replacen(first, "std", 1);
                !room.not_std.iter().any(|forbidden| names(&path, forbidden))
            }
            [first, _, ..] if self.dependencies.contains(first) => room.crates.contains(&first.as_str()),
            _ => true,
        }
    }
}

/// Whether `path` is `forbidden`, lies in it, or is a glob that brings it in.
fn names(path: &str, forbidden: &str) -> bool {
    lies_in(path, forbidden) || path.strip_suffix("::*").is_some_and(|glob| lies_in(forbidden, glob))
}

/// Whether `path` is `of` or lies in it.
fn lies_in(path: &str, of: &str) -> bool {
    path.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
}

/// The module that a file below `src` holds: `net/tls/mod.rs` -> `crate::net::tls`.
fn module_of(file: &str) -> Vec<&str> {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    std::iter::once("crate").chain(path.split('/')).collect()
}

/// The names of the dependencies in Cargo.toml, as Rust spells them; not those of the tests.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut listed = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            listed = line.ends_with("dependencies]") && !line.contains("dev-") && !line.contains("build-");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| listed && !line.starts_with('#')) {
            found.push(name.trim().replace('-', "_"));
        }
    }
    found
}

fn visit(directory: &Path, look: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() {
            visit(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            look(&path);
        }
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod the_test_itself {
    use super::*;

    const LIBRARY: &str = "mod error; mod net; pub use crate::error::{Error, Result}; pub use crate::net::Transport;";
    const MANIFEST: &str = "[dependencies]\nnative-tls = \"1\"\nrand = { version = \"1\" }\nurl = \"2\"\n\
                            [dev-dependencies]\nproptest = \"1\"\n";

    /// The forbidden paths in a file, without file and line.
    fn forbidden(file: &str, source: &str) -> Vec<String> {
        let complaints = World::new(LIBRARY, MANIFEST).violations(file, source);
        complaints.iter().map(|line| line.rsplit_once(": ").unwrap().1.to_owned()).collect()
    }

    #[test]
    fn sees_forbidden_paths_wherever_they_stand() {
        let table = [
            ("protocol/frame.rs", "use std::net::TcpStream;", "std::net::TcpStream"),
            ("protocol/frame.rs", "use std::{fmt, net::{self, IpAddr}};", "std::net std::net::IpAddr"),
            ("protocol/frame.rs", "use core::net::IpAddr;", "core::net::IpAddr"),
            ("protocol/frame.rs", "fn f(r: &mut dyn std::io::Read) {}", "std::io::Read"),
            ("protocol/frame.rs", "fn f<R: ::std::io::Read>(r: R) {}", "std::io::Read"),
            ("protocol/frame.rs", "fn f() { let x = <u8 as std::time::X>::y(); }", "std::time::X"),
            ("protocol/frame.rs", "fn f() { rand::random::<u8>() }", "rand::random"),
            ("protocol/frame.rs", "use std::*;", "std::*"),
            ("protocol/frame.rs", "use rand::random as dice;", "rand::random"),
            ("protocol/frame.rs", "use crate::Error;", "crate::Error"),
            ("protocol/handshake/mod.rs", "use super::super::net::dial;", "crate::net::dial"),
            ("protocol/frame.rs", "mod inner { use super::super::super::error::Error; }", "crate::error::Error"),
            ("net/tls.rs", "use crate::protocol::Opcode;", "crate::protocol::Opcode"),
            ("net/tls.rs", "use crate::protocol::*;", "crate::protocol::*"),
            ("net/tls.rs", "use crate::protocol::{Frame, handshake::Headers};", "crate::protocol::Frame"),
            ("net/tls.rs", "fn f() -> crate::websocket::WebSocket {}", "crate::websocket::WebSocket"),
            ("websocket.rs", "fn f(e: native_tls::Error) {}", "native_tls::Error"),
            ("options/mod.rs", "use crate::net::dial;", "crate::net::dial"),
            ("error.rs", "use crate::Transport;", "crate::Transport"),
            ("bin/tool/main.rs", "fn f() { rand::random::<u8>() }", "rand::random"),
        ];
        for (file, source, expected) in table {
            let expected: Vec<_> = expected.split(' ').collect();
            assert_eq!(forbidden(file, source), expected, "{file}: {source}");
        }
    }

    #[test]
    fn sees_parts_that_use_each_other() {
        let files = |third: &str| {
            let files = [
                ("net/mod.rs", "mod a; mod b; mod c; mod d;"),
                ("net/a.rs", "use super::b::B; use super::d::D;"),
                ("net/b/mod.rs", "use super::c; #[cfg(test)] mod tests { use super::super::a::A; }"),
                ("net/b/inner.rs", "use super::B; use crate::net::c::C;"),
                ("net/b/tests.rs", "use crate::net::a::A;"),
                ("net/c.rs", third),
                ("net/d.rs", "use crate::error::Error;"),
            ];
            files.map(|(file, source)| (file.to_owned(), source.to_owned()))
        };
        assert_eq!(circles("net", &files("fn f() { super::d::f() }")), BTreeMap::new());
        let found = circles("net", &files("fn f() { super::a::f() }"));
        let names: Vec<_> = found.keys().map(String::as_str).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(found["a"], BTreeSet::from(["b".to_owned()]));
    }

    #[test]
    fn sees_who_uses_the_events() {
        let guilty = ["use crate::protocol::Event;", "fn f(_: &crate::protocol::Connection) {}"];
        for source in guilty {
            assert_eq!(uses_of_events("websocket/mod.rs", source).len(), 1, "{source}");
            assert_eq!(uses_of_events("protocol/events/open.rs", source), [""; 0], "{source}");
        }
        assert_eq!(uses_of_events("protocol/inbound.rs", "use super::events::open;").len(), 1);
        assert_eq!(uses_of_events("websocket/mod.rs", "use crate::protocol::{Frame, Inbound};"), [""; 0]);
    }

    #[test]
    fn follows_names_that_a_use_brought_in() {
        let source = "use crate::error as e;\nuse std::io;\nfn f(a: e::Error, w: &mut dyn io::Write) {}";
        let found = ["crate::error", "std::io", "crate::error::Error", "std::io::Write"];
        assert_eq!(forbidden("protocol/close.rs", source), found);
    }

    #[test]
    fn says_where_it_is() {
        let found = World::new(LIBRARY, MANIFEST).violations("protocol/close.rs", "//! Doc\n\nuse std::fs;");
        assert_eq!(found, ["src/protocol/close.rs:3: std::fs"]);
    }

    #[test]
    fn knows_every_module_at_the_top() {
        assert_eq!(forbidden("attic/mod.rs", "").len(), 1);
    }

    #[test]
    fn is_not_alarmed_by_what_it_may_not_read() {
        let harmless = [
            "// use std::net::TcpStream;\n/// [`std::net`]\n//! std::io::Read",
            "/* /* nested */ std::net::TcpStream */",
            r###"const A: &str = "std::net::X \" std::io"; const B: &str = r#"std::net::"Y""#; const C: &[u8] = b"std::fs::A";"###,
            "const Q: char = '\"'; const R: u8 = b'\\''; struct S<'a>(&'a u8); // std::net::X\nconst T: &str = \"std::fs::x\";",
            "#[cfg(test)]\nmod tests { use std::net::TcpStream; fn f() { std::thread::spawn(|| {}); } }",
            "#[cfg(test)]\n#[allow(dead_code)]\npub(crate) fn f<A, B>() { std::fs::read(\"x\"); }",
            "#[cfg(test)]\nuse std::{io, net::{TcpStream}};\n#[cfg(test)] use std::net;",
            "#[cfg(test)]\nconst X: Y = Y { a: std::fs::b };",
            "#[cfg(all(doctest, unix))]\n#[doc = include_str!(\"x.md\")]\nstruct X(std::fs::File);",
            "use crate::message::Message; use super::frame; use simdutf8::basic; use std::fmt::Write;",
            "fn f(url: &str, rand: u8) { url.len(); self.net.fs(); }",
            "use crate::protocol::mask; mod net {} fn f() { mask::apply(); }",
        ];
        for source in harmless {
            assert_eq!(forbidden("protocol/frame.rs", source), [""; 0], "{source}");
        }
    }

    #[test]
    fn does_not_take_the_rest_of_a_file_for_tests() {
        let source = "#[cfg(test)] mod tests { fn f() {} }\n#[cfg(not(test))]\nuse std::fs;\nuse std::net;";
        assert_eq!(forbidden("protocol/frame.rs", source), ["std::fs", "std::net"]);
    }
}
