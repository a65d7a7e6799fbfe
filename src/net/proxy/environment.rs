//! The proxy that the environment names, as curl and Python have it.

use crate::error::{ProxyError, ProxyUrlError};
use crate::url::ProxyUrl;

/// Gives a variable of the environment.
pub(super) type Variables<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The variables for both.
const FOR_ALL: [&str; 2] = ["all_proxy", "ALL_PROXY"];
/// The variables for `wss`, the first of them first, each in lower and in upper case.
const FOR_WSS: [[&str; 2]; 3] = [["wss_proxy", "WSS_PROXY"], ["https_proxy", "HTTPS_PROXY"], FOR_ALL];
/// The variables for `ws`.
const FOR_WS: [[&str; 2]; 3] = [["ws_proxy", "WS_PROXY"], ["http_proxy", "HTTP_PROXY"], FOR_ALL];
/// The servers that are connected to directly.
const BYPASS: [&str; 2] = ["no_proxy", "NO_PROXY"];

/// The variables of this process. What is not Unicode is no URL, and becomes something else that is none.
pub(super) fn of_process(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// The proxy for `wss` or `ws`, if there is one.
///
/// # Errors
///
/// [`ProxyError::Url`] with the name of the variable that holds something else.
pub(super) fn proxy(is_secure: bool, variables: Variables<'_>) -> Result<Option<ProxyUrl>, ProxyError> {
    let names = if is_secure { FOR_WSS } else { FOR_WS };
    let Some((name, value)) = names.into_iter().find_map(|names| look_up(names, variables)) else {
        return Ok(None);
    };
    parse(name, &value).map(Some).map_err(|problem| ProxyError::Url { variable: Some(name), problem })
}

/// GNOME sets `all_proxy` to `socks://`, for a proxy that speaks SOCKS 5 and resolves names.
fn parse(name: &str, value: &str) -> Result<ProxyUrl, ProxyUrlError> {
    match ProxyUrl::parse(value) {
        Err(ProxyUrlError::AmbiguousScheme) if FOR_ALL.contains(&name) => {
            let rest = value.split_once("://").map_or("", |(_, rest)| rest);
            let url = ProxyUrl::parse(&format!("socks5h://{rest}"))?;
            log::info!("{name} names the proxy {} with socks://, taken for socks5h://", url.host_and_port());
            Ok(url)
        }
        parsed => parsed,
    }
}

/// The list of servers that are connected to directly.
pub(super) fn no_proxy(variables: Variables<'_>) -> Option<String> {
    look_up(BYPASS, variables).map(|(_, value)| value)
}

/// The variable in lower case if it is there, else that in upper case, and its value if that is not empty.
fn look_up(names: [&'static str; 2], variables: Variables<'_>) -> Option<(&'static str, String)> {
    let trusted = names.into_iter().filter(|name| is_trusted(name, variables));
    let (name, value) = trusted.filter_map(|name| Some((name, variables(name)?))).next()?;
    (!value.trim().is_empty()).then_some((name, value))
}

/// In a CGI program, `HTTP_PROXY` is the field `Proxy` of a request that anybody may have sent (CVE-2016-5387). Windows
/// does not tell it from `http_proxy`.
fn is_trusted(name: &str, variables: Variables<'_>) -> bool {
    let is_http = if cfg!(windows) { name.eq_ignore_ascii_case("HTTP_PROXY") } else { name == "HTTP_PROXY" };
    !is_http || variables("REQUEST_METHOD").is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the proxy is for `ws` and for `wss`.
    fn found(variables: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let get = |name: &str| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned());
        let host = |is_secure| proxy(is_secure, &get).unwrap().map(|url| url.host_and_port());
        (host(false), host(true))
    }

    #[test]
    fn the_table_of_variables() {
        type Row = (&'static [(&'static str, &'static str)], Option<&'static str>, Option<&'static str>);
        let table: &[Row] = &[
            (&[], None, None),
            (&[("http_proxy", "http://a:1")], Some("a:1"), None),
            (&[("https_proxy", "http://a:1")], None, Some("a:1")),
            (&[("ws_proxy", "http://a:1")], Some("a:1"), None),
            (&[("wss_proxy", "http://a:1")], None, Some("a:1")),
            (&[("all_proxy", "http://a:1")], Some("a:1"), Some("a:1")),
            (&[("HTTP_PROXY", "http://a:1")], Some("a:1"), None),
            (&[("HTTPS_PROXY", "http://a:1")], None, Some("a:1")),
            (&[("WS_PROXY", "http://a:1"), ("WSS_PROXY", "http://b:1")], Some("a:1"), Some("b:1")),
            (&[("ALL_PROXY", "http://a:1")], Some("a:1"), Some("a:1")),
            // The most special one counts, in whatever case.
            (&[("http_proxy", "a:1"), ("ws_proxy", "b:1"), ("all_proxy", "c:1")], Some("b:1"), Some("c:1")),
            (&[("https_proxy", "a:1"), ("WSS_PROXY", "b:1"), ("all_proxy", "c:1")], Some("c:1"), Some("b:1")),
            (&[("http_proxy", "a:1"), ("https_proxy", "b:1"), ("all_proxy", "c:1")], Some("a:1"), Some("b:1")),
            // Lower case counts.
            (&[("http_proxy", "a:1"), ("HTTP_PROXY", "b:1")], Some("a:1"), None),
            (&[("all_proxy", "a:1"), ("ALL_PROXY", "b:1")], Some("a:1"), Some("a:1")),
            // Empty is none, and hides upper case.
            (&[("http_proxy", "")], None, None),
            (&[("http_proxy", " ")], None, None),
            (&[("http_proxy", ""), ("HTTP_PROXY", "b:1")], None, None),
            (&[("ws_proxy", ""), ("http_proxy", "b:1")], Some("b:1"), None),
            (&[("HTTPS_PROXY", ""), ("all_proxy", "b:1")], Some("b:1"), Some("b:1")),
            // Whoever sends a request to a CGI program has no say.
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")], None, None),
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "")], None, None),
            (&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET"), ("ALL_PROXY", "a:1")], Some("a:1"), Some("a:1")),
            (&[("HTTPS_PROXY", "a:1"), ("REQUEST_METHOD", "GET")], None, Some("a:1")),
            // What it may hold.
            (&[("http_proxy", "http://localhost/")], Some("localhost:80"), None),
            (&[("http_proxy", "localhost")], Some("localhost:80"), None),
            (&[("all_proxy", "socks5h://[::1]")], Some("[::1]:1080"), Some("[::1]:1080")),
            (&[("https_proxy", " https://a\n")], None, Some("a:443")),
            (&[("Http_Proxy", "a:1")], None, None),
        ];
        for (variables, ws, wss) in table {
            let expected = (ws.map(str::to_owned), wss.map(str::to_owned));
            assert_eq!(found(variables), expected, "{variables:?}");
        }
    }

    /// GNOME sets `all_proxy` so, and its proxy is of version 5.
    #[test]
    fn socks_without_a_version_in_all_proxy_is_5_and_the_proxy_resolves_names() {
        let of = |name: &str, value: &str| proxy(true, &|asked| (asked == name).then(|| value.to_owned()));
        for (name, value) in [
            ("all_proxy", "socks://p:9050/"),
            ("ALL_PROXY", " SOCKS://u:s3cret@P"),
            ("all_proxy", "socks://[fe80::1%25lo]:1"),
        ] {
            let expected = ProxyUrl::parse(&value.trim().to_ascii_lowercase().replacen("socks", "socks5h", 1)).unwrap();
            assert_eq!(of(name, value).unwrap(), Some(expected), "{name}={value}");
        }
        for (name, value) in [("all_proxy", "socks://p:0"), ("all_proxy", "socks://"), ("https_proxy", "socks://p")] {
            assert!(of(name, value).is_err(), "{name}={value}");
        }
    }

    #[cfg(not(windows))]
    #[test]
    fn lower_case_is_trusted_in_a_cgi_program() {
        assert_eq!(found(&[("http_proxy", "a:1"), ("REQUEST_METHOD", "GET")]).0.as_deref(), Some("a:1"));
    }

    #[test]
    fn what_is_no_url_is_told_by_the_variable_and_never_by_its_value() {
        let table = [
            ("http_proxy", "s3cret://user:s3cret@proxy", ProxyUrlError::Scheme),
            ("WS_PROXY", "http://user:s3/cret@proxy", ProxyUrlError::Port),
            ("all_proxy", "http://user:s3cret@", ProxyUrlError::Host),
            ("ALL_PROXY", "http://proxy/s3cret", ProxyUrlError::Path),
            ("http_proxy", "\u{fffd}s3cret", ProxyUrlError::Host),
        ];
        for (name, value, expected) in table {
            let get = |asked: &str| (asked == name).then(|| value.to_owned());
            let error = proxy(false, &get).unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(name) && !said.contains("s3"), "{said}");
            assert!(matches!(error, ProxyError::Url { variable: Some(_), problem } if problem == expected), "{said}");
        }
    }

    #[test]
    fn the_list_follows_the_same_rules() {
        let list = |variables: &[(&str, &str)]| {
            no_proxy(&|name| Some(variables.iter().find(|(known, _)| *known == name)?.1.to_owned()))
        };
        assert_eq!(list(&[]), None);
        assert_eq!(list(&[("NO_PROXY", "a")]).as_deref(), Some("a"));
        assert_eq!(list(&[("no_proxy", "b"), ("NO_PROXY", "a")]).as_deref(), Some("b"));
        assert_eq!(list(&[("no_proxy", ""), ("NO_PROXY", "a")]), None);
        assert_eq!(list(&[("NO_PROXY", "a"), ("REQUEST_METHOD", "GET")]).as_deref(), Some("a"));
    }
}
