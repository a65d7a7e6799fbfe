use super::*;

#[test]
fn bits_and_members_map_both_ways() {
    let known: Vec<u8> = (0..=0xF).filter(|&bits| Opcode::from_bits(bits).is_some()).collect();
    assert_eq!(known, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
    for bits in known {
        let opcode = Opcode::from_bits(bits).unwrap();
        assert_eq!(opcode.bits(), bits);
        assert_eq!(opcode.is_control(), bits & 0x8 != 0);
    }
    assert_eq!(Opcode::from_bits(0x10), None);
}

const TEXT: FrameHeader = FrameHeader { fin: true, rsv: Rsv::NONE, opcode: Opcode::Text, mask: None, len: 0 };

#[test]
fn headers_read_back_as_they_were_written_and_wait_for_their_last_byte() {
    let lengths = [0, 1, 125, 126, 127, 16383, 16384, 32768, 65535, 65536, 131_072, 1 << 31, 1 << 32, (1 << 63) - 1];
    for len in lengths {
        for key in [None, Some([1, 2, 3, 4])] {
            let header = FrameHeader { len, mask: key, ..TEXT };
            let mut bytes = [0; FrameHeader::MAX_LEN];
            let length = header.write(&mut bytes);
            let expected =
                2 + if len < 126 {
                    0
                } else if len < 65536 {
                    2
                } else {
                    8
                } + key.map_or(0, |_| 4);
            assert_eq!(length, expected, "{len}");
            assert_eq!(FrameHeader::parse(&bytes[..length]), Ok(Some((header, length))));
            for cut in 0..length {
                assert_eq!(FrameHeader::parse(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
            }
        }
    }
}

#[test]
fn headers_that_break_a_rule_are_refused_by_its_name() {
    let cases: &[(&[u8], ProtocolError)] = &[
        (b"\x83\x00", ProtocolError::UnknownOpcode(3)),
        (b"\x8e\x00", ProtocolError::UnknownOpcode(0xE)),
        (b"\x09\x02", ProtocolError::FragmentedControl),
        (b"\x89\x7e\x00\x80", ProtocolError::ControlTooLong),
        (b"\x88\x7f", ProtocolError::ControlTooLong),
        (b"\x81\x7e\x00\x40", ProtocolError::NonMinimalLength),
        (b"\x81\x7e\x00\x7d", ProtocolError::NonMinimalLength),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x00\x02\x00", ProtocolError::NonMinimalLength),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", ProtocolError::NonMinimalLength),
        (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", ProtocolError::LengthOverflow),
        (b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", ProtocolError::LengthOverflow),
    ];
    for (bytes, expected) in cases {
        assert_eq!(FrameHeader::parse(bytes), Err(*expected), "{bytes:02x?}");
    }
}

#[test]
fn all_two_byte_headers_are_judged_by_opcode_fin_and_length() {
    // Miri takes minutes for all.
    let step = if cfg!(miri) { 17 } else { 1 };
    for first in 0..=255u8 {
        for second in (0..=255u8).step_by(step) {
            let bytes = [first, second, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            let verdict = FrameHeader::parse(&bytes);
            let (known, control) = (matches!(first & 0xF, 0..=2 | 8..=10), first & 8 != 0);
            let legal = known && !(control && (first < 0x80 || second & 0x7F > 125));
            assert_eq!(verdict.is_ok(), legal, "{first:02x} {second:02x}");
        }
    }
}

#[test]
fn frames_take_the_bytes_of_section_5_7() {
    let key = Some([0x37, 0xfa, 0x21, 0x3d]);
    let hello = Frame::new(Opcode::Text, "Hello");
    assert_eq!(hello.to_bytes(None), b"\x81\x05Hello");
    assert_eq!(hello.to_bytes(key), b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    assert_eq!(Frame::new(Opcode::Ping, "Hello").to_bytes(None), b"\x89\x05Hello");
    assert_eq!(Frame::new(Opcode::Binary, vec![0; 256]).to_bytes(None)[..4], *b"\x82\x7e\x01\x00");
    let large = Frame::new(Opcode::Binary, vec![0; 65536]).to_bytes(None);
    assert_eq!(large[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    assert_eq!(Frame::new(Opcode::Text, "a").to_bytes(Some(*b"aaaa")), b"\x81\x81aaaa\x00");
}

#[test]
fn frames_that_must_not_be_sent_are_refused() {
    let cases = [
        (Frame { rsv: Rsv::RSV1, ..Frame::new(Opcode::Text, "") }, LocalProtocolError::ReservedBits),
        (Frame::new(Opcode::Ping, "").fragment(), LocalProtocolError::ControlFragment),
        (Frame::new(Opcode::Pong, vec![0; 126]), LocalProtocolError::ControlTooLong(126)),
        (Frame::new(Opcode::Close, [1]), LocalProtocolError::CloseBody(ProtocolError::CloseBodyOfOneByte)),
    ];
    for (frame, expected) in cases {
        assert_eq!(frame.validate(), Err(expected), "{frame}");
    }
    assert_eq!(Frame::new(Opcode::Ping, vec![0; 125]).validate(), Ok(()));
    assert_eq!(Frame::new(Opcode::Close, "").validate(), Ok(()));
}

#[test]
fn the_length_of_a_frame_is_known_before_it_is_encoded() {
    for length in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
        let frame = Frame::new(Opcode::Binary, vec![7; length]);
        assert_eq!(frame.encoded_len(Role::Server), frame.to_bytes(None).len(), "{length}");
        assert_eq!(frame.encoded_len(Role::Client), frame.to_bytes(Some([1, 2, 3, 4])).len(), "{length}");
    }
}
