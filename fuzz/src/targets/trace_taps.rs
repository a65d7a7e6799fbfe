use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use websocket_sync::protocol::handshake::accept_for;
use websocket_sync::protocol::{Inbound, Limits, Role, Step};
use websocket_sync::{
    CloseCode, ConnectOptions, ControlFrames, Error, Interest, MessageKind, TraceDirection, TraceEvent, TraceRecord,
    Transport, WebSocket, disable_trace, enable_trace, is_trace_enabled,
};

use crate::input::Input;

/// What must not be seen, and the same as Basic has it, with the user's name.
const SECRETS: [&str; 2] = ["s3cret", "bWU6czNjcmV0"];
/// The fate of an operation that moves all bytes.
const WHOLE: u8 = 0x3F;
/// How much of a payload is shown, in bytes.
const SHOWN: usize = 1024;

/// A trace that is turned on and off at any moment, in the midst of a handshake, a frame, a read or a write, shows frames that were
/// there, in their order, each at most once, all of those that passed as a whole while it was on, and nothing of a handshake's secrets.
///
/// Input: flags (1 byte), then behind their lengths what becomes of reads, what becomes of writes, and a program of calls; then what the
/// peer sends behind the opening handshake.
pub fn trace_taps(data: &[u8]) {
    /// There is one trace in a process.
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut input = Input::new(data);
    let flags = input.byte();
    let (reads, writes, program) = (input.counted(), input.counted(), input.counted());
    let role = if flags & 1 == 0 { Role::Client } else { Role::Server };
    // What takes each write as a whole leaves nothing pending, behind which a tap would have to wait.
    let is_whole = flags & 2 != 0;
    let writes: Vec<u8> = writes.iter().map(|&fate| if is_whole { fate | WHOLE } else { fate }).collect();
    let link = Link::new(role, input.rest(), reads, &writes);
    Log::begin();
    if flags & 4 != 0 {
        Log::toggle_between_calls();
    }
    let is_opened = run(role, &link, Input::new(program));
    let log = Log::end();
    let link = link.state();
    let mut received = Wire::parse(&link.incoming[..link.read]);
    received.limit = if is_opened { received.last_taken(role) } else { 0 };
    let mut sent = Wire::parse(&link.sent);
    sent.limit = if is_whole { usize::MAX } else { 0 };
    for period in &log.periods {
        assert!(!period.is_broken, "the trace has ended by itself, or told something behind its end");
        for head in &period.heads {
            assert!(!SECRETS.iter().any(|secret| head.contains(secret)), "{head}");
        }
    }
    check(&received, &log, Direction::Received);
    check(&sent, &log, Direction::Sent);
}

/// Opens a connection and makes the calls; whether one was opened.
fn run(role: Role, link: &Link, mut program: Input<'_>) -> bool {
    let options = ConnectOptions::new()
        .timeout(Duration::from_secs(3600))
        .close_timeout(Duration::from_secs(3600))
        .mask_key(|| [0x12, 0x34, 0x56, 0x78])
        .subprotocols(["token.s3cret", "mqtt"])
        .header("X-Key", "s3cret");
    let opened = match role {
        Role::Client => {
            options.cookie("a=s3cret").connect_over(link.clone(), "ws://me:s3cret@example.com/feed?t=s3cret")
        }
        Role::Server => options.accept(link.clone()),
    };
    let Ok(ws) = opened else { return false };
    Log::with(Log::open);
    let mut caller = Caller { ws, is_over: false };
    while !program.is_empty() {
        Log::call();
        let call = program.byte();
        caller.call(call, &mut program);
    }
    for _ in 0..200 {
        if caller.is_over {
            break;
        }
        Log::call();
        caller.receive();
    }
    true
}

/// The application.
struct Caller {
    ws: WebSocket,
    is_over: bool,
}

impl Caller {
    fn call(&mut self, call: u8, program: &mut Input<'_>) {
        match call % 18 {
            0..3 => self.receive(),
            3 => {
                let received = self.ws.try_recv();
                self.note(&received);
            }
            4 => {
                let received = self.ws.recv_timeout(Duration::ZERO);
                self.note(&received);
            }
            5 => {
                let received = self.ws.recv_data_frame(ControlFrames::Show);
                self.note(&received);
            }
            6 => {
                let most = program.byte().into();
                let received = self.ws.message_reader().map(|mut reader| {
                    let _ = reader.by_ref().take(most).read_to_end(&mut Vec::new());
                });
                self.note(&received);
            }
            7 => drop(self.ws.send_text(&program.text())),
            8 => drop(self.ws.send_binary(&vec![7; usize::from(program.byte()) * 17])),
            9 => drop(self.ws.ping(program.counted())),
            10 => drop(self.ws.try_send_text(&program.text())),
            11 => self.send_stream(program),
            12 => drop(self.ws.cork(|batch| {
                batch.send_text(&program.text())?;
                Log::toggle_inside(program.flag());
                batch.send_binary(program.counted()).map(drop)
            })),
            13 => drop(self.ws.send_close(CloseCode(program.short()), &program.text())),
            14 if call & 0x80 != 0 => drop(self.ws.close()),
            14 => self.ws.release(),
            _ => Log::toggle_between_calls(),
        }
    }

    fn receive(&mut self) {
        let received = self.ws.recv();
        self.note(&received);
    }

    fn note<T>(&mut self, received: &Result<T, Error>) {
        self.is_over |= received.as_ref().is_err_and(|error| !matches!(error, Error::Timeout(_) | Error::Usage(_)));
    }

    fn send_stream(&mut self, program: &mut Input<'_>) {
        let Ok(mut writer) = self.ws.message_writer(MessageKind::Binary) else { return };
        let _ = writer.write_all(program.counted());
        let _ = writer.flush();
        Log::toggle_inside(program.flag());
        let _ = writer.write_all(program.counted());
        if program.flag() {
            let _ = writer.finish();
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    Received = 0,
    Sent = 1,
}

thread_local! {
    /// What the trace tells on this thread; other threads have connections of their own.
    static LOG: RefCell<Option<Log>> = const { RefCell::new(None) };
}

/// What was told.
#[derive(Default)]
struct Log {
    periods: Vec<Period>,
    /// How many bytes have passed in each direction.
    passed: [usize; 2],
}

/// One time in which the trace was on.
struct Period {
    /// From where on a frame that passes is told, where that is known.
    since: [Option<usize>; 2],
    /// Up to where; `None` while it lasts.
    until: Option<[usize; 2]>,
    heads: Vec<String>,
    frames: [Vec<Told>; 2],
    malformed: [Vec<Vec<u8>>; 2],
    is_broken: bool,
}

struct Told {
    raw: Vec<u8>,
    payload: Vec<u8>,
    length: u64,
    /// How many bytes had passed.
    passed: usize,
}

impl Log {
    fn with<T>(f: impl FnOnce(&mut Self) -> T) -> T {
        LOG.with_borrow_mut(|log| f(log.as_mut().expect("a target runs")))
    }

    fn begin() {
        LOG.set(Some(Self::default()));
    }

    fn end() -> Self {
        if Self::with(|log| log.is_on()) {
            Self::with(|log| log.toggle(log.passed));
        }
        LOG.take().expect("a target runs")
    }

    fn is_on(&self) -> bool {
        self.periods.last().is_some_and(|period| period.until.is_none())
    }

    /// Turns the trace on or off, where so many bytes had passed.
    fn toggle(&mut self, passed: [usize; 2]) {
        match self.periods.last_mut().filter(|period| period.until.is_none()) {
            Some(period) => {
                period.is_broken |= !is_trace_enabled();
                period.until = Some(passed);
                disable_trace();
            }
            None => {
                self.periods.push(Period {
                    since: [None; 2],
                    until: None,
                    heads: Vec::new(),
                    frames: [Vec::new(), Vec::new()],
                    malformed: [Vec::new(), Vec::new()],
                    is_broken: false,
                });
                enable_trace(note);
            }
        }
    }

    /// Nothing passes while no call is made.
    fn toggle_between_calls() {
        Self::with(|log| log.toggle(log.passed));
        Self::call();
        Self::with(|log| log.note_read());
    }

    fn toggle_inside(is_wanted: bool) {
        if is_wanted {
            Self::with(|log| log.toggle(log.passed));
        }
    }

    /// A connection is open: what came behind the head is told now, if the trace is on, and not before.
    fn open(&mut self) {
        for period in self.periods.iter_mut().filter(|period| period.until.is_some()) {
            period.since[0] = None;
        }
    }

    /// A call begins, which finds the trace on or off.
    fn call() {
        Self::with(|log| {
            let passed = log.passed;
            if let Some(period) = log.periods.last_mut() {
                period.since[1].get_or_insert(passed[1]);
            }
        });
    }

    /// A read has moved bytes: the next one finds the trace on or off.
    fn note_read(&mut self) {
        if let Some(period) = self.periods.last_mut() {
            period.since[0].get_or_insert(self.passed[0]);
        }
    }
}

/// The sink. A panic of it would end the trace and nothing else.
fn note(record: &TraceRecord<'_>) {
    LOG.with_borrow_mut(|log| {
        let Some(log) = log else { return };
        let passed = log.passed;
        let Some(period) = log.periods.last_mut() else { return };
        period.is_broken |= period.until.is_some() || record.to_string().is_empty();
        let direction = match record.direction {
            TraceDirection::Received => 0,
            TraceDirection::Sent => 1,
        };
        match record.event {
            TraceEvent::Request(head) | TraceEvent::Response(head) => period.heads.push(head.to_owned()),
            TraceEvent::Frame(frame) => period.frames[direction].push(Told {
                raw: frame.raw.to_vec(),
                payload: frame.payload.to_vec(),
                length: frame.header.len,
                passed: passed[direction],
            }),
            TraceEvent::Malformed(bytes) => period.malformed[direction].push(bytes.to_vec()),
            _ => period.is_broken = true,
        }
    });
}

/// What has passed in one direction, behind the head.
#[derive(Default)]
struct Wire {
    /// With the head.
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// What is no frame behind them.
    malformed: Vec<u8>,
    /// Up to where frames have to be told.
    limit: usize,
}

#[derive(Debug)]
struct Frame {
    start: usize,
    end: usize,
    raw: Vec<u8>,
    payload: Vec<u8>,
    length: u64,
}

impl Wire {
    fn parse(bytes: &[u8]) -> Self {
        let Some(end) = bytes.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Self::default() };
        let (mut wire, mut start) = (Self { bytes: bytes.to_vec(), ..Self::default() }, end + 4);
        loop {
            match frame(&bytes[start..], start) {
                Header::Frame(frame) => {
                    start = frame.end;
                    wire.frames.push(frame);
                }
                Header::Malformed => {
                    wire.malformed = bytes[start..].to_vec();
                    return wire;
                }
                Header::Unfinished => return wire,
            }
        }
    }

    /// Where the last frame ends that breaks no rule, a Close at the latest: what comes behind it is thrown away, and no tap sees it.
    fn last_taken(&self, role: Role) -> usize {
        let mut inbound = Inbound::new(role, Limits::default());
        for frame in &self.frames {
            let mut rest = &self.bytes[frame.start..frame.end];
            loop {
                let pushed = inbound.push(rest);
                rest = &rest[pushed..];
                match inbound.advance_frame() {
                    Ok(Step::NeedMore) if !rest.is_empty() => {}
                    Ok(Step::Close) => return frame.end,
                    Ok(Step::NeedMore | Step::Ended) | Err(_) => return frame.start,
                    Ok(_) => break,
                }
            }
        }
        usize::MAX
    }
}

enum Header {
    Frame(Frame),
    Malformed,
    Unfinished,
}

/// The frame at the beginning, read by other code than the crate's.
fn frame(bytes: &[u8], start: usize) -> Header {
    let [first, second, ..] = *bytes else { return Header::Unfinished };
    let (opcode, short) = (first & 15, second & 127);
    if !matches!(opcode, 0..=2 | 8..=10) || opcode >= 8 && (first & 0x80 == 0 || short > 125) {
        return Header::Malformed;
    }
    let width = match short {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(wide) = bytes.get(2..2 + width) else { return Header::Unfinished };
    let length = if width == 0 { short.into() } else { wide.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)) };
    if width == 2 && length < 126 || width == 8 && !(1 << 16..1 << 63).contains(&length) {
        return Header::Malformed;
    }
    let is_masked = second & 0x80 != 0;
    let head = 2 + width + if is_masked { 4 } else { 0 };
    let Some(end) = usize::try_from(length).ok().and_then(|length| head.checked_add(length)) else {
        return Header::Unfinished;
    };
    let Some(whole) = bytes.get(..end) else { return Header::Unfinished };
    let raw = whole[..end.min(head + SHOWN)].to_vec();
    let mut payload = raw[head..].to_vec();
    if is_masked {
        let key = &whole[head - 4..head];
        payload.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    }
    Header::Frame(Frame { start, end: start + end, raw, payload, length })
}

/// What was told of one direction is what has passed in it.
fn check(wire: &Wire, log: &Log, direction: Direction) {
    let index = direction as usize;
    let mut first = 0;
    for period in &log.periods {
        let told = &period.frames[index];
        let until = period.until.expect("each has ended")[index].min(wire.limit);
        let must: Vec<usize> = match period.since[index] {
            Some(since) => (0..wire.frames.len())
                .filter(|&number| wire.frames[number].start >= since && wire.frames[number].end <= until)
                .collect(),
            None => Vec::new(),
        };
        let fits = |start: usize| {
            let run = wire.frames.get(start..start + told.len());
            let has_all = must.first().is_none_or(|&must| start <= must)
                && must.last().is_none_or(|&must| must < start + told.len());
            has_all && run.is_some_and(|run| run.iter().zip(told).all(|(frame, told)| told.is(frame)))
        };
        let Some(start) = (first..=wire.frames.len()).find(|&start| fits(start)) else {
            let told: Vec<_> = told.iter().map(|told| told.raw.escape_ascii().to_string()).collect();
            panic!(
                "{direction:?}: told {told:#?} behind frame {first}, where {must:?} had to be, of {:#?}",
                wire.frames
            );
        };
        first = start + told.len();
        check_malformed(wire, &period.malformed[index], direction);
    }
}

fn check_malformed(wire: &Wire, told: &[Vec<u8>], direction: Direction) {
    assert!(told.len() <= 1, "{direction:?}: {told:?} in one period");
    let is_there = |bytes: &Vec<u8>| !wire.malformed.is_empty() && wire.malformed.starts_with(bytes);
    assert!(told.iter().all(is_there), "{direction:?}: {told:?} is said to be no frame, {:?} is none", wire.malformed);
}

impl Told {
    fn is(&self, frame: &Frame) -> bool {
        self.passed >= frame.end
            && self.raw == frame.raw
            && self.payload == frame.payload
            && self.length == frame.length
    }
}

/// A stream in memory. What becomes of its operations follows scripts; then it takes all, and ends.
#[derive(Clone, Debug)]
struct Link(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    role: Role,
    /// What the peer sends behind the opening handshake.
    stream: Vec<u8>,
    incoming: Vec<u8>,
    /// How much of it was read.
    read: usize,
    sent: Vec<u8>,
    scripts: [Script; 2],
    is_shut: bool,
}

/// What becomes of the operations in one direction.
#[derive(Debug)]
struct Script {
    fates: Vec<u8>,
    next: usize,
    /// Whether the last one found the stream blocked.
    is_blocked: bool,
}

impl Link {
    fn new(role: Role, stream: &[u8], reads: &[u8], writes: &[u8]) -> Self {
        let incoming = match role {
            Role::Client => Vec::new(),
            Role::Server => [REQUEST.as_bytes(), stream].concat(),
        };
        let script = |fates: &[u8]| Script { fates: fates.to_vec(), next: 0, is_blocked: false };
        let scripts = [script(reads), script(writes)];
        let state =
            State { role, stream: stream.to_vec(), incoming, read: 0, sent: Vec::new(), scripts, is_shut: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics here")
    }
}

const REQUEST: &str = "GET /feed?t=s3cret HTTP/1.1\r\nHost: example.com\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nCookie: a=s3cret\r\n\
    Authorization: Basic bWU6czNjcmV0\r\nSec-WebSocket-Protocol: token.s3cret, mqtt\r\nX-Key: s3cret\r\n\r\n";

/// The response to a request, if that is there whole.
fn response(request: &[u8]) -> Option<String> {
    let request = str::from_utf8(request).expect("a head of ours is ASCII").strip_suffix("\r\n\r\n")?;
    let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: a=s3cret\r\n\
        X-Key: s3cret\r\nSec-WebSocket-Protocol: token.s3cret\r\nSec-WebSocket-Accept: {}\r\n\r\n",
        accept_for(key)
    ))
}

/// What becomes of an operation: how many bytes it moves at most, and when the trace is turned on or off.
struct Fate {
    most: usize,
    toggles: Toggles,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Toggles {
    Never,
    Before,
    Behind,
}

impl Script {
    fn fate(&mut self) -> Fate {
        let byte = self.fates.get(self.next).copied().unwrap_or(WHOLE);
        self.next += 1;
        self.is_blocked = !self.is_blocked && byte & 0x3F == 0;
        let most = match byte & 0x3F {
            _ if self.is_blocked => 0,
            most @ 0..48 => usize::from(most).max(1),
            most @ 48..60 => usize::from(most - 47) * 100,
            _ => usize::MAX,
        };
        let toggles = match byte >> 6 {
            0 | 1 => Toggles::Never,
            2 => Toggles::Before,
            _ => Toggles::Behind,
        };
        Fate { most, toggles }
    }
}

impl State {
    /// Moves bytes by `operation`, which is told how many, and toggles the trace as its fate is.
    fn operate(
        &mut self,
        direction: Direction,
        operation: impl FnOnce(&mut Self, usize) -> usize,
    ) -> io::Result<usize> {
        let fate = self.scripts[direction as usize].fate();
        Log::with(|log| {
            let passed = log.passed;
            if fate.toggles == Toggles::Before {
                log.toggle(passed);
            }
            let length = operation(self, fate.most);
            log.passed[direction as usize] += length;
            if fate.toggles == Toggles::Behind {
                log.toggle(passed);
            }
            if direction == Direction::Received && length > 0 {
                log.note_read();
            }
            if fate.most == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(length) }
        })
    }
}

impl Transport for Link {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.operate(Direction::Received, |state, most| {
            let rest = &state.incoming[state.read..];
            let length = if state.is_shut { 0 } else { rest.len().min(buf.len()).min(most) };
            buf[..length].copy_from_slice(&rest[..length]);
            state.read += length;
            length
        })
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        state.operate(Direction::Sent, |state, most| {
            let length = buf.len().min(most);
            state.sent.extend_from_slice(&buf[..length]);
            if state.role == Role::Client
                && state.incoming.is_empty()
                && let Some(response) = response(&state.sent)
            {
                state.incoming = [response.as_bytes(), &state.stream].concat();
            }
            length
        })
    }

    /// What has blocked once is ready.
    fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Write {
            self.state().is_shut = true;
        }
        Ok(())
    }
}
