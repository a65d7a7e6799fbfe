//! Where a redirect leads: references, resolved against the URL that was asked (RFC 3986, section 5.2).

use super::error::excerpt;
use super::host::encode_resource;
use super::{Target, UrlError, check_characters, is_scheme, split_before};

impl Target {
    /// Where a reference leads that was found here. `http` and `https` stand for `ws` and `wss`. Userinfo is left out: what a
    /// server says does not decide with which password another one is asked.
    ///
    /// # Errors
    ///
    /// As for [`parse`](Self::parse); [`UrlError::Scheme`] for a Unix socket too, which is no server's to point to.
    pub(crate) fn resolve(&self, reference: &str) -> Result<Self, UrlError> {
        check_characters(reference)?;
        if let Some((scheme, rest)) = split_reference_scheme(reference) {
            return Self::elsewhere(&format!("{}:{rest}", scheme_for(scheme)?));
        }
        if reference.starts_with("//") {
            return Self::elsewhere(&format!("{}:{reference}", if self.secure { "wss" } else { "ws" }));
        }
        Ok(Self { resource: self.resolve_resource(reference), userinfo: None, ..self.clone() })
    }

    /// A whole URL that a server gave.
    fn elsewhere(url: &str) -> Result<Self, UrlError> {
        let mut target = Self::parse(url)?;
        let (path, query) = split_before(&target.resource, ['?']);
        target.resource = without_dots(path) + query;
        target.userinfo = None;
        Ok(target)
    }

    /// The resource that a reference without an authority leads to.
    fn resolve_resource(&self, reference: &str) -> String {
        let (reference, _fragment) = split_before(reference, ['#']);
        let (path, query) = split_before(reference, ['?']);
        let (own_path, own_query) = split_before(&self.resource, ['?']);
        if path.is_empty() {
            let query = if query.is_empty() { own_query } else { query };
            return encode_resource(&format!("{own_path}{query}"));
        }
        let merged = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("{}/{path}", own_path.rsplit_once('/').map_or("", |(directory, _)| directory)),
        };
        encode_resource(&(without_dots(&merged) + query))
    }
}

/// The scheme in front of a reference, if it has one, and what follows the colon (RFC 3986, section 4.1).
fn split_reference_scheme(reference: &str) -> Option<(&str, &str)> {
    reference.split_once(':').filter(|(scheme, _)| is_scheme(scheme))
}

fn scheme_for(scheme: &str) -> Result<&'static str, UrlError> {
    match scheme.to_ascii_lowercase().as_str() {
        "ws" | "http" => Ok("ws"),
        "wss" | "https" => Ok("wss"),
        other => Err(UrlError::Scheme(excerpt(other))),
    }
}

/// The path, which begins with a slash, without its `.` and `..` (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_dots = matches!(segment, "." | "..");
        if segment == ".." {
            kept.pop();
        }
        if !is_dots {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(base: &str, reference: &str) -> Result<String, UrlError> {
        Target::parse(base).unwrap().resolve(reference).map(|target| target.to_string())
    }

    /// RFC 3986, sections 5.4.1 and 5.4.2, as far as a WebSocket can be asked for there.
    #[test]
    fn references_are_resolved_as_in_the_examples_of_rfc_3986() {
        let table = [
            ("g", "ws://a/b/c/g"),
            ("./g", "ws://a/b/c/g"),
            ("g/", "ws://a/b/c/g/"),
            ("/g", "ws://a/g"),
            ("//g", "ws://g/"),
            ("?y", "ws://a/b/c/d;p?y"),
            ("g?y", "ws://a/b/c/g?y"),
            ("#s", "ws://a/b/c/d;p?q"),
            ("g#s", "ws://a/b/c/g"),
            ("g?y#s", "ws://a/b/c/g?y"),
            (";x", "ws://a/b/c/;x"),
            ("g;x", "ws://a/b/c/g;x"),
            ("g;x?y#s", "ws://a/b/c/g;x?y"),
            ("", "ws://a/b/c/d;p?q"),
            (".", "ws://a/b/c/"),
            ("./", "ws://a/b/c/"),
            ("..", "ws://a/b/"),
            ("../", "ws://a/b/"),
            ("../g", "ws://a/b/g"),
            ("../..", "ws://a/"),
            ("../../", "ws://a/"),
            ("../../g", "ws://a/g"),
            ("../../../g", "ws://a/g"),
            ("../../../../g", "ws://a/g"),
            ("/./g", "ws://a/g"),
            ("/../g", "ws://a/g"),
            ("g.", "ws://a/b/c/g."),
            (".g", "ws://a/b/c/.g"),
            ("g..", "ws://a/b/c/g.."),
            ("..g", "ws://a/b/c/..g"),
            ("./../g", "ws://a/b/g"),
            ("./g/.", "ws://a/b/c/g/"),
            ("g/./h", "ws://a/b/c/g/h"),
            ("g/../h", "ws://a/b/c/h"),
            ("g;x=1/./y", "ws://a/b/c/g;x=1/y"),
            ("g;x=1/../y", "ws://a/b/c/y"),
            ("g?y/./x", "ws://a/b/c/g?y/./x"),
            ("g?y/../x", "ws://a/b/c/g?y/../x"),
            ("g#s/../x", "ws://a/b/c/g"),
        ];
        for (reference, expected) in table {
            assert_eq!(resolved("ws://a/b/c/d;p?q", reference).as_deref(), Ok(expected), "{reference}");
        }
    }

    #[test]
    fn http_stands_for_ws_and_the_rest_is_read_as_any_url() {
        let table = [
            ("ws://h:1/a", "http://H/x/../y?q#f", "ws://h/y?q"),
            ("ws://h:1/a", "HTTPS://h", "wss://h/"),
            ("ws://h:1/a", "wss://h:8443/b", "wss://h:8443/b"),
            ("ws://h:1/a", "Ws://user:s3cret@h/", "ws://h/"),
            ("wss://h/a", "//g:1/b", "wss://g:1/b"),
            ("ws://h/a", "/b c?\u{e9}", "ws://h/b%20c?%C3%A9"),
            ("ws://h/a?%20", "", "ws://h/a?%20"),
            ("ws://user:s3cret@h/a", "b", "ws://h/b"),
            ("ws://[fe80::1%25eth0]:1/a", "/b", "ws://[fe80::1%25eth0]:1/b"),
            ("ws+unix:///run/s:/a", "b?c", "ws+unix:///run/s:/b?c"),
            ("wss+unix:///run/s:/a", "//h/b", "wss://h/b"),
            ("ws+unix:///run/s", "http://localhost/b", "ws://localhost/b"),
        ];
        for (base, reference, expected) in table {
            assert_eq!(resolved(base, reference).as_deref(), Ok(expected), "{base} {reference}");
        }
    }

    #[test]
    fn what_is_no_place_for_a_websocket_is_refused() {
        let table = [
            ("ftp://h/", UrlError::Scheme("ftp".into())),
            ("ws+unix:///run/s", UrlError::Scheme("ws+unix".into())),
            ("javascript:alert(1)", UrlError::Scheme("javascript".into())),
            ("h:80", UrlError::Scheme("h".into())),
            ("https:/h/", UrlError::NoScheme),
            ("https:h", UrlError::NoScheme),
            ("https://", UrlError::EmptyHost),
            ("//", UrlError::EmptyHost),
            ("///x", UrlError::EmptyHost),
            ("//h:0/", UrlError::Port("0".into())),
            ("//u@v@h/", UrlError::UserInfo),
            ("/\\evil.example/", UrlError::Character { character: '\\', at: 1 }),
            ("/a\tb", UrlError::Character { character: '\t', at: 2 }),
        ];
        for (reference, expected) in table {
            assert_eq!(resolved("wss://h/", reference), Err(expected), "{reference}");
        }
    }
}
