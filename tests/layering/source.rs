//! Just enough of Rust's grammar to find the paths in a source file.

use std::collections::HashMap;

/// Collects the paths of one file, made absolute: `super`, `self` and names that a `use` brought in are followed.
pub(crate) struct Scan<'a> {
    tokens: &'a [Token],
    module: Vec<String>,
    /// What the file's `use` declarations bring in, by name.
    pub(crate) names: HashMap<String, Vec<String>>,
    /// Every path with its line.
    pub(crate) paths: Vec<(Vec<String>, usize)>,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(tokens: &'a [Token], module: &[&str]) -> Self {
        let module = module.iter().map(ToString::to_string).collect();
        Self { tokens, module, names: HashMap::new(), paths: Vec::new() }
    }

    pub(crate) fn run(mut self) -> Self {
        self.pass(Pass::Uses);
        self.pass(Pass::Everything);
        self
    }

    /// A name may be used above the `use` that brings it in, so those are read first.
    fn pass(&mut self, pass: Pass) {
        let mut inline_modules = Vec::new();
        let mut depth = 0;
        let mut at = 0;
        while at < self.tokens.len() {
            match self.text(at) {
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline_modules.last() == Some(&depth) {
                        inline_modules.pop();
                        self.module.pop();
                    }
                }
                "mod" if self.text(at + 2) == "{" => {
                    inline_modules.push(depth);
                    self.module.push(self.text(at + 1).to_owned());
                    at += 1;
                }
                "use" => {
                    at = self.path(at + 1, &[], Found::InUse(pass));
                    continue;
                }
                _ if pass == Pass::Everything && self.starts_path(at) => {
                    at = self.path(at, &[], Found::InCode);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens.get(at).map_or("", |token| &token.text)
    }

    fn starts_path(&self, at: usize) -> bool {
        self.tokens[at].is_name() && (at == 0 || !matches!(self.text(at - 1), "." | "fn" | "mod" | "'"))
    }

    /// Reads one path, or a tree of paths in braces, and returns where it ends.
    fn path(&mut self, mut at: usize, prefix: &[String], found: Found) -> usize {
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        let mut path = prefix.to_vec();
        if self.text(at) == "::" {
            at += 1;
        }
        loop {
            match self.text(at) {
                "{" => {
                    at += 1;
                    while !matches!(self.text(at), "}" | "") {
                        at = self.path(at, &path, found);
                        at += usize::from(self.text(at) == ",");
                    }
                    return at + 1;
                }
                "self" if !path.is_empty() => {}
                name => path.push(name.to_owned()),
            }
            at += 1;
            let more = self.tokens.get(at + 1).is_some_and(|next| next.is_name() || matches!(&*next.text, "{" | "*"));
            if self.text(at) != "::" || !more {
                break;
            }
            at += 1;
        }
        let renamed = self.text(at) == "as" && matches!(found, Found::InUse(_));
        let name = if renamed { self.text(at + 1).to_owned() } else { path.last().cloned().unwrap_or_default() };
        let path = self.absolute(path);
        match found {
            Found::InUse(Pass::Uses) => drop(self.names.insert(name, path)),
            Found::InUse(Pass::Everything) | Found::InCode => self.paths.push((path, line)),
        }
        at + if renamed { 2 } else { 0 }
    }

    fn absolute(&self, path: Vec<String>) -> Vec<String> {
        let supers = path.iter().take_while(|segment| *segment == "super").count();
        match path.first().map(String::as_str) {
            Some("self") => self.module.iter().chain(&path[1..]).cloned().collect(),
            Some("super") => {
                let up = self.module.len().saturating_sub(supers).max(1);
                self.module[..up].iter().chain(&path[supers..]).cloned().collect()
            }
            Some(first) => match self.names.get(first).filter(|full| full.as_slice() != path) {
                Some(full) => full.iter().chain(&path[1..]).cloned().collect(),
                None => path,
            },
            None => path,
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Pass {
    Uses,
    Everything,
}

#[derive(Clone, Copy)]
enum Found {
    InUse(Pass),
    InCode,
}

#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|first: char| first.is_alphabetic() || first == '_')
    }
}

/// Takes a source apart into names and punctuation; `::` is one token. Comments and literals are left out.
pub(crate) fn tokenize(source: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => block_comment(rest),
            _ if literal(rest) > 0 => literal(rest),
            _ if first.is_alphanumeric() || first == '_' => {
                rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())
            }
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (text, after) = rest.split_at(length);
        if !text.starts_with("//") && !text.starts_with("/*") && literal(rest) == 0 && !first.is_whitespace() {
            let line = source[..source.len() - rest.len()].matches('\n').count() + 1;
            tokens.push(Token { text: text.to_owned(), line });
        }
        rest = after;
    }
    tokens
}

/// The length of the block comment at the start; they nest.
fn block_comment(source: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < source.len() {
        let (step, change) = match &source.as_bytes()[at..] {
            [b'/', b'*', ..] => (2, 1),
            [b'*', b'/', ..] => (2, -1),
            _ => (1, 0),
        };
        at += step;
        depth += change;
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

/// The length of the string, character or lifetime at the start, or 0.
fn literal(source: &str) -> usize {
    let after_prefix = source.trim_start_matches(['b', 'c', 'r']);
    let prefix = source.len() - after_prefix.len();
    let hashes = after_prefix.len() - after_prefix.trim_start_matches('#').len();
    if prefix <= 2 && source[..prefix].contains('r') && after_prefix[hashes..].starts_with('"') {
        let end = format!("\"{}", "#".repeat(hashes));
        let start = prefix + hashes + 1;
        return source[start..].find(&end).map_or(source.len(), |at| start + at + end.len());
    }
    if prefix <= 1 && after_prefix.starts_with('"') {
        return quoted(source, prefix + 1, '"');
    }
    if prefix <= 1 && after_prefix.starts_with('\'') {
        let mut inner = after_prefix[1..].chars();
        let (first, second) = (inner.next(), inner.next());
        return match (first, second) {
            (Some('\\'), _) | (_, Some('\'')) => quoted(source, prefix + 1, '\''),
            _ => 1 + after_prefix[1..].find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0),
        };
    }
    0
}

/// The length up to and with the closing quote, from `start` on.
fn quoted(source: &str, start: usize, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in source[start..].char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return start + at + 1,
            _ => {}
        }
    }
    source.len()
}

/// Leaves out what is compiled for tests only.
pub(crate) fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let text = |at: usize| tokens.get(at).map_or("", |token: &Token| &token.text);
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let attribute = if text(at) == "#" && text(at + 1) == "[" { end_of_group(&tokens, at + 1) } else { at };
        let words: Vec<_> = (at..attribute).map(text).collect();
        let is_of_tests = words.contains(&"test") || words.contains(&"doctest");
        if words.contains(&"cfg") && is_of_tests && !words.contains(&"not") {
            at = end_of_item(&tokens, attribute);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the group in brackets that starts at `at` is over.
fn end_of_group(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match &*tokens[at].text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

/// Where the item that starts at `at` is over: after its semicolon or its body.
fn end_of_item(tokens: &[Token], mut at: usize) -> usize {
    let mut body_ends_it = true;
    while at < tokens.len() {
        match &*tokens[at].text {
            ";" => return at + 1,
            "use" | "=" => body_ends_it = false,
            "{" if body_ends_it => return end_of_group(tokens, at),
            "(" | "[" | "{" => {
                at = end_of_group(tokens, at);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    at
}
