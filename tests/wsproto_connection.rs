//! The life of an open connection as events: the ideas of wsproto's tests of its `Connection`, and what wsproto got
//! wrong.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use websocket_sync::protocol::{
    BytesMessage, CloseCode, CloseConnection, Connection, ConnectionState, Entropy, Event, Halves, LocalProtocolError,
    Opcode, Ping, Pong, ProtocolError, ProtocolViolation, Request, Role, Step, TextMessage,
};

fn entropy() -> Entropy {
    Box::new(|bytes| bytes.fill(0x5a))
}

fn open(role: Role) -> Connection {
    Connection::open(role, entropy())
}

/// The two ends of a connection, the one that begins first: the client sends to the server, and the other way round.
fn pairs() -> [(Connection, Connection); 2] {
    [(open(Role::Client), open(Role::Server)), (open(Role::Server), open(Role::Client))]
}

/// What the remote end makes of an event.
fn deliver(local: &mut Connection, remote: &mut Connection, event: impl Into<Event>) -> Vec<Event> {
    remote.receive_data(Some(&local.send(event).unwrap())).unwrap();
    remote.events().collect()
}

fn receive(connection: &mut Connection, bytes: &[u8]) -> Vec<Event> {
    connection.receive_data(Some(bytes)).unwrap();
    connection.events().collect()
}

fn only(events: Vec<Event>) -> Event {
    assert_eq!(events.len(), 1, "{events:?}");
    events.into_iter().next().unwrap()
}

fn violation(error: ProtocolError) -> Event {
    Event::ProtocolViolation(ProtocolViolation { error })
}

#[test]
fn a_message_arrives_as_it_was_sent() {
    for (mut local, mut remote) in pairs() {
        for event in [BytesMessage::new([b'x'; 23]), BytesMessage::new([b'x'; 23]).unfinished(), BytesMessage::new([])]
        {
            assert_eq!(deliver(&mut local, &mut remote, event.clone()), [Event::from(event)]);
        }
        for text in ["ƒñö®∂😎", ""] {
            let event = TextMessage::new(text);
            assert_eq!(deliver(&mut local, &mut remote, event.clone()), [Event::from(event)]);
        }
    }
}

#[test]
fn the_opcode_is_that_of_the_event_and_later_frames_continue_the_message() {
    let mut server = open(Role::Server);
    assert_eq!(server.send(BytesMessage::new("x")), Ok(b"\x82\x01x".to_vec()));
    assert_eq!(server.send(TextMessage::new("Hel").unfinished()), Ok(b"\x01\x03Hel".to_vec()));
    assert_eq!(server.send(Ping::new("?")), Ok(b"\x89\x01?".to_vec()));
    let other = server.send(BytesMessage::new("x"));
    assert_eq!(other, Err(LocalProtocolError::OutOfSequence(Opcode::Binary)));
    assert_eq!(server.send(TextMessage::new("lo")), Ok(b"\x80\x02lo".to_vec()));
    assert_eq!(server.send(BytesMessage::new("x")), Ok(b"\x82\x01x".to_vec()));
}

#[test]
fn bytes_can_be_appended_to_what_is_there() {
    let mut server = open(Role::Server);
    let mut out = b"before".to_vec();
    server.send_into(TextMessage::new("a"), &mut out).unwrap();
    assert_eq!(server.send_into(Ping::new([0; 126]), &mut out), Err(LocalProtocolError::ControlTooLong(126)));
    server.send_into(Pong::default(), &mut out).unwrap();
    assert_eq!(out, b"before\x81\x01a\x8a\x00");
}

#[test]
fn both_ends_agree_to_close() {
    for (code, reason) in [(CloseCode::NORMAL, "bye"), (CloseCode::GOING_AWAY, "👋👋"), (CloseCode(4321), "")] {
        for (mut local, mut remote) in pairs() {
            let close = CloseConnection::new(code, reason);
            let events = deliver(&mut local, &mut remote, close.clone());
            assert_eq!(events, [Event::from(close.clone())]);
            assert_eq!(remote.state(), ConnectionState::RemoteClosing);
            assert_eq!(local.state(), ConnectionState::LocalClosing);

            let events = deliver(&mut remote, &mut local, close.response());
            assert_eq!(events, [Event::from(close)]);
            assert_eq!(remote.state(), ConnectionState::Closed);
            assert_eq!(local.state(), ConnectionState::Closed);

            assert_eq!(receive(&mut local, b"foobar"), [], "what follows a Close belongs to nobody");
            assert_eq!(local.send(Pong::default()), Err(LocalProtocolError::AfterClose));
        }
    }
}

#[test]
fn a_close_without_a_body_is_answered_without_one() {
    let mut server = open(Role::Server);
    let Event::CloseConnection(close) = only(receive(&mut server, b"\x88\x80\0\0\0\0")) else {
        panic!("no close");
    };
    assert_eq!(close, CloseConnection::new(CloseCode::NO_STATUS_RECEIVED, ""));
    assert_eq!(server.send(close.response()), Ok(b"\x88\x00".to_vec()));
}

#[test]
fn the_state_changes_when_the_event_is_taken() {
    let mut client = open(Role::Client);
    client.receive_data(Some(b"\x81\x01a\x88\x00")).unwrap();
    assert_eq!(client.next_event(), Some(TextMessage::new("a").into()));
    assert_eq!(client.state(), ConnectionState::Open);
    assert!(client.next_event().is_some());
    assert_eq!(client.state(), ConnectionState::RemoteClosing);
}

#[test]
fn a_lost_connection_is_an_event_behind_all_that_came_before() {
    for (role, frame) in [(Role::Client, &b"\x81\x01a"[..]), (Role::Server, b"\x81\x81\0\0\0\0a")] {
        let mut connection = open(role);
        connection.receive_data(Some(frame)).unwrap();
        connection.receive_data(Some(&frame[..2])).unwrap();
        connection.receive_data(None).unwrap();
        let events: Vec<Event> = connection.events().collect();
        let lost = CloseConnection::new(CloseCode::ABNORMAL_CLOSURE, "");
        assert_eq!(events, [Event::from(TextMessage::new("a")), lost.into()]);
        assert_eq!(connection.state(), ConnectionState::Closed);
        connection.receive_data(None).unwrap();
        assert_eq!(connection.next_event(), None, "it is told once");
        assert_eq!(connection.send(Ping::default()), Err(LocalProtocolError::AfterClose));
        assert_eq!(connection.send(CloseConnection::new(CloseCode::NORMAL, "")), Err(LocalProtocolError::AfterClose));
    }
}

#[test]
fn the_end_after_a_close_is_not_abnormal() {
    let mut client = open(Role::Client);
    client.send(CloseConnection::new(CloseCode::NORMAL, "")).unwrap();
    client.receive_data(Some(b"\x88\x02\x03\xe8")).unwrap();
    client.receive_data(None).unwrap();
    assert_eq!(client.events().count(), 1);
    assert_eq!(client.state(), ConnectionState::Closed);

    let mut unanswered = open(Role::Client);
    unanswered.receive_data(Some(b"\x88\x02\x03\xe8")).unwrap();
    unanswered.receive_data(None).unwrap();
    assert_eq!(unanswered.events().count(), 1);
    assert_eq!(unanswered.state(), ConnectionState::Closed);

    let mut ours = open(Role::Client);
    ours.send(CloseConnection::new(CloseCode::NORMAL, "")).unwrap();
    ours.receive_data(None).unwrap();
    let lost = CloseConnection::new(CloseCode::ABNORMAL_CLOSURE, "");
    assert_eq!(ours.events().collect::<Vec<_>>(), [Event::from(lost)], "nobody answered our Close");
}

#[test]
fn nothing_but_a_pong_follows_a_close_of_ours() {
    for (mut local, mut remote) in pairs() {
        local.send(CloseConnection::new(CloseCode::NORMAL, "")).unwrap();
        let close_again = local.send(CloseConnection::new(CloseCode::NORMAL, ""));
        assert_eq!(close_again, Err(LocalProtocolError::AfterClose));
        assert_eq!(local.send(TextMessage::new("")), Err(LocalProtocolError::AfterClose));
        assert_eq!(local.send(Ping::default()), Err(LocalProtocolError::AfterClose));

        let events = deliver(&mut remote, &mut local, TextMessage::new("still talking"));
        assert_eq!(events, [Event::from(TextMessage::new("still talking"))]);
        let Event::Ping(ping) = only(deliver(&mut remote, &mut local, Ping::new("?"))) else {
            panic!("no ping");
        };
        assert!(local.send(ping.response()).is_ok(), "the peer may go on and ask");
        assert_eq!(local.state(), ConnectionState::LocalClosing);
    }
}

#[test]
fn a_message_that_was_begun_may_be_finished_after_the_peers_close() {
    let mut server = open(Role::Server);
    server.send(TextMessage::new("Hel").unfinished()).unwrap();
    receive(&mut server, b"\x88\x80\0\0\0\0");
    assert!(server.send(Pong::default()).is_ok());
    assert_eq!(server.send(Ping::default()), Err(LocalProtocolError::AfterClose));
    assert_eq!(server.send(TextMessage::new("lo")), Ok(b"\x80\x02lo".to_vec()));
    assert_eq!(server.send(TextMessage::new("another")), Err(LocalProtocolError::AfterClose));
    assert_eq!(server.send(CloseConnection::new(CloseCode::NORMAL, "")), Ok(b"\x88\x02\x03\xe8".to_vec()));
    assert_eq!(server.state(), ConnectionState::Closed);
}

#[test]
fn codes_that_must_not_be_on_the_wire_are_refused_and_not_rewritten() {
    let mut client = open(Role::Client);
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let refused = client.send(CloseConnection::new(CloseCode(code), "why"));
        assert_eq!(refused, Err(LocalProtocolError::CloseCode(CloseCode(code))));
    }
    let long = client.send(CloseConnection::new(CloseCode::NORMAL, "x".repeat(124)));
    assert_eq!(long, Err(LocalProtocolError::CloseReason(124)));
    assert_eq!(client.state(), ConnectionState::Open);
}

#[test]
fn a_ping_comes_back_as_a_pong_and_a_pong_may_come_unasked() {
    for (mut local, mut remote) in pairs() {
        let Event::Ping(ping) = only(deliver(&mut local, &mut remote, Ping::new([b'x'; 23]))) else {
            panic!("no ping");
        };
        let events = deliver(&mut remote, &mut local, ping.response());
        assert_eq!(events, [Event::from(Pong::new([b'x'; 23]))]);
        let events = deliver(&mut remote, &mut local, Pong::new("unasked"));
        assert_eq!(events, [Event::from(Pong::new("unasked"))]);
    }
}

#[test]
fn a_violation_is_told_apart_from_the_peers_close() {
    let mut client = open(Role::Client);
    let garbage = [&b"\x09\x17"[..], &[b'x'; 23]].concat();
    let Event::ProtocolViolation(violation) = only(receive(&mut client, &garbage)) else {
        panic!("no violation");
    };
    assert_eq!(violation.error, ProtocolError::FragmentedControl);
    assert_eq!(client.state(), ConnectionState::RemoteClosing, "the peer has had its last word");
    assert_eq!(client.send(TextMessage::new("x")), Err(LocalProtocolError::AfterClose));
    assert_eq!(receive(&mut client, b"\x81\x01a\x88\x00"), [], "nothing is read any more");
    assert_eq!(violation.response().code, CloseCode::PROTOCOL_ERROR);
    assert!(client.send(violation.response()).is_ok());
    assert_eq!(client.state(), ConnectionState::Closed);
}

#[test]
fn a_violation_after_our_close_ends_the_connection() {
    let mut client = open(Role::Client);
    client.send(CloseConnection::new(CloseCode::NORMAL, "")).unwrap();
    assert_eq!(receive(&mut client, b"\x83\x00"), [violation(ProtocolError::UnknownOpcode(3))]);
    assert_eq!(client.state(), ConnectionState::Closed);
    client.receive_data(None).unwrap();
    assert_eq!(client.next_event(), None);
}

#[test]
fn a_lost_connection_is_closed_once_its_last_event_was_taken_whatever_that_was() {
    let lasts: [(&[u8], Event); 2] = [
        (b"\x83\x00", violation(ProtocolError::UnknownOpcode(3))),
        (b"\x88\x02\x03\xe8", CloseConnection::new(CloseCode::NORMAL, "").into()),
    ];
    for (bytes, last) in lasts {
        let mut client = open(Role::Client);
        client.receive_data(Some(bytes)).unwrap();
        client.receive_data(None).unwrap();
        assert_eq!(client.next_event(), Some(last.clone()));
        assert_eq!(client.state(), ConnectionState::RemoteClosing);
        let answer = client.send(CloseConnection::new(CloseCode::NORMAL, ""));
        assert!(answer.is_ok(), "an end of what is received need not be one of what is sent: {answer:?}");

        let mut client = open(Role::Client);
        client.receive_data(Some(bytes)).unwrap();
        client.receive_data(None).unwrap();
        assert_eq!(client.events().collect::<Vec<_>>(), [last]);
        assert_eq!(client.state(), ConnectionState::Closed);
        assert_eq!(client.next_event(), None);
    }
}

#[test]
fn messages_before_a_violation_are_delivered() {
    let mut client = open(Role::Client);
    let events = receive(&mut client, b"\x81\x01a\x81\x02\xc3(\x81\x01b");
    assert_eq!(events, [Event::from(TextMessage::new("a")), violation(ProtocolError::TextNotUtf8)]);
}

#[test]
fn events_of_the_opening_handshake_are_not_sent_afterwards() {
    let mut client = open(Role::Client);
    assert_eq!(client.send(Request::new("h", "/")), Err(LocalProtocolError::Handshake("Request")));
    let violation = ProtocolViolation { error: ProtocolError::TextNotUtf8 };
    let refused = client.send(Event::ProtocolViolation(violation));
    assert_eq!(refused, Err(LocalProtocolError::Handshake("ProtocolViolation")));
}

#[test]
fn a_frame_is_delivered_as_it_arrives() {
    let mut client = open(Role::Client);
    assert_eq!(receive(&mut client, b"\x82\x7e\x10\x00"), [], "a header alone is no event");
    let pieces = [(1000, false), (3095, false), (1, true)];
    for (length, finished) in pieces {
        let piece = BytesMessage { data: vec![7; length], frame_finished: finished, message_finished: finished };
        assert_eq!(receive(&mut client, &vec![7; length]), [Event::from(piece)]);
    }
}

#[test]
fn text_is_cut_between_characters_only() {
    let mut client = open(Role::Client);
    let piece = |data: &str, frame_finished, message_finished| {
        Event::from(TextMessage { data: data.into(), frame_finished, message_finished })
    };
    assert_eq!(receive(&mut client, b"\x01\x04a\xe2"), [piece("a", false, false)]);
    assert_eq!(receive(&mut client, b"\x88"), []);
    assert_eq!(receive(&mut client, b"\x82"), [piece("∂", true, false)]);
    assert_eq!(receive(&mut client, b"\x80\x00"), [piece("", true, true)]);
}

#[test]
fn control_frames_are_whole_and_come_between_the_pieces() {
    let mut client = open(Role::Client);
    assert_eq!(receive(&mut client, b"\x01\x01a\x89\x02p").len(), 1);
    let rest = receive(&mut client, b"q\x80\x01b");
    let last = TextMessage { data: "b".into(), frame_finished: true, message_finished: true };
    assert_eq!(rest, [Event::from(Ping::new("pq")), last.into()]);
}

#[test]
fn events_may_be_taken_one_by_one_while_more_is_received() {
    let mut client = open(Role::Client);
    client.receive_data(Some(b"\x81\x01a\x81\x01b\x81")).unwrap();
    assert_eq!(client.events().next(), Some(TextMessage::new("a").into()));
    client.receive_data(Some(b"\x01c")).unwrap();
    assert_eq!(client.events().count(), 2);
    client.receive_data(Some(b"")).unwrap();
    assert_eq!(client.next_event(), None);
}

#[test]
fn much_may_be_received_at_once() {
    let mut server = open(Role::Server);
    let mut client = open(Role::Client);
    let payload: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    let mut bytes = server.send(BytesMessage::new(payload.clone())).unwrap();
    server.send_into(TextMessage::new("next"), &mut bytes).unwrap();
    let mut events = receive(&mut client, &bytes);
    assert_eq!(events.pop(), Some(TextMessage::new("next").into()));
    let mut received = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let Event::BytesMessage(piece) = event else { panic!("{event:?}") };
        assert_eq!(piece.message_finished, index + 1 == events.len());
        received.extend_from_slice(&piece.data);
    }
    assert!(received == payload);
}

#[test]
fn the_halves_go_on_where_the_connection_stood() {
    let mut client = open(Role::Client);
    client.receive_data(Some(b"\x81\x01a\x81\x01b\x81\x01")).unwrap();
    assert!(client.next_event().is_some());
    let Halves { mut inbound, mut outbound, rest } = client.into_halves().unwrap();
    assert!(rest.is_empty());
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message().unwrap().as_bytes(), b"b");
    inbound.push(b"c");
    assert_eq!(inbound.advance(), Ok(Step::Message));
    assert_eq!(inbound.message().unwrap().as_bytes(), b"c");
    assert_eq!(outbound.ping(b""), Ok(6));
    assert!(Connection::server().into_halves().is_none());
}

#[test]
fn what_comes_behind_what_had_no_room_keeps_its_place() {
    let mut client = open(Role::Client);
    let mut server = open(Role::Server);
    let bytes = server.send(BytesMessage::new(vec![7; 300_000])).unwrap();
    client.receive_data(Some(&bytes)).unwrap();
    client.receive_data(Some(b"\x89\x01p")).unwrap();
    client.receive_data(Some(b"\x81\x01t")).unwrap();
    let mut length = 0;
    let mut others = Vec::new();
    for event in client.events() {
        match event {
            Event::BytesMessage(piece) if others.is_empty() => length += piece.data.len(),
            other => others.push(other),
        }
    }
    assert_eq!((length, others), (300_000, vec![Ping::new("p").into(), TextMessage::new("t").into()]));
}

#[test]
fn what_the_halves_have_no_room_for_is_handed_over() {
    let mut client = open(Role::Client);
    let mut server = open(Role::Server);
    let bytes = server.send(BytesMessage::new(vec![7; 300_000])).unwrap();
    client.receive_data(Some(&bytes)).unwrap();
    let Halves { mut inbound, rest, .. } = client.into_halves().unwrap();
    let mut rest = rest.as_slice();
    while inbound.advance().unwrap() == Step::NeedMore {
        let taken = inbound.push(rest);
        assert!(taken > 0, "everything is there");
        rest = &rest[taken..];
    }
    assert_eq!(inbound.message().unwrap().as_bytes().len(), 300_000);
}
