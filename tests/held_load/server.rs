//! The server with the faults: one thread, epoll, frames by hand.
//!
//! Each connection draws its faults from the seed and its own number. What it has sent and received, and what it did, is printed as one
//! line when it has ended. What a client must not do is a panic, which ends the process and so the test.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write, stdin, stdout};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};
use socket2::{Domain, SockRef, Socket, Type};

use crate::message::{self, Request};
use crate::pace::{Pace, Random, now_ms};
use crate::support::{answer_to, frame, parse};

/// What is buffered for a reader that is slow. It is felt by the client then.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// What a slow reader reads at a time, and how often.
const SIP: (usize, Duration) = (2048, Duration::from_millis(50));
/// How long the other side may take to end a connection that this side has ended.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many messages a burst has.
const BURST: usize = 100;
const LISTENER: u64 = u64::MAX;

/// What happens to a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// Nothing has.
    None,
    DropAtOnce,
    Refuse,
    /// No answer to the opening handshake.
    SilentOpening,
    /// A part of the answer, and the end.
    CutAnswer,
    Reset,
    Drop,
    /// All is sent, and the end; what comes is read on.
    HalfClose,
    /// Neither reads nor writes, and is gone later.
    Silence,
    /// A part of a frame, and the end.
    CutFrame,
    /// A part of a frame, and a reset.
    CutFrameReset,
    /// A part of a frame, and after a while its rest. The connection goes on.
    PausedFrame,
    /// Reads little by little for a while, and asks the client to send much. The connection goes on.
    SlowReader,
    /// Many messages at once. The connection goes on.
    Burst,
    Close,
    /// A Close, and no wait for the answer.
    CloseAndDrop,
    /// The client is asked to close.
    AskToLeave,
    /// All connections end but those that are silent, and the server is away for a moment.
    Restart,
}

impl Fault {
    const OPENING: [Self; 4] = [Self::DropAtOnce, Self::Refuse, Self::SilentOpening, Self::CutAnswer];
    const OPEN: [Self; 12] = [
        Self::Reset,
        Self::Drop,
        Self::HalfClose,
        Self::Silence,
        Self::CutFrame,
        Self::CutFrameReset,
        Self::PausedFrame,
        Self::SlowReader,
        Self::Burst,
        Self::Close,
        Self::CloseAndDrop,
        Self::AskToLeave,
    ];
}

/// What the server has noted of a connection.
#[derive(Clone, Debug)]
pub(crate) struct ServerRecord {
    pub(crate) number: u64,
    /// The client's name for it, once a message has come.
    pub(crate) client_number: Option<u64>,
    /// Messages that came, in their order.
    pub(crate) received: u64,
    /// Messages that were to be sent.
    pub(crate) sent: u64,
    /// Those of them that the kernel took whole.
    pub(crate) written: u64,
    pub(crate) fault: String,
    pub(crate) fault_at: u64,
    /// Whether the client's Close came.
    pub(crate) heard_close: bool,
    /// Whether all was written, and then the end; and the other side ended it without a reset.
    pub(crate) ended_in_order: bool,
}

impl ServerRecord {
    /// From the line of [`Connection::report`].
    pub(crate) fn parse(line: &str) -> Self {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        Self {
            number: next().parse().unwrap(),
            client_number: next().parse().ok(),
            received: next().parse().unwrap(),
            sent: next().parse().unwrap(),
            written: next().parse().unwrap(),
            fault: next().to_owned(),
            fault_at: next().parse().unwrap(),
            heard_close: next() == "true",
            ended_in_order: next() == "true",
        }
    }
}

/// Serves until its standard input ends.
pub(crate) fn serve(seed: u64, pace: Pace) {
    let mut server = Server::new(seed, pace);
    // The harness may have begun a line.
    say(&format!("\nport {}", server.address.port()));
    let (send, commands) = mpsc::channel();
    thread::spawn(move || stdin().lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
    server.run(&commands);
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mood {
    Calm,
    Faults,
    /// It says nothing more by itself.
    Hush,
}

struct Server {
    seed: u64,
    pace: Pace,
    epoll: OwnedFd,
    address: SocketAddr,
    /// None while it is away.
    listener: Option<TcpListener>,
    /// When it goes, or comes again.
    restart_at: Instant,
    connections: HashMap<u64, Connection>,
    timers: BinaryHeap<Reverse<(Instant, u64)>>,
    next: u64,
    mood: Mood,
}

impl Server {
    fn new(seed: u64, pace: Pace) -> Self {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let listener = listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)));
        let address = listener.local_addr().unwrap();
        let mut server = Self {
            seed,
            pace,
            epoll,
            address,
            listener: None,
            restart_at: Instant::now() + pace.restart_after,
            connections: HashMap::new(),
            timers: BinaryHeap::new(),
            next: 0,
            mood: Mood::Calm,
        };
        server.open_listener(listener);
        server
    }

    fn run(&mut self, commands: &Receiver<String>) {
        let mut events = Vec::with_capacity(1024);
        loop {
            let wait = Timespec::try_from(Duration::from_millis(10)).unwrap();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&wait)) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => panic!("{error}"),
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    LISTENER => self.accept(),
                    number => self.advance(number, Connection::transfer),
                }
            }
            self.run_timers();
            self.restart_if_due();
            while let Ok(command) = commands.try_recv() {
                match &*command {
                    "calm" => self.mood = Mood::Calm,
                    "faults" => self.mood = Mood::Faults,
                    "hush" => self.mood = Mood::Hush,
                    "totals" => self.say_totals(),
                    "end" => return self.end(),
                    other => panic!("{other}"),
                }
            }
        }
    }

    fn say_totals(&self) {
        let open = self.connections.values().filter(|connection| connection.phase == Phase::Open);
        let (sent, received) =
            open.fold((0, 0), |(sent, received), connection| (sent + connection.sent, received + connection.received));
        say(&format!("totals {sent} {received}"));
    }

    fn open_listener(&mut self, listener: TcpListener) {
        epoll::add(&self.epoll, &listener, epoll::EventData::new_u64(LISTENER), epoll::EventFlags::IN).unwrap();
        self.listener = Some(listener);
    }

    fn accept(&mut self) {
        while let Some(listener) = &self.listener {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                // That of a connection that is gone already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                Err(error) => panic!("{error}"),
            };
            socket.set_nonblocking(true).unwrap();
            socket.set_nodelay(true).unwrap();
            let number = self.next;
            self.next += 1;
            let both =
                epoll::EventFlags::IN | epoll::EventFlags::OUT | epoll::EventFlags::RDHUP | epoll::EventFlags::ET;
            epoll::add(&self.epoll, &socket, epoll::EventData::new_u64(number), both).unwrap();
            self.connections.insert(number, Connection::new(number, socket, self.seed, self.pace, self.mood));
            self.advance(number, |_| Step::GoOn);
        }
    }

    /// Does something with a connection, and notes its end.
    fn advance(&mut self, number: u64, action: impl FnOnce(&mut Connection) -> Step) {
        let Some(connection) = self.connections.get_mut(&number) else { return };
        match action(connection) {
            Step::GoOn => {
                let due = connection.next_tick();
                if connection.tick_at.is_none_or(|at| due < at) {
                    connection.tick_at = Some(due);
                    self.timers.push(Reverse((due, number)));
                }
            }
            Step::Over => {
                if let Some(connection) = self.connections.remove(&number) {
                    connection.report();
                }
            }
        }
    }

    fn run_timers(&mut self) {
        let now = Instant::now();
        while let Some(&Reverse((due, number))) = self.timers.peek()
            && due <= now
        {
            self.timers.pop();
            let mood = self.mood;
            self.advance(number, |connection| {
                if connection.tick_at != Some(due) {
                    // There is an earlier one since.
                    return Step::GoOn;
                }
                connection.tick_at = None;
                connection.tick(now, mood)
            });
        }
    }

    fn restart_if_due(&mut self) {
        if Instant::now() < self.restart_at {
            return;
        }
        if self.listener.is_none() {
            self.open_listener(listen(self.address));
            self.restart_at = Instant::now() + self.pace.restart_after;
        } else if self.mood == Mood::Faults {
            self.listener = None;
            self.restart_at = Instant::now() + self.pace.down;
            let is_ended = |_: &u64, connection: &mut Connection| connection.reading != Reading::Not;
            for (_, mut connection) in self.connections.extract_if(is_ended) {
                // What has ended already has met its fault.
                if !matches!(connection.phase, Phase::Ending(_)) {
                    connection.note_fault(Fault::Restart);
                }
                connection.report();
            }
        }
    }

    fn end(&mut self) {
        for (_, connection) in std::mem::take(&mut self.connections) {
            connection.report();
        }
        say("done");
    }
}

/// A line of its own, whatever the harness prints.
fn say(line: &str) {
    writeln!(stdout().lock(), "{line}").unwrap();
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.set_recv_buffer_size(RECEIVE_BUFFER).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(4096).unwrap();
    socket.set_nonblocking(true).unwrap();
    socket.into()
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Opening,
    Open,
    /// This side has sent its last; the other side has to end it by then.
    Ending(Instant),
}

/// Whether a connection is there after what was done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Step {
    GoOn,
    Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reading {
    Freely,
    Slowly { until: Instant },
    Not,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writing {
    Freely,
    /// The rest of a frame waits.
    Paused {
        until: Instant,
    },
    Not,
}

struct Connection {
    number: u64,
    socket: TcpStream,
    pace: Pace,
    random: Random,
    /// Its timer.
    tick_at: Option<Instant>,
    phase: Phase,
    reading: Reading,
    writing: Writing,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    /// How many bytes were ever written, and where in them each message ends that was not written whole yet.
    written_bytes: usize,
    ends: VecDeque<usize>,
    client_number: Option<u64>,
    received: u64,
    sent: u64,
    /// The fault that is drawn, and when it comes.
    fault: Fault,
    fault_at: Instant,
    /// What has happened already.
    happened: Fault,
    happened_at: u64,
    message_at: Instant,
    sent_close: bool,
    heard_close: bool,
    /// Whether the end is to follow what is still to be written.
    ends_when_written: bool,
    sent_end: bool,
    ended_in_order: bool,
}

impl Connection {
    fn new(number: u64, socket: TcpStream, seed: u64, pace: Pace, mood: Mood) -> Self {
        let mut random = Random(seed ^ (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let opens_badly = random.below(12) == 0 && mood == Mood::Faults;
        let fault = if opens_badly { any_of(&Fault::OPENING, &mut random) } else { Fault::None };
        let now = Instant::now();
        let fault_at = if opens_badly { now + Duration::from_millis(random.below(5)) } else { now + PATIENCE };
        Self {
            number,
            socket,
            pace,
            random,
            tick_at: None,
            phase: Phase::Opening,
            reading: if opens_badly { Reading::Not } else { Reading::Freely },
            writing: Writing::Freely,
            incoming: Vec::new(),
            outgoing: Vec::new(),
            written_bytes: 0,
            ends: VecDeque::new(),
            client_number: None,
            received: 0,
            sent: 0,
            fault,
            fault_at,
            happened: Fault::None,
            happened_at: 0,
            message_at: now + PATIENCE,
            sent_close: false,
            heard_close: false,
            ends_when_written: false,
            sent_end: false,
            ended_in_order: false,
        }
    }

    fn report(&self) {
        let client = self.client_number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let written = self.sent - self.ends.len() as u64;
        let Self { number, received, sent, happened, happened_at, heard_close, ended_in_order, .. } = self;
        say(&format!(
            "end {number} {client} {received} {sent} {written} {happened:?} {happened_at} {heard_close} {ended_in_order}"
        ));
    }

    fn note_fault(&mut self, fault: Fault) {
        (self.happened, self.happened_at) = (fault, now_ms());
    }

    /// When something is to be done without an event.
    fn next_tick(&self) -> Instant {
        let mut due = match self.phase {
            Phase::Opening => self.fault_at,
            Phase::Open => self.fault_at.min(self.message_at),
            Phase::Ending(until) => until,
        };
        if let Reading::Slowly { .. } = self.reading {
            due = due.min(Instant::now() + SIP.1);
        }
        if let Writing::Paused { until } = self.writing {
            due = due.min(until);
        }
        // A tick at a time that has passed is due at once, and must not come again and again.
        due.max(Instant::now() + Duration::from_millis(1))
    }

    fn tick(&mut self, now: Instant, mood: Mood) -> Step {
        match self.phase {
            Phase::Ending(until) if until <= now => return Step::Over,
            Phase::Opening if self.fault_at <= now => return self.fail_opening(),
            Phase::Open if self.fault_at <= now => {
                let fault = self.fault;
                (self.fault, self.fault_at) = any_fault(self.pace, now, &mut self.random);
                if mood == Mood::Faults && self.strike(fault, now) == Step::Over {
                    return Step::Over;
                }
            }
            Phase::Opening | Phase::Open | Phase::Ending(_) => {}
        }
        if self.phase == Phase::Open && self.message_at <= now {
            self.message_at = now + self.random.around(self.pace.message_after);
            if mood != Mood::Hush {
                self.send_message(Request::Nothing);
            }
        }
        self.relax(now);
        self.transfer()
    }

    /// What was slow or paused for its time is so no longer.
    fn relax(&mut self, now: Instant) {
        if matches!(self.reading, Reading::Slowly { until } if until <= now) {
            self.reading = Reading::Freely;
        }
        if matches!(self.writing, Writing::Paused { until } if until <= now) {
            self.writing = Writing::Freely;
        }
    }

    fn fail_opening(&mut self) -> Step {
        let fault = self.fault;
        self.note_fault(fault);
        match fault {
            Fault::Refuse => drop(self.socket.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")),
            Fault::CutAnswer => drop(self.socket.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgr")),
            Fault::SilentOpening => {
                self.fault = Fault::None;
                self.fault_at = Instant::now() + self.pace.silence;
                return Step::GoOn;
            }
            _ => {}
        }
        Step::Over
    }

    /// A fault of a connection that is open.
    fn strike(&mut self, fault: Fault, now: Instant) -> Step {
        self.note_fault(fault);
        match fault {
            Fault::Reset => return self.reset(),
            Fault::Drop => return Step::Over,
            Fault::HalfClose => self.end_when_written(now),
            Fault::Silence => {
                (self.reading, self.writing) = (Reading::Not, Writing::Not);
                self.phase = Phase::Ending(now + self.pace.silence);
            }
            Fault::CutFrame | Fault::CutFrameReset | Fault::PausedFrame => return self.cut_frame(fault, now),
            Fault::SlowReader => {
                self.reading = Reading::Slowly { until: now + self.pace.slowness };
                self.send_message(Request::Talk);
            }
            Fault::Burst => (0..BURST).for_each(|_| self.send_message(Request::Nothing)),
            Fault::Close | Fault::CloseAndDrop => {
                self.send_close(now);
                if fault == Fault::CloseAndDrop && self.transfer() == Step::GoOn {
                    return Step::Over;
                }
            }
            Fault::AskToLeave => self.send_message(Request::Leave),
            Fault::None
            | Fault::DropAtOnce
            | Fault::Refuse
            | Fault::SilentOpening
            | Fault::CutAnswer
            | Fault::Restart => unreachable!("{fault:?} is none of an open connection"),
        }
        Step::GoOn
    }

    fn reset(&self) -> Step {
        SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
        Step::Over
    }

    fn end_when_written(&mut self, now: Instant) {
        self.phase = Phase::Ending(now + PATIENCE);
        self.ends_when_written = true;
    }

    /// A part of a frame is written as it is: what waits before it has to be written first.
    fn cut_frame(&mut self, fault: Fault, now: Instant) -> Step {
        if self.transfer() == Step::Over {
            return Step::Over;
        }
        if !self.outgoing.is_empty() {
            return Step::GoOn;
        }
        let text = message::text(self.number, self.sent, Request::Nothing, 500);
        let frame = frame(0x81, &text);
        let cut = 1 + usize::try_from(self.random.below(frame.len() as u64 - 1)).unwrap();
        match fault {
            Fault::PausedFrame => {
                self.queue(&frame[..cut]);
                if self.write() == Step::Over || !self.outgoing.is_empty() {
                    return Step::Over;
                }
                self.queue(&frame[cut..]);
                self.sent += 1;
                self.ends.push_back(self.written_bytes + self.outgoing.len());
                self.writing = Writing::Paused { until: now + self.pace.slowness };
                return Step::GoOn;
            }
            Fault::CutFrameReset => {
                drop(self.socket.write(&frame[..cut]));
                return self.reset();
            }
            _ => self.queue(&frame[..cut]),
        }
        self.end_when_written(now);
        self.transfer()
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.outgoing.extend_from_slice(bytes);
    }

    /// The next message, sometimes in fragments.
    fn send_message(&mut self, request: Request) {
        if self.phase != Phase::Open || self.sent_close {
            return;
        }
        let text = message::text(self.number, self.sent, request, message::any_length(&mut self.random));
        if self.random.below(8) == 0 {
            let (first, rest) = text.as_bytes().split_at(text.len() / 3);
            self.queue(&[frame(0x01, first), frame(0x00, ""), frame(0x80, rest)].concat());
        } else {
            self.queue(&frame(0x81, &text));
        }
        self.sent += 1;
        self.ends.push_back(self.written_bytes + self.outgoing.len());
    }

    fn send_close(&mut self, now: Instant) {
        if !self.sent_close {
            self.sent_close = true;
            self.queue(&frame(0x88, b"\x03\xe8"));
        }
        self.phase = Phase::Ending(now + PATIENCE);
    }

    /// Reads and writes what can be read and written.
    fn transfer(&mut self) -> Step {
        match self.read() {
            Step::GoOn => self.write(),
            Step::Over => Step::Over,
        }
    }

    fn read(&mut self) -> Step {
        let mut buffer = [0; 16 * 1024];
        let room = match self.reading {
            Reading::Freely => buffer.len(),
            Reading::Slowly { .. } => SIP.0,
            Reading::Not => return Step::GoOn,
        };
        loop {
            match self.socket.read(&mut buffer[..room]) {
                Ok(0) => {
                    self.ended_in_order = self.sent_end && self.ends.is_empty();
                    return Step::Over;
                }
                Ok(length) => {
                    self.incoming.extend_from_slice(&buffer[..length]);
                    if self.hear() == Step::Over {
                        return Step::Over;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::GoOn,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(_) => return Step::Over,
            }
            if let Reading::Slowly { .. } = self.reading {
                return Step::GoOn;
            }
        }
    }

    fn write(&mut self) -> Step {
        if self.writing != Writing::Freely {
            return Step::GoOn;
        }
        while !self.outgoing.is_empty() {
            match self.socket.write(&self.outgoing) {
                Ok(length) => {
                    self.outgoing.drain(..length);
                    self.written_bytes += length;
                    while self.ends.front().is_some_and(|&end| end <= self.written_bytes) {
                        self.ends.pop_front();
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Step::GoOn,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // What has come before the end is still there.
                Err(_) => return self.read_rest(),
            }
        }
        if self.ends_when_written && !self.sent_end {
            self.sent_end = true;
            if self.socket.shutdown(Shutdown::Write).is_err() {
                return Step::Over;
            }
        }
        Step::GoOn
    }

    fn read_rest(&mut self) -> Step {
        self.outgoing.clear();
        self.read();
        Step::Over
    }

    /// What lies in the buffer: the opening handshake, and then frames.
    fn hear(&mut self) -> Step {
        if self.phase == Phase::Opening {
            let Some(end) = self.incoming.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Step::GoOn };
            let head: Vec<u8> = self.incoming.drain(..end + 4).collect();
            self.queue(answer_to(std::str::from_utf8(&head).unwrap()).as_bytes());
            self.phase = Phase::Open;
            let now = Instant::now();
            (self.fault, self.fault_at) = any_fault(self.pace, now, &mut self.random);
            self.message_at = now + self.random.around(self.pace.message_after);
            self.send_message(Request::Nothing);
        }
        let mut used = 0;
        while let Some(((first, payload), length)) = parse(&self.incoming[used..]) {
            used += length;
            self.hear_frame(first, payload);
        }
        self.incoming.drain(..used);
        Step::GoOn
    }

    fn hear_frame(&mut self, first: u8, payload: Vec<u8>) {
        if self.heard_close {
            panic!("a frame {first:02x} behind the Close of {}", self.number);
        }
        match first {
            0x81 => self.hear_message(&payload),
            0x89 if self.sent_close || self.ends_when_written => {}
            0x89 => self.queue(&frame(0x8A, payload)),
            0x8A => {}
            0x88 => {
                self.heard_close = true;
                self.send_close(Instant::now());
                self.ends_when_written = true;
            }
            other => panic!("a frame {other:02x} of {}", self.number),
        }
    }

    fn hear_message(&mut self, payload: &[u8]) {
        let message = message::parse(payload).unwrap();
        let connection = *self.client_number.get_or_insert(message.connection);
        assert_eq!((message.connection, message.sequence), (connection, self.received), "{message:?}");
        self.received += 1;
    }
}

fn any_fault(pace: Pace, now: Instant, random: &mut Random) -> (Fault, Instant) {
    (any_of(&Fault::OPEN, random), now + random.around(pace.fault_after))
}

fn any_of(faults: &[Fault], random: &mut Random) -> Fault {
    faults[usize::try_from(random.below(faults.len() as u64)).unwrap()]
}
