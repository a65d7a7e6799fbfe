//! The four parameters of the extension: offered, answered, judged (RFC 7692, section 7.1).

use super::NAME;
use super::options::{ClientWindow, DeflateOptions};
use crate::protocol::Role;
use crate::protocol::handshake::{ExtensionOffer, HandshakeError};

const SERVER_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_WINDOW: &str = "server_max_window_bits";
const CLIENT_WINDOW: &str = "client_max_window_bits";

/// What both sides agreed to.
///
/// ```
/// use websocket_sync::protocol::handshake::ExtensionOffer;
/// use websocket_sync::protocol::{DeflateOptions, Extension, PerMessageDeflate};
///
/// let mut deflate = PerMessageDeflate::new(DeflateOptions::new())?;
/// deflate.finalize(&ExtensionOffer::new("permessage-deflate").param("client_max_window_bits", Some("12")))?;
/// let agreed = deflate.agreed().expect("it is agreed upon");
/// assert_eq!((agreed.client_max_window_bits, agreed.server_max_window_bits), (12, 15));
/// assert!(!agreed.client_no_context_takeover);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub struct DeflateParams {
    /// The server compresses each message by itself.
    pub server_no_context_takeover: bool,
    /// The client compresses each message by itself.
    pub client_no_context_takeover: bool,
    /// The size of the server's window, as a power of two: 8 to 15.
    pub server_max_window_bits: u8,
    /// The size of the client's window, as a power of two: 8 to 15.
    pub client_max_window_bits: u8,
}

impl Default for DeflateParams {
    /// Windows of 32 KiB that are kept: what holds where nothing is said.
    fn default() -> Self {
        Self {
            server_no_context_takeover: false,
            client_no_context_takeover: false,
            server_max_window_bits: 15,
            client_max_window_bits: 15,
        }
    }
}

impl DeflateParams {
    /// Whether an end keeps its window from one message to the next.
    pub(super) const fn takeover(&self, role: Role) -> bool {
        match role {
            Role::Client => !self.client_no_context_takeover,
            Role::Server => !self.server_no_context_takeover,
        }
    }

    /// The window of an end.
    pub(super) const fn window_bits(&self, role: Role) -> u8 {
        match role {
            Role::Client => self.client_max_window_bits,
            Role::Server => self.server_max_window_bits,
        }
    }
}

/// The parameters as one side has said them.
#[derive(Debug, Default)]
struct Said {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: Option<Window>,
}

/// A window, with or without its size.
#[derive(Clone, Copy, Debug)]
enum Window {
    Any,
    Bits(u8),
}

impl Said {
    /// Reads the parameters: each known, in place, and there only once.
    fn parse(extension: &ExtensionOffer) -> Result<Self, &'static str> {
        let mut said = Self::default();
        for (index, (name, value)) in extension.params.iter().enumerate() {
            if extension.params[..index].iter().any(|(other, _)| other == name) {
                return Err("a parameter occurs twice");
            }
            match (name.as_str(), value.as_deref()) {
                (SERVER_TAKEOVER, None) => said.server_no_context_takeover = true,
                (CLIENT_TAKEOVER, None) => said.client_no_context_takeover = true,
                (SERVER_WINDOW, Some(bits)) => said.server_max_window_bits = Some(window_bits(bits)?),
                (CLIENT_WINDOW, Some(bits)) => said.client_max_window_bits = Some(Window::Bits(window_bits(bits)?)),
                (CLIENT_WINDOW, None) => said.client_max_window_bits = Some(Window::Any),
                (SERVER_WINDOW, None) => return Err("window bits lack a value"),
                (SERVER_TAKEOVER | CLIENT_TAKEOVER, Some(_)) => return Err("a parameter has a value that takes none"),
                _ => return Err("a parameter is unknown"),
            }
        }
        Ok(said)
    }
}

/// 8 to 15, without a leading zero (RFC 7692, section 7.1.2).
fn window_bits(value: &str) -> Result<u8, &'static str> {
    let bits = value.parse().ok().filter(|bits| (8..=15).contains(bits));
    match bits {
        Some(bits) if value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0') => Ok(bits),
        _ => Err("window bits are not a number from 8 to 15"),
    }
}

/// Client: the parameters to offer.
pub(super) fn offer(options: &DeflateOptions) -> String {
    let mut offer = List::default();
    offer.flag(SERVER_TAKEOVER, options.server_no_context_takeover);
    offer.flag(CLIENT_TAKEOVER, options.client_no_context_takeover);
    offer.bits(SERVER_WINDOW, options.server_max_window_bits);
    match options.client_max_window_bits {
        ClientWindow::Silent => {}
        ClientWindow::Open => offer.flag(CLIENT_WINDOW, true),
        ClientWindow::Limited(bits) => offer.bits(CLIENT_WINDOW, Some(bits)),
    }
    offer.0
}

/// Client: what the server's answer to our offer makes.
pub(super) fn finalize(options: &DeflateOptions, answer: &ExtensionOffer) -> Result<DeflateParams, HandshakeError> {
    judge(options, answer).map_err(|problem| HandshakeError::ExtensionParameters { name: NAME.to_owned(), problem })
}

fn judge(options: &DeflateOptions, answer: &ExtensionOffer) -> Result<DeflateParams, &'static str> {
    let said = Said::parse(answer)?;
    if options.server_no_context_takeover && !said.server_no_context_takeover {
        return Err("server_no_context_takeover was demanded");
    }
    if let Some(limit) = options.server_max_window_bits
        && said.server_max_window_bits.is_none_or(|bits| bits > limit)
    {
        return Err("server_max_window_bits was demanded");
    }
    let client_max_window_bits = match (options.client_max_window_bits, said.client_max_window_bits) {
        (_, None) => options.client_limit(),
        (ClientWindow::Silent, Some(_)) => return Err("client_max_window_bits was not offered"),
        (_, Some(Window::Any)) => return Err("window bits lack a value"),
        (_, Some(Window::Bits(bits))) if bits > options.client_limit() => {
            return Err("client_max_window_bits is larger than offered");
        }
        (_, Some(Window::Bits(bits))) => bits,
    };
    Ok(DeflateParams {
        server_no_context_takeover: said.server_no_context_takeover,
        client_no_context_takeover: said.client_no_context_takeover || options.client_no_context_takeover,
        server_max_window_bits: said.server_max_window_bits.unwrap_or(15),
        client_max_window_bits,
    })
}

/// Server: what we make of a client's offer, and the parameters to answer; `None` to decline it.
pub(super) fn accept(options: &DeflateOptions, offer: &ExtensionOffer) -> Option<(DeflateParams, String)> {
    let said = Said::parse(offer).ok()?;
    let server_limit = options.server_max_window_bits.unwrap_or(15);
    let client_limit = options.client_limit();
    // Only a client that has mentioned its window can be told to limit it (section 7.1.2.2). What is received is
    // inflated with the largest window, so nothing is lost where it has not.
    let told = match said.client_max_window_bits {
        Some(_) if client_limit < 15 => Some(client_limit),
        _ => None,
    };
    let offered = match said.client_max_window_bits {
        Some(Window::Bits(bits)) => bits,
        Some(Window::Any) | None => 15,
    };
    let params = DeflateParams {
        server_no_context_takeover: said.server_no_context_takeover || options.server_no_context_takeover,
        client_no_context_takeover: said.client_no_context_takeover || options.client_no_context_takeover,
        server_max_window_bits: said.server_max_window_bits.unwrap_or(15).min(server_limit),
        client_max_window_bits: offered.min(told.unwrap_or(15)),
    };
    let mut answer = List::default();
    answer.flag(SERVER_TAKEOVER, params.server_no_context_takeover);
    answer.flag(CLIENT_TAKEOVER, params.client_no_context_takeover);
    if said.server_max_window_bits.is_some() || server_limit < 15 {
        answer.bits(SERVER_WINDOW, Some(params.server_max_window_bits));
    }
    answer.bits(CLIENT_WINDOW, told.map(|_| params.client_max_window_bits));
    Some((params, answer.0))
}

/// Parameters as they stand in the header.
#[derive(Default)]
struct List(String);

impl List {
    fn push(&mut self, parameter: &str) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(parameter);
    }

    fn flag(&mut self, name: &str, set: bool) {
        if set {
            self.push(name);
        }
    }

    fn bits(&mut self, name: &str, bits: Option<u8>) {
        if let Some(bits) = bits {
            self.push(&format!("{name}={bits}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: DeflateOptions = DeflateOptions::new();

    fn read(value: &str) -> ExtensionOffer {
        ExtensionOffer::parse_list(value).unwrap().remove(0)
    }

    /// Windows that are not kept, as `s` and `c`, and the bits of both.
    type Short = (&'static str, u8, u8);

    /// What agreed parameters come to.
    fn short(params: DeflateParams) -> Short {
        let takeover = match (params.server_no_context_takeover, params.client_no_context_takeover) {
            (false, false) => "",
            (true, false) => "s",
            (false, true) => "c",
            (true, true) => "sc",
        };
        (takeover, params.server_max_window_bits, params.client_max_window_bits)
    }

    #[test]
    fn an_offer_says_what_was_asked_for() {
        let cases = [
            (PLAIN, "client_max_window_bits"),
            (PLAIN.without_client_max_window_bits(), ""),
            (PLAIN.client_max_window_bits(9), "client_max_window_bits=9"),
            (
                PLAIN.server_no_context_takeover().client_no_context_takeover().server_max_window_bits(10),
                "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits",
            ),
        ];
        for (options, expected) in cases {
            assert_eq!(offer(&options), expected);
        }
    }

    #[test]
    fn a_client_judges_the_answer_by_the_table_of_rfc_7692() {
        let silent = PLAIN.without_client_max_window_bits();
        let cases: &[(DeflateOptions, &str, Option<Short>)] = &[
            (PLAIN, "", Some(("", 15, 15))),
            (PLAIN, "; server_no_context_takeover", Some(("s", 15, 15))),
            (PLAIN.server_no_context_takeover(), "; server_no_context_takeover", Some(("s", 15, 15))),
            (PLAIN.server_no_context_takeover(), "", None),
            (PLAIN, "; client_no_context_takeover", Some(("c", 15, 15))),
            (PLAIN.client_no_context_takeover(), "", Some(("c", 15, 15))),
            (PLAIN, "; server_max_window_bits=8", Some(("", 8, 15))),
            (PLAIN, "; server_max_window_bits=\"15\"", Some(("", 15, 15))),
            (PLAIN.server_max_window_bits(10), "; server_max_window_bits=10", Some(("", 10, 15))),
            (PLAIN.server_max_window_bits(10), "; server_max_window_bits=9", Some(("", 9, 15))),
            (PLAIN.server_max_window_bits(10), "; server_max_window_bits=11", None),
            (PLAIN.server_max_window_bits(10), "", None),
            (silent, "", Some(("", 15, 15))),
            (silent, "; client_max_window_bits=15", None),
            (PLAIN, "; client_max_window_bits=9", Some(("", 15, 9))),
            (PLAIN, "; client_max_window_bits=8", Some(("", 15, 8))),
            (PLAIN.client_max_window_bits(12), "", Some(("", 15, 12))),
            (PLAIN.client_max_window_bits(12), "; client_max_window_bits=11", Some(("", 15, 11))),
            (PLAIN.client_max_window_bits(12), "; client_max_window_bits=12", Some(("", 15, 12))),
            (PLAIN.client_max_window_bits(12), "; client_max_window_bits=13", None),
            (PLAIN, "; client_max_window_bits", None),
        ];
        for (options, answer, expected) in cases {
            let judged = finalize(options, &read(&format!("permessage-deflate{answer}")));
            assert_eq!(judged.ok().map(short), *expected, "{answer}");
        }
    }

    const WRONG: [&str; 14] = [
        "foo",
        "foo=1",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=+9",
        "client_max_window_bits=0x9",
        "client_max_window_bits=270",
        "client_max_window_bits=9; client_max_window_bits=9",
        "server_no_context_takeover; server_no_context_takeover",
        "Server_no_context_takeover",
    ];

    #[test]
    fn what_is_unknown_repeated_or_ill_valued_is_refused_by_clients_and_declined_by_servers() {
        for wrong in WRONG {
            let extension = read(&format!("permessage-deflate; {wrong}"));
            assert!(finalize(&PLAIN, &extension).is_err(), "{wrong}");
            assert!(accept(&PLAIN, &extension).is_none(), "{wrong}");
        }
    }

    #[test]
    fn a_server_answers_an_offer_as_the_rfc_allows() {
        let all = "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; \
                   client_max_window_bits=11";
        let strict = PLAIN
            .server_no_context_takeover()
            .client_no_context_takeover()
            .server_max_window_bits(10)
            .client_max_window_bits(9);
        let cases: &[(DeflateOptions, &str, &str, Short)] = &[
            (PLAIN, "", "", ("", 15, 15)),
            (PLAIN, "; client_max_window_bits", "", ("", 15, 15)),
            (PLAIN, "; client_max_window_bits=\"9\"", "", ("", 15, 9)),
            (PLAIN, "; server_max_window_bits=15", "server_max_window_bits=15", ("", 15, 15)),
            (PLAIN, "; server_max_window_bits=8", "server_max_window_bits=8", ("", 8, 15)),
            (
                PLAIN,
                all,
                "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
                ("sc", 12, 11),
            ),
            (
                strict,
                "",
                "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10",
                ("sc", 10, 15),
            ),
            (
                strict,
                all,
                "server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; \
                 client_max_window_bits=9",
                ("sc", 10, 9),
            ),
            (
                PLAIN.client_max_window_bits(12),
                "; client_max_window_bits=10",
                "client_max_window_bits=10",
                ("", 15, 10),
            ),
        ];
        for (options, offered, expected, agreed) in cases {
            let (params, answer) = accept(options, &read(&format!("permessage-deflate{offered}"))).unwrap();
            assert_eq!((answer.as_str(), short(params)), (*expected, *agreed), "{offered}");
        }
    }

    #[test]
    fn every_answer_of_our_server_is_one_that_our_client_takes() {
        for server in [PLAIN, PLAIN.server_no_context_takeover().server_max_window_bits(9).client_max_window_bits(9)] {
            for client in [
                PLAIN,
                PLAIN.without_client_max_window_bits(),
                PLAIN.client_max_window_bits(10).client_no_context_takeover(),
                PLAIN.server_max_window_bits(12).server_no_context_takeover(),
            ] {
                let ours = ExtensionOffer::parse_list(
                    format!("permessage-deflate; {}", offer(&client)).trim_end_matches("; "),
                );
                let (params, answer) = accept(&server, &ours.unwrap()[0]).unwrap();
                let theirs = read(format!("permessage-deflate; {answer}").trim_end_matches("; "));
                assert_eq!(finalize(&client, &theirs), Ok(params), "{answer}");
            }
        }
    }
}
