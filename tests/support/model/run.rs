//! Running a program: two threads on a WebSocket, and the peer with its script.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::calls::Caller;
use super::frames::{self, CLOSE, FIN, PING, PONG, Takeover};
use super::peer::{Cuts, DEAFNESS, End, Peer, Reads, Wire};
use super::program::{HangsUp, Last, Program, Side, Speech, Step};
use super::record::{Record, Stamp, Timeline};
use super::world::{self, ConnectOptions, DeflateOptions, Error, Transport, WebSocket, accept_for};

/// How long the peer waits for what has to come: far longer than it may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long it waits for a Close that nobody may send.
const FOR_A_CLOSE: Duration = Duration::from_millis(300);

/// What came of a program.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) program: Arc<Program>,
    pub(crate) speech: Speech,
    /// What the connection could not be opened for.
    pub(crate) opening: Option<String>,
    pub(crate) receiver: Vec<Record>,
    /// Those of all threads that send.
    pub(crate) senders: Vec<Record>,
    pub(crate) peer: PeerLog,
}

/// The program, and what was called, by the order of their beginnings in each thread.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program)?;
        for record in self.receiver.iter().chain(&self.senders) {
            let millis = |time: Duration| time.as_secs_f64() * 1e3;
            let (began, ended) = (record.began, record.ended);
            write!(f, "{:>4} {:>9.3} to {:>9.3} ms", began.order, millis(began.time), millis(ended.time))?;
            write!(f, " (late {:.3}): {} -> ", millis(ended.late - began.late), record.what)?;
            match &record.result {
                Ok(()) => writeln!(f, "Ok")?,
                Err(failure) => writeln!(f, "{failure:?}")?,
            }
        }
        let PeerLog { received, messages, close, ended, end, .. } = &self.peer;
        write!(f, "on the wire:")?;
        let mut rest = &received[..];
        while let Ok(Some((frame, length))) = frames::parse(rest) {
            let mark = String::from_utf8_lossy(&frame.payload[..frame.payload.len().min(6)]).into_owned();
            write!(f, " {:02x} {mark:?} of {length},", frame.first)?;
            rest = &rest[length..];
        }
        writeln!(f, " and {} bytes", rest.len())?;
        writeln!(f, "peer: {messages} messages sent, Close {close:?}, ended {ended:?}, then {end:?}")
    }
}

/// What the peer has done and received.
#[derive(Debug, Default)]
pub(crate) struct PeerLog {
    pub(crate) received: Vec<u8>,
    pub(crate) end: Option<End>,
    /// How many messages it has sent whole.
    pub(crate) messages: usize,
    /// The Close that it has sent, and when all of it had left.
    pub(crate) close: Option<(u16, String, Stamp)>,
    /// When it had done what ends the connection: a Close, the end of its half, a reset, a violation.
    pub(crate) ended: Option<Stamp>,
    /// Whether it broke a rule.
    pub(crate) has_violated: bool,
    /// What was on its way may be lost.
    pub(crate) has_reset: bool,
    /// It did not end by what the other side did.
    pub(crate) is_left_alone: bool,
}

/// Runs a program over this transport, whose other end the peer has.
pub(crate) fn run(program: Program, ours: Box<dyn Transport>, theirs: impl Wire) -> Outcome {
    let program = Arc::new(program);
    let speech = program.speech();
    let timeline = Arc::new(Timeline::new());
    let done = Arc::new(AtomicBool::new(false));
    let peer = {
        let (program, speech, timeline, done) =
            (Arc::clone(&program), speech.clone(), Arc::clone(&timeline), Arc::clone(&done));
        world::spawn(move || {
            ScriptedPeer { peer: Peer::new(theirs), program, timeline, done, log: PeerLog::default(), closed: None }
                .run(&speech)
        })
    };
    let opened = open(&program, ours);
    let caller = |name| Caller::new(name, Arc::clone(&program), Arc::clone(&timeline));
    let (opening, receiver, senders) = match opened {
        Ok(ws) => {
            let send = |(number, name): (usize, char)| {
                let (caller, handle, program) = (caller(name), ws.sender(), Arc::clone(&program));
                world::spawn(move || caller.send(&handle, &program.senders[number]))
            };
            let senders: Vec<_> = (0..program.senders.len()).zip('s'..).map(send).collect();
            let receiver = caller('r');
            let receiver = if program.other_connects {
                world::join(world::spawn(move || receiver.receive(ws)))
            } else {
                receiver.receive(ws)
            };
            (None, receiver, senders.into_iter().flat_map(world::join).collect())
        }
        Err(error) => (Some(format!("{error:?}")), Vec::new(), Vec::new()),
    };
    done.store(true, Ordering::SeqCst);
    let peer = world::join(peer);
    Outcome { program, speech, opening, receiver, senders, peer }
}

fn open(program: &Program, ours: Box<dyn Transport>) -> Result<WebSocket, Error> {
    let mut options = ConnectOptions::new()
        .open_timeout(PATIENCE)
        .close_timeout(program.close_timeout)
        .max_message_size(program.max_message)
        .max_frame_size(program.max_message)
        .max_unsent(program.max_unsent);
    if let Some(timeout) = program.recv_timeout {
        options = options.recv_timeout(timeout);
    }
    if let Some(timeout) = program.send_timeout {
        options = options.send_timeout(timeout);
    }
    if program.fires_fragments {
        options = options.fire_cont_frame();
    }
    if program.deflate.is_some() {
        options = options.deflate(DeflateOptions::new().level(1));
    }
    match program.side {
        Side::Client => options.connect_over(ours, "ws://peer/"),
        Side::Server => options.accept(ours),
    }
}

struct ScriptedPeer<W> {
    peer: Peer<W>,
    program: Arc<Program>,
    timeline: Arc<Timeline>,
    /// The other side is gone.
    done: Arc<AtomicBool>,
    log: PeerLog,
    /// The code of the Close that came.
    closed: Option<u16>,
}

/// What a frame means for the script.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Heard {
    Nothing,
    Close(u16),
}

impl<W: Wire> ScriptedPeer<W> {
    fn run(mut self, speech: &Speech) -> PeerLog {
        if self.shake_hands() {
            self.play(speech);
        }
        self.wait_for_the_end();
        self.log.received = self.peer.received;
        self.log.end = self.peer.end;
        self.log
    }

    fn shake_hands(&mut self) -> bool {
        let extension = match self.program.deflate {
            None => "",
            Some(Takeover::Yes) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
            Some(Takeover::No) => {
                "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
            }
        };
        let is_open = match self.program.side {
            Side::Client => {
                let Some(request) = self.peer.head(PATIENCE) else { return false };
                let Some(key) = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")) else {
                    return false;
                };
                let answer = format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n{extension}\r\n",
                    accept_for(key)
                );
                self.peer.send(answer.as_bytes(), Cuts::NONE, Reads::Yes, PATIENCE)
            }
            Side::Server => {
                let request = format!(
                    "GET / HTTP/1.1\r\nHost: peer\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{extension}\r\n"
                );
                self.peer.send(request.as_bytes(), Cuts::NONE, Reads::Yes, PATIENCE)
                    && self.peer.head(PATIENCE).is_some()
            }
        };
        self.peer.begin_frames();
        is_open
    }

    fn play(&mut self, speech: &Speech) {
        let mut said = speech.steps.iter();
        let program = Arc::clone(&self.program);
        for step in &program.script.steps {
            let heard = match step {
                Step::Listen(length) => self.listen(*length),
                Step::Stall(length) => {
                    self.peer.pause(*length, Reads::No);
                    Heard::Nothing
                }
                Step::Send { cuts, deaf, .. } => {
                    let Some((bytes, messages)) = said.next() else { return };
                    if !self.peer.send(bytes, *cuts, reads(*deaf), PATIENCE) {
                        return;
                    }
                    self.log.messages = *messages;
                    self.listen(Duration::ZERO)
                }
            };
            if let (Heard::Close(code), true) = (heard, program.script.is_attentive) {
                self.answer(code);
                return self.peer.shutdown_write();
            }
        }
        self.end(&program.script.last, speech);
    }

    fn end(&mut self, last: &Last, speech: &Speech) {
        match last {
            Last::Close { code, reason, hangs_up, deaf } => {
                if !self.peer.send(&speech.last, Cuts::NONE, reads(*deaf), PATIENCE) {
                    return;
                }
                self.note_close(*code, reason);
                match hangs_up {
                    HangsUp::AtOnce => self.peer.shutdown_write(),
                    HangsUp::Resets => self.reset(),
                    HangsUp::AfterTheAnswer if *deaf => {}
                    HangsUp::AfterTheAnswer => {
                        self.listen_for_close(PATIENCE);
                        self.peer.shutdown_write();
                    }
                    HangsUp::Never => {}
                }
                if *deaf {
                    self.wait_until_done();
                }
            }
            Last::Answer { after, hangs_up } => match self.listen_for_close(FOR_A_CLOSE) {
                Heard::Close(code) => {
                    self.listen(*after);
                    self.answer(code);
                    match hangs_up {
                        HangsUp::AtOnce | HangsUp::AfterTheAnswer | HangsUp::Resets => self.peer.shutdown_write(),
                        HangsUp::Never => {}
                    }
                }
                Heard::Nothing => self.hang_up(),
            },
            Last::Eof(after) => {
                self.listen(*after);
                self.hang_up();
            }
            Last::Reset(after) => {
                self.listen(*after);
                self.reset();
                self.log.ended = Some(self.timeline.stamp());
            }
            Last::Violate { .. } => {
                if self.peer.send(&speech.last, Cuts::NONE, Reads::Yes, PATIENCE) {
                    self.log.ended = Some(self.timeline.stamp());
                    self.log.has_violated = true;
                    self.listen_for_close(PATIENCE);
                    self.peer.shutdown_write();
                }
            }
            Last::Silent { length, deaf } => {
                self.peer.pause(*length, reads(*deaf));
                self.hang_up();
                if *deaf {
                    self.wait_until_done();
                }
            }
        }
    }

    /// Receives for so long, or until a Close comes.
    fn listen(&mut self, length: Duration) -> Heard {
        let until = world::now() + length;
        while let Some(frame) = self.peer.frame(until) {
            match frame.opcode() {
                PING if self.program.script.answers_pings => {
                    let pong = frames::encode(FIN | PONG, &frame.payload, self.key());
                    self.peer.send(&pong, Cuts::NONE, Reads::Yes, PATIENCE);
                }
                CLOSE => {
                    let code = frame.payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    self.closed = Some(code);
                    return Heard::Close(code);
                }
                _ => {}
            }
        }
        Heard::Nothing
    }

    /// The same, unless a Close has come before.
    fn listen_for_close(&mut self, longest: Duration) -> Heard {
        match self.closed {
            Some(code) => Heard::Close(code),
            None => self.listen(longest),
        }
    }

    fn answer(&mut self, code: u16) {
        let close = frames::encode(FIN | CLOSE, &frames::close_body(code, ""), self.key());
        if self.peer.send(&close, Cuts::NONE, Reads::Yes, PATIENCE) {
            self.note_close(code, "");
        }
    }

    fn note_close(&mut self, code: u16, reason: &str) {
        let now = self.timeline.stamp();
        let reason = if code == 1005 { "" } else { reason };
        self.log.close = Some((code, reason.to_owned(), now));
        self.log.ended = Some(now);
    }

    fn hang_up(&mut self) {
        self.peer.shutdown_write();
        self.log.ended = Some(self.timeline.stamp());
    }

    fn reset(&mut self) {
        self.peer.reset();
        self.log.has_reset = true;
    }

    fn key(&self) -> Option<[u8; 4]> {
        (self.program.side == Side::Server).then_some([9, 8, 7, 6])
    }

    /// Does not even read until the other side is gone.
    fn wait_until_done(&mut self) {
        let until = world::now() + DEAFNESS;
        while !self.done.load(Ordering::SeqCst) && world::now() < until {
            self.peer.pause(Duration::from_millis(5), Reads::No);
        }
    }

    /// Receives until the other side has ended, too.
    fn wait_for_the_end(&mut self) {
        let until = world::now() + PATIENCE;
        while self.peer.end.is_none() && world::now() < until {
            let _ = self.peer.frame(until);
        }
        self.log.is_left_alone = self.peer.end.is_none();
        if self.log.is_left_alone {
            self.reset();
        }
    }
}

const fn reads(deaf: bool) -> Reads {
    if deaf { Reads::No } else { Reads::Yes }
}
