use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use websocket_sync::protocol::{Role, TextPolicy};
use websocket_sync::{
    CloseCode, ConnectOptions, ControlFrames, Error, Interest, Message, MessageKind, Opcode, Transport, WebSocket,
};

use crate::decoder::{Decoded, End, decode};
use crate::input::Input;
use crate::wire::{Event, Settings, agreed};

/// What is told of a connection and what goes over the wire keeps the rules, whatever the peer sends, the stream does and the
/// application calls; and no call waits for a stream that does not.
///
/// Input: settings (3 bytes), then behind their lengths the fates of reads, those of writes and a program of calls, then what the peer
/// sends.
pub fn driver(data: &[u8]) {
    let mut input = Input::new(data);
    let settings = Settings { policy: TextPolicy::Validate, ..Settings::from_input(&mut input) };
    let (reads, writes, program) = (input.counted(), input.counted(), input.counted());
    let stream = input.rest();
    let memory = Memory::new(stream, reads, writes);
    let deflate = settings.deflate.then(|| agreed(settings.role, settings.takeover));
    let options = ConnectOptions::new()
        .timeout(Duration::from_secs(3600))
        .close_timeout(Duration::from_secs(3600))
        .mask_key(|| [0x12, 0x34, 0x56, 0x78])
        .max_message_size(settings.limits.max_message_size)
        .max_frame_size(settings.limits.max_frame_size)
        .max_fragments(settings.limits.max_fragments);
    let ws = options.from_open(memory.clone(), settings.role, b"", deflate).expect("the options can be met");
    let began = Instant::now();
    let mut caller = Caller { ws, over: false, messages: Vec::new(), takes_whole: true };
    caller.run(Input::new(program));
    assert!(began.elapsed() < Duration::from_secs(10), "it took {:?}", began.elapsed());
    let Caller { messages, takes_whole, .. } = caller;
    if takes_whole {
        check_messages(&messages, &decode(&settings, stream));
    }
    check_sent(&settings, &memory.state().sent);
}

/// What was received as whole messages is what the peer has sent, from its beginning.
fn check_messages(messages: &[Event], sent: &Decoded) {
    let is_message = |event: &&Event| matches!(event, Event::Text(_) | Event::Binary(_));
    let expected: Vec<&Event> = sent.events.iter().filter(is_message).collect();
    if sent.end == End::Unknown && messages.len() > expected.len() {
        return;
    }
    assert!(messages.len() <= expected.len(), "{messages:?} of {expected:?}, then {:?}", sent.end);
    assert!(messages.iter().zip(expected).all(|(received, sent)| received == sent), "{messages:?} of {sent:?}");
}

/// What was sent is frames of this role, text is UTF-8, and nothing but pongs follows a Close.
fn check_sent(settings: &Settings, sent: &[u8]) {
    let peer = match settings.role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    let settings = Settings { role: peer, limits: <_>::default(), ..*settings };
    let decoded = decode(&settings, sent);
    assert!(
        matches!(decoded.end, End::Open | End::Undecided),
        "{:?} was sent behind {:?}",
        decoded.end,
        decoded.events
    );
}

/// The application.
struct Caller {
    ws: WebSocket,
    /// Whether a receive has told that the connection is over.
    over: bool,
    messages: Vec<Event>,
    /// Whether all was received as whole messages.
    takes_whole: bool,
}

impl Caller {
    fn run(&mut self, mut program: Input<'_>) {
        while !program.is_empty() {
            let call = program.byte();
            self.call(call, &mut program);
        }
        // Whatever was called: the end is told, and nothing else behind it.
        for _ in 0..200 {
            if self.over {
                break;
            }
            self.receive();
        }
        for _ in 0..2 {
            self.receive();
        }
    }

    fn call(&mut self, call: u8, program: &mut Input<'_>) {
        match call % 24 {
            0..4 => self.receive(),
            4 | 5 => {
                let received = self.ws.try_recv();
                if let Some(received) = received.transpose() {
                    self.received(received);
                }
            }
            6 => {
                let received = self.ws.recv_ref().map(|message| message.to_owned());
                self.received(received);
            }
            7 => {
                let received = self.ws.recv_timeout(Duration::ZERO);
                self.received(received);
            }
            8 | 9 => drop(self.ws.send_text(&program.text())),
            10 => drop(self.ws.send_binary(program.counted())),
            11 => drop(self.ws.ping(program.counted())),
            12 => drop(self.ws.pong(program.counted())),
            13 => drop(self.ws.try_send_text(&program.text())),
            14 => drop(self.ws.try_flush()),
            15 => drop(self.ws.send_close(CloseCode(program.short()), &program.text())),
            16 => drop(self.ws.try_close(CloseCode::NORMAL, "")),
            17 if call & 0x80 != 0 => drop(self.ws.close()),
            18 if call & 0x80 != 0 => self.ws.abort(),
            17 | 18 => drop(self.ws.try_ping(program.counted())),
            19 => self.receive_frame(),
            20 => self.receive_part(program.byte()),
            21 => self.send_stream(program),
            22 => drop(self.ws.cork(|batch| {
                batch.send_text(&program.text())?;
                batch.send_binary(program.counted()).map(drop)
            })),
            _ => self.ws.release(),
        }
    }

    fn receive(&mut self) {
        let received = self.ws.recv();
        self.received(received);
    }

    fn received(&mut self, received: Result<Message, Error>) {
        match received {
            Ok(message) => {
                assert!(!self.over, "a message behind the end: {message:?}");
                self.messages.push(match message {
                    Message::Text(text) => Event::Text(text.into_bytes()),
                    Message::Binary(bytes) => Event::Binary(bytes),
                });
            }
            Err(error) => self.failed(&error),
        }
    }

    fn failed(&mut self, error: &Error) {
        match error {
            Error::Timeout(_) | Error::Usage(_) => assert!(!self.over, "{error} behind the end"),
            Error::Protocol(_) => {
                assert!(!self.over, "{error} behind the end");
                self.over = true;
            }
            Error::Closed(_) => {
                self.over = true;
                assert!(self.ws.close_info().is_some(), "an end without a reason");
            }
            other => panic!("{other:?} of a receive"),
        }
    }

    fn receive_frame(&mut self) {
        self.takes_whole = false;
        match self.ws.recv_data_frame(ControlFrames::Show) {
            Ok(frame) => assert!(!self.over || frame.opcode == Opcode::Close, "a frame behind the end: {frame:?}"),
            Err(error) => self.failed(&error),
        }
    }

    /// A part of a message, or all of it; the rest is skipped.
    fn receive_part(&mut self, most: u8) {
        self.takes_whole = false;
        let result = self.ws.message_reader().map(|mut reader| {
            let _ = reader.by_ref().take(most.into()).read_to_end(&mut Vec::new());
        });
        match result {
            Ok(()) => assert!(!self.over, "a message behind the end"),
            Err(error) => self.failed(&error),
        }
    }

    fn send_stream(&mut self, program: &mut Input<'_>) {
        let kind = if program.flag() { MessageKind::Text } else { MessageKind::Binary };
        let Ok(mut writer) = self.ws.message_writer(kind) else { return };
        let is_written = writer.write_all(program.counted()).and_then(|()| writer.write_all(program.counted()));
        if is_written.is_ok() && program.flag() {
            let _ = writer.finish();
        }
    }
}

/// A stream in memory whose reads and writes follow a script, and that then takes all and ends.
#[derive(Clone, Debug)]
struct Memory(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    incoming: Vec<u8>,
    /// How much of it was read.
    read: usize,
    reads: Script,
    writes: Script,
    sent: Vec<u8>,
}

/// What becomes of the operations in one direction.
#[derive(Debug)]
struct Script {
    fates: Vec<u8>,
    next: usize,
    /// How the direction has ended.
    ended: Option<Ending>,
}

#[derive(Clone, Copy, Debug)]
enum Ending {
    Eof,
    Error(io::ErrorKind),
}

impl Script {
    fn new(fates: &[u8]) -> Self {
        Self { fates: fates.to_vec(), next: 0, ended: None }
    }

    fn fate(&mut self) -> Option<u8> {
        let fate = self.fates.get(self.next).copied();
        self.next += 1;
        fate
    }

    /// What is ready does not block: who finds that it does nevertheless pauses before it asks again.
    fn skip_blocked(&mut self) {
        while matches!(self.fates.get(self.next), Some(128..192)) {
            self.next += 1;
        }
    }

    /// How many bytes the next operation may move.
    fn length(&mut self) -> io::Result<usize> {
        match self.ended {
            Some(Ending::Eof) => return Ok(0),
            Some(Ending::Error(kind)) => return Err(kind.into()),
            None => {}
        }
        let ending = match self.fate() {
            Some(fate @ 0..128) => return Ok(usize::from(fate) + 1),
            Some(128..192) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(192..208) => return Err(io::ErrorKind::Interrupted.into()),
            Some(208..216) => Ending::Error(io::ErrorKind::ConnectionReset),
            Some(216..220) => Ending::Error(io::ErrorKind::HostUnreachable),
            Some(220..228) => Ending::Eof,
            Some(228..) | None => return Ok(usize::MAX),
        };
        self.ended = Some(ending);
        self.length()
    }
}

impl Memory {
    fn new(incoming: &[u8], reads: &[u8], writes: &[u8]) -> Self {
        let (reads, writes) = (Script::new(reads), Script::new(writes));
        Self(Arc::new(Mutex::new(State { incoming: incoming.to_vec(), read: 0, reads, writes, sent: Vec::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics here")
    }
}

impl Transport for Memory {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        let most = state.reads.length()?;
        let rest = &state.incoming[state.read..];
        let length = rest.len().min(buf.len()).min(most);
        buf[..length].copy_from_slice(&rest[..length]);
        state.read += length;
        Ok(length)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let mut state = self.state();
        let length = match state.writes.length()? {
            0 => return Err(io::ErrorKind::BrokenPipe.into()),
            most => buf.len().min(most),
        };
        state.sent.extend_from_slice(&buf[..length]);
        Ok(length)
    }

    /// Ready, or the deadline has passed, which nobody waits for.
    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        assert!(deadline.is_some(), "a wait without a deadline");
        let mut state = self.state();
        let script = match interest {
            Interest::Read => &mut state.reads,
            Interest::Write => &mut state.writes,
        };
        match script.fate() {
            Some(192..208) => Err(io::ErrorKind::Interrupted.into()),
            Some(fate) if fate % 4 == 0 => Ok(false),
            _ => {
                script.skip_blocked();
                Ok(true)
            }
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut state = self.state();
        if how != Shutdown::Write {
            state.reads.ended = Some(Ending::Eof);
        }
        if how != Shutdown::Read {
            state.writes.ended.get_or_insert(Ending::Error(io::ErrorKind::BrokenPipe));
        }
        Ok(())
    }
}
