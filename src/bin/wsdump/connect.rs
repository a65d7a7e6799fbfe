//! The options of the connection that the arguments come to.

use std::collections::HashMap;
use std::env;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use websocket_sync::{
    ConnectOptions, CookieJar, DeflateOptions, Error, Proxy, Reconnect, Retry, TlsBackend, TlsOptions, TlsVersion,
};

use crate::arguments::{Arguments, TlsLibrary, TlsMin};
use crate::ending::Failure;
use crate::format::escape_line;
use crate::output::ask_password;

/// What is connected to, and how.
#[derive(Debug)]
pub(crate) struct Destination {
    pub(crate) url: String,
    pub(crate) options: ConnectOptions,
    pub(crate) cookie_jar: Option<CookieJar>,
}

impl Destination {
    /// What the arguments ask for.
    ///
    /// # Errors
    ///
    /// A URL that is missing, a header field that is none, a file that cannot be read.
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let Some(url) = arguments.url.clone().or_else(|| arguments.proxy_to.clone()) else {
            return Err(Failure::Usage(url_is_missing(arguments).to_owned()));
        };
        let mut options = common(arguments)
            .open_timeout(arguments.connect_timeout)
            .redirect_limit(arguments.max_redirects)
            .tls(tls(arguments));
        if let Some(proxy) = &arguments.proxy {
            options = options.proxy(Proxy::new(proxy));
        }
        if let Some(origin) = &arguments.origin {
            options = options.origin(origin);
        }
        if arguments.no_origin {
            options = options.suppress_origin();
        }
        let cookie_jar = arguments.cookie_jar.as_deref().map(load_cookies).transpose()?;
        if let Some(jar) = &cookie_jar {
            options = options.cookie_jar(jar);
        }
        let Some(path) = &arguments.unix_socket else { return Ok(Self { url, options, cookie_jar }) };
        let there = UnixTarget::new(&url, path)?;
        options = options.host(there.host);
        if arguments.server_name.is_none() {
            options = options.tls(tls(arguments).server_hostname(there.name));
        }
        Ok(Self { url: there.url, options, cookie_jar })
    }
}

fn url_is_missing(arguments: &Arguments) -> &'static str {
    if arguments.subprotocols.is_empty() {
        "a URL is missing; wsdump --help shows examples"
    } else {
        "a URL is missing; one without a scheme has to stand in front of -s"
    }
}

/// Adds what may come from files: header fields, cookies, user and password.
///
/// # Errors
///
/// A header field that is none, a file that cannot be read.
pub(crate) fn with_file_values(
    mut options: ConnectOptions,
    arguments: &Arguments,
    values: &FileValues,
) -> Result<ConnectOptions, Failure> {
    options = options.headers(header_fields(arguments, values)?);
    if let Some(who) = &arguments.user {
        let who = values.literal_or_file(who)?;
        options = match who.split_once(':') {
            Some((name, password)) => options.credentials(name, password),
            None => options.credentials(&who, values.password(&who)?),
        };
    }
    if let Some(cookie) = &arguments.cookie {
        options = options.cookie(values.literal_or_file(cookie)?);
    }
    Ok(options)
}

/// What both ends of a connection have.
pub(crate) fn common(arguments: &Arguments) -> ConnectOptions {
    let most = arguments.max_message_size;
    let options =
        ConnectOptions::new().subprotocols(&arguments.subprotocols).max_message_size(most).max_frame_size(most);
    if arguments.compress { options.deflate(DeflateOptions::new()) } else { options }
}

/// How long a connection has to stand until the count of attempts begins anew.
const STABLE: Duration = Duration::from_secs(10);

/// When a connection that was lost is made again, and how often in a row. Clones are the same limit.
#[derive(Clone)]
pub(crate) struct RetryLimit {
    /// How many attempts may follow a stable connection, or the first attempt.
    most: u32,
    retries: Arc<Mutex<Retries>>,
}

#[derive(Default)]
struct Retries {
    /// Since a connection last was stable.
    made: u32,
    opened: Option<Instant>,
    is_stopped: bool,
}

impl RetryLimit {
    pub(crate) fn new(most: Option<u32>) -> Self {
        Self { most: most.unwrap_or(0), retries: Arc::default() }
    }

    /// The policy for the app.
    pub(crate) fn policy(&self) -> Reconnect {
        if self.most == 0 {
            return Reconnect::never();
        }
        let limit = self.clone();
        let decide = move |_: &Error, default| limit.decide(default);
        Reconnect::backoff().stable_after(STABLE).stop_on_refusal().retry_if(decide)
    }

    /// A connection is open.
    pub(crate) fn opened(&self) {
        self.retries().opened = Some(Instant::now());
    }

    /// No further attempt follows.
    pub(crate) fn stop(&self) {
        self.retries().is_stopped = true;
    }

    fn decide(&self, default: Retry) -> Retry {
        let mut retries = self.retries();
        if retries.opened.take().is_some_and(|opened| opened.elapsed() >= STABLE) {
            retries.made = 0;
        }
        if default == Retry::Never || retries.is_stopped || retries.made >= self.most {
            return Retry::Never;
        }
        retries.made += 1;
        default
    }

    fn retries(&self) -> MutexGuard<'_, Retries> {
        self.retries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls(arguments: &Arguments) -> TlsOptions {
    let mut tls = TlsOptions::new();
    for path in &arguments.ca {
        tls = tls.ca_certs(path);
    }
    // That of a server is for its clients.
    if let Some(cert) = arguments.cert.as_ref().filter(|_| arguments.listen.is_none()) {
        tls = tls.client_cert(cert, arguments.key.as_ref().unwrap_or(cert));
    }
    if let Some(name) = &arguments.server_name {
        tls = tls.server_hostname(name);
    }
    tls = match arguments.tls_min {
        Some(TlsMin::Tls12) => tls.min_version(TlsVersion::Tls12),
        Some(TlsMin::Tls13) => tls.min_version(TlsVersion::Tls13),
        None => tls,
    };
    tls = match arguments.tls_library {
        Some(TlsLibrary::NativeTls) => tls.backend(TlsBackend::NativeTls),
        Some(TlsLibrary::Rustls) => tls.backend(TlsBackend::Rustls),
        None => tls,
    };
    if logs_keys(arguments) {
        tls = tls.key_log();
    }
    if arguments.nocert {
        tls = tls.danger_accept_invalid_certs().danger_accept_invalid_hostnames();
    }
    tls
}

/// The certificate that a server shows, for `--listen --cert`.
///
/// # Errors
///
/// Files that cannot be read, or do not hold a certificate and its key.
pub(crate) fn server_tls(arguments: &Arguments) -> Result<Option<TlsOptions>, Failure> {
    let Some(cert) = &arguments.cert else { return Ok(None) };
    let read = |path: &Path| std::fs::read(path).map_err(|error| Failure::local(path.display(), error));
    let (chain, key) = (read(cert)?, read(arguments.key.as_ref().unwrap_or(cert))?);
    let refused = |problem| Failure::local("--cert", problem);
    match arguments.tls_library {
        #[cfg(feature = "rustls")]
        Some(TlsLibrary::Rustls) | None => with_rustls(&chain, &key).map_err(refused).map(Some),
        #[cfg(feature = "native-tls")]
        Some(TlsLibrary::NativeTls) => with_native_tls(&chain, &key).map_err(refused).map(Some),
        #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
        None => with_native_tls(&chain, &key).map_err(refused).map(Some),
        #[allow(unreachable_patterns, reason = "with both libraries none is missing")]
        _ => {
            let _ = (chain, key);
            Err(refused("this program was built without that TLS library".to_owned()))
        }
    }
}

/// With rustls, which speaks TLS 1.3 everywhere.
#[cfg(feature = "rustls")]
fn with_rustls(chain: &[u8], key: &[u8]) -> Result<TlsOptions, String> {
    use rustls::ServerConfig;
    use rustls::crypto::ring::default_provider;
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};

    let chain = CertificateDer::pem_slice_iter(chain).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| format!("the certificate: {error}"))?;
    if chain.is_empty() {
        return Err("there is no certificate in the file".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the key: {error}"))?;
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map(|config| TlsOptions::new().rustls_server_config(Arc::new(config)))
        .map_err(|error| error.to_string())
}

#[cfg(feature = "native-tls")]
fn with_native_tls(chain: &[u8], key: &[u8]) -> Result<TlsOptions, String> {
    // It takes a file that begins with the key.
    const BEGIN: &[u8] = b"-----BEGIN PRIVATE KEY-----";
    let start = key.windows(BEGIN.len()).position(|bytes| bytes == BEGIN);
    let key = start.map_or(key, |start| &key[start..]);
    native_tls::Identity::from_pkcs8(chain, key)
        .and_then(native_tls::TlsAcceptor::new)
        .map(|acceptor| TlsOptions::new().acceptor(acceptor))
        .map_err(|error| error.to_string())
}

/// Whether the TLS library writes keys to the file that `SSLKEYLOGFILE` names.
fn logs_keys(arguments: &Arguments) -> bool {
    let is_rustls = match arguments.tls_library {
        Some(TlsLibrary::Rustls) => true,
        Some(TlsLibrary::NativeTls) => false,
        None => cfg!(not(feature = "native-tls")),
    };
    cfg!(feature = "rustls") && is_rustls
}

/// What to say of `SSLKEYLOGFILE` where it does nothing.
pub(crate) fn key_log_note(arguments: &Arguments) -> Option<&'static str> {
    let is_wanted = env::var_os("SSLKEYLOGFILE").is_some_and(|path| !path.is_empty());
    (is_wanted && !logs_keys(arguments))
        .then_some("SSLKEYLOGFILE does nothing with this TLS library: --tls-library rustls")
}

/// A server behind a Unix socket.
struct UnixTarget<'a> {
    /// The URL of socket and resource.
    url: String,
    /// The host and port of the URL that was given: what the server is told.
    host: &'a str,
    /// The host alone: what its certificate is for.
    name: &'a str,
}

impl<'a> UnixTarget<'a> {
    fn new(url: &'a str, path: &Path) -> Result<Self, Failure> {
        let Some((scheme @ ("ws" | "wss"), rest)) = url.split_once("://") else {
            return Err(Failure::Usage("--unix-socket goes with ws:// and wss://".to_owned()));
        };
        let (host, resource) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if host.contains('@') {
            return Err(Failure::Usage("with --unix-socket, user and password go into --user".to_owned()));
        }
        let path = std::path::absolute(path).map_err(|error| Failure::local(path.display(), error))?;
        let Some(path) = path.to_str() else {
            return Err(Failure::Usage(format!("the path {} is not UTF-8", path.display())));
        };
        let name = match host.strip_prefix('[').and_then(|host| host.split_once(']')) {
            Some((address, _)) => address,
            None => host.split(':').next().unwrap_or(host),
        };
        Ok(Self { url: unix_url(scheme, Path::new(path), resource), host, name })
    }
}

/// The URL of a resource behind a Unix socket. What is not Unicode in its path gets lost.
pub(crate) fn unix_url(scheme: &str, path: &Path, resource: &str) -> String {
    format!("{scheme}+unix://{}:{resource}", percent_encode(&path.to_string_lossy()))
}

/// Encodes what would end the path of a socket, and what no URL has.
fn percent_encode(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'_' | b'.' | b'~' => encoded.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => encoded.push(byte.into()),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// The fields of `--headers`, then those of `-H`.
///
/// # Errors
///
/// A header field that is none, a file that cannot be read.
pub(crate) fn header_fields(arguments: &Arguments, values: &FileValues) -> Result<Vec<(String, String)>, Failure> {
    let mut fields = Vec::new();
    for field in arguments.headers.iter().flat_map(|fields| fields.split(',')) {
        fields.push(header_field(field)?);
    }
    for given in &arguments.header {
        let lines = values.literal_or_file(given)?;
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            fields.push(header_field(line)?);
        }
    }
    Ok(fields)
}

/// What is in the field stays out of the message: it may be a secret.
fn header_field(field: &str) -> Result<(String, String), Failure> {
    match field.split_once(':') {
        Some((name, value)) => Ok((name.trim().to_owned(), value.trim().to_owned())),
        None => Err(Failure::Usage("a header field has to be 'Name: value'".to_owned())),
    }
}

/// Values of arguments that come from files: `@FILE`, and `@-` for standard input. A file is read for each connection, as a secret
/// may be renewed; what can be read once only, such as a pipe, is kept.
#[derive(Default)]
pub(crate) struct FileValues {
    kept: Mutex<HashMap<PathBuf, String>>,
    password: Mutex<Option<String>>,
}

impl FileValues {
    /// The value itself, or what the file holds that it names.
    fn literal_or_file(&self, value: &str) -> Result<String, Failure> {
        let Some(path) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = kept.get(Path::new(path)) {
            return Ok(text.clone());
        }
        let text = read_value(path).map_err(|error| Failure::local(path, error))?;
        let text = text.trim_end_matches(['\r', '\n']).to_owned();
        if path == STANDARD_INPUT || !Path::new(path).is_file() {
            kept.insert(path.into(), text.clone());
        }
        Ok(text)
    }

    /// The password that is asked for at the terminal, once.
    fn password(&self, name: &str) -> Result<String, Failure> {
        let mut password = self.password.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(password) = &*password {
            return Ok(password.clone());
        }
        let asked = ask_password(&format!("Password for {}: ", escape_line(name))).map_err(|error| {
            Failure::Usage(format!("--user {name}: {error}; {name}: with a colon is a user without a password"))
        })?;
        Ok(password.insert(asked).clone())
    }

    /// Whether a value took all of standard input, which leaves nothing to send.
    pub(crate) fn has_read_standard_input(&self) -> bool {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).contains_key(Path::new(STANDARD_INPUT))
    }
}

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";
/// How much a file of header fields, of a password or of cookies may hold.
const MAX_VALUE: u64 = 1024 * 1024;

fn read_value(path: &str) -> io::Result<String> {
    let mut text = String::new();
    let length = match path {
        STANDARD_INPUT => io::stdin().take(MAX_VALUE + 1).read_to_string(&mut text)?,
        path => File::open(path)?.take(MAX_VALUE + 1).read_to_string(&mut text)?,
    };
    if length as u64 > MAX_VALUE { Err(io::Error::other("larger than a megabyte")) } else { Ok(text) }
}

fn load_cookies(path: &Path) -> Result<CookieJar, Failure> {
    match CookieJar::load(path) {
        Ok(jar) => Ok(jar),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(CookieJar::new()),
        Err(error) => Err(Failure::local(path.display(), error)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn arguments(line: &[&str]) -> Arguments {
        Arguments::try_parse_from([&["wsdump"], line].concat()).unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn header_fields_are_split_and_stripped() {
        let given = arguments(&["ws://h", "--headers", "A: 1,B:2 ", "-H", "C: 3, 4", "-H", "D:5:6"]);
        let fields = header_fields(&given, &FileValues::default()).unwrap_or_else(|failure| panic!("{failure}"));
        let expected = [("A", "1"), ("B", "2"), ("C", "3, 4"), ("D", "5:6")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let Err(failure) = header_fields(&arguments(&["ws://h", "-H", "s3cret"]), &FileValues::default()) else {
            panic!("accepted")
        };
        assert!(!failure.to_string().contains("s3cret"), "{failure}");
    }

    #[test]
    fn so_many_attempts_follow_each_other_also_after_a_stable_connection() {
        let limit = RetryLimit::new(Some(2));
        let decide = || limit.decide(Retry::Soon);
        assert_eq!([decide(), decide(), decide()], [Retry::Soon, Retry::Soon, Retry::Never]);
        // A connection that is lost soon is no new beginning.
        limit.opened();
        assert_eq!(decide(), Retry::Never);
        limit.retries().opened = Instant::now().checked_sub(STABLE);
        assert_eq!([decide(), decide(), decide()], [Retry::Soon, Retry::Soon, Retry::Never]);
        limit.retries().opened = Instant::now().checked_sub(STABLE);
        limit.stop();
        assert_eq!(decide(), Retry::Never);
        assert_eq!(RetryLimit::new(Some(9)).decide(Retry::Never), Retry::Never);
    }

    #[test]
    fn a_unix_socket_hides_neither_host_nor_resource() {
        let table = [
            ("ws://h:81/a?b", "ws+unix:///run/a%3Ab.sock:/a?b", "h:81", "h"),
            ("wss://h", "wss+unix:///run/a%3Ab.sock:", "h", "h"),
            ("wss://[::1]:9/x", "wss+unix:///run/a%3Ab.sock:/x", "[::1]:9", "::1"),
        ];
        for (url, expected, host, name) in table {
            let there = UnixTarget::new(url, Path::new("/run/a:b.sock")).unwrap_or_else(|failure| panic!("{failure}"));
            assert_eq!((there.url.as_str(), there.host, there.name), (expected, host, name));
        }
        assert!(UnixTarget::new("http://h/", Path::new("/s")).is_err());
        assert!(UnixTarget::new("ws://u:p@h/", Path::new("/s")).is_err());
    }
}
