//! What the client is told on its command line.

use std::fmt;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use websocket_sync::{
    ConnectOptions, CookieJar, DeflateOptions, Proxy, SocketOptions, SystemRoots, TlsBackend, TlsOptions,
};

const USAGE: &str = "usage: interop_reach URL [OPTION [VALUE]...]...

How to connect:
  --backend native|rustls         which library speaks TLS
  --ca FILE                       trust this authority
  --certificate FILE FILE         this side's certificate and its key
  --key-password PASSWORD         what the key is encrypted with
  --pkcs12 FILE PASSWORD          both in one file
  --server-name NAME              what the server is called in TLS
  --proxy URL
  --proxy-ca FILE, --proxy-certificate FILE FILE
                                  the same as without proxy-, for TLS with the proxy
  --addresses ADDRESS,...         what the host's name stands for
  --header NAME VALUE, --cookie NAME=VALUE
  --jar                           keep cookies
  --credentials USER PASSWORD     for a server that asks
  --redirects COUNT               to follow at most
  --subprotocol NAME
  --deflate                       offer compression, which has to be agreed on
  --timeout SECONDS               of everything; 10 if not given
  --keepalive                     let the system ask a silent peer after a second
  --user-timeout                  let the system give up when nothing is acknowledged for two seconds

What to do; an echo of several messages and a clean close if none of them is given:
  --head                          have the server say which request it got
    --with LINE, --without LINE     what has to be in it, and what must not; the beginning of a line
  --exchange HEX HEX              bytes to send, and the answer
  --receive COUNT                 messages from a server that speaks by itself
  --idle                          wait for the end
  --close                         close at once
  --flood                         send until that fails
  --app TEXT                      have an app lose its connection, for this reason, and get another
  --then COMMAND                  run a command when the connection stands, and go on

What to expect, if not success:
  --fails VARIANT|... TEXT        one of these variants of Error, and this text in it or in what caused it
  --proxied                       there was a proxy, though --proxy names none
  --body TEXT                     in the body of a refusal
  --retry-after SECONDS           at least, according to a refusal
  --within MILLISECONDS, --after MILLISECONDS
  --connected-within MILLISECONDS of the phase of connecting";

pub(crate) struct Told {
    pub(crate) url: String,
    pub(crate) options: ConnectOptions,
    pub(crate) deflate: bool,
    pub(crate) proxied: bool,
    pub(crate) deed: Deed,
    pub(crate) then: Option<String>,
    pub(crate) failure: Option<Failure>,
    pub(crate) duration: RangeInclusive<Duration>,
    pub(crate) connect_limit: Option<Duration>,
}

/// What to do with the connection.
pub(crate) enum Deed {
    Echo,
    Head { with: Vec<String>, without: Vec<String> },
    Exchange { question: Vec<u8>, answer: Vec<u8> },
    Receive { count: usize },
    Idle,
    Close,
    Outlive { reason: String },
    Flood,
}

/// The error that is expected.
pub(crate) struct Failure {
    pub(crate) kind: String,
    pub(crate) text: String,
    pub(crate) body: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    fn new(kind: String, text: String) -> Self {
        Self { kind, text, body: None, retry_after: None }
    }

    fn want(&mut self, option: &str, words: &mut Words) {
        match option {
            "--body" => self.body = Some(words.next()),
            _ => self.retry_after = Some(Duration::from_secs(words.parsed())),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} with {:?}", self.kind, self.text)
    }
}

impl Told {
    pub(crate) fn from_arguments() -> Self {
        let mut words = Words(std::env::args().skip(1).collect::<Vec<_>>().into_iter());
        let mut told = Self {
            url: words.next(),
            options: ConnectOptions::new().timeout(Duration::from_secs(10)),
            deflate: false,
            proxied: false,
            deed: Deed::Echo,
            then: None,
            failure: None,
            duration: Duration::ZERO..=Duration::MAX,
            connect_limit: None,
        };
        let mut tls = TlsOptions::new().system_roots(SystemRoots::Excluded);
        let (mut proxy, mut proxy_tls) = (None, tls.clone());
        while let Some(option) = words.0.next() {
            match option.as_str() {
                "--backend" => tls = tls.backend(backend(&words.next())),
                "--ca" => tls = tls.ca_certs(words.next()),
                "--certificate" => tls = tls.client_cert(words.next(), words.next()),
                "--key-password" => tls = tls.client_key_password(words.next()),
                "--pkcs12" => tls = tls.client_pkcs12(words.next(), words.next()),
                "--server-name" => tls = tls.server_hostname(words.next()),
                "--proxy" => proxy = Some(Proxy::new(words.next())),
                "--proxy-ca" => proxy_tls = proxy_tls.ca_certs(words.next()),
                "--proxy-certificate" => proxy_tls = proxy_tls.client_cert(words.next(), words.next()),
                option => told.take(option, &mut words),
            }
        }
        told.options = told.options.tls(tls);
        if let Some(proxy) = proxy {
            told.proxied = true;
            told.options = told.options.proxy(proxy.tls(proxy_tls));
        }
        told
    }

    fn take(&mut self, option: &str, words: &mut Words) {
        let options = self.options.clone();
        match option {
            "--addresses" => {
                let addresses: Vec<SocketAddr> = words.next().split(',').map(parsed).collect();
                self.options = options.resolver(move |_host, _port| Ok(addresses.clone()));
            }
            "--header" => self.options = options.header(words.next(), words.next()),
            "--cookie" => self.options = options.cookie(words.next()),
            "--jar" => self.options = options.cookie_jar(&CookieJar::new()),
            "--credentials" => self.options = options.credentials(words.next(), words.next()),
            "--redirects" => self.options = options.redirect_limit(words.parsed()),
            "--subprotocol" => self.options = options.subprotocols([words.next()]),
            "--deflate" => {
                self.deflate = true;
                self.options = options.deflate(DeflateOptions::new());
            }
            "--proxied" => self.proxied = true,
            "--timeout" => self.options = options.timeout(Duration::from_secs_f64(words.parsed())),
            "--keepalive" => {
                let second = Duration::from_secs(1);
                self.options = options.socket(SocketOptions::new().keepalive(second, second, 2));
            }
            "--user-timeout" => {
                self.options = options.socket(SocketOptions::new().user_timeout(Duration::from_secs(2)));
            }
            "--head" => self.deed = Deed::Head { with: Vec::new(), without: Vec::new() },
            "--with" | "--without" => self.deed.want(option, words.next()),
            "--exchange" => self.deed = Deed::Exchange { question: words.hex(), answer: words.hex() },
            "--receive" => self.deed = Deed::Receive { count: words.parsed() },
            "--idle" => self.deed = Deed::Idle,
            "--app" => self.deed = Deed::Outlive { reason: words.next() },
            "--close" => self.deed = Deed::Close,
            "--flood" => self.deed = Deed::Flood,
            "--then" => self.then = Some(words.next()),
            "--fails" => self.failure = Some(Failure::new(words.next(), words.next())),
            "--body" | "--retry-after" => self.failure.as_mut().expect(USAGE).want(option, words),
            "--within" => self.duration = *self.duration.start()..=Duration::from_millis(words.parsed()),
            "--connected-within" => self.connect_limit = Some(Duration::from_millis(words.parsed())),
            "--after" => self.duration = Duration::from_millis(words.parsed())..=*self.duration.end(),
            _ => panic!("what is {option}? {USAGE}"),
        }
    }
}

impl Deed {
    fn want(&mut self, option: &str, line: String) {
        match (self, option) {
            (Self::Head { with, .. }, "--with") => with.push(line),
            (Self::Head { without, .. }, _) => without.push(line),
            _ => panic!("--head before {option}; {USAGE}"),
        }
    }
}

/// The rest of the command line.
struct Words(std::vec::IntoIter<String>);

impl Words {
    fn next(&mut self) -> String {
        self.0.next().expect(USAGE)
    }

    fn parsed<T: FromStr>(&mut self) -> T {
        parsed(&self.next())
    }

    fn hex(&mut self) -> Vec<u8> {
        let digits = self.next();
        let octets = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).expect(USAGE));
        octets.map(|pair| u8::from_str_radix(pair, 16).expect(USAGE)).collect()
    }
}

fn backend(name: &str) -> TlsBackend {
    match name {
        "native" => TlsBackend::NativeTls,
        "rustls" => TlsBackend::Rustls,
        _ => panic!("{USAGE}"),
    }
}

fn parsed<T: FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word:?}? {USAGE}"))
}
