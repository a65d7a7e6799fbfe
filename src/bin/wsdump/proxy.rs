//! `--proxy-to`: each client is connected to a server, which is asked for what the client asks for, and answers the client.

use std::thread;

use websocket_sync::protocol::handshake::{Acceptance, Headers, Rejection, UpgradeRequest};
use websocket_sync::{CloseCode, ConnectOptions, Error, MessageRef, PendingUpgrade, Refusal, Sender, WebSocket};

use crate::arguments::Arguments;
use crate::connect::{self, Destination, FileValues};
use crate::ending::{Failure, describe};
use crate::recording::Side;
use crate::session::into_error;

/// What belongs to one of the two connections, and is not passed on, with what the `Connection` field names (RFC 9110, sections 7.2,
/// 7.6.1 and 11.7; RFC 9112, section 6). There is no `Via`: the server is to see what it would see without the program.
const HOP_BY_HOP: [&str; 12] = [
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// What the handshake itself says, on each side (RFC 6455, sections 4.1 and 4.2.2).
const HANDSHAKE: &str = "sec-websocket-";

/// The server that clients are connected to.
pub(crate) struct Upstream {
    url: UpstreamUrl,
    /// Without what may come from files, which are read for each connection.
    options: ConnectOptions,
    arguments: Arguments,
    values: FileValues,
    /// Whether the URL says who asks.
    has_user: bool,
}

/// Whose path and query the server is asked for.
#[derive(Debug, Eq, PartialEq)]
enum UpstreamUrl {
    /// Those of the client, behind this.
    Origin(String),
    /// Those of the URL.
    Whole(String),
}

impl Upstream {
    /// # Errors
    ///
    /// As for [`Destination::new`] and [`connect::with_file_values`].
    pub(crate) fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let values = FileValues::default();
        let Destination { url, options, .. } = Destination::new(arguments)?;
        // What is wrong with them is found before the first client comes.
        drop(connect::with_file_values(ConnectOptions::new(), arguments, &values)?);
        let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
        let has_user = authority.contains('@');
        Ok(Self { url: UpstreamUrl::new(url), options, arguments: arguments.clone(), values, has_user })
    }

    /// The fields that the command line says, in lower case: those of a client do not replace them.
    fn own_fields(&self) -> Result<Vec<String>, Failure> {
        let Self { arguments, values, .. } = self;
        let fields = connect::header_fields(arguments, values)?;
        let mut own: Vec<_> = fields.into_iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
        for (is_own, name) in [
            (arguments.origin.is_some() || arguments.no_origin, "origin"),
            (arguments.cookie.is_some(), "cookie"),
            (arguments.user.is_some() || self.has_user, "authorization"),
        ] {
            if is_own {
                own.push(name.to_owned());
            }
        }
        Ok(own)
    }

    /// Asks the server for what a client asks for, and gives the client its answer.
    ///
    /// # Errors
    ///
    /// Why there is no connection to the server, which the client has been told, or to the client.
    pub(crate) fn open(&self, pending: PendingUpgrade) -> Result<Joined, Failure> {
        let server = match self.connect(pending.request()) {
            Ok(server) => server,
            Err(error) => {
                let (rejection, body) = rejection(&error);
                // The client may have gone.
                let _ = pending.reject(rejection, &body);
                return Err(error.into());
            }
        };
        let client = pending.accept(acceptance(&server))?;
        Ok(Joined { client, server })
    }

    fn connect(&self, request: &UpgradeRequest) -> websocket_sync::Result<WebSocket> {
        // All may be passed on where the command line names none.
        let named = &self.arguments.subprotocols;
        let is_offered = |name: &&String| named.is_empty() || named.contains(*name);
        let own_fields = self.own_fields().map_err(into_error)?;
        let is_own = |name: &str| own_fields.iter().any(|own| own == name);
        let mut options = connect::with_file_values(self.options.clone(), &self.arguments, &self.values)
            .map_err(into_error)?
            .subprotocols(request.subprotocols.iter().filter(is_offered));
        // Ours would be that of the URL.
        if !is_own("origin") && !request.headers.contains("origin") {
            options = options.suppress_origin();
        }
        for (name, value) in end_to_end(&request.headers).filter(|(name, _)| !is_own(name)) {
            options = options.header_bytes(name, value);
        }
        options.connect(&self.url.for_target(&request.target))
    }
}

impl UpstreamUrl {
    fn new(url: String) -> Self {
        let Some((scheme, rest)) = url.split_once("://") else { return Self::Whole(url) };
        // The path of a socket ends with a colon.
        let end =
            if scheme.ends_with("+unix") { rest.find(':').map(|colon| colon + 1) } else { rest.find(['/', '?', '#']) };
        let (place, resource) = rest.split_at(end.unwrap_or(rest.len()));
        match resource {
            "" | "/" if scheme.ends_with("+unix") => {
                Self::Origin(format!("{scheme}://{}:", place.trim_end_matches(':')))
            }
            "" | "/" => Self::Origin(format!("{scheme}://{place}")),
            _ => Self::Whole(url),
        }
    }

    /// The URL for a client that asks for this: a path with its query, or a whole URL (RFC 9112, section 3.2).
    fn for_target(&self, target: &str) -> String {
        match self {
            Self::Whole(url) => url.clone(),
            Self::Origin(origin) if target.starts_with('/') => format!("{origin}{target}"),
            Self::Origin(origin) => {
                let behind_scheme = target.split_once("://").map_or(target, |(_, rest)| rest);
                let resource = behind_scheme.find(['/', '?']).map_or("/", |start| &behind_scheme[start..]);
                format!("{origin}{resource}")
            }
        }
    }
}

/// The fields that go from one connection to the other. Those that were received are in lower case.
fn end_to_end(headers: &Headers) -> impl Iterator<Item = (&str, &[u8])> {
    headers.iter().filter(|(name, _)| {
        !HOP_BY_HOP.contains(name) && !name.starts_with(HANDSHAKE) && !headers.has_element("connection", name)
    })
}

/// The answer to a client of whom the server wants to hear.
fn acceptance(server: &WebSocket) -> Acceptance {
    let mut acceptance = Acceptance::default();
    if let Some(subprotocol) = server.subprotocol() {
        acceptance = acceptance.subprotocol(subprotocol);
    }
    end_to_end(server.headers().unwrap_or(&Headers::new()))
        .fold(acceptance, |acceptance, (name, value)| acceptance.header(name, value))
}

/// The answer to a client that cannot be connected to the server: what that has said, or why there is nothing it could say.
fn rejection(error: &Error) -> (Rejection, Vec<u8>) {
    let status = match error {
        Error::Refused(refusal) => return refused(refusal),
        Error::Timeout(_) => 504,
        // What the client asks for makes no request.
        Error::Url(_) | Error::Usage(_) => 400,
        _ => 502,
    };
    let body = describe(error) + "\n";
    (Rejection::new(status).header("Content-Type", "text/plain; charset=utf-8"), body.into_bytes())
}

fn refused(refusal: &Refusal) -> (Rejection, Vec<u8>) {
    let rejection = Rejection::new(refusal.status).reason(&*refusal.reason);
    let rejection =
        end_to_end(&refusal.headers).fold(rejection, |rejection, (name, value)| rejection.header(name, value));
    (rejection, refusal.body.clone())
}

/// A client and the server that it is connected to.
pub(crate) struct Joined {
    pub(crate) client: WebSocket,
    pub(crate) server: WebSocket,
}

impl Joined {
    /// Hands each message with who it is from to `pass`, and with what sends to the other, until one of them closes.
    ///
    /// # Errors
    ///
    /// How it ended.
    pub(crate) fn relay(
        mut self,
        pass: impl Fn(Side, MessageRef<'_>, &Sender) -> Result<(), Failure> + Sync,
    ) -> Result<(), Failure> {
        let (to_client, to_server) = (self.client.sender(), self.server.sender());
        let (pass, server) = (&pass, &mut self.server);
        thread::scope(|scope| {
            let down = move || pass_all(server, &to_client, |message, to| pass(Side::Server, message, to));
            let down = thread::Builder::new().spawn_scoped(scope, down);
            let down = down.map_err(|error| Failure::local("a thread", error))?;
            let up = pass_all(&mut self.client, &to_server, |message, to| pass(Side::Client, message, to));
            let down = down.join().unwrap_or_else(|_| Err(Failure::Local("a thread has panicked".to_owned())));
            up.and(down)
        })
    }
}

/// Passes on what one side says, up to and with its Close.
fn pass_all(
    from: &mut WebSocket,
    to: &Sender,
    pass: impl Fn(MessageRef<'_>, &Sender) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let passed = loop {
        let passed = from.recv_ref().map_err(Failure::from).and_then(|message| pass(message, to));
        if passed.is_err() {
            break passed;
        }
    };
    let (code, reason) = match &passed {
        Err(Failure::WebSocket(Error::Closed(info)))
            if info.code.is_sendable() || info.code == CloseCode::NO_STATUS_RECEIVED =>
        {
            (info.code, &*info.reason)
        }
        _ => (CloseCode::GOING_AWAY, ""),
    };
    // The other side may be closed already.
    let _ = to.send_close(code, reason);
    passed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_says_path_and_query_unless_the_url_does() {
        let table = [
            ("ws://h", "/a?b", "ws://h/a?b"),
            ("ws://h:1/", "/a?b", "ws://h:1/a?b"),
            ("wss://me:pw@h/", "http://other/a", "wss://me:pw@h/a"),
            ("ws://h/", "ws://other", "ws://h/"),
            ("ws://h/", "ws://other?x", "ws://h?x"),
            ("ws://h/c", "/a", "ws://h/c"),
            ("ws://h?c", "/a", "ws://h?c"),
            ("ws+unix:///run/s.sock", "/a", "ws+unix:///run/s.sock:/a"),
            ("ws+unix:///run/s.sock:", "/a", "ws+unix:///run/s.sock:/a"),
            ("ws+unix:///run/s.sock:/", "/a", "ws+unix:///run/s.sock:/a"),
            ("ws+unix:///run/s.sock:/c", "/a", "ws+unix:///run/s.sock:/c"),
        ];
        for (url, target, expected) in table {
            assert_eq!(UpstreamUrl::new(url.to_owned()).for_target(target), expected, "{url} {target}");
        }
    }

    #[test]
    fn what_is_between_two_neighbours_alone_stays_there() {
        let headers = Headers::from([
            ("connection", "Keep-Alive, x-hop"),
            ("x-hop", "1"),
            ("sec-websocket-key", "k"),
            ("host", "h"),
            ("cookie", "a=1"),
            ("x-end", "2"),
        ]);
        assert!(end_to_end(&headers).map(|(name, _)| name).eq(["cookie", "x-end"]));
    }
}
