use super::*;
use crate::buffer::Retention;
use crate::protocol::CloseCode;

fn client() -> Outbound {
    Outbound::new(Role::Client, Box::new(|bytes| bytes.fill(b'a')))
}

fn server() -> Outbound {
    Outbound::new(Role::Server, Box::new(|_| unreachable!()))
}

fn sent(outbound: &mut Outbound) -> Vec<u8> {
    let bytes = outbound.pending().to_vec();
    outbound.written(bytes.len());
    bytes
}

#[test]
fn clients_mask_and_servers_do_not() {
    let mut outbound = client();
    assert_eq!(outbound.message(MessageRef::Text("aa")), Ok(8));
    assert_eq!(sent(&mut outbound), b"\x81\x82aaaa\0\0");
    let mut outbound = server();
    assert_eq!(outbound.message(MessageRef::Binary(b"aa")), Ok(4));
    assert_eq!(sent(&mut outbound), b"\x82\x02aa");
}

#[test]
fn a_payload_in_pieces_gives_the_bytes_of_the_payload_in_one() {
    let payload: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let mut whole = client();
    whole.message(MessageRef::Binary(&payload)).unwrap();
    let whole = sent(&mut whole);
    // Miri takes minutes for tens of thousands of pieces.
    let sizes: &[usize] = if cfg!(miri) { &[1000, 65536] } else { &[1, 3, 1000, 65536] };
    for &size in sizes {
        let mut outbound = client();
        assert_eq!(outbound.begin(Opcode::Binary, Fin::Last, 70_000), Ok(whole.len() as u64));
        let mut bytes = Vec::new();
        for piece in payload.chunks(size) {
            assert!(outbound.is_inside_frame());
            assert_eq!(outbound.ping(b""), Err(LocalProtocolError::PayloadLength));
            outbound.payload(piece).unwrap();
            bytes.extend(sent(&mut outbound));
        }
        assert_eq!(bytes, whole);
        assert_eq!(outbound.payload(b"more"), Err(LocalProtocolError::PayloadLength));
    }
}

#[test]
fn fragments_are_sent_in_sequence_and_control_frames_between_them() {
    let mut outbound = server();
    assert!(matches!(outbound.data(Opcode::Continuation, Fin::Last, b""), Err(LocalProtocolError::OutOfSequence(_))));
    outbound.data(Opcode::Text, Fin::More, b"Hel").unwrap();
    outbound.ping(b"?").unwrap();
    assert!(matches!(outbound.message(MessageRef::Text("")), Err(LocalProtocolError::OutOfSequence(_))));
    outbound.data(Opcode::Continuation, Fin::Last, b"lo").unwrap();
    assert_eq!(sent(&mut outbound), b"\x01\x03Hel\x89\x01?\x80\x02lo");
    assert_eq!(outbound.in_progress(), None);
}

#[test]
fn after_a_close_only_a_pong_may_follow() {
    let mut outbound = server();
    outbound.close(&CloseFrame::new(CloseCode::NORMAL, "bye").unwrap()).unwrap();
    assert_eq!(sent(&mut outbound), b"\x88\x05\x03\xe8bye");
    let refused = Err(LocalProtocolError::AfterClose);
    assert_eq!(outbound.message(MessageRef::Text("")), refused);
    assert_eq!(outbound.ping(b""), refused);
    assert_eq!(outbound.close(&CloseFrame::empty()), refused);
    assert_eq!(outbound.pong(b""), Ok(2));
}

#[test]
fn what_must_not_be_sent_leaves_nothing_behind() {
    let mut outbound = server();
    assert_eq!(outbound.ping(&[0; 126]), Err(LocalProtocolError::ControlTooLong(126)));
    let bad = CloseFrame { code: CloseCode(1006), reason: String::new() };
    assert_eq!(outbound.close(&bad), Err(LocalProtocolError::CloseCode(CloseCode(1006))));
    assert_eq!(outbound.pending(), b"");
    assert_eq!(outbound.close_sent(), None);
}

#[test]
fn a_frame_of_which_nothing_was_written_can_be_taken_back() {
    let mut outbound = server();
    outbound.pong(b"old").unwrap();
    let checkpoint = outbound.checkpoint();
    outbound.begin(Opcode::Text, Fin::More, 10).unwrap();
    outbound.payload(b"abc").unwrap();
    assert!(outbound.rollback(checkpoint));
    assert_eq!(outbound.pending(), b"\x8a\x03old");
    assert_eq!((outbound.in_progress(), outbound.is_inside_frame()), (None, false));
    let checkpoint = outbound.checkpoint();
    outbound.message(MessageRef::Text("new")).unwrap();
    outbound.written(1);
    assert!(outbound.rollback(checkpoint), "what was written is older");
    assert_eq!(outbound.pending(), b"\x03old");
    let checkpoint = outbound.checkpoint();
    outbound.message(MessageRef::Text("new")).unwrap();
    outbound.written(5);
    assert!(!outbound.rollback(checkpoint), "a byte was written: too late");
    assert_eq!(outbound.pending(), b"\x03new");
    let checkpoint = outbound.checkpoint();
    outbound.message(MessageRef::Text("all")).unwrap();
    outbound.written(9);
    assert!(!outbound.rollback(checkpoint), "all of it was written");
}

#[test]
fn a_buffer_that_is_never_empty_does_not_grow_for_ever() {
    let mut outbound = server();
    let message = [7; 1000];
    for _ in 0..1000 {
        outbound.compact();
        outbound.message(MessageRef::Binary(&message)).unwrap();
        outbound.written(outbound.pending().len().saturating_sub(500));
    }
    assert_eq!(outbound.pending(), &message[500..]);
    assert!(outbound.memory() < 10_000, "{}", outbound.memory());
}

#[test]
fn the_memory_of_a_large_frame_is_given_back() {
    let mut outbound = client();
    outbound.message(MessageRef::Binary(&[1; 100_000])).unwrap();
    sent(&mut outbound);
    assert!(outbound.memory() >= 100_000);
    for _ in 0..2 * Retention::RUN {
        outbound.message(MessageRef::Text("tick")).unwrap();
        sent(&mut outbound);
    }
    assert!(outbound.memory() <= Retention::SMALLEST);
}

#[test]
fn text_that_is_taken_back_leaves_the_text_before_as_it_was() {
    let mut outbound = server();
    outbound.data(Opcode::Text, Fin::More, b"caf\xc3").unwrap();
    let checkpoint = outbound.checkpoint();
    outbound.data(Opcode::Continuation, Fin::More, b"\xa9\xe2").unwrap();
    assert!(outbound.rollback(checkpoint));
    assert_eq!(outbound.data(Opcode::Continuation, Fin::Last, b"\x82\xac"), Err(LocalProtocolError::TextNotUtf8));
    outbound.data(Opcode::Continuation, Fin::Last, b"\xa9").unwrap();
    assert_eq!(sent(&mut outbound), b"\x01\x04caf\xc3\x80\x01\xa9");
    let checkpoint = outbound.checkpoint();
    outbound.begin(Opcode::Text, Fin::Last, 2).unwrap();
    outbound.payload(b"\xc3").unwrap();
    assert!(outbound.rollback(checkpoint));
    outbound.data(Opcode::Text, Fin::Last, b"x").unwrap();
    assert_eq!(sent(&mut outbound), b"\x81\x01x");
}

#[test]
fn a_message_that_is_known_to_be_text_may_come_in_chunks_cut_anywhere() {
    let mut outbound = server();
    assert_eq!(outbound.begin_message(MessageRef::Text("caf\u{e9}")), Ok(7));
    outbound.payload(b"caf\xc3").unwrap();
    outbound.payload(b"\xa9").unwrap();
    assert_eq!(sent(&mut outbound), b"\x81\x05caf\xc3\xa9");
    assert_eq!((outbound.in_progress(), outbound.is_inside_frame()), (None, false));
}

#[test]
fn a_single_frame_is_sent_by_the_rules_of_its_kind() {
    let mut outbound = server();
    let fragment = Frame { fin: false, ..Frame::new(Opcode::Text, "Hel") };
    for frame in
        [fragment, Frame::new(Opcode::Ping, "?"), Frame::new(Opcode::Continuation, "lo"), Frame::new(Opcode::Pong, "!")]
    {
        outbound.frame(&frame).unwrap();
    }
    assert_eq!(sent(&mut outbound), b"\x01\x03Hel\x89\x01?\x80\x02lo\x8a\x01!");
    let unfinished = Frame { fin: false, ..Frame::new(Opcode::Ping, "") };
    assert_eq!(outbound.frame(&unfinished), Err(LocalProtocolError::ControlFragment));
    outbound.frame(&Frame::new(Opcode::Close, b"\x03\xe8")).unwrap();
    assert_eq!(sent(&mut outbound), b"\x88\x02\x03\xe8");
    assert_eq!(outbound.close_sent().map(|close| close.code), Some(CloseCode::NORMAL));
}

#[test]
fn inside_a_frame_nothing_else_begins_and_its_header_stays() {
    let mut outbound = server();
    outbound.begin(Opcode::Binary, Fin::More, 2).unwrap();
    let checkpoint = outbound.checkpoint();
    outbound.payload(b"a").unwrap();
    assert_eq!(outbound.plain_message(MessageRef::Text("")), None);
    assert_eq!(outbound.data(Opcode::Continuation, Fin::Last, b""), Err(LocalProtocolError::PayloadLength));
    assert!(!outbound.rollback(checkpoint), "a payload is never cut off by half");
    outbound.payload(b"b").unwrap();
    assert_eq!(outbound.plain_message(MessageRef::Text("")), None, "inside a message");
    assert_eq!(sent(&mut outbound), b"\x02\x02ab");
}

#[test]
fn a_whole_last_frame_is_no_longer_a_usual_one_inside_its_payload() {
    let mut outbound = server();
    outbound.begin(Opcode::Binary, Fin::Last, 2).unwrap();
    assert_eq!((outbound.in_progress(), outbound.plain_message(MessageRef::Text(""))), (None, None));
    assert_eq!(outbound.message(MessageRef::Text("")), Err(LocalProtocolError::PayloadLength));
    outbound.payload(b"ab").unwrap();
    assert_eq!(outbound.plain_message(MessageRef::Text("c")), Some(3));
    assert_eq!(sent(&mut outbound), b"\x82\x02ab\x81\x01c");
}

#[test]
fn a_close_is_taken_back_only_with_its_own_frame() {
    let mut outbound = server();
    let before = outbound.checkpoint();
    outbound.close(&CloseFrame::empty()).unwrap();
    let behind = outbound.checkpoint();
    outbound.pong(b"").unwrap();
    assert!(outbound.rollback(behind));
    assert_eq!((outbound.pending(), outbound.close_sent()), (&b"\x88\x00"[..], Some(&CloseFrame::empty())));
    assert!(outbound.rollback(before));
    assert_eq!((outbound.pending(), outbound.close_sent()), (&b""[..], None));
}

#[test]
fn what_is_pending_is_moved_once_as_much_was_written_and_its_memory_stays() {
    let mut outbound = server();
    outbound.message(MessageRef::Binary(&[7; 100_000])).unwrap();
    for written in [0, 10, 60_000] {
        outbound.written(written);
        let pending = outbound.pending().to_vec();
        outbound.compact();
        outbound.release();
        assert_eq!(outbound.pending(), pending);
        assert!(outbound.memory() >= 100_000);
    }
    outbound.written(outbound.pending().len());
    outbound.release();
    assert_eq!((outbound.pending(), outbound.memory()), (&b""[..], 0));
    outbound.message(MessageRef::Text("x")).unwrap();
    assert_eq!(sent(&mut outbound), b"\x81\x01x");
}

#[test]
fn a_payload_longer_than_a_header_can_say_is_refused() {
    let mut outbound = server();
    assert_eq!(outbound.begin(Opcode::Binary, Fin::Last, 1 << 63), Err(LocalProtocolError::PayloadLength));
    assert_eq!((outbound.pending(), outbound.in_progress()), (&b""[..], None));
    assert_eq!(outbound.begin(Opcode::Binary, Fin::Last, (1 << 63) - 1), Ok((1 << 63) + 9));
}

#[test]
#[cfg_attr(miri, ignore = "it sends 10 MB")]
fn what_was_written_takes_no_memory_although_something_is_always_pending() {
    let mut outbound = server();
    outbound.message(MessageRef::Binary(&[1; 100])).unwrap();
    for _ in 0..10_000 {
        let length = outbound.message(MessageRef::Binary(&[1; 1000])).unwrap();
        outbound.written(length);
    }
    assert_eq!(outbound.pending().len(), 102);
    assert!(outbound.memory() < 64 * 1024, "{} bytes", outbound.memory());
}
