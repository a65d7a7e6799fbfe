//! What must hold of every program, whatever it calls and whatever its peer does.

use std::collections::HashMap;
use std::fmt;

use super::frames::{self, BINARY, CLOSE, CONTINUATION, Frame, Inflater, PING, PONG, RSV1, TEXT};
use super::peer::End;
use super::program::{Program, Side, opcode_of};
use super::record::{Class, Failure, Fate, Limit, Received, Record, Sent};
use super::run::Outcome;
use super::world::{self, CloseCause, CloseInfo};

/// A rule of the model.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Rule {
    /// The opening handshake with a peer that does everything right succeeds.
    Opens,
    /// Every call returns by its deadline, and one that does not wait returns at once.
    Deadline,
    /// A receive does not time out before its time is up.
    EarlyTimeout,
    /// A receive that has no timeout ends in time when the connection is closed, by whichever side and thread.
    ReceiveEnds,
    /// When all is over, the connection has been ended, too.
    HangsUp,
    /// What is on the wire is frames of this role, and each message is whole or the last thing on it.
    Wire,
    /// Text that is sent is UTF-8.
    Utf8,
    /// There is one Close at most, and nothing but pongs behind it.
    OneClose,
    /// The Close that is sent is one that something explains.
    CloseExplained,
    /// Messages that were sent arrive, and no others, in their order.
    Sent,
    /// A pong answers a ping, once.
    Pongs,
    /// The last of the pings before the peer's Close is answered.
    PingsAnswered,
    /// What is received is what the peer has sent, from its beginning and in its order.
    Received,
    /// After the end of the connection was told, every receive tells it, and gives nothing.
    NothingAfterTheEnd,
    /// Everything that the peer sent before its Close is received.
    ReceivedAll,
    /// The peer's Close is what is told of the end.
    CloseTold,
    /// The end is told in the same way each time.
    ToldAlike,
    /// The broken rule is told, and which it is.
    ViolationTold,
    /// The connection goes on after what only fails itself.
    GoesOn,
    /// A send fails for something that explains it.
    SendExplained,
    /// Nothing can be sent after the end.
    NotSentAfterTheEnd,
    /// The connection holds no more memory than its limits allow.
    Memory,
}

/// A rule that a program has found broken.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

/// The faults that a program has found.
pub(crate) fn judge(outcome: &Outcome) -> Vec<Fault> {
    let mut judge = Judge { outcome, program: &outcome.program, faults: Vec::new() };
    judge.hangs_up();
    if let Some(error) = &outcome.opening {
        // What the peer has reset may have taken the end of the opening handshake with it.
        if outcome.peer.is_left_alone || !outcome.peer.has_reset {
            judge.fault(Rule::Opens, error.clone());
        }
        return judge.faults;
    }
    judge.deadlines();
    judge.early_timeouts();
    judge.wire();
    judge.received();
    judge.end();
    judge.memory();
    judge.faults
}

struct Judge<'a> {
    outcome: &'a Outcome,
    program: &'a Program,
    faults: Vec<Fault>,
}

impl<'a> Judge<'a> {
    fn fault(&mut self, rule: Rule, what: impl Into<String>) {
        self.faults.push(Fault { rule, what: what.into() });
    }

    fn require(&mut self, holds: bool, rule: Rule, what: impl FnOnce() -> String) {
        if !holds {
            self.fault(rule, what());
        }
    }

    fn records(&self) -> impl Iterator<Item = &'a Record> + use<'a> {
        self.outcome.receiver.iter().chain(&self.outcome.senders)
    }

    fn hangs_up(&mut self) {
        self.require(!self.outcome.peer.is_left_alone, Rule::HangsUp, || {
            "the peer was left alone with an open connection".to_owned()
        });
    }

    fn deadlines(&mut self) {
        let close = self.program.longest_close();
        // Whatever closes, closes by then. What the system holds threads up is not counted. A Close that has not left in time has
        // the same time again.
        let is_late = |record: &Record| record.class == Class::Close && matches!(record.result, Err(Failure::Timeout));
        let times = if self.records().any(is_late) { 3 } else { 2 };
        let closed = self
            .records()
            .filter(|record| begins_to_close(record))
            .map(|record| record.began.punctual() + times * close);
        let ended = self.outcome.peer.ended.map(|ended| ended.punctual());
        let aborted =
            self.records().filter(|record| record.class == Class::Abort).map(|record| record.began.punctual());
        let over = closed.chain(aborted).min();
        for record in self.records() {
            // What the peer has done to end the connection is seen to when it is received.
            let began = record.began.punctual();
            let over = over.into_iter().chain(ended.map(|ended| ended.max(began) + 2 * close)).min();
            let length = record.length();
            let latest = match record.limit {
                Limit::Now => Some(world::AT_ONCE),
                Limit::Within(limit) => Some(limit + world::SLACK),
                Limit::None => None,
            };
            if let Some(latest) = latest {
                self.require(length <= latest, Rule::Deadline, || {
                    format!("{} took {length:?}, not {latest:?}", record.what)
                });
            } else if let (Class::Receive, Some(over)) = (record.class, over) {
                let latest = over.max(began) + world::SLACK;
                self.require(record.ended.punctual() <= latest, Rule::ReceiveEnds, || {
                    format!(
                        "{} ended at {:?}, not by {latest:?} (since {:?})",
                        record.what, record.ended.time, record.began.time
                    )
                });
            }
        }
    }

    fn early_timeouts(&mut self) {
        for record in self.outcome.receiver.iter().filter(|record| record.class == Class::Receive) {
            // In one record of `Messages` are several receives, each with a timeout of its own.
            if let (Limit::Within(limit), Err(Failure::Timeout)) = (record.limit, &record.result)
                && !record.what.contains("Messages")
            {
                let took = record.ended.time - record.began.time;
                self.require(took + world::TOLERANCE >= limit, Rule::EarlyTimeout, || {
                    format!("{} timed out after {took:?}, not {limit:?}", record.what)
                });
            }
        }
    }

    /// What the peer has received.
    fn wire(&mut self) {
        let mut rest = &self.outcome.peer.received[..];
        let mut wire = Wire::new(self.program);
        loop {
            match frames::parse(rest) {
                Ok(Some((frame, length))) => {
                    rest = &rest[length..];
                    if let Err(fault) = wire.frame(frame) {
                        let ends_here = fault.rule != Rule::Utf8;
                        self.faults.push(fault);
                        if ends_here {
                            return;
                        }
                    }
                }
                Ok(None) => break,
                Err(problem) => return self.fault(Rule::Wire, problem),
            }
        }
        if wire.closed.is_some() {
            // A pong may be on its way when the connection ends.
            let is_pong = rest.first().is_none_or(|first| first & 0x0F == PONG);
            self.require(is_pong, Rule::OneClose, || format!("a part of a frame {:02x} behind a Close", rest[0]));
        }
        self.require(wire.repeated_keys < 2, Rule::Wire, || "the same masking key again and again".to_owned());
        let ended = self.outcome.peer.end == Some(End::Eof) && !self.outcome.peer.has_reset;
        self.close_explained(wire.closed.as_deref());
        self.sent(&wire, ended);
        self.pongs(&wire);
        if ended && wire.closed.is_some() {
            self.pings_answered(&wire);
        }
    }

    fn close_explained(&mut self, body: Option<&[u8]>) {
        let Some(body) = body else { return };
        let code = body.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
        let mut explained = self.records().any(|record| match record.class {
            Class::Close => is_close_with(&record.what, code),
            Class::AbandonMessage => code == 1011,
            Class::Drop => code == 1001,
            _ => false,
        });
        explained |= self.outcome.speech.close.is_some_and(|(theirs, _)| theirs == code);
        explained |= self.outcome.speech.violation.is_some_and(|violation| violation.close_code() == code);
        // A reader of unknown length is sent by a writer.
        explained |=
            code == 1011 && self.records().any(|record| record.what.contains("Reader") && record.result.is_err());
        self.require(explained, Rule::CloseExplained, || format!("nothing explains the Close with {code}"));
    }

    fn sent(&mut self, wire: &Wire, ended: bool) {
        let mut sent: HashMap<&[u8], (&Record, &Sent, usize)> = HashMap::new();
        for record in self.records() {
            for message in &record.sent {
                sent.insert(mark(&message.payload), (record, message, 0));
            }
        }
        let mut latest_began = 0;
        let mut before = "";
        for (opcode, payload) in &wire.messages {
            let Some((record, message, times)) = sent.get_mut(mark(payload)) else {
                if *opcode != PONG {
                    self.fault(Rule::Sent, format!("nobody has sent {:?}", shown(payload)));
                }
                continue;
            };
            *times += 1;
            let (record, message, times) = (*record, *message, *times);
            self.require(times == 1, Rule::Sent, || format!("{} has come twice", record.what));
            self.require(message.payload == *payload && message.opcode == *opcode, Rule::Sent, || {
                format!("{} has come as something else: {:?}", record.what, shown(payload))
            });
            self.require(message.fate != Fate::Not, Rule::Sent, || {
                format!("{} has come whole although it failed: {:?}", record.what, record.result)
            });
            self.require(record.ended.order >= latest_began, Rule::Sent, || {
                format!("{} has come behind {before}, which began when it was over", record.what)
            });
            if record.began.order > latest_began {
                (latest_began, before) = (record.began.order, &record.what);
            }
        }
        // What has left arrives, if the peer has received to the end.
        if !ended {
            return;
        }
        let closed = wire.closed.is_some();
        let missing: Vec<_> = sent
            .values()
            .filter(|(_, message, times)| {
                *times == 0 && (message.fate == Fate::Left || message.fate == Fate::Taken && closed)
            })
            .map(|(record, message, _)| format!("{} of {}", shown(&message.payload), record.what))
            .collect();
        for missing in missing {
            self.fault(Rule::Sent, format!("did not come: {missing}"));
        }
    }

    fn pongs(&mut self, wire: &Wire) {
        let sent: Vec<_> = self.records().flat_map(|record| &record.sent).filter(|sent| sent.opcode == PONG).collect();
        let mut pings =
            self.outcome.speech.controls.iter().filter(|(opcode, _)| *opcode == PING).map(|(_, payload)| payload);
        for (behind_close, payload) in &wire.pongs {
            if sent.iter().any(|sent| sent.payload == *payload) {
                self.require(!behind_close, Rule::OneClose, || "a pong that is no answer behind a Close".to_owned());
            } else if !pings.any(|ping| ping == payload) {
                // Each of the pings before this one was passed over; none is answered twice or late.
                return self.fault(Rule::Pongs, format!("a pong that answers nothing: {:?}", shown(payload)));
            }
        }
    }

    /// Where only the peer has closed, all its pings were received. A pong that could not leave before the Close was received need not
    /// be sent (RFC 6455, section 5.5.2): that may be so where there is little room, where the peer does not read, and where another
    /// thread sends.
    fn pings_answered(&mut self, wire: &Wire) {
        let Some((record, info)) = self.told_ends().into_iter().next() else { return };
        let has_room = self.program.capacity >= 65_536 && !self.program.script.is_ever_deaf();
        if info.cause != CloseCause::Remote || self.may_have_ended_before(record) || !has_room {
            return;
        }
        let receives = self.outcome.receiver.iter().filter(|record| record.class == Class::Receive);
        let first = receives.clone().map(|record| record.began.order).min().unwrap_or(0);
        let sends = &self.outcome.senders;
        // `recv_frame` answers nothing.
        if sends.iter().any(|send| send.ended.order > first && send.began.order < record.ended.order)
            || receives.clone().any(|receive| receive.what.contains("RecvFrame"))
        {
            return;
        }
        let controls = &self.outcome.speech.controls;
        let Some((_, ping)) = controls.iter().rfind(|(opcode, _)| *opcode == PING) else { return };
        self.require(wire.pongs.iter().any(|(_, payload)| payload == ping), Rule::PingsAnswered, || {
            format!("the last ping {:?} was not answered before {}", shown(ping), record.what)
        });
    }

    /// Whether this side may have closed or given up the connection before it was told its end.
    fn may_have_ended_before(&self, told: &Record) -> bool {
        self.records().any(|record| {
            (may_close(record) || gives_up(record) || record.class == Class::Drop)
                && record.began.order < told.ended.order
        })
    }

    /// What the receiving thread has received.
    fn received(&mut self) {
        let speech = &self.outcome.speech;
        let mut cursor = Cursor { messages: &speech.messages, number: 0, offset: 0, may_be_open: false };
        let mut controls = speech.controls.iter();
        let mut over: Option<&Record> = None;
        for record in self.outcome.receiver.iter().filter(|record| record.class == Class::Receive) {
            if let Some(over) = over
                && !tells_end_again(record, over)
            {
                self.fault(
                    Rule::NothingAfterTheEnd,
                    format!("{} gave {:?} after {} had failed", record.what, record.result, over.what),
                );
            }
            for received in &record.received {
                // What a reader has read, it has read before it failed.
                let is_part = matches!(received, Received::Part(..));
                if let (Some(over), false) = (over, is_part) {
                    self.fault(
                        Rule::NothingAfterTheEnd,
                        format!("{} gave something after {} had failed", record.what, over.what),
                    );
                }
                let result = match received {
                    Received::Control(opcode, payload) => {
                        let is_answer =
                            *opcode == PONG && self.program.script.answers_pings && self.has_pinged(payload);
                        if is_answer || controls.any(|control| control == &(*opcode, payload.clone())) {
                            Ok(())
                        } else {
                            Err(format!("the peer has not sent {opcode} {:?}", shown(payload)))
                        }
                    }
                    Received::Close(body) => {
                        let said =
                            self.outcome.peer.close.as_ref().map(|(code, reason, _)| frames::close_body(*code, reason));
                        if said.as_ref() == Some(body) { Ok(()) } else { Err(format!("{body:?}, not {said:?}")) }
                    }
                    data => cursor.receive(data),
                };
                if let Err(problem) = result {
                    return self.fault(Rule::Received, format!("{}: {problem}", record.what));
                }
            }
            if over.is_none() && matches!(record.result, Err(Failure::Closed(_) | Failure::Protocol(_))) {
                over = Some(record);
            }
        }
        let Some(over) = over else { return };
        // By then the closing handshake has to be over, whatever is still to be received. Nor is anything received when this side has
        // given the connection up.
        let close = self.program.shortest_close();
        let closed = self.records().filter(|record| may_close(record)).map(|record| record.began.time + close).min();
        if let Err(Failure::Closed(info)) = &over.result
            && info.is_clean()
            && closed.is_none_or(|closed| over.ended.time < closed)
            && !self.records().any(|record| gives_up(record) && record.began.order < over.ended.order)
            && !self
                .outcome
                .receiver
                .iter()
                .any(|record| record.class == Class::Close && record.began.order < over.began.order)
        {
            let messages = self.outcome.peer.messages;
            self.require(cursor.number >= messages, Rule::ReceivedAll, || {
                format!("{} of {messages} messages before {}", cursor.number, over.what)
            });
        }
    }

    fn has_pinged(&self, payload: &[u8]) -> bool {
        self.records().flat_map(|record| &record.sent).any(|sent| sent.opcode == PING && sent.payload == payload)
    }

    /// How the end is told.
    fn end(&mut self) {
        let ends = self.told_ends();
        for pair in ends.windows(2) {
            self.require(pair[0].1 == pair[1].1, Rule::ToldAlike, || {
                format!("{} says {:?}, then {} says {:?}", pair[0].0.what, pair[0].1, pair[1].0.what, pair[1].1)
            });
        }
        self.violation_told();
        if let (Some((first, _)), Some((last, info))) = (ends.first(), ends.last()) {
            self.close_told(last, info);
            let explained = self.explains_end(info, first);
            self.require(explained, Rule::GoesOn, || format!("nothing before {} explains {info:?}", first.what));
        }
        self.sends_explained();
        self.nothing_sent_after_the_end();
    }

    /// Where the receiving thread was told the end, and how.
    fn told_ends(&self) -> Vec<(&'a Record, &'a CloseInfo)> {
        let receiver = self.outcome.receiver.iter();
        receiver
            .filter(|record| record.class == Class::Receive || record.what.ends_with("close_info"))
            .filter_map(|record| match &record.result {
                Err(Failure::Closed(info)) => Some((record, info)),
                _ => None,
            })
            .collect()
    }

    fn violation_told(&mut self) {
        let told = self.outcome.receiver.iter().find_map(|record| match &record.result {
            Err(Failure::Protocol(error)) => Some((record, *error)),
            _ => None,
        });
        let Some((record, error)) = told else {
            // Nothing else has ended the connection: then the rule that the peer broke is told before its end.
            if let Some((end, info)) = self.told_ends().into_iter().next()
                && self.outcome.peer.has_violated
                && !self.may_have_ended_before(end)
            {
                self.fault(
                    Rule::ViolationTold,
                    format!("{} says {info:?}, and no receive told the violation", end.what),
                );
            }
            return;
        };
        let Some(violation) = self.outcome.speech.violation else {
            return self.fault(Rule::ViolationTold, format!("{} blames the peer: {error}", record.what));
        };
        self.require(error.close_code().0 == violation.close_code(), Rule::ViolationTold, || {
            format!("{violation:?} was called {error} by {}", record.what)
        });
    }

    /// The peer's Close was there before anything else ended the connection: then it is what is told.
    fn close_told(&mut self, record: &Record, info: &CloseInfo) {
        let peer = &self.outcome.peer;
        let Some((code, reason, said)) = &peer.close else { return };
        if peer.has_reset || self.outcome.speech.violation.is_some() || matches!(info.cause, CloseCause::Violation(_)) {
            return;
        }
        let others = self.records().filter(|record| may_end(record)).map(|record| {
            let late = record.ended.late.saturating_sub(said.late);
            record.ended.time.saturating_sub(late + world::TOLERANCE)
        });
        let aborted = self.records().filter(|record| record.class == Class::Abort).map(|record| record.began.time);
        let other = others.chain(aborted).min();
        if other.is_some_and(|other| other <= said.time) {
            return;
        }
        let told = info.code.0 == *code && info.reason == *reason;
        self.require(told, Rule::CloseTold, || {
            format!(
                "{} says {info:?}; the peer said {code} {reason:?} at {:?}, before {other:?}",
                record.what, said.time
            )
        });
    }

    /// Whether something that ends a connection in this way had begun before `told` told the end.
    fn explains_end(&self, info: &CloseInfo, told: &Record) -> bool {
        let mut before = self.records().filter(|record| record.began.order < told.ended.order);
        match info.cause {
            CloseCause::TornFrame => before.any(|record| {
                matches!(record.class, Class::Send | Class::AbandonMessage)
                    && matches!(record.result, Err(Failure::Timeout | Failure::Own | Failure::Other(_)))
                    || record.class == Class::AbandonMessage
                    // A batch goes on after a flush that has failed.
                    || record.what.contains("Cork") && record.result.is_err() && record.ended.time > record.began.time
            }),
            CloseCause::Unfinished(_) => before.any(abandons),
            CloseCause::Aborted => before.any(|record| matches!(record.class, Class::Abort | Class::Drop)),
            // A connection that is dropped is closed with 1001.
            CloseCause::Unanswered | CloseCause::Local | CloseCause::Closing => {
                before.any(|record| may_close(record) || abandons(record) || record.class == Class::Drop)
            }
            // What the peer does is noted after it was done.
            CloseCause::Remote => self.outcome.peer.close.is_some(),
            CloseCause::Violation(_) => self.outcome.speech.violation.is_some(),
            // One that ends its half or resets, or vanishes behind its Close.
            CloseCause::Lost(_) => self.outcome.peer.ended.is_some() || self.outcome.peer.has_reset,
            _ => false,
        }
    }

    fn sends_explained(&mut self) {
        for record in self.records().filter(|record| record.class == Class::Send) {
            let (Err(failure), peer) = (&record.result, &self.outcome.peer) else { continue };
            let explained = match failure {
                Failure::Timeout => record.limit != Limit::Now && self.program.has_send_timeout(),
                Failure::Full => record.limit == Limit::Now,
                Failure::Own => record.what.contains("Cork") || record.what.contains("Fails"),
                // The peer's Close was received, and is being answered.
                Failure::Closed(info) if info.cause == CloseCause::Closing && peer.close.is_some() => true,
                Failure::Closed(info) => self.explains_end(info, record),
                Failure::Other(_) => peer.ended.is_some() || peer.has_reset,
                // A message that can never be kept until it leaves.
                Failure::Options => {
                    let most = self.program.max_unsent;
                    record.limit == Limit::Now && record.sent.iter().any(|sent| sent.payload.len() + 14 > most)
                }
                Failure::Protocol(_) => false,
                // Which calls are refused is for the tests of the calls.
                Failure::Usage(_) => true,
            };
            self.require(explained, Rule::SendExplained, || format!("nothing explains {failure:?} of {}", record.what));
        }
    }

    fn nothing_sent_after_the_end(&mut self) {
        let dropped = self.outcome.receiver.iter().find(|record| record.class == Class::Drop);
        let told = self.outcome.receiver.iter().find(|record| {
            record.class == Class::Receive && matches!(record.result, Err(Failure::Closed(_) | Failure::Protocol(_)))
        });
        let over = [dropped, told].into_iter().flatten().map(|record| record.ended.order).min();
        let Some(over) = over else { return };
        let late: Vec<_> = self
            .records()
            .filter(|record| record.class == Class::Send && record.began.order > over && record.result.is_ok())
            // Nothing is written until a writer has a fragment to send.
            .filter(|record| record.sent.iter().any(|sent| matches!(sent.fate, Fate::Left | Fate::Taken)))
            .map(|record| record.what.clone())
            .collect();
        for what in late {
            self.fault(Rule::NotSentAfterTheEnd, format!("{what} has succeeded"));
        }
    }

    fn memory(&mut self) {
        let unsent = self.program.max_unsent.min(200_000);
        let largest = self.outcome.speech.messages.iter().map(|message| message.payload.len()).max().unwrap_or(0);
        let most = 512 * 1024 + unsent + 4 * largest.min(self.program.max_message);
        for record in self.records() {
            let memory = record.memory;
            self.require(memory <= most, Rule::Memory, || format!("{memory} bytes after {}", record.what));
        }
    }
}

/// What the peer receives, frame by frame.
struct Wire {
    side: Side,
    inflater: Option<Inflater>,
    last_key: Option<[u8; 4]>,
    repeated_keys: usize,
    /// The message in progress: its opcode and first bits, and what has come of it.
    message: Option<(u8, Vec<u8>)>,
    /// Whole messages and pings, in their order.
    messages: Vec<(u8, Vec<u8>)>,
    /// Whether each came behind the Close.
    pongs: Vec<(bool, Vec<u8>)>,
    /// The body of the Close.
    closed: Option<Vec<u8>>,
}

impl Wire {
    fn new(program: &Program) -> Self {
        Self {
            side: program.side,
            inflater: program.deflate.map(Inflater::new),
            last_key: None,
            repeated_keys: 0,
            message: None,
            messages: Vec::new(),
            pongs: Vec::new(),
            closed: None,
        }
    }

    fn frame(&mut self, frame: Frame) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault { rule: Rule::Wire, what });
        if frame.key.is_some() != (self.side == Side::Client) {
            return wrong(format!("a frame {:02x} with the mask of the other role", frame.first));
        }
        if frame.key.is_some() && frame.key == self.last_key {
            self.repeated_keys += 1;
        }
        self.last_key = frame.key;
        let opcode = frame.opcode();
        if self.closed.is_some() && opcode != PONG {
            return Err(Fault { rule: Rule::OneClose, what: format!("a frame {:02x} behind a Close", frame.first) });
        }
        match opcode {
            CLOSE => {
                let reason = frame.payload.get(2..).unwrap_or_default();
                if frame.payload.len() == 1 || std::str::from_utf8(reason).is_err() {
                    return wrong(format!("a Close of {:?}", frame.payload));
                }
                self.closed = Some(frame.payload);
            }
            PING => self.messages.push((PING, frame.payload)),
            PONG => {
                self.messages.push((PONG, frame.payload.clone()));
                self.pongs.push((self.closed.is_some(), frame.payload));
            }
            _ => return self.data(&frame),
        }
        Ok(())
    }

    fn data(&mut self, frame: &Frame) -> Result<(), Fault> {
        let wrong = |what: String| Err(Fault { rule: Rule::Wire, what });
        let bits = frame.first & 0x4F;
        let (first, mut payload) = match (self.message.take(), frame.opcode()) {
            (Some((first, _)), TEXT | BINARY) => {
                return wrong(format!("a message {bits:02x} in the midst of one of {first:02x}"));
            }
            (None, CONTINUATION) => return wrong("a continuation of nothing".to_owned()),
            (Some(_), _) if bits & RSV1 != 0 => return wrong("RSV1 in a continuation".to_owned()),
            (Some(message), _) => message,
            (None, _) if bits & RSV1 != 0 && self.inflater.is_none() => {
                return wrong("a compressed message that nobody has agreed to".to_owned());
            }
            (None, _) => (bits, Vec::new()),
        };
        payload.extend_from_slice(&frame.payload);
        if !frame.is_last() {
            self.message = Some((first, payload));
            return Ok(());
        }
        if first & RSV1 != 0
            && let Some(inflater) = &mut self.inflater
        {
            payload = inflater.message(&payload).map_err(|what| Fault { rule: Rule::Wire, what })?;
        }
        let opcode = first & 0x0F;
        if opcode == TEXT && std::str::from_utf8(&payload).is_err() {
            return Err(Fault { rule: Rule::Utf8, what: format!("text that is none: {:?}", shown(&payload)) });
        }
        self.messages.push((opcode, payload));
        Ok(())
    }
}

/// How far what the peer has sent was received.
struct Cursor<'a> {
    messages: &'a [super::program::PeerMessage],
    /// The message that comes next, or of which a part was received.
    number: usize,
    offset: usize,
    /// Whether the last fragment may not have been the end of its message, of which nothing is left.
    may_be_open: bool,
}

impl Cursor<'_> {
    fn receive(&mut self, received: &Received) -> Result<(), String> {
        let (kind, payload, is_end) = match received {
            Received::Message(kind, payload) => (Some(*kind), payload, true),
            Received::Frame(payload, Some(is_last)) => (None, payload, *is_last),
            Received::Frame(payload, None) => {
                let rest = self.messages.get(self.number).map(|message| message.payload.len() - self.offset);
                (None, payload, rest == Some(payload.len()))
            }
            Received::Part(kind, payload, is_end) => (Some(*kind), payload, *is_end),
            Received::Control(..) | Received::Close(_) => return Ok(()),
        };
        // No message is empty, but a fragment may be, behind one after which nothing is missing.
        if payload.is_empty() && self.may_be_open && self.offset == 0 {
            return Ok(());
        }
        let Some(message) = self.messages.get(self.number) else {
            return Err(format!("{:?} came, and no message was left", shown(payload)));
        };
        let rest = &message.payload[self.offset..];
        if !rest.starts_with(payload) {
            let from = if self.offset > 0 { format!(" from {}", self.offset) } else { String::new() };
            return Err(format!("{:?} came, not {:?}{from}", shown(payload), shown(rest)));
        }
        if kind.is_some_and(|kind| opcode_of(kind) != opcode_of(message.kind)) {
            return Err(format!("{kind:?} came, not {:?}", message.kind));
        }
        self.offset += payload.len();
        self.may_be_open = matches!(received, Received::Frame(_, None));
        if is_end && (self.offset < message.payload.len() || !message.is_whole) {
            return Err(format!("{} bytes came for a whole message, not {}", self.offset, message.payload.len()));
        }
        // The rest of what was read in part is skipped.
        if is_end || matches!(received, Received::Part(..)) {
            (self.number, self.offset) = (self.number + 1, 0);
        }
        Ok(())
    }
}

/// Whether a receive after the one that told the end tells it, too.
fn tells_end_again(record: &Record, over: &Record) -> bool {
    // The iterator has an end instead after a clean one.
    let is_clean = matches!(&over.result, Err(Failure::Closed(info)) if info.is_clean());
    let may_be_empty = record.what.contains("Messages") && is_clean || record.what.ends_with(": drop");
    matches!(record.result, Err(Failure::Closed(_))) || may_be_empty && record.result.is_ok()
}

/// Whether this begins to close the connection, whatever becomes of it.
fn begins_to_close(record: &Record) -> bool {
    record.class == Class::Close && !matches!(record.result, Err(Failure::Usage(_)))
}

/// Whether this may have abandoned a message that has begun.
fn abandons(record: &Record) -> bool {
    let is_message = record.what.contains("Reader") || record.what.ends_with("writer: finish");
    record.class == Class::AbandonMessage || is_message && record.result.is_err()
}

/// Whether this may have begun to close the connection.
fn may_close(record: &Record) -> bool {
    begins_to_close(record)
        || record.class == Class::AbandonMessage
        || record.what.contains("Reader") && record.result.is_err()
}

/// Whether this may have given the connection up.
fn gives_up(record: &Record) -> bool {
    record.class == Class::Abort
        || record.class == Class::Send
            && matches!(record.result, Err(Failure::Timeout | Failure::Own | Failure::Other(_)))
        || record.class == Class::Send && record.what.contains("Cork") && record.result.is_err()
}

/// Whether this may have ended the connection before the peer's Close was looked at.
fn may_end(record: &Record) -> bool {
    match record.class {
        // It waits for the peer, then it ends the connection itself.
        Class::Close | Class::AbandonMessage => true,
        Class::Send => {
            matches!(record.result, Err(Failure::Timeout | Failure::Own | Failure::Other(_) | Failure::Usage(_)))
        }
        Class::Receive => matches!(record.result, Err(Failure::Closed(_))),
        Class::Drop => true,
        Class::Abort | Class::Other => false,
    }
}

fn is_close_with(what: &str, code: u16) -> bool {
    let call = what.split_once(' ').map_or(what, |(_, call)| call);
    let with = [format!("CloseWith({code},"), format!("SendClose({code},"), format!("TryClose({code},")];
    code == 1000 && (matches!(call, "Close" | "SenderClose") || call.contains("in the midst"))
        || with.iter().any(|with| call.starts_with(with))
}

/// What tells payloads apart: all before the first bar.
fn mark(payload: &[u8]) -> &[u8] {
    payload.split(|byte| *byte == b'|').next().unwrap_or_default()
}

fn shown(payload: &[u8]) -> String {
    let begin = String::from_utf8_lossy(&payload[..payload.len().min(12)]).into_owned();
    format!("{begin}.. ({} bytes)", payload.len())
}
