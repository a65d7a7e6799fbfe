//! Extensions: what is said of them in the opening handshake, and what they do to frames. The ideas of wsproto's tests,
//! with an extension made up for them.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use websocket_sync::HandshakeError;
use websocket_sync::protocol::handshake::{
    ExtensionOffer, Headers, accept_extensions, accept_for, finalize_extensions, key_from, offer_extensions,
};
use websocket_sync::protocol::{
    AcceptConnection, BytesMessage, Connection, ConnectionBuilder, ConnectionState, DeflateOptions, Entropy, Event,
    Extension, FrameHeader, InboundExtension, Limits, LocalProtocolError, OutboundExtension, PerMessageDeflate, Ping,
    ProtocolError, ProtocolViolation, Request, Role, Room, Rsv, TextMessage,
};

/// What was said to an extension in the handshake.
type Heard = Arc<Mutex<Vec<String>>>;

/// An extension that claims RSV3, appends its mark to every message, and says what it is told to say.
#[derive(Debug)]
struct Fake {
    name: &'static str,
    offers: Option<&'static str>,
    accepts: Option<&'static str>,
    mark: &'static str,
    enabled: bool,
    heard: Heard,
}

impl Fake {
    fn new(name: &'static str) -> Self {
        Self { name, offers: Some(""), accepts: Some(""), mark: "", enabled: false, heard: Heard::default() }
    }

    fn offering(self, offers: Option<&'static str>) -> Self {
        Self { offers, ..self }
    }

    fn accepting(self, accepts: Option<&'static str>) -> Self {
        Self { accepts, ..self }
    }

    fn marking(self, mark: &'static str) -> Self {
        Self { mark, ..self }
    }

    fn enabled(self) -> Self {
        Self { enabled: true, ..self }
    }

    fn hear(&self, words: &ExtensionOffer) {
        self.heard.lock().unwrap().push(words.to_string());
    }
}

impl Extension for Fake {
    fn name(&self) -> &str {
        self.name
    }

    fn offer(&self) -> Option<String> {
        self.offers.map(str::to_owned)
    }

    fn accept(&mut self, offer: &ExtensionOffer) -> Option<String> {
        self.hear(offer);
        self.enabled = self.accepts.is_some();
        self.accepts.map(str::to_owned)
    }

    fn finalize(&mut self, agreed: &ExtensionOffer) -> Result<(), HandshakeError> {
        self.hear(agreed);
        if agreed.params.iter().any(|(name, _)| name == "impossible") {
            let name = self.name.to_owned();
            return Err(HandshakeError::ExtensionParameters { name, problem: "not possible" });
        }
        self.enabled = true;
        Ok(())
    }

    fn enabled(&self) -> bool {
        self.enabled
    }

    fn inbound(&mut self) -> Box<dyn InboundExtension> {
        Box::new(Hook { mark: self.mark })
    }

    fn outbound(&mut self) -> Box<dyn OutboundExtension> {
        Box::new(Hook { mark: self.mark })
    }
}

/// Both directions of [`Fake`], which claims nothing of a control frame. Received, `!` makes it fail in the payload and `?` at the end of the frame.
#[derive(Debug)]
struct Hook {
    mark: &'static str,
}

impl InboundExtension for Hook {
    fn reserved_bits(&self) -> Rsv {
        Rsv::RSV3
    }

    fn header(&mut self, header: &FrameHeader) -> Result<Rsv, ProtocolError> {
        let claimed = header.rsv.contains(Rsv::RSV3) && !header.opcode.is_control();
        Ok(if claimed { Rsv::RSV3 } else { Rsv::NONE })
    }

    fn payload(&mut self, piece: &[u8], decoded: &mut Vec<u8>, room: Room) -> Result<(), ProtocolError> {
        if piece.contains(&b'!') {
            return Err(ProtocolError::ExtensionPayload);
        }
        if piece.len() > room.left {
            return Err(room.error());
        }
        decoded.extend_from_slice(piece);
        Ok(())
    }

    fn complete(&mut self, header: &FrameHeader, decoded: &mut Vec<u8>, _: Room) -> Result<(), ProtocolError> {
        if decoded.contains(&b'?') {
            return Err(ProtocolError::ExtensionPayload);
        }
        if header.fin {
            decoded.extend_from_slice(self.mark.as_bytes());
        }
        Ok(())
    }
}

impl OutboundExtension for Hook {
    fn frame(&mut self, header: &mut FrameHeader, payload: &[u8], encoded: &mut Vec<u8>) {
        header.rsv = header.rsv | Rsv::RSV3;
        encoded.extend_from_slice(payload);
        if header.fin {
            encoded.extend_from_slice(self.mark.as_bytes());
        }
    }
}

fn entropy() -> Entropy {
    Box::new(|bytes| bytes.fill(7))
}

mod in_the_handshake {
    use super::*;

    /// The extensions that a client with this one offers, as they stand in its request.
    fn offered(extension: Fake) -> Option<String> {
        let mut client = ConnectionBuilder::new().extension(extension).client(entropy());
        let head = String::from_utf8(client.send(Request::new("h", "/")).unwrap()).unwrap();
        head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).map(str::to_owned)
    }

    fn answer(extensions: &str) -> String {
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n",
            accept_for(&key_from([7; 16]))
        )
    }

    /// What a server with these extensions answers to a request that offers others.
    fn accepted(builder: ConnectionBuilder, offers: &str) -> Result<Option<String>, LocalProtocolError> {
        let mut server = builder.server();
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Extensions: {offers}\r\n\r\n",
            key_from([7; 16])
        );
        server.receive_data(Some(request.as_bytes())).unwrap();
        let head = String::from_utf8(server.send(AcceptConnection::default())?).unwrap();
        Ok(head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: ")).map(str::to_owned))
    }

    /// The fields of a request that was read elsewhere, with these offers.
    fn request_fields(offers: &str) -> Headers {
        Headers::from([
            ("Host", "h"),
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", &*key_from([7; 16])),
            ("Sec-WebSocket-Extensions", offers),
        ])
    }

    #[test]
    fn a_client_offers_a_name_with_or_without_parameters_or_nothing() {
        assert_eq!(offered(Fake::new("fake")).as_deref(), Some("fake"));
        assert_eq!(offered(Fake::new("fake").offering(None)), None);
        let parameters = "parameter1=value1; parameter2=value2";
        let line = offered(Fake::new("fake").offering(Some(parameters)));
        assert_eq!(line.as_deref(), Some("fake; parameter1=value1; parameter2=value2"));
    }

    #[test]
    fn offers_of_the_request_come_behind_those_of_the_connection() {
        let builder = ConnectionBuilder::new().extension(Fake::new("one")).extension(Fake::new("two"));
        let mut client = builder.client(entropy());
        let request = Request { extensions: vec![ExtensionOffer::new("three")], ..Request::new("h", "/") };
        let head = String::from_utf8(client.send(request).unwrap()).unwrap();
        assert!(head.contains("Sec-WebSocket-Extensions: one, two, three\r\n"), "{head}");
    }

    #[test]
    fn an_offer_that_cannot_be_sent_is_refused() {
        let extension = Fake::new("fake").offering(Some("a=b\r\nX: y"));
        let mut client = ConnectionBuilder::new().extension(extension).client(entropy());
        let refused = client.send(Request::new("h", "/"));
        assert_eq!(refused, Err(LocalProtocolError::IllegalCharacter("extensions")));
    }

    #[test]
    fn a_client_hears_what_was_agreed_to() {
        let extension = Fake::new("fake");
        let heard = Arc::clone(&extension.heard);
        let mut client = ConnectionBuilder::new().extension(extension).client(entropy());
        client.send(Request::new("h", "/")).unwrap();
        client.receive_data(Some(answer("fake; level=2").as_bytes())).unwrap();
        let extensions = vec![ExtensionOffer::new("fake").param("level", Some("2"))];
        let accept = AcceptConnection { extensions, ..AcceptConnection::default() };
        assert_eq!(client.next_event(), Some(accept.into()));
        assert_eq!(*heard.lock().unwrap(), ["fake; level=2"]);
        assert_eq!(client.send(TextMessage::new("")).unwrap()[0], 0x91, "it works from now on");
    }

    #[test]
    fn a_client_refuses_what_it_did_not_offer_or_cannot_do() {
        let cases = [
            ("bad, fake", HandshakeError::UnofferedExtension("bad".into())),
            ("fake; impossible", HandshakeError::ExtensionParameters { name: "fake".into(), problem: "not possible" }),
        ];
        for (agreed, expected) in cases {
            let mut client = ConnectionBuilder::new().extension(Fake::new("fake")).client(entropy());
            client.send(Request::new("h", "/")).unwrap();
            let error = client.receive_data(Some(answer(agreed).as_bytes())).unwrap_err();
            assert_eq!(error.error, expected);
            assert_eq!(client.state(), ConnectionState::Closed);
        }
    }

    #[test]
    fn a_server_agrees_to_what_it_knows() {
        let builder = || ConnectionBuilder::new().extension(Fake::new("fake"));
        assert_eq!(accepted(builder(), "pretend, fake"), Ok(Some("fake".into())));
        assert_eq!(accepted(builder(), "pretend"), Ok(None));
        let declining = ConnectionBuilder::new().extension(Fake::new("fake").accepting(None));
        assert_eq!(accepted(declining, "fake"), Ok(None));
        for wrong in ["a b", "a, other"] {
            let wrong = ConnectionBuilder::new().extension(Fake::new("fake").accepting(Some(wrong)));
            assert_eq!(accepted(wrong, "fake, other"), Err(LocalProtocolError::IllegalCharacter("extensions")));
        }
    }

    #[test]
    fn a_server_hears_the_offer_and_answers_with_parameters_of_its_own() {
        let extension = Fake::new("fake").accepting(Some("parameter1=value5; bare"));
        let heard = Arc::clone(&extension.heard);
        let answer = accepted(ConnectionBuilder::new().extension(extension), "fake; a=\"3\"; b");
        assert_eq!(answer, Ok(Some("fake; parameter1=value5; bare".into())));
        assert_eq!(*heard.lock().unwrap(), ["fake; a=3; b"]);
    }

    #[test]
    fn only_the_first_offer_that_fits_is_taken() {
        let extension = Fake::new("fake");
        let heard = Arc::clone(&extension.heard);
        let answer = accepted(ConnectionBuilder::new().extension(extension), "fake; a, fake; b, fake; c");
        assert_eq!(answer, Ok(Some("fake".into())));
        assert_eq!(*heard.lock().unwrap(), ["fake; a"]);
    }

    #[test]
    fn an_answer_that_cannot_be_given_does_not_touch_the_extensions() {
        let extension = Fake::new("fake");
        let heard = Arc::clone(&extension.heard);
        let headers = request_fields("fake");
        let mut server = ConnectionBuilder::new().extension(extension).upgrade(headers, "/").unwrap();
        let unoffered = AcceptConnection { subprotocol: Some("chat".into()), ..AcceptConnection::default() };
        assert_eq!(server.send(unoffered), Err(LocalProtocolError::UnofferedSubprotocol));
        assert!(heard.lock().unwrap().is_empty());
        let head = String::from_utf8(server.send(AcceptConnection::default()).unwrap()).unwrap();
        assert!(head.contains("Sec-WebSocket-Extensions: fake\r\n"), "{head}");
    }

    #[test]
    fn after_an_answer_that_cannot_be_sent_no_extension_works_that_was_not_agreed_upon() {
        let headers = request_fields("one, two, three, four");
        let builder = ConnectionBuilder::new()
            .extension(Fake::new("one").marking("1"))
            .extension(Fake::new("two").accepting(Some("a=\r\n")))
            .extension(Fake::new("three").marking("3"))
            .extension(Fake::new("four").marking("4").enabled());
        let mut server = builder.upgrade(headers, "/").unwrap();
        let accept = AcceptConnection { extensions: vec![ExtensionOffer::new("four")], ..AcceptConnection::default() };
        assert_eq!(server.send(accept.clone()), Err(LocalProtocolError::IllegalCharacter("extensions")));
        let head = String::from_utf8(server.send(accept).unwrap()).unwrap();
        assert!(head.contains("Sec-WebSocket-Extensions: three, four\r\n"), "{head}");
        assert_eq!(server.send(TextMessage::new("x")).unwrap(), b"\x91\x03x34");
    }

    /// A server that offers this was made to a request for it, and what the server says to it.
    fn consented(builder: ConnectionBuilder, offers: &str, named: &[&str]) -> Result<Vec<u8>, LocalProtocolError> {
        let headers = Headers::from([
            ("Host", "h".to_owned()),
            ("Connection", "Upgrade".to_owned()),
            ("Upgrade", "websocket".to_owned()),
            ("Sec-WebSocket-Version", "13".to_owned()),
            ("Sec-WebSocket-Key", key_from([7; 16])),
            ("Sec-WebSocket-Extensions", offers.to_owned()),
        ]);
        let extensions = named.iter().map(|name| ExtensionOffer::new(*name)).collect();
        let accept = AcceptConnection { extensions, ..AcceptConnection::default() };
        builder.upgrade(headers, "/").unwrap().send(accept)
    }

    #[test]
    fn a_server_agrees_to_an_extension_once() {
        let offers = "fake; a, fake; b, other";
        let twice = consented(ConnectionBuilder::new(), offers, &["fake", "other", "fake"]);
        assert_eq!(twice, Err(LocalProtocolError::RepeatedExtension), "both named by the caller");

        let extension = Fake::new("fake");
        let heard = Arc::clone(&extension.heard);
        let twice = consented(ConnectionBuilder::new().extension(extension), offers, &["fake"]);
        assert_eq!(twice, Err(LocalProtocolError::RepeatedExtension), "one by the caller, one by the connection");
        assert!(heard.lock().unwrap().is_empty(), "nothing was taken note of");

        let enabled = ConnectionBuilder::new().extension(Fake::new("fake").enabled());
        let head = String::from_utf8(consented(enabled, offers, &["fake"]).unwrap()).unwrap();
        assert!(head.contains("Sec-WebSocket-Extensions: fake\r\n"), "{head}");

        let builder = || ConnectionBuilder::new().extension(Fake::new("fake")).extension(Fake::new("fake"));
        assert_eq!(accepted(builder(), offers), Ok(Some("fake".into())), "two extensions of one name");
        assert!(consented(builder(), offers, &["other"]).is_ok());
    }

    #[test]
    fn the_handshake_may_take_place_elsewhere() {
        let mut ours: Vec<Box<dyn Extension>> = vec![Box::new(Fake::new("one")), Box::new(Fake::new("two"))];
        let mut theirs: Vec<Box<dyn Extension>> = vec![Box::new(Fake::new("two").accepting(Some("x")))];
        let offers = ExtensionOffer::parse_list(offer_extensions(&ours).unwrap()).unwrap();
        let agreed = accept_extensions(&offers, &mut theirs).unwrap();
        assert_eq!(agreed, [ExtensionOffer::new("two").param("x", None)]);
        let strange = ExtensionOffer::new("three");
        finalize_extensions(&[vec![strange], agreed].concat(), &mut ours).unwrap();
        let enabled: Vec<bool> = ours.iter().map(|extension| extension.enabled()).collect();
        assert_eq!(enabled, [false, true]);
    }
}

mod on_frames {
    use super::*;

    fn client(extensions: impl IntoIterator<Item = Fake>) -> Connection {
        let builder = ConnectionBuilder::new();
        extensions.into_iter().fold(builder, ConnectionBuilder::extension).open(Role::Client, entropy())
    }

    fn server(extensions: impl IntoIterator<Item = Fake>) -> Connection {
        let builder = ConnectionBuilder::new();
        extensions.into_iter().fold(builder, ConnectionBuilder::extension).open(Role::Server, entropy())
    }

    fn received(connection: &mut Connection, bytes: &[u8]) -> Vec<Event> {
        connection.receive_data(Some(bytes)).unwrap();
        connection.events().collect()
    }

    fn violation(error: ProtocolError) -> Event {
        Event::ProtocolViolation(ProtocolViolation { error })
    }

    #[test]
    fn an_extension_that_is_not_enabled_does_nothing() {
        let mut server = server([Fake::new("fake").marking("®")]);
        assert_eq!(server.send(TextMessage::new("x")), Ok(b"\x81\x01x".to_vec()));
        let mut client = client([Fake::new("fake")]);
        assert_eq!(received(&mut client, b"\x91\x00"), [violation(ProtocolError::ReservedBits)]);
    }

    #[test]
    fn compression_that_was_negotiated_for_the_other_role_does_nothing() {
        let deflate = || {
            let mut deflate = PerMessageDeflate::new(DeflateOptions::new().threshold(0)).unwrap();
            deflate.accept(&ExtensionOffer::new("permessage-deflate")).unwrap();
            deflate
        };
        let opened = |role| ConnectionBuilder::new().extension(deflate()).open(role, entropy());
        assert_eq!(opened(Role::Server).send(TextMessage::new("x")).unwrap()[0], 0xC1);
        assert_eq!(opened(Role::Client).send(TextMessage::new("x")).unwrap()[0], 0x81);
    }

    #[test]
    fn reserved_bits_belong_to_the_extension_that_claims_them() {
        let enabled = || client([Fake::new("fake").enabled()]);
        assert_eq!(received(&mut enabled(), b"\x91\x00\x81\x00").len(), 2);
        assert_eq!(received(&mut enabled(), b"\xa1\x00"), [violation(ProtocolError::ReservedBits)]);
        assert_eq!(received(&mut enabled(), b"\x99\x00"), [violation(ProtocolError::ReservedBits)]);
    }

    #[test]
    fn payload_passes_through_and_the_end_of_a_message_is_marked() {
        let mut client = client([Fake::new("fake").marking("™").enabled()]);
        let events = received(&mut client, b"\x11\x01a\x89\x01p\x80\x01b");
        let expected =
            [TextMessage::new("a").unfinished().into(), Ping::new("p").into(), Event::from(TextMessage::new("b™"))];
        assert_eq!(events, expected);
    }

    #[test]
    fn what_an_extension_cannot_make_sense_of_is_a_violation() {
        for payload in ["!", "?"] {
            let mut client = client([Fake::new("fake").enabled()]);
            let bytes = [b"\x91\x01", payload.as_bytes()].concat();
            assert_eq!(received(&mut client, &bytes), [violation(ProtocolError::ExtensionPayload)]);
        }
    }

    #[test]
    fn the_limit_on_messages_holds_behind_an_extension() {
        let mut limits = Limits::default();
        limits.max_message_size = 4;
        let builder = ConnectionBuilder::new().limits(limits).extension(Fake::new("fake").marking("more").enabled());
        let mut client = builder.open(Role::Client, entropy());
        assert_eq!(received(&mut client, b"\x91\x01a"), [violation(ProtocolError::MessageTooBig { limit: 4 })]);
        let builder = ConnectionBuilder::new().limits(limits).extension(Fake::new("fake").enabled());
        let mut client = builder.open(Role::Client, entropy());
        let expected = [
            Event::from(TextMessage::new("abc").unfinished()),
            Event::from(TextMessage::new("d")),
            Event::from(TextMessage::new("efg").unfinished()),
        ];
        assert_eq!(received(&mut client, b"\x11\x03abc\x80\x01d\x11\x03efg"), expected);
        let events = received(&mut client, b"\x80\x02hi");
        assert_eq!(events.last(), Some(&violation(ProtocolError::MessageTooBig { limit: 4 })), "of both fragments");
    }

    #[test]
    fn sent_frames_pass_the_extensions_in_order_and_received_ones_backwards() {
        let both = || [Fake::new("one").marking("1").enabled(), Fake::new("two").marking("2").enabled()];
        let mut server = server(both());
        assert_eq!(server.send(BytesMessage::new("a").unfinished()), Ok(b"\x12\x01a".to_vec()));
        assert_eq!(server.send(Ping::new("p")), Ok(b"\x89\x01p".to_vec()), "control frames are left alone");
        assert_eq!(server.send(BytesMessage::new("b")), Ok(b"\x90\x03b12".to_vec()));
        let events = received(&mut client(both()), b"\x92\x01x");
        assert_eq!(events, [Event::from(BytesMessage::new("x21"))]);
    }

    /// An end where permessage-deflate works beside a [`Fake`].
    fn mixed(role: Role, limits: Limits) -> Connection {
        mixed_with(DeflateOptions::new().threshold(0), role, limits)
    }

    fn mixed_with(options: DeflateOptions, role: Role, limits: Limits) -> Connection {
        let mut deflate = PerMessageDeflate::new(options).unwrap();
        let offer = ExtensionOffer::new("permessage-deflate");
        match role {
            Role::Client => deflate.finalize(&offer).unwrap(),
            Role::Server => drop(deflate.accept(&offer).unwrap()),
        }
        let builder = ConnectionBuilder::new().limits(limits).extension(Fake::new("fake").enabled());
        builder.extension(deflate).open(role, entropy())
    }

    #[test]
    fn permessage_deflate_works_beside_another_extension_however_bytes_are_cut() {
        let mut server = mixed(Role::Server, Limits::default());
        let text = "the same words, the same words, \u{20ac}\u{20ac}\u{20ac}";
        let mut bytes = server.send(TextMessage::new(text)).unwrap();
        assert_eq!(bytes[0], 0xD1, "both have marked it");
        bytes.extend(server.send(TextMessage::new(&text[..20]).unfinished()).unwrap());
        bytes.extend(server.send(Ping::new("p")).unwrap());
        bytes.extend(server.send(TextMessage::new(&text[20..])).unwrap());
        bytes.extend(server.send(BytesMessage::new([7; 1000])).unwrap());
        assert!(bytes.len() < 200, "they are compressed");
        for size in [1, 2, 3, 7, bytes.len()] {
            let mut client = mixed(Role::Client, Limits::default());
            let (mut texts, mut data, mut pings) = (String::new(), Vec::new(), 0);
            for chunk in bytes.chunks(size) {
                for event in received(&mut client, chunk) {
                    match event {
                        Event::TextMessage(text) => texts.push_str(&text.data),
                        Event::BytesMessage(bytes) => data.extend(bytes.data),
                        Event::Ping(_) => pings += 1,
                        other => panic!("{other:?}"),
                    }
                }
            }
            assert_eq!((texts, data, pings), ([text, text].concat(), vec![7; 1000], 1), "{size} at a time");
        }
        assert!(mixed(Role::Client, Limits::default()).into_halves().is_none(), "the halves know no others");
    }

    #[test]
    fn beside_another_extension_messages_may_go_uncompressed() {
        let mut limits = Limits::default();
        limits.max_message_size = 5;
        let mut client = mixed(Role::Client, limits);
        assert_eq!(received(&mut client, b"\x91\x02ab\x81\x05cdefg").len(), 2);
        let events = received(&mut client, b"\x92\x06abcdef");
        assert_eq!(events.last(), Some(&violation(ProtocolError::MessageTooBig { limit: 5 })));
        let mut server = mixed_with(DeflateOptions::new().threshold(100), Role::Server, limits);
        assert_eq!(server.send(TextMessage::new("short")), Ok(b"\x91\x05short".to_vec()));
        assert_eq!(server.send(TextMessage::new("a".repeat(100))).unwrap()[0], 0xD1);
    }

    #[test]
    fn beside_another_extension_the_mark_of_compression_has_one_place() {
        for bytes in [b"\x51\x00\xd0\x00", b"\x11\x00\xc0\x00", b"\xc9\x00\x81\x00"] {
            let events = received(&mut mixed(Role::Client, Limits::default()), bytes);
            assert_eq!(events.last(), Some(&violation(ProtocolError::ReservedBits)), "{bytes:02x?}");
        }
    }

    #[test]
    fn beside_another_extension_the_rule_that_is_told_does_not_depend_on_the_cut_either() {
        let mut limits = Limits::default();
        limits.max_message_size = 5;
        // FF in a stored block, then a stored block of which some is too much.
        let bytes = b"\xd1\x0f\x00\x09\x00\xf6\xff\xffaaaaaaaa\x00";
        for size in [1, 9, bytes.len()] {
            let mut client = mixed(Role::Client, limits);
            let events: Vec<Event> = bytes.chunks(size).flat_map(|chunk| received(&mut client, chunk)).collect();
            assert_eq!(events, [violation(ProtocolError::TextNotUtf8)], "{size} at a time");
        }
    }
}
