//! Transports that do the worst: one fault at the n-th operation, for every n until none is left to be hit, and two at once.
//!
//! The peer is a simulation in memory that answers at once, so that every run is the same and none takes any time. A wait for what is
//! not there is over at once, as if it had lasted until its deadline.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use support::{bounded, frame, masked_frame};
use websocket_sync::protocol::Frame;
use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, ControlFrames, Error, Interest, Message, MessageKind, Opcode, Phase, Result,
    Transport, WebSocket,
};

/// The masking key of every frame, so that the bytes that may be sent are known.
const KEY: [u8; 4] = [1, 2, 3, 4];
/// What a large message holds: more than is masked and written at a time.
const LARGE: usize = 300_000;

/// What an operation does instead of what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fault {
    /// Does a part of it: one byte.
    Short,
    Interrupted,
    WouldBlock,
    TimedOut,
    /// Fails, now and ever after.
    Reset,
    /// The same with the error of a system that has waited for the peer's acknowledgements in vain.
    GivenUp,
    /// Reads the end, or writes nothing.
    Nothing,
    /// Claims more than there was room for.
    Lie,
}

const FAULTS: [Fault; 8] = [
    Fault::Short,
    Fault::Interrupted,
    Fault::WouldBlock,
    Fault::TimedOut,
    Fault::Reset,
    Fault::GivenUp,
    Fault::Nothing,
    Fault::Lie,
];

/// What becomes of a run with a fault in it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Severity {
    /// Nothing: it goes on as without.
    None,
    /// A call may run out of time; what can be tried again is.
    Delay,
    /// The connection ends.
    End,
}

impl Fault {
    const fn severity(self) -> Severity {
        match self {
            Self::Short | Self::Interrupted => Severity::None,
            Self::WouldBlock | Self::TimedOut => Severity::Delay,
            Self::Reset | Self::GivenUp | Self::Nothing | Self::Lie => Severity::End,
        }
    }
}

/// Faults to come, by the number of the operation that they hit.
#[derive(Clone, Debug, Default)]
struct Plan(Vec<(usize, Fault)>);

impl Plan {
    fn severity(&self) -> Severity {
        self.0.iter().map(|(_, fault)| fault.severity()).max().unwrap_or(Severity::None)
    }
}

/// A connection in memory, and a peer at its other end.
struct World {
    plan: Plan,
    /// At most so many bytes per operation.
    step: usize,
    operations: usize,
    /// What the peer has said and was not read.
    said: VecDeque<u8>,
    /// What was written.
    heard: Vec<u8>,
    /// How much of it the peer has acted on.
    acted: usize,
    peer: Peer,
    /// The peer will say no more.
    ended: bool,
    shut_read: bool,
    shut_write: bool,
    /// The connection has failed: nothing passes any more.
    broken: bool,
    /// A write has failed, which the driver knows.
    write_failed: bool,
    /// The last write that was not refused wrote nothing.
    wrote_nothing: bool,
    /// And it tried another.
    wrote_on: bool,
    /// A read had to find nothing, and the wait that follows is in vain.
    read_blocked: bool,
    write_blocked: Blocked,
}

/// A write that must time out: it meets EAGAIN, the wait that follows is in vain, and so is the last try.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Blocked {
    No,
    Wait,
    LastTry,
}

/// What the peer does.
#[derive(Clone)]
struct Peer {
    role: Role,
    /// Said as soon as the connection is open.
    greeting: Vec<u8>,
    opened: bool,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Role {
    Server,
    Client,
}

impl World {
    /// Counts an operation; the fault that it has to suffer.
    fn strike(&mut self) -> Option<Fault> {
        let number = self.operations;
        self.operations += 1;
        let fault = self.plan.0.iter().find(|(at, _)| *at == number).map(|(_, fault)| *fault);
        self.broken |= fault.is_some_and(|fault| matches!(fault, Fault::Reset | Fault::GivenUp | Fault::Lie));
        fault
    }

    /// Whether nothing more comes.
    const fn is_at_end(&self) -> bool {
        self.ended || self.shut_read || self.shut_write || self.broken
    }

    /// The peer acts on what it has heard.
    fn act(&mut self) {
        if !self.peer.opened {
            let Some(end) = self.heard.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return };
            if self.peer.role == Role::Server {
                let head = String::from_utf8(self.heard[..end + 4].to_vec()).unwrap();
                self.said.extend(support::answer_to(&head).into_bytes());
            }
            self.acted = end + 4;
            self.peer.opened = true;
            self.said.extend(std::mem::take(&mut self.peer.greeting));
        }
        while let Some((first, payload, length)) = self.next_frame() {
            self.acted += length;
            self.answer(first, payload);
        }
    }

    fn next_frame(&self) -> Option<(u8, Vec<u8>, usize)> {
        let bytes = &self.heard[self.acted..];
        if self.peer.role == Role::Server {
            return support::parse(bytes).map(|((first, payload), length)| (first, payload, length));
        }
        // The frames of a server are not masked; with a mask of zeros they are those of a client.
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        let start = if second == 126 {
            4
        } else if second == 127 {
            10
        } else {
            2
        };
        let length = match second {
            126 => usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
            127 => usize::try_from(u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)).unwrap(),
            length => usize::from(length),
        };
        let payload = bytes.get(start..start + length)?.to_vec();
        Some((first, payload, start + length))
    }

    /// Echoes messages, answers pings and closes, and ends the connection after a Close.
    fn answer(&mut self, first: u8, payload: Vec<u8>) {
        let first = match first {
            0x89 => 0x8A,
            0x8A => return,
            first => first,
        };
        if self.ended {
            return;
        }
        let answer = if self.peer.role == Role::Server { frame(first, payload) } else { masked_frame(first, payload) };
        self.said.extend(answer);
        self.ended = first == 0x88;
    }
}

fn given_up() -> io::Error {
    #[cfg(unix)]
    return rustix::io::Errno::TIMEDOUT.into();
    #[cfg(not(unix))]
    return io::ErrorKind::ConnectionReset.into();
}

/// The world as the driver sees it.
#[derive(Clone)]
struct Faulty(Arc<Mutex<World>>);

impl std::fmt::Debug for Faulty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }
}

impl Transport for Faulty {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world();
        assert!(!buf.is_empty(), "a read into nothing");
        let fault = world.strike();
        world.read_blocked = matches!(fault, Some(Fault::WouldBlock | Fault::TimedOut));
        let step = match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Fault::TimedOut) => return Err(io::ErrorKind::TimedOut.into()),
            Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::GivenUp) => return Err(given_up()),
            Some(Fault::Lie) => return Ok(buf.len() + 1),
            Some(Fault::Nothing) => {
                world.said.clear();
                world.ended = true;
                return Ok(0);
            }
            Some(Fault::Short) => 1,
            None => world.step,
        };
        let length = buf.len().min(step).min(world.said.len());
        if length == 0 {
            return if world.is_at_end() { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        for (byte, said) in buf.iter_mut().zip(world.said.drain(..length)) {
            *byte = said;
        }
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut world = self.world();
        assert!(!buf.is_empty(), "a write of nothing");
        world.wrote_on |= world.write_failed;
        if std::mem::replace(&mut world.write_blocked, Blocked::No) == Blocked::LastTry {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let fault = world.strike();
        world.write_failed = match fault {
            // Nothing is an answer to who does not want to wait. Who wants to writes again then, and fails.
            Some(Fault::Nothing) => std::mem::replace(&mut world.wrote_nothing, true),
            fault => fault.is_some_and(|fault| fault.severity() == Severity::End),
        };
        if matches!(fault, Some(Fault::WouldBlock | Fault::TimedOut)) {
            world.write_blocked = Blocked::Wait;
        }
        let length = match fault {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(Fault::TimedOut) => return Err(io::ErrorKind::TimedOut.into()),
            Some(Fault::Lie) => return Ok(buf.len() + 1),
            Some(Fault::Nothing) => return Ok(0),
            Some(Fault::Reset) => return Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::GivenUp) => return Err(given_up()),
            Some(Fault::Short) => 1,
            None => buf.len().min(world.step),
        };
        if world.shut_write || world.broken {
            world.write_failed = true;
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        world.wrote_nothing = false;
        world.heard.extend_from_slice(&buf[..length]);
        world.act();
        Ok(length)
    }

    fn wait(&self, interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
        let mut world = self.world();
        let failed = match world.strike() {
            Some(Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
            Some(Fault::WouldBlock) => return Ok(false),
            Some(Fault::TimedOut) => Err(io::ErrorKind::TimedOut.into()),
            Some(Fault::Reset) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Fault::GivenUp) => Err(given_up()),
            // It says that it is ready, and is not.
            Some(Fault::Short | Fault::Nothing | Fault::Lie) => return Ok(true),
            None => Ok(()),
        };
        world.write_failed |= interest == Interest::Write && world.broken;
        failed?;
        match interest {
            Interest::Read if std::mem::take(&mut world.read_blocked) => Ok(false),
            Interest::Read => Ok(!world.said.is_empty() || world.is_at_end()),
            Interest::Write if world.write_blocked == Blocked::Wait => {
                world.write_blocked = Blocked::LastTry;
                Ok(false)
            }
            Interest::Write => Ok(true),
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut world = self.world();
        world.shut_write |= how != Shutdown::Read;
        world.shut_read |= how != Shutdown::Write;
        match world.strike() {
            Some(_) => Err(io::ErrorKind::NotConnected.into()),
            None => Ok(()),
        }
    }
}

/// What one side does on a connection, and what the peer says first.
struct Scenario {
    name: &'static str,
    role: Role,
    greeting: fn() -> Vec<u8>,
    act: fn(&mut WebSocket, &mut Trace) -> Result<()>,
}

/// What was seen, in order.
#[derive(Debug, Default)]
struct Trace(Vec<String>);

/// So often a call that ran out of time is made again: more often than there are faults.
const TRIES: usize = 4;

impl Trace {
    fn see(&mut self, what: impl std::fmt::Debug) {
        self.0.push(format!("{what:?}"));
    }

    /// A large message is told by its length and a sum.
    fn see_bytes(&mut self, bytes: &[u8]) {
        if bytes.len() <= 100 {
            return self.see(bytes);
        }
        let sum = bytes.iter().fold(0_u32, |sum, &byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        self.see((bytes.len(), sum));
    }

    /// Makes a call until it does not run out of time.
    fn call<T>(&self, mut call: impl FnMut() -> Result<T>) -> Result<T> {
        let mut tries = 0;
        loop {
            match call() {
                Err(Error::Timeout(_)) if tries < TRIES => tries += 1,
                result => return result,
            }
        }
    }

    fn recv(&mut self, ws: &mut WebSocket) -> Result<()> {
        match self.call(|| ws.recv())? {
            Message::Text(text) => self.see(text),
            Message::Binary(bytes) => self.see_bytes(&bytes),
        }
        Ok(())
    }

    fn send(&mut self, ws: &WebSocket, payload: &[u8]) -> Result<()> {
        let length = self.call(|| ws.send_binary(payload))?;
        self.see(length);
        Ok(())
    }
}

const SCENARIOS: &[Scenario] = &[
    Scenario { name: "nothing but a close", role: Role::Server, greeting: Vec::new, act: |ws, _| ws.close() },
    Scenario { name: "nothing at all", role: Role::Server, greeting: Vec::new, act: |_, _| Ok(()) },
    Scenario {
        name: "an echo",
        role: Role::Server,
        greeting: || frame(0x81, "welcome"),
        act: |ws, trace| {
            trace.recv(ws)?;
            for payload in [&b""[..], b"Hello", &[7; 300]] {
                trace.send(ws, payload)?;
                trace.recv(ws)?;
            }
            ws.close()
        },
    },
    Scenario {
        name: "a large echo",
        role: Role::Server,
        greeting: Vec::new,
        act: |ws, trace| {
            trace.send(ws, &[9; LARGE])?;
            trace.recv(ws)?;
            ws.close()
        },
    },
    Scenario {
        name: "fragments and pings from the peer",
        role: Role::Server,
        greeting: || {
            [
                frame(0x01, "once \u{3ba}".as_bytes()),
                frame(0x89, "first"),
                frame(0x00, b"\xe1\xbd"),
                frame(0x8A, "unasked"),
                frame(0x80, b"\xb9 more"),
                frame(0x89, "second"),
                frame(0x82, "last"),
            ]
            .concat()
        },
        act: |ws, trace| {
            trace.recv(ws)?;
            trace.recv(ws)?;
            ws.close()
        },
    },
    Scenario {
        name: "fragments, pings and batches of ours",
        role: Role::Server,
        greeting: Vec::new,
        act: |ws, trace| {
            let sender = ws.sender();
            let mut writer = trace.call(|| sender.message_writer(MessageKind::Text))?;
            writer.write_all(b"once")?;
            trace.call(|| Ok(writer.flush()?))?;
            trace.call(|| sender.ping("between"))?;
            writer.write_all(b" more")?;
            trace.call(|| Ok(writer.flush()?))?;
            writer.finish()?;
            trace.call(|| {
                sender.cork(|batch| {
                    batch.send_text("one")?;
                    batch.send_binary(&[2; 200])
                })
            })?;
            for _ in 0..3 {
                trace.recv(ws)?;
            }
            ws.close()
        },
    },
    Scenario {
        name: "a message from a reader, and to one",
        role: Role::Server,
        greeting: Vec::new,
        act: |ws, trace| {
            let payload = [5; 2000];
            // The reader is used up by the first try.
            ws.send_reader(MessageKind::Binary, &payload[..], Some(2000))?;
            let mut reader = trace.call(|| ws.message_reader().map(drop)).and_then(|()| ws.message_reader())?;
            let mut bytes = Vec::new();
            reader.read_to_end(&mut bytes)?;
            drop(reader);
            trace.see_bytes(&bytes);
            ws.close()
        },
    },
    Scenario {
        name: "frames one by one",
        role: Role::Server,
        greeting: || [frame(0x01, "a"), frame(0x89, "?"), frame(0x80, "b"), frame(0x88, b"\x03\xe8bye")].concat(),
        act: |ws, trace| {
            for _ in 0..4 {
                let frame = trace.call(|| ws.recv_frame())?;
                trace.see(frame);
            }
            let answer = Frame::new(Opcode::Pong, "?");
            trace.call(|| ws.send_frame(&answer))?;
            trace.call(|| ws.recv_frame()).map(drop)
        },
    },
    Scenario {
        name: "a close from the peer",
        role: Role::Server,
        greeting: || [frame(0x81, "before"), frame(0x88, b"\x03\xe9going")].concat(),
        act: |ws, trace| {
            trace.recv(ws)?;
            let close = trace.call(|| ws.recv_data(ControlFrames::Hide))?;
            trace.see(close);
            trace.recv(ws)
        },
    },
    Scenario {
        name: "a violation by the peer",
        role: Role::Server,
        greeting: || [frame(0x81, "before"), frame(0x83, "what"), frame(0x81, "after")].concat(),
        act: |ws, trace| {
            trace.recv(ws)?;
            trace.recv(ws)
        },
    },
    Scenario {
        name: "a close in two steps",
        role: Role::Server,
        greeting: || frame(0x81, "before"),
        act: |ws, trace| {
            trace.call(|| ws.send_close(CloseCode(4000), "two steps"))?;
            trace.recv(ws)?;
            trace.recv(ws)
        },
    },
    Scenario {
        name: "an echo in the other role",
        role: Role::Client,
        greeting: || [masked_frame(0x81, "welcome"), masked_frame(0x89, "?")].concat(),
        act: |ws, trace| {
            trace.recv(ws)?;
            for payload in [&b"Hello"[..], &[7; LARGE]] {
                trace.send(ws, payload)?;
                trace.recv(ws)?;
            }
            ws.close()
        },
    },
];

/// What one run came to.
struct Run {
    trace: Trace,
    /// Whether the trace ends with how the connection ended.
    tells_end: bool,
    outcome: Result<()>,
    heard: Vec<u8>,
    operations: usize,
    /// The first frame begins behind the head.
    frames_at: usize,
}

fn run(scenario: &Scenario, plan: &Plan, step: usize) -> Run {
    let (said, opened) = match scenario.role {
        Role::Server => (VecDeque::new(), false),
        Role::Client => (support::REQUEST.bytes().collect(), false),
    };
    let world = Faulty(Arc::new(Mutex::new(World {
        plan: plan.clone(),
        step,
        operations: 0,
        said,
        heard: Vec::new(),
        acted: 0,
        peer: Peer { role: scenario.role, greeting: (scenario.greeting)(), opened },
        ended: false,
        shut_read: false,
        shut_write: false,
        broken: false,
        write_failed: false,
        wrote_nothing: false,
        wrote_on: false,
        read_blocked: false,
        write_blocked: Blocked::No,
    })));
    let options = ConnectOptions::new().mask_key(|| KEY).send_timeout(Duration::from_secs(5));
    let mut trace = Trace::default();
    let mut tells_end = false;
    let opened = match scenario.role {
        Role::Server => options.connect_over(world.clone(), "ws://peer/"),
        Role::Client => options.accept(world.clone()),
    };
    let outcome = match opened {
        Ok(mut ws) => {
            trace.see("open");
            let outcome = (scenario.act)(&mut ws, &mut trace);
            if outcome.is_ok() || ws.close_info().is_some_and(|info| info.is_clean()) {
                trace.see(ws.close_info());
                tells_end = true;
            }
            drop(ws);
            outcome
        }
        Err(error) => Err(error),
    };
    assert_eq!(Arc::strong_count(&world.0), 1, "the transport was not dropped");
    let world = Arc::into_inner(world.0).unwrap().into_inner().unwrap();
    assert!(!world.wrote_on, "a write after one that failed");
    let frames_at =
        world.heard.windows(4).position(|bytes| bytes == b"\r\n\r\n").map_or(world.heard.len(), |at| at + 4);
    Run { trace, tells_end, outcome, heard: world.heard, operations: world.operations, frames_at }
}

/// The frames of ours that may occur in any run: those of the run without a fault, and the Closes of one that ends early.
fn known_frames(scenario: &Scenario, without: &Run) -> Vec<Vec<u8>> {
    let close = |code: &[u8]| Frame::new(Opcode::Close, code);
    let key = (scenario.role == Role::Server).then_some(KEY);
    let mut frames: Vec<Vec<u8>> = [&b"\x03\xe8"[..], b"\x03\xe9", b"\x03\xf3message was not finished"]
        .map(|code| close(code).to_bytes(key))
        .into();
    let mut rest = &without.heard[without.frames_at..];
    while !rest.is_empty() {
        let length = match scenario.role {
            Role::Server => support::parse(rest).expect("a whole frame").1,
            Role::Client => {
                let header = if rest[1] == 127 {
                    10
                } else if rest[1] == 126 {
                    4
                } else {
                    2
                };
                let length = match rest[1] {
                    126 => usize::from(u16::from_be_bytes([rest[2], rest[3]])),
                    127 => usize::try_from(u64::from_be_bytes(*rest[2..].first_chunk().unwrap())).unwrap(),
                    length => usize::from(length),
                };
                header + length
            }
        };
        frames.push(rest[..length].to_vec());
        rest = &rest[length..];
    }
    frames
}

/// Asserts that these bytes are whole frames of ours, and at their end at most the beginning of one.
fn assert_whole_frames(mut heard: &[u8], known: &[Vec<u8>]) {
    while !heard.is_empty() {
        match known.iter().find(|frame| heard.starts_with(frame)) {
            Some(frame) => heard = &heard[frame.len()..],
            None => {
                let torn = known.iter().any(|frame| frame.starts_with(heard));
                assert!(torn, "{} bytes that are no frame: {:02x?}", heard.len(), &heard[..heard.len().min(40)]);
                return;
            }
        }
    }
}

/// Asserts that a run with faults ended as it may: as the one without, or sooner with an error that the documentation knows.
fn assert_documented(run: &Run, without: &Run, severity: Severity) {
    let same = run.trace.0 == without.trace.0 && run.outcome.is_ok() == without.outcome.is_ok();
    if same {
        return;
    }
    assert_ne!(severity, Severity::None, "{:?} and {:?} instead of {:?}", run.trace, run.outcome, without.trace);
    // How it ended may differ; what was received before may not.
    let seen = run.trace.0.len() - usize::from(run.tells_end);
    assert!(without.trace.0.starts_with(&run.trace.0[..seen]), "{:?} instead of {:?}", run.trace, without.trace);
    if severity == Severity::Delay {
        // What can be tried again has been: only these cannot.
        let expected = match &run.outcome {
            Ok(()) | Err(Error::Timeout(Phase::Handshake | Phase::Send | Phase::Close)) => true,
            Err(Error::Closed(info)) => matches!(info.cause, CloseCause::TornFrame | CloseCause::Unanswered),
            Err(_) => false,
        };
        assert!(expected, "{:?} after nothing but a delay", run.outcome);
    }
    match &run.outcome {
        Ok(()) | Err(Error::Closed(_) | Error::Timeout(_)) => {}
        Err(Error::Io { .. } | Error::Handshake(_)) if seen == 0 => {}
        Err(Error::Protocol(_)) if without.outcome.is_err() => {}
        Err(other) => panic!("{other:?} is not documented for it"),
    }
}

fn check(scenario: &Scenario, plan: &Plan, step: usize, without: &Run, known: &[Vec<u8>]) -> Run {
    let start = Instant::now();
    let run = run(scenario, plan, step);
    let took = start.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    if run.frames_at < run.heard.len() {
        assert_whole_frames(&run.heard[run.frames_at..], known);
    }
    assert_documented(&run, without, plan.severity());
    run
}

/// Says which run it was that a panic came from.
struct Tell<'a>(&'a Scenario, &'a Plan, usize);

impl Drop for Tell<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("scenario: {}; faults: {:?}; {} bytes at a time", self.0.name, self.1.0, self.2);
        }
    }
}

#[test]
fn every_fault_at_every_operation_ends_in_the_same_or_in_a_documented_error() {
    bounded(80, || {
        let mut runs = 0;
        for scenario in SCENARIOS {
            // In steps of a few bytes a large message is thousands of operations.
            let large = matches!(scenario.name, "a large echo" | "an echo in the other role");
            for step in if large { [usize::MAX, 200_000, 60_000] } else { [usize::MAX, 1000, 7] } {
                let without = run(scenario, &Plan::default(), step);
                let known = known_frames(scenario, &without);
                for fault in FAULTS {
                    for at in 0..without.operations {
                        let plan = Plan(vec![(at, fault)]);
                        let _tell = Tell(scenario, &plan, step);
                        check(scenario, &plan, step, &without, &known);
                        runs += 1;
                    }
                }
            }
        }
        assert!(runs > 5000, "{runs}");
    });
}

#[test]
fn two_faults_at_once_do_no_more_harm() {
    bounded(80, || {
        // Not random, but as good: the same in every run.
        let mut state = 0x2545_F491_4F6C_DD1D_u64;
        let mut next = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for scenario in SCENARIOS.iter().filter(|scenario| scenario.name != "a large echo") {
            for step in [usize::MAX, 1000, 50] {
                let without = run(scenario, &Plan::default(), step);
                let known = known_frames(scenario, &without);
                for _ in 0..support::times(200, 50) {
                    let mut fault = || (next(without.operations + 3), FAULTS[next(FAULTS.len())]);
                    let plan = Plan(vec![fault(), fault()]);
                    let _tell = Tell(scenario, &plan, step);
                    check(scenario, &plan, step, &without, &known);
                }
            }
        }
    });
}

#[test]
fn without_a_fault_every_scenario_says_and_sees_what_it_should() {
    let known: [(&str, &[&str]); 4] = [
        ("an echo", &["welcome", "6", "[]", "11", "[72, 101, 108, 108, 111]"]),
        ("fragments and pings from the peer", &["once \u{3ba}\u{1f79} more", "[108, 97, 115, 116]"]),
        ("a close from the peer", &["before", "(Close, [3, 233, 103, 111, 105, 110, 103])"]),
        ("a close in two steps", &["before"]),
    ];
    for (name, expected) in known {
        let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).unwrap();
        for step in [usize::MAX, 1] {
            let run = run(scenario, &Plan::default(), step);
            for (seen, expected) in run.trace.0[1..].iter().zip(expected) {
                assert!(seen.contains(expected), "{seen} instead of {expected} in {name}");
            }
        }
    }
}
