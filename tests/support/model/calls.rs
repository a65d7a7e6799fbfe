//! Making the calls of a program and noting what comes of them.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use super::frames::{BINARY, PING, PONG, TEXT};
use super::program::{Call, Control, Flaw, Inner, Kind, Leave, Program, opcode_of, payload};
use super::record::{Class, Failure, Fate, Limit, OWN, Received, Record, Sent, Timeline};
use super::world::{
    self, CloseCode, ControlFrames, Error, Frame, Message, MessageKind, MessageRef, Opcode, Sender, WebSocket,
};

/// As much as a batch gathers before it writes, in bytes.
const BATCH: usize = 64 * 1024;

/// One thread of a program.
pub(crate) struct Caller {
    name: char,
    program: Arc<Program>,
    timeline: Arc<Timeline>,
    records: Vec<Record>,
    /// The number of the call that is made.
    number: usize,
    recv_timeout: Option<Duration>,
}

/// What a thread calls.
enum Hand<'a> {
    WebSocket(&'a mut WebSocket),
    Sender(&'a Sender),
}

/// Calls what both have.
macro_rules! call {
    ($hand:expr, $it:ident => $call:expr) => {
        match $hand {
            Hand::WebSocket($it) => $call,
            Hand::Sender($it) => $call,
        }
    };
}

impl Caller {
    pub(crate) fn new(name: char, program: Arc<Program>, timeline: Arc<Timeline>) -> Self {
        let recv_timeout = program.recv_timeout;
        Self { name, program, timeline, records: Vec::new(), number: 0, recv_timeout }
    }

    /// The calls of the thread that receives. In the end the WebSocket is gone.
    pub(crate) fn receive(mut self, mut ws: WebSocket) -> Vec<Record> {
        let program = Arc::clone(&self.program);
        for call in &program.receiver {
            self.number += 1;
            self.call(&mut Hand::WebSocket(&mut ws), call);
        }
        match program.leave {
            Leave::ReceiveAll => self.receive_all(&mut ws),
            Leave::Close => self.call(&mut Hand::WebSocket(&mut ws), &Call::Close),
            Leave::Drop => {}
        }
        if program.leave != Leave::Drop {
            let info = ws.close_info();
            self.record(Class::Other, "close_info", Limit::Now, |_| {
                info.map_or(Ok(()), |info| Err(Failure::Closed(info)))
            });
            // Over once, over for ever.
            for call in [Call::TryRecv, Call::Recv, Call::TrySend(Kind::Text, 1)] {
                self.number += 1;
                self.call(&mut Hand::WebSocket(&mut ws), &call);
            }
        }
        self.record(Class::Drop, "drop", Limit::Now, |_| {
            drop(ws);
            Ok(())
        });
        self.records
    }

    /// The calls of a thread that sends.
    pub(crate) fn send(mut self, sender: &Sender, calls: &[Call]) -> Vec<Record> {
        for call in calls {
            self.number += 1;
            self.call(&mut Hand::Sender(sender), call);
        }
        self.records
    }

    /// Receives until the connection is over. When nothing has come for some time, it closes.
    fn receive_all(&mut self, ws: &mut WebSocket) {
        self.call(&mut Hand::WebSocket(ws), &Call::SetRecvTimeout(Some(Duration::from_millis(30))));
        for _ in 0..200 {
            self.number += 1;
            self.call(&mut Hand::WebSocket(ws), &Call::Recv);
            match self.records.last().map(|record| &record.result) {
                Some(Ok(())) => {}
                Some(Err(Failure::Timeout)) if self.records.len() < 250 => {
                    let quiet = self.records.iter().rev().take_while(|record| record.result.is_err()).count();
                    if quiet > 12 {
                        break;
                    }
                }
                Some(Err(Failure::Usage(_))) => self.call(&mut Hand::WebSocket(ws), &Call::RecvFrame),
                _ => break,
            }
        }
        self.call(&mut Hand::WebSocket(ws), &Call::Close);
    }

    /// Notes one call.
    fn record(
        &mut self,
        class: Class,
        what: impl Into<String>,
        limit: Limit,
        call: impl FnOnce(&mut Noted) -> Result<(), Failure>,
    ) -> &Record {
        let began = self.timeline.stamp();
        let mut noted = Noted::default();
        let result = call(&mut noted);
        let ended = self.timeline.stamp();
        let Noted { received, sent, memory } = noted;
        let what = format!("{}{} {}", self.name, self.number, what.into());
        self.records.push(Record { what, class, began, ended, limit, result, received, sent, memory });
        &self.records[self.records.len() - 1]
    }

    fn call(&mut self, hand: &mut Hand<'_>, call: &Call) {
        if let Hand::WebSocket(ws) = hand
            && self.receiving(ws, call)
        {
            return;
        }
        self.sending(hand, call);
    }

    /// Makes a call that only a WebSocket has; says whether it is one.
    fn receiving(&mut self, ws: &mut WebSocket, call: &Call) -> bool {
        let limit = self.recv_timeout.map_or(Limit::None, Limit::Within);
        let what = format!("{call:?}");
        let receive = Class::Receive;
        match *call {
            Call::Recv => self.record(receive, what, limit, |noted| noted.message(ws.recv()?, ws)),
            Call::RecvRef => self.record(receive, what, limit, |noted| noted.borrowed(ws.recv_ref()?)),
            Call::RecvTimeout(timeout) => {
                self.record(receive, what, Limit::Within(timeout), |noted| noted.message(ws.recv_timeout(timeout)?, ws))
            }
            Call::RecvRefTimeout(timeout) => self
                .record(receive, what, Limit::Within(timeout), |noted| noted.borrowed(ws.recv_ref_timeout(timeout)?)),
            Call::RecvData(control) => {
                let single = self.program.fires_fragments;
                self.record(receive, what, limit, |noted| {
                    let (opcode, payload) = ws.recv_data(control.into())?;
                    noted.data(opcode, payload, single)
                })
            }
            Call::RecvDataFrame(control) => {
                let single = self.program.fires_fragments;
                self.record(receive, what, limit, |noted| noted.frame(ws.recv_data_frame(control.into())?, single))
            }
            Call::RecvFrame => self.record(receive, what, limit, |noted| noted.frame(ws.recv_frame()?, true)),
            Call::Read { at_most, piece } => {
                self.read(ws, at_most, piece);
                return true;
            }
            Call::Messages(most) => {
                let limit = self.recv_timeout.map_or(Limit::None, |timeout| Limit::Within(timeout * most as u32));
                self.record(receive, what, limit, |noted| {
                    ws.messages().take(most).try_for_each(|message| noted.taken(&message?))
                })
            }
            Call::TryRecv => self.record(receive, what, Limit::Now, |noted| match ws.try_recv()? {
                Some(message) => noted.message(message, ws),
                None => Ok(()),
            }),
            Call::TryRecvRef => self.record(receive, what, Limit::Now, |noted| match ws.try_recv_ref()? {
                Some(message) => noted.borrowed(message),
                None => Ok(()),
            }),
            Call::TryRecvDataFrame(control) => {
                let single = self.program.fires_fragments;
                self.record(receive, what, Limit::Now, |noted| match ws.try_recv_data_frame(control.into())? {
                    Some(frame) => noted.frame(frame, single),
                    None => Ok(()),
                })
            }
            Call::HasBuffered => self.record(Class::Other, what, Limit::Now, |noted| {
                ws.has_buffered();
                noted.memory = ws.memory();
                Ok(())
            }),
            Call::Release => self.record(Class::Other, what, Limit::Now, |noted| {
                ws.release();
                noted.memory = ws.memory();
                Ok(())
            }),
            Call::SetRecvTimeout(timeout) => {
                self.recv_timeout = timeout;
                self.record(Class::Other, what, Limit::Now, |_| Ok(ws.set_recv_timeout(timeout)?))
            }
            Call::SetSendTimeout(timeout) => {
                self.record(Class::Other, what, Limit::Now, |_| Ok(ws.set_send_timeout(timeout)?))
            }
            Call::SetCloseTimeout(timeout) => {
                self.record(Class::Other, what, Limit::Now, |_| Ok(ws.set_close_timeout(timeout)?))
            }
            Call::SenderClose => {
                // That this is the thread that receives is known from its first receive on.
                let receives = self.records.iter().any(|record| record.class == Class::Receive);
                let limit = if receives { Limit::Now } else { Limit::Within(2 * self.program.longest_close()) };
                self.record(Class::Close, what, limit, |_| Ok(ws.sender().close()?))
            }
            Call::TryFlush => self.record(Class::Send, what, Limit::Now, |_| Ok(ws.try_flush().map(drop)?)),
            _ => return false,
        };
        true
    }

    fn read(&mut self, ws: &mut WebSocket, at_most: usize, piece: usize) {
        let limit = self.recv_timeout.map_or(Limit::None, Limit::Within);
        let what = format!("Read {{ at_most: {at_most}, piece: {piece} }}");
        let mut reader = None;
        self.record(Class::Receive, format!("{what}: begin"), limit, |_| {
            reader = Some(ws.message_reader()?);
            Ok(())
        });
        let Some(mut reader) = reader else { return };
        let kind = Kind::from(reader.kind());
        let (mut payload, mut ended) = (Vec::new(), false);
        while payload.len() < at_most && !ended {
            let result = self.record(Class::Receive, format!("{what}: read"), limit, |_| {
                let mut buffer = vec![0; piece.min(at_most - payload.len())];
                let length = reader.read(&mut buffer)?;
                payload.extend_from_slice(&buffer[..length]);
                ended = length == 0;
                Ok(())
            });
            if result.result.is_err() {
                break;
            }
        }
        self.record(Class::Receive, format!("{what}: drop"), Limit::Now, |noted| {
            drop(reader);
            noted.received.push(Received::Part(kind, payload, ended));
            Ok(())
        });
    }

    fn sending(&mut self, hand: &mut Hand<'_>, call: &Call) {
        let what = format!("{call:?}");
        let limit = self.program.longest_send().map_or(Limit::None, Limit::Within);
        let close = self.program.longest_close();
        let own = self.mark(0);
        match call {
            Call::Sleep(length) => {
                world::sleep(*length);
            }
            Call::Send(kind, length) => {
                let payload = payload(&own, *kind, *length);
                self.message(what, limit, *kind, payload.clone(), || match kind {
                    Kind::Text => {
                        let text = String::from_utf8_lossy(&payload);
                        call!(hand, it => it.send_text(&text))
                    }
                    Kind::Binary => call!(hand, it => it.send_binary(&payload)),
                });
            }
            Call::SendPayload(kind, length) => {
                let payload = payload(&own, *kind, *length);
                let opcode = Opcode::from(MessageKind::from(*kind));
                self.message(what, limit, *kind, payload.clone(), || call!(hand, it => it.send(&payload, opcode)));
            }
            Call::SendFrame(kind, length) => {
                let payload = payload(&own, *kind, *length);
                let frame = Frame::new(MessageKind::from(*kind).into(), payload.clone());
                self.message(what, limit, *kind, payload, || call!(hand, it => it.send_frame(&frame)));
            }
            Call::SendBadFrame => {
                let frame = Frame::new(Opcode::Text, b"caf\xFFe".to_vec());
                self.record(Class::Send, what, limit, |_| Ok(call!(hand, it => it.send_frame(&frame)).map(drop)?));
            }
            Call::Ping(length) => {
                let payload = payload(&own, Kind::Binary, *length);
                self.control(what, limit, PING, payload.clone(), || call!(hand, it => it.ping(&payload)));
            }
            Call::Pong(length) => {
                let payload = payload(&own, Kind::Binary, *length);
                self.control(what, limit, PONG, payload.clone(), || call!(hand, it => it.pong(&payload)));
            }
            Call::Fragments { kind, lengths, pings, finished } => {
                self.fragments(hand, *kind, lengths, *pings, *finished);
            }
            Call::Cork { messages, flushes, inner } => self.cork(hand, what, messages, *flushes, *inner),
            Call::Writer { kind, lengths, flushes, inner, finished } => {
                self.write(hand, *kind, lengths, *flushes, *inner, *finished);
            }
            Call::Reader { kind, length, piece, announced, inner, flaw } => {
                let form = ReaderForm { piece: *piece, announced: *announced, inner: *inner, flaw: *flaw };
                self.send_reader(hand, what, *kind, *length, form);
            }
            Call::TrySend(kind, length) => {
                let payload = payload(&own, *kind, *length);
                self.try_message(what, *kind, payload.clone(), || match kind {
                    Kind::Text => {
                        let text = String::from_utf8_lossy(&payload);
                        call!(hand, it => it.try_send_text(&text))
                    }
                    Kind::Binary => call!(hand, it => it.try_send_binary(&payload)),
                });
            }
            Call::TryPayload(kind, length) => {
                let payload = payload(&own, *kind, *length);
                let opcode = Opcode::from(MessageKind::from(*kind));
                self.try_message(what, *kind, payload.clone(), || call!(hand, it => it.try_send(&payload, opcode)));
            }
            Call::TryPing(length) => {
                let payload = payload(&own, Kind::Binary, *length);
                self.record(Class::Send, what, Limit::Now, |noted| {
                    let result = call!(hand, it => it.try_ping(&payload)).map_err(Failure::from);
                    noted.sent.push(Sent { opcode: PING, payload, fate: Fate::of_trying(&result) });
                    result
                });
            }
            Call::Close => {
                // Until our Close has left, and then until the answer is there.
                let limit = Limit::Within(2 * close);
                self.record(Class::Close, what, limit, |_| Ok(call!(hand, it => it.close())?));
            }
            Call::CloseWith(code, reason) => {
                // Until our Close has left, and then until the answer is there.
                let limit = Limit::Within(2 * close);
                let code = CloseCode(*code);
                self.record(Class::Close, what, limit, |_| Ok(call!(hand, it => it.close_with(code, reason))?));
            }
            Call::SendClose(code, reason) => {
                let code = CloseCode(*code);
                let limit = Limit::Within(close);
                self.record(Class::Close, what, limit, |_| Ok(call!(hand, it => it.send_close(code, reason))?));
            }
            Call::TryClose(code, reason) => {
                let code = CloseCode(*code);
                self.record(Class::Close, what, Limit::Now, |_| Ok(call!(hand, it => it.try_close(code, reason))?));
            }
            Call::Abort => {
                self.record(Class::Abort, what, Limit::Now, |_| {
                    call!(hand, it => it.abort());
                    Ok(())
                });
            }
            // A Sender has none of the others.
            _ => {}
        }
    }

    fn mark(&self, part: usize) -> String {
        format!("{}{}.{part}", self.name, self.number)
    }

    fn message<T>(
        &mut self,
        what: String,
        limit: Limit,
        kind: Kind,
        payload: Vec<u8>,
        send: impl FnOnce() -> Result<T, Error>,
    ) {
        self.record(Class::Send, what, limit, |noted| {
            let result = send().map(drop).map_err(Failure::from);
            noted.sent.push(Sent { opcode: opcode_of(kind), payload, fate: Fate::of(&result) });
            result
        });
    }

    fn try_message<T>(&mut self, what: String, kind: Kind, payload: Vec<u8>, send: impl FnOnce() -> Result<T, Error>) {
        self.record(Class::Send, what, Limit::Now, |noted| {
            let result = send().map(drop).map_err(Failure::from);
            noted.sent.push(Sent { opcode: opcode_of(kind), payload, fate: Fate::of_trying(&result) });
            result
        });
    }

    fn control(
        &mut self,
        what: String,
        limit: Limit,
        opcode: u8,
        payload: Vec<u8>,
        send: impl FnOnce() -> Result<(), Error>,
    ) {
        self.record(Class::Send, what, limit, |noted| {
            let result = send().map_err(Failure::from);
            noted.sent.push(Sent { opcode, payload, fate: Fate::of(&result) });
            result
        });
    }

    fn fragments(&mut self, hand: &Hand<'_>, kind: Kind, lengths: &[usize], pings: bool, finished: bool) {
        let limit = self.program.longest_send().map_or(Limit::None, Limit::Within);
        let whole = payload(&self.mark(0), kind, lengths.iter().sum());
        let mut rest = &whole[..];
        let last = lengths.len() - 1;
        for (number, length) in lengths.iter().enumerate() {
            let (piece, behind) = rest.split_at(if number == last { rest.len() } else { (*length).min(rest.len()) });
            rest = behind;
            if number == last && !finished {
                return;
            }
            let opcode = if number == 0 { MessageKind::from(kind).into() } else { Opcode::Continuation };
            let mut frame = Frame::new(opcode, piece);
            if number < last {
                frame = frame.fragment();
            }
            let what = format!("fragment {number} of {last}");
            let record = self.record(Class::Send, what, limit, |noted| {
                let result = call!(hand, it => it.send_frame(&frame)).map(drop).map_err(Failure::from);
                if number == last {
                    noted.sent.push(Sent { opcode: opcode_of(kind), payload: whole.clone(), fate: Fate::of(&result) });
                }
                result
            });
            if record.result.is_err() {
                return;
            }
            if pings && number < last {
                let payload = payload(&self.mark(number + 1), Kind::Binary, 2);
                let ping = || call!(hand, it => it.ping(&payload));
                self.control("ping between fragments".to_owned(), limit, PING, payload.clone(), ping);
            }
        }
    }

    fn cork(&mut self, hand: &Hand<'_>, what: String, messages: &[(Kind, usize)], flushes: bool, inner: Inner) {
        // The wait for its turn has the time of a send, and so has each write.
        let gathered: usize = messages.iter().map(|(_, length)| length).sum();
        let writes = 1 + u32::from(flushes) + u32::try_from(gathered / BATCH).unwrap();
        let limit = self.program.longest_send().map_or(Limit::None, |send| Limit::Within((1 + writes) * send));
        let sender = call!(hand, it => it.sender());
        let marks: Vec<_> = (0..messages.len()).map(|part| self.mark(part)).collect();
        let within = Within { sender: &sender, mark: self.mark(messages.len()), inner, outer: Outer::Writes };
        let mut inner_sent = None;
        let timeline = Arc::clone(&self.timeline);
        let mut inner_record = None;
        self.record(Class::Send, what, limit, |noted| {
            let gathered = &mut noted.sent;
            let result = call!(hand, it => it.cork(|batch| {
                for (number, ((kind, length), mark)) in messages.iter().zip(&marks).enumerate() {
                    let payload = payload(mark, *kind, *length);
                    match kind {
                        Kind::Text => batch.send_text(&String::from_utf8_lossy(&payload))?,
                        Kind::Binary => batch.send_binary(&payload)?,
                    };
                    gathered.push(Sent { opcode: opcode_of(*kind), payload, fate: Fate::Open });
                    if flushes && number == 0 {
                        batch.flush()?;
                    }
                }
                if inner != Inner::Nothing {
                    let (record, sent) = within.call(&timeline);
                    inner_record = record;
                    inner_sent = sent;
                }
                if messages.len() == 5 { Err(Error::other(OWN)) } else { Ok(()) }
            }));
            let result = result.map_err(Failure::from);
            // What was gathered leaves also when the closure fails, unless that fails, too.
            if result.is_ok() {
                noted.sent.iter_mut().for_each(|sent| sent.fate = Fate::Left);
            }
            noted.sent.extend(inner_sent.take());
            result
        });
        self.add(inner_record);
    }

    fn write(&mut self, hand: &Hand<'_>, kind: Kind, lengths: &[usize], flushes: bool, inner: Inner, finished: bool) {
        let limit = self.program.longest_send().map_or(Limit::None, Limit::Within);
        let sender = call!(hand, it => it.sender());
        let whole = payload(&self.mark(0), kind, lengths.iter().sum());
        let mut writer = None;
        self.record(Class::Send, "writer: begin", limit, |_| {
            writer = Some(call!(hand, it => it.message_writer(kind.into()))?);
            Ok(())
        });
        let Some(mut writer) = writer else { return };
        let mut rest = &whole[..];
        for length in lengths {
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            rest = behind;
            let record = self.record(Class::Send, "writer: write", limit, |_| {
                writer.write_all(piece)?;
                if flushes { Ok(writer.flush()?) } else { Ok(()) }
            });
            if record.result.is_err() {
                return self.abandon(|| drop(writer));
            }
            if inner != Inner::Nothing {
                let outer = Outer::Fragments { send: limit, close: self.program.longest_close() };
                let within = Within { sender: &sender, mark: self.mark(1), inner, outer };
                let (record, sent) = within.call(&Arc::clone(&self.timeline));
                self.add(record.map(|mut record| {
                    record.sent.extend(sent);
                    record
                }));
                break;
            }
        }
        if !finished {
            return self.abandon(|| drop(writer));
        }
        let record = self.record(Class::Send, "writer: write the rest", limit, |_| Ok(writer.write_all(rest)?));
        if record.result.is_err() {
            return self.abandon(|| drop(writer));
        }
        // One that cannot be finished is abandoned by that.
        let close = self.program.longest_close();
        let limit = self.program.longest_send().map_or(Limit::None, |send| Limit::Within(send + close));
        let record = self.record(Class::Send, "writer: finish", limit, |noted| {
            let result = writer.finish().map_err(Failure::from);
            noted.sent.push(Sent { opcode: opcode_of(kind), payload: whole, fate: Fate::of(&result) });
            result
        });
        if record.result.is_err() {
            self.abandon(|| ());
        }
    }

    fn abandon(&mut self, end: impl FnOnce()) {
        let limit = Limit::Within(self.program.longest_close());
        self.record(Class::AbandonMessage, "writer: drop", limit, |_| {
            end();
            Ok(())
        });
    }

    fn send_reader(&mut self, hand: &Hand<'_>, what: String, kind: Kind, length: usize, form: ReaderForm) {
        let whole = payload(&self.mark(0), kind, length);
        // Each fragment has a timeout of its own.
        let fragments = if form.announced { 1 } else { 2 + whole.len() / 65_536 };
        let close = self.program.longest_close();
        let within = |send: Duration| {
            Limit::Within(send * fragments as u32 + if form.announced { Duration::ZERO } else { close })
        };
        let limit = self.program.longest_send().map_or(Limit::None, within);
        let sender = call!(hand, it => it.sender());
        let mut given = whole.clone();
        match form.flaw {
            Flaw::Nothing | Flaw::Fails | Flaw::Short => {}
            Flaw::NotUtf8 => {
                let middle = given.len() / 2;
                given[middle] = 0xFF;
            }
            Flaw::CutText => given.push(0xC3),
        }
        let announced = form.announced.then_some(given.len() as u64);
        if form.flaw == Flaw::Short {
            given.pop();
        }
        let outer = match (form.announced, self.program.deflate) {
            (true, None) => Outer::Writes,
            _ => Outer::Fragments { send: limit, close },
        };
        let mut reader = FlawedReader {
            bytes: &given,
            position: 0,
            form,
            within: Some(Within { sender: &sender, mark: self.mark(1), inner: form.inner, outer }),
            timeline: &Arc::clone(&self.timeline),
            record: None,
            sent: None,
        };
        let mut inner = None;
        self.record(Class::Send, what, limit, |noted| {
            let result = call!(hand, it => it.send_reader(kind.into(), &mut reader, announced));
            let result = result.map(drop).map_err(Failure::from);
            inner = reader.record.take();
            noted.sent.extend(reader.sent.take());
            let fate = Fate::of(&result);
            // Without a length, one that ends early is as long as it is.
            let payload = if form.flaw == Flaw::Short { given.clone() } else { whole };
            noted.sent.push(Sent { opcode: opcode_of(kind), payload, fate });
            result
        });
        self.add(inner);
    }

    /// Adds what was called in the midst of another call.
    fn add(&mut self, record: Option<Record>) {
        if let Some(mut record) = record {
            record.what = format!("{}{} {}", self.name, self.number, record.what);
            self.records.push(record);
        }
    }
}

/// What one call has received and sent.
#[derive(Default)]
struct Noted {
    received: Vec<Received>,
    sent: Vec<Sent>,
    memory: usize,
}

impl Noted {
    fn message(&mut self, message: Message, ws: &WebSocket) -> Result<(), Failure> {
        self.memory = ws.memory();
        self.taken(&message)
    }

    fn taken(&mut self, message: &Message) -> Result<(), Failure> {
        self.borrowed(message.as_ref())
    }

    fn borrowed(&mut self, message: MessageRef<'_>) -> Result<(), Failure> {
        self.received.push(Received::Message(message.kind().into(), message.as_bytes().to_vec()));
        Ok(())
    }

    /// What came with its opcode: a message, or with `single` a fragment of one.
    fn data(&mut self, opcode: Opcode, payload: Vec<u8>, single: bool) -> Result<(), Failure> {
        self.received.push(match opcode {
            Opcode::Text | Opcode::Binary | Opcode::Continuation if single => Received::Frame(payload, None),
            Opcode::Text => Received::Message(Kind::Text, payload),
            Opcode::Binary | Opcode::Continuation => Received::Message(Kind::Binary, payload),
            Opcode::Close => Received::Close(payload),
            Opcode::Ping => Received::Control(PING, payload),
            _ => Received::Control(PONG, payload),
        });
        Ok(())
    }

    fn frame(&mut self, frame: Frame, single: bool) -> Result<(), Failure> {
        let is_data = matches!(frame.opcode, Opcode::Text | Opcode::Binary | Opcode::Continuation);
        if is_data && single {
            self.received.push(Received::Frame(frame.payload, Some(frame.fin)));
            return Ok(());
        }
        self.data(frame.opcode, frame.payload, false)
    }
}

/// A call in the midst of another call of the same thread, or of a message that it writes.
struct Within<'a> {
    sender: &'a Sender,
    mark: String,
    inner: Inner,
    outer: Outer,
}

/// What a call is made in the midst of.
#[derive(Clone, Copy, Debug)]
enum Outer {
    /// It has the right to write: whatever needs that has to answer at once.
    Writes,
    /// Control frames pass, and take as long as they may; messages have to answer at once.
    Fragments { send: Limit, close: Duration },
}

impl Within<'_> {
    fn call(&self, timeline: &Timeline) -> (Option<Record>, Option<Sent>) {
        let began = timeline.stamp();
        let message = || payload(&self.mark, Kind::Binary, 5);
        let mut opcode = None;
        let result = match self.inner {
            Inner::Nothing => return (None, None),
            Inner::Send => {
                opcode = Some(BINARY);
                self.sender.send_binary(&message()).map(drop)
            }
            Inner::Ping => {
                opcode = Some(PING);
                self.sender.ping(message())
            }
            Inner::Close => self.sender.close(),
            Inner::SendClose => self.sender.send_close(CloseCode(1000), ""),
            Inner::Cork => {
                opcode = Some(BINARY);
                self.sender.cork(|batch| batch.send_binary(&message()).map(drop))
            }
        };
        let result = result.map_err(Failure::from);
        let sent = opcode.map(|opcode| Sent { opcode, payload: message(), fate: Fate::of(&result) });
        let class = match self.inner {
            Inner::Close | Inner::SendClose => Class::Close,
            _ => Class::Send,
        };
        let limit = match (self.outer, self.inner) {
            (Outer::Fragments { send, .. }, Inner::Ping) => send,
            (Outer::Fragments { close, .. }, Inner::Close) => Limit::Within(2 * close),
            (Outer::Fragments { close, .. }, Inner::SendClose) => Limit::Within(close),
            _ => Limit::Now,
        };
        let record = Record {
            what: format!("{:?} in the midst of another call", self.inner),
            class,
            began,
            ended: timeline.stamp(),
            limit,
            result,
            received: Vec::new(),
            sent: Vec::new(),
            memory: 0,
        };
        (Some(record), sent)
    }
}

#[derive(Clone, Copy)]
struct ReaderForm {
    piece: usize,
    announced: bool,
    inner: Inner,
    flaw: Flaw,
}

/// A reader that calls something, or breaks off, when half of its bytes are read.
struct FlawedReader<'a> {
    bytes: &'a [u8],
    position: usize,
    form: ReaderForm,
    within: Option<Within<'a>>,
    timeline: &'a Timeline,
    record: Option<Record>,
    sent: Option<Sent>,
}

impl Read for FlawedReader<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.bytes.len() / 2 {
            if self.form.flaw == Flaw::Fails {
                return Err(io::Error::other(OWN));
            }
            if let Some(within) = self.within.take() {
                (self.record, self.sent) = within.call(self.timeline);
            }
        }
        let rest = &self.bytes[self.position..];
        let length = rest.len().min(buf.len()).min(self.form.piece);
        buf[..length].copy_from_slice(&rest[..length]);
        self.position += length;
        Ok(length)
    }
}

/// What a WebSocket has, too.
trait HasSender {
    fn sender(&self) -> Sender;
}

impl HasSender for Sender {
    fn sender(&self) -> Sender {
        self.clone()
    }
}

impl From<Control> for ControlFrames {
    fn from(control: Control) -> Self {
        match control {
            Control::Hide => Self::Hide,
            Control::Show => Self::Show,
        }
    }
}

impl From<Kind> for MessageKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text,
            Kind::Binary => Self::Binary,
        }
    }
}

impl From<MessageKind> for Kind {
    fn from(kind: MessageKind) -> Self {
        match kind {
            MessageKind::Text => Self::Text,
            MessageKind::Binary => Self::Binary,
        }
    }
}

const _: () = assert!(TEXT == 1 && BINARY == 2);
