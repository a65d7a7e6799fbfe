use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

fn read(window: &mut Window, n: usize) -> usize {
    let n = n.min(window.space().len());
    window.received(n);
    n
}

#[test]
fn nothing_is_allocated_before_the_first_read() {
    let mut window = Window::new();
    assert_eq!((window.capacity(), window.len(), window.is_empty()), (0, 0, true));
    assert_eq!(window.space().len(), Retention::SMALLEST);
}

#[test]
fn reads_that_fill_it_double_it_up_to_128_kib() {
    let mut window = Window::new();
    for expected in [4096, 8192, 16_384, 32_768, 65_536, 131_072, 131_072] {
        let n = read(&mut window, usize::MAX);
        assert_eq!(n, expected);
        window.consume(n);
    }
}

#[test]
fn reads_that_leave_it_unused_shrink_it_to_what_they_need() {
    let mut window = Window::new();
    for (needed, size) in [(9, 4096), (5000, 16_384), (9, 4096)] {
        for _ in 0..6 {
            let n = read(&mut window, usize::MAX);
            window.consume(n);
        }
        for _ in 0..Retention::RUN {
            assert_eq!(window.space().len(), 131_072);
            window.received(needed);
            window.consume(needed);
        }
        assert_eq!(window.space().len(), size);
    }
}

#[test]
fn consumed_bytes_come_with_nuls_in_front_and_no_other_byte_changes() {
    let mut window = Window::new();
    for start in [0, 1, 200] {
        for length in [0, 1, 16, 63, 64, 65, 300] {
            let space = window.space();
            space[..start + length + 10].fill(b'x');
            window.received(start + length + 10);
            window.consume(start + length);
            for padding in [0, 1, 63, 64] {
                let bytes = window.behind_padded(length, padding);
                assert_eq!(bytes, [&vec![0; padding][..], &vec![b'x'; length]].concat());
            }
            assert_eq!(window.unread(), [b'x'; 10]);
            window.consume(10);
        }
    }
}

#[test]
fn the_short_read_at_the_end_of_each_burst_changes_nothing() {
    let mut window = Window::new();
    for _ in 0..6 {
        let n = read(&mut window, usize::MAX);
        window.consume(n);
    }
    let before = window.space().as_ptr();
    for _ in 0..50 {
        for n in [usize::MAX, usize::MAX, 100] {
            let n = read(&mut window, n);
            window.consume(n);
        }
    }
    assert_eq!(window.space().as_ptr(), before);
}

#[test]
fn an_unread_tail_moves_to_the_front_only_when_room_is_short() {
    let mut window = Window::new();
    window.space()[..1000].fill(1);
    window.received(1000);
    window.consume(990);
    assert_eq!(window.space().len(), 3096, "most of it is free: nothing moves");
    window.received(2000);
    window.consume(2005);
    assert_eq!(window.space().len(), 4091);
    assert_eq!(window.len(), 5);
}

#[test]
fn unread_bytes_that_fill_it_make_it_grow() {
    let mut window = Window::new();
    let mut total = 0;
    while total < Window::LARGEST {
        total += read(&mut window, 1000);
    }
    assert_eq!((window.len(), window.space().len()), (Window::LARGEST, 0));
    window.consume(1);
    assert_eq!(window.space().len(), 1);
}

#[test]
fn release_gives_the_memory_back_but_no_unread_byte() {
    let mut window = Window::new();
    window.space()[0] = b'x';
    window.received(1);
    window.release();
    assert_eq!(window.unread(), b"x");
    window.consume(1);
    window.release();
    assert_eq!(window.capacity(), 0);
}

const PERIOD: usize = 251;
/// Made once: in a debug build it takes longer than all else in a case.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=250).cycle().take(PERIOD + Window::LARGEST).collect());

proptest! {
    #[test]
    fn bytes_come_out_as_they_went_in(
        // Miri takes minutes for more.
        steps in prop::collection::vec((0usize..100_000, 0usize..100_000), 1..if cfg!(miri) { 4 } else { 60 }),
    ) {
        let mut window = Window::new();
        let (mut written, mut read) = (0_usize, 0_usize);
        for (give, take) in steps {
            let unread = window.len();
            let space = window.space();
            prop_assert!(!space.is_empty() || unread >= Window::LARGEST);
            let give = give.min(space.len());
            space[..give].copy_from_slice(&PATTERN[written % PERIOD..][..give]);
            window.received(give);
            written += give;
            prop_assert!(window.start <= window.end && window.end <= window.bytes.len() && window.start >= Window::HEADROOM);
            prop_assert_eq!(window.len(), written - read);
            let take = take.min(window.len());
            prop_assert_eq!(&window.unread()[..take], &PATTERN[read % PERIOD..][..take]);
            prop_assert_eq!(window.unread_mut().len(), window.len());
            window.consume(take);
            read += take;
        }
    }
}

#[test]
fn bytes_pile_up_whichever_way_they_come() {
    let mut buffer = ByteBuffer::default();
    buffer.extend(b"ab", usize::MAX).unwrap();
    buffer.room(3).copy_from_slice(b"cde");
    buffer.fill(3);
    buffer.room(9)[0] = b'f';
    buffer.fill(1);
    buffer.extend(b"gh", usize::MAX).unwrap();
    assert_eq!(buffer.as_slice(), b"abcdefgh");
    assert_eq!(buffer.take(), b"abcdefgh");
    assert_eq!((buffer.len(), buffer.capacity()), (0, 0));
}

#[test]
fn what_is_not_known_in_length_gets_as_much_memory_as_it_may_have() {
    let mut buffer = ByteBuffer::default();
    let (limit, least) = (100_000, 1024);
    while buffer.len() < limit {
        let room = buffer.room_within(least, limit - buffer.len()).unwrap().len();
        assert!(room >= 1);
        buffer.fill(room);
        assert!(buffer.capacity() <= limit && buffer.capacity() <= 2 * buffer.len().max(least));
    }
    assert_eq!((buffer.len(), buffer.capacity()), (limit, limit));
    buffer.clear();
    assert_eq!(buffer.room_within(least, limit).unwrap().len(), limit, "what is there is used");
}

#[test]
#[cfg_attr(miri, ignore = "it adds 32 MiB a kilobyte at a time")]
fn memory_doubles_however_bytes_are_added() {
    type Add = fn(&mut ByteBuffer);
    let ways: [Add; 3] = [
        |buffer| buffer.extend(&[7; 1000], usize::MAX).unwrap(),
        |buffer| {
            buffer.room(1000).fill(7);
            buffer.fill(1000);
        },
        |buffer| {
            let length = buffer.room_within(1000, 1000).unwrap().len();
            buffer.fill(length);
        },
    ];
    for add in &ways[..2] {
        let mut buffer = ByteBuffer::default();
        let mut moves = 0;
        while buffer.len() < 16 << 20 {
            let before = buffer.capacity();
            add(&mut buffer);
            moves += usize::from(buffer.capacity() != before);
            assert!(buffer.capacity() <= 2 * buffer.len().max(1024));
        }
        assert!(moves <= 16, "{moves} times moved for 16 MiB");
    }
    let mut buffer = ByteBuffer::default();
    ways.iter().for_each(|add| add(&mut buffer));
    assert_eq!(buffer.len(), 3000);
}

#[test]
fn memory_that_a_run_of_uses_left_idle_is_given_back() {
    let mut buffer = ByteBuffer::default();
    for (used, most) in [(100, 4096), (6000, 16_384)] {
        buffer.clear();
        buffer.extend(&[7; 1 << 20], usize::MAX).unwrap();
        buffer.note_use(buffer.len());
        for _ in 0..2 * Retention::RUN {
            buffer.clear();
            buffer.extend(&[8; 6000][..used], usize::MAX).unwrap();
            buffer.note_use(buffer.len());
            assert_eq!(buffer.len(), used);
        }
        assert!(buffer.capacity() <= most, "{}", buffer.capacity());
    }
    // One large use in a run keeps the memory for the next.
    let mut buffer = ByteBuffer::default();
    for round in 0..10 * Retention::RUN {
        buffer.clear();
        buffer.extend(&vec![7; if round % 100 == 0 { 1 << 20 } else { 10 }], usize::MAX).unwrap();
        buffer.note_use(buffer.len());
        assert_eq!(buffer.capacity(), 1 << 20);
    }
}

#[test]
fn a_cleared_buffer_needs_no_new_memory() {
    let mut buffer = ByteBuffer::default();
    buffer.extend(&[7; 1000], usize::MAX).unwrap();
    let held = buffer.capacity();
    for _ in 0..10 {
        buffer.clear();
        buffer.extend(&[8; 900], usize::MAX).unwrap();
        assert_eq!(buffer.as_slice(), [8; 900]);
    }
    assert_eq!(buffer.capacity(), held);
    assert!(buffer.room_within(0, usize::MAX).unwrap().len() >= 100);
}
