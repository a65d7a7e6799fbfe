//! A program: what two threads call on one connection, and the script of its peer. All of it follows from a seed.

use std::fmt;
use std::time::Duration;

use super::chance::Chance;
use super::frames::{self, BINARY, CLOSE, CONTINUATION, Deflater, FIN, PING, PONG, RSV1, TEXT, Takeover};
use super::peer::Cuts;

/// The role of the WebSocket that is tested; the peer has the other one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Side {
    Client,
    Server,
}

/// A program.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) seed: u64,
    pub(crate) side: Side,
    pub(crate) deflate: Option<Takeover>,
    /// How many bytes fit the buffers between the two sides.
    pub(crate) capacity: usize,
    /// Whether they take a write whole or not at all; in memory only.
    pub(crate) takes_whole_writes: bool,
    pub(crate) recv_timeout: Option<Duration>,
    pub(crate) send_timeout: Option<Duration>,
    pub(crate) close_timeout: Duration,
    pub(crate) max_message: usize,
    pub(crate) max_unsent: usize,
    pub(crate) fires_fragments: bool,
    /// Whether a thread connects that does not receive then.
    pub(crate) other_connects: bool,
    /// What the thread calls that has the WebSocket.
    pub(crate) receiver: Vec<Call>,
    /// How it leaves the WebSocket.
    pub(crate) leave: Leave,
    /// What the threads call that have a Sender, each.
    pub(crate) senders: Vec<Vec<Call>>,
    pub(crate) script: Script,
}

/// What the receiving thread does in the end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Leave {
    /// It receives until the connection is over, and closes it if that takes long.
    ReceiveAll,
    Close,
    Drop,
}

/// One call, or several that belong together.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Call {
    Sleep(Duration),
    Recv,
    RecvRef,
    RecvTimeout(Duration),
    RecvRefTimeout(Duration),
    RecvData(Control),
    RecvDataFrame(Control),
    RecvFrame,
    /// Reads up to so many bytes of a message with `message_reader`, a piece at a time, and drops the reader.
    Read {
        at_most: usize,
        piece: usize,
    },
    /// Takes up to so many from `messages`.
    Messages(usize),
    TryRecv,
    TryRecvRef,
    TryRecvDataFrame(Control),
    HasBuffered,
    Release,
    SetRecvTimeout(Option<Duration>),
    SetSendTimeout(Option<Duration>),
    SetCloseTimeout(Duration),
    Send(Kind, usize),
    SendPayload(Kind, usize),
    SendFrame(Kind, usize),
    /// Text that is not UTF-8, as a frame.
    SendBadFrame,
    Ping(usize),
    Pong(usize),
    /// A message as frames put together by hand, with pings in between; unfinished if it says so.
    Fragments {
        kind: Kind,
        lengths: Vec<usize>,
        pings: bool,
        finished: bool,
    },
    Cork {
        messages: Vec<(Kind, usize)>,
        flushes: bool,
        inner: Inner,
    },
    Writer {
        kind: Kind,
        lengths: Vec<usize>,
        flushes: bool,
        inner: Inner,
        finished: bool,
    },
    Reader {
        kind: Kind,
        length: usize,
        piece: usize,
        announced: bool,
        inner: Inner,
        flaw: Flaw,
    },
    TrySend(Kind, usize),
    TryPayload(Kind, usize),
    TryPing(usize),
    TryFlush,
    Close,
    /// Closes with a Sender, on the thread that has the WebSocket: that does not wait.
    SenderClose,
    CloseWith(u16, &'static str),
    SendClose(u16, &'static str),
    TryClose(u16, &'static str),
    Abort,
}

/// Whether control frames are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Control {
    Hide,
    Show,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Text,
    Binary,
}

/// What a thread calls in the midst of a batch, of a message that it writes, of a reader whose bytes are sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Inner {
    Nothing,
    Send,
    Ping,
    Close,
    SendClose,
    Cork,
}

/// What is wrong with a reader whose bytes are to be sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Flaw {
    Nothing,
    /// It ends before its length.
    Short,
    /// It fails in the middle.
    Fails,
    /// Text that is not UTF-8, in the middle.
    NotUtf8,
    /// Text that ends inside a character.
    CutText,
}

/// What the peer does after the opening handshake.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) steps: Vec<Step>,
    pub(crate) last: Last,
    /// Whether a Close that comes makes the peer leave out the rest of its steps.
    pub(crate) is_attentive: bool,
    /// Whether pings are answered.
    pub(crate) answers_pings: bool,
}

impl Script {
    /// Whether the peer does not read at times.
    pub(crate) fn is_ever_deaf(&self) -> bool {
        let is_deaf = |step: &Step| matches!(step, Step::Stall(_) | Step::Send { deaf: true, .. });
        self.steps.iter().any(is_deaf) || matches!(self.last, Last::Close { deaf: true, .. })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send {
        items: Vec<Item>,
        cuts: Cuts,
        deaf: bool,
    },
    Listen(Duration),
    /// It does not read meanwhile.
    Stall(Duration),
}

/// What the peer says.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Message { kind: Kind, lengths: Vec<usize>, compressed: bool, pings: bool },
    Ping(usize),
    Pong(usize),
}

/// How the peer ends the connection.
#[derive(Clone, Debug)]
pub(crate) enum Last {
    /// It says Close, and waits for the other side to answer and to hang up; it may hang up itself.
    Close { code: u16, reason: &'static str, hangs_up: HangsUp, deaf: bool },
    /// It listens, answers a Close after a moment, and hangs up.
    Answer { after: Duration, hangs_up: HangsUp },
    /// It ends its half, after a moment.
    Eof(Duration),
    /// It resets the connection.
    Reset(Duration),
    /// It breaks a rule.
    Violate { violation: Violation, more: usize },
    /// It says nothing, for so long; then it ends its half.
    Silent { length: Duration, deaf: bool },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum HangsUp {
    AtOnce,
    AfterTheAnswer,
    /// It resets as soon as it has said its Close.
    Resets,
    Never,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Violation {
    Opcode,
    Mask,
    ReservedBits,
    NotUtf8,
    /// The same, and compressed.
    NotUtf8Compressed,
    TooBig,
    TooBigInFragments,
    FragmentedPing,
    LongPing,
    Continuation,
    CloseCode,
    CloseOfOneByte,
    CloseReason,
}

impl Violation {
    const ALL: [Self; 13] = [
        Self::Opcode,
        Self::Mask,
        Self::ReservedBits,
        Self::NotUtf8,
        Self::NotUtf8Compressed,
        Self::TooBig,
        Self::TooBigInFragments,
        Self::FragmentedPing,
        Self::LongPing,
        Self::Continuation,
        Self::CloseCode,
        Self::CloseOfOneByte,
        Self::CloseReason,
    ];

    /// The code with which it has to be refused (RFC 6455, section 7.4.1).
    pub(crate) const fn close_code(self) -> u16 {
        match self {
            Self::NotUtf8 | Self::NotUtf8Compressed | Self::CloseReason => 1007,
            Self::TooBig | Self::TooBigInFragments => 1009,
            _ => 1002,
        }
    }
}

/// A message of the peer's, as far as it may be received.
#[derive(Clone, Debug)]
pub(crate) struct PeerMessage {
    pub(crate) kind: Kind,
    pub(crate) payload: Vec<u8>,
    /// One that is not is never received whole: a rule is broken in its midst.
    pub(crate) is_whole: bool,
}

/// All that the peer says in the steps of a script, as bytes, and what the other side may receive of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Speech {
    /// For each step that says something: its bytes, and how many messages are said with it and before.
    pub(crate) steps: Vec<(Vec<u8>, usize)>,
    /// What is said last.
    pub(crate) last: Vec<u8>,
    pub(crate) messages: Vec<PeerMessage>,
    /// Opcode and payload, in their order.
    pub(crate) controls: Vec<(u8, Vec<u8>)>,
    /// The body of the Close that is said by itself.
    pub(crate) close: Option<(u16, &'static str)>,
    pub(crate) violation: Option<Violation>,
}

const REASONS: [&str; 3] = ["", "going down for a while", "\u{e9}\u{20ac}\u{1f600}"];
const CODES: [u16; 5] = [1000, 1001, 1009, 3000, 4999];

impl Program {
    /// The program of this seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let chance = &mut chance;
        let recv_timeout = if chance.one_in(3) { None } else { Some(timeout(chance)) };
        let send_timeout = if chance.one_in(8) { None } else { Some(timeout(chance)) };
        let max_message = chance.pick(&[2000, 30_000, 1 << 20]);
        let mut program = Self {
            seed,
            side: chance.pick(&[Side::Client, Side::Client, Side::Server]),
            deflate: if chance.one_in(4) {
                Some(chance.pick(&[Takeover::No, Takeover::No, Takeover::Yes]))
            } else {
                None
            },
            capacity: chance.pick(&[40, 200, 1000, 1000, 5000, 65_536]),
            takes_whole_writes: chance.one_in(3),
            recv_timeout,
            send_timeout,
            close_timeout: timeout(chance),
            max_message,
            max_unsent: chance.pick(&[100, 4000, 1 << 20]),
            fires_fragments: chance.one_in(8),
            other_connects: chance.one_in(4),
            receiver: Vec::new(),
            leave: chance.pick(&[Leave::ReceiveAll, Leave::ReceiveAll, Leave::Close, Leave::Drop]),
            senders: Vec::new(),
            script: Script {
                steps: Vec::new(),
                last: Last::Eof(Duration::ZERO),
                is_attentive: chance.one_in(2),
                answers_pings: chance.one_in(2),
            },
        };
        program.script.steps = (0..chance.below(5)).map(|_| program.step(chance)).collect();
        program.script.last = last(chance, program.deflate.is_some(), max_message);
        // Half of the programs keep to messages, so that more of them get far.
        let plain = chance.one_in(2);
        program.receiver = (0..chance.below(7)).map(|_| receiving(chance, plain)).collect();
        let senders = if chance.one_in(3) { 2 } else { 1 };
        program.senders =
            (0..senders).map(|_| (0..chance.below(6)).map(|_| sending(chance, plain)).collect()).collect();
        if chance.one_in(3) {
            let place = chance.below(program.receiver.len() + 1);
            program.receiver.insert(place, sending(chance, plain));
        }
        if chance.one_in(4) {
            let place = chance.below(program.receiver.len() + 1);
            let call = if chance.one_in(4) { Call::SenderClose } else { closing(chance) };
            program.receiver.insert(place, call);
        }
        for sender in &mut program.senders {
            if chance.one_in(3) {
                sender.insert(chance.below(sender.len() + 1), closing(chance));
            }
        }
        program
    }

    fn step(&self, chance: &mut Chance) -> Step {
        match chance.below(6) {
            0 => Step::Listen(chance.millis(60)),
            1 => Step::Stall(chance.millis(60)),
            _ => {
                let items = (0..=chance.below(3)).map(|_| self.item(chance)).collect();
                let cuts = match chance.below(4) {
                    0 => Cuts { length: 1 + chance.below(8), pause: Duration::ZERO },
                    1 => Cuts { length: 50 + chance.below(2000), pause: chance.millis(10) },
                    _ => Cuts::NONE,
                };
                Step::Send { items, cuts, deaf: chance.one_in(6) }
            }
        }
    }

    fn item(&self, chance: &mut Chance) -> Item {
        match chance.below(8) {
            0 => Item::Ping(chance.below(100)),
            1 => Item::Pong(chance.below(100)),
            _ => {
                let fragments = if chance.one_in(3) { 1 + chance.below(4) } else { 1 };
                // All together, with their marks, are within the limit.
                let most = (self.max_message - 50) / fragments;
                let lengths = (0..fragments).map(|_| chance.length().min(most)).collect();
                let compressed = self.deflate.is_some() && chance.one_in(2);
                Item::Message { kind: kind(chance), lengths, compressed, pings: chance.one_in(3) }
            }
        }
    }

    /// What the peer says, in bytes.
    pub(crate) fn speech(&self) -> Speech {
        let mut writer = SpeechWriter::new(self);
        for step in &self.script.steps {
            if let Step::Send { items, .. } = step {
                items.iter().for_each(|item| writer.item(item));
                let bytes = std::mem::take(&mut writer.bytes);
                let messages = writer.speech.messages.len();
                writer.speech.steps.push((bytes, messages));
            }
        }
        match &self.script.last {
            Last::Close { code, reason, .. } => {
                writer.frame(FIN | CLOSE, &frames::close_body(*code, reason));
                writer.speech.close = Some((*code, reason));
            }
            Last::Violate { violation, more } => writer.violate(*violation, *more),
            Last::Answer { .. } | Last::Eof(_) | Last::Reset(_) | Last::Silent { .. } => {}
        }
        writer.speech.last = writer.bytes;
        writer.speech
    }

    /// The longest close timeout that may be in force.
    pub(crate) fn longest_close(&self) -> Duration {
        self.close_timeouts().max().unwrap_or(self.close_timeout)
    }

    /// The shortest one.
    pub(crate) fn shortest_close(&self) -> Duration {
        self.close_timeouts().min().unwrap_or(self.close_timeout)
    }

    fn close_timeouts(&self) -> impl Iterator<Item = Duration> {
        let set = self.receiver.iter().filter_map(|call| match call {
            Call::SetCloseTimeout(timeout) => Some(*timeout),
            _ => None,
        });
        set.chain([self.close_timeout])
    }

    /// Whether a send timeout may be in force.
    pub(crate) fn has_send_timeout(&self) -> bool {
        let is_set = self.receiver.iter().any(|call| matches!(call, Call::SetSendTimeout(Some(_))));
        self.send_timeout.is_some() || is_set
    }

    /// The longest send timeout that may be in force; `None` for none.
    pub(crate) fn longest_send(&self) -> Option<Duration> {
        let set = self.receiver.iter().filter_map(|call| match call {
            Call::SetSendTimeout(timeout) => Some(*timeout),
            _ => None,
        });
        set.chain([self.send_timeout]).try_fold(Duration::ZERO, |longest, timeout| Some(longest.max(timeout?)))
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receiver, senders, script, .. } = self;
        writeln!(
            f,
            "SEED={} ({:?}, deflate {:?}, capacity {}, takes whole writes: {})",
            self.seed, self.side, self.deflate, self.capacity, self.takes_whole_writes
        )?;
        writeln!(
            f,
            "timeouts: recv {:?}, send {:?}, close {:?}; at most {} in a message, {} unsent; fragments by themselves: {}, \
             connected by another thread: {}",
            self.recv_timeout,
            self.send_timeout,
            self.close_timeout,
            self.max_message,
            self.max_unsent,
            self.fires_fragments,
            self.other_connects
        )?;
        writeln!(f, "peer (attentive: {}, answers pings: {}):", script.is_attentive, script.answers_pings)?;
        script.steps.iter().try_for_each(|step| writeln!(f, "  {step:?}"))?;
        writeln!(f, "  {:?}", script.last)?;
        writeln!(f, "receiving thread:")?;
        receiver.iter().try_for_each(|call| writeln!(f, "  {call:?}"))?;
        writeln!(f, "  {:?}", self.leave)?;
        for sender in senders {
            writeln!(f, "sending thread:")?;
            sender.iter().try_for_each(|call| writeln!(f, "  {call:?}"))?;
        }
        Ok(())
    }
}

fn timeout(chance: &mut Chance) -> Duration {
    Duration::from_millis(chance.pick(&[20, 30, 50]))
}

fn kind(chance: &mut Chance) -> Kind {
    chance.pick(&[Kind::Text, Kind::Binary])
}

fn control(chance: &mut Chance) -> Control {
    chance.pick(&[Control::Hide, Control::Show])
}

fn last(chance: &mut Chance, deflates: bool, max_message: usize) -> Last {
    let after = if chance.one_in(2) { Duration::ZERO } else { chance.millis(80) };
    match chance.below(12) {
        0..4 => Last::Close {
            code: chance.pick(&[1000, 1000, 1001, 1009, 1005, 4000]),
            reason: chance.pick(&REASONS),
            hangs_up: chance.pick(&[HangsUp::AtOnce, HangsUp::AfterTheAnswer, HangsUp::Resets, HangsUp::Never]),
            deaf: chance.one_in(4),
        },
        4..7 => {
            Last::Answer { after, hangs_up: chance.pick(&[HangsUp::AfterTheAnswer, HangsUp::AtOnce, HangsUp::Never]) }
        }
        7 => Last::Eof(after),
        8 => Last::Reset(after),
        9..11 => {
            let violation = match chance.pick(&Violation::ALL) {
                Violation::TooBig | Violation::TooBigInFragments if max_message > 100_000 => Violation::Opcode,
                Violation::NotUtf8Compressed if !deflates => Violation::NotUtf8,
                violation => violation,
            };
            Last::Violate { violation, more: chance.below(3) }
        }
        _ => Last::Silent { length: Duration::from_millis(200), deaf: chance.one_in(2) },
    }
}

fn receiving(chance: &mut Chance, plain: bool) -> Call {
    if plain {
        return match chance.below(8) {
            0 => Call::Sleep(chance.millis(40)),
            1 => Call::RecvTimeout(timeout(chance)),
            2 => Call::TryRecv,
            3 => Call::RecvRef,
            _ => Call::Recv,
        };
    }
    match chance.below(22) {
        0 => Call::Sleep(chance.millis(60)),
        1..4 => Call::Recv,
        4 => Call::RecvRef,
        5 => Call::RecvTimeout(timeout(chance)),
        6 => Call::RecvRefTimeout(timeout(chance)),
        7 => Call::RecvData(control(chance)),
        8 | 9 => Call::RecvDataFrame(control(chance)),
        10 | 11 => Call::RecvFrame,
        12 | 13 => Call::Read { at_most: chance.pick(&[1, 20, 1000, usize::MAX]), piece: 1 + chance.below(3000) },
        14 => Call::Messages(1 + chance.below(3)),
        15 => Call::TryRecv,
        16 => Call::TryRecvRef,
        17 => Call::TryRecvDataFrame(control(chance)),
        18 => Call::HasBuffered,
        19 => Call::Release,
        20 => Call::SetRecvTimeout(Some(timeout(chance))),
        _ if chance.one_in(2) => Call::SetSendTimeout(Some(timeout(chance))),
        _ => Call::SetCloseTimeout(timeout(chance)),
    }
}

fn sending(chance: &mut Chance, plain: bool) -> Call {
    if plain {
        return match chance.below(8) {
            0 => Call::Sleep(chance.millis(40)),
            1 => Call::TrySend(kind(chance), chance.length()),
            2 => Call::Ping(chance.below(100)),
            _ => Call::Send(kind(chance), chance.length()),
        };
    }
    let lengths = |chance: &mut Chance| (0..=chance.below(4)).map(|_| chance.length()).collect();
    let inner = |chance: &mut Chance| match chance.below(10) {
        0 => Inner::Send,
        1 => Inner::Ping,
        2 => Inner::Close,
        3 => Inner::SendClose,
        4 => Inner::Cork,
        _ => Inner::Nothing,
    };
    match chance.below(24) {
        0 => Call::Sleep(chance.millis(60)),
        1..4 => Call::Send(kind(chance), chance.length()),
        4 => Call::SendPayload(kind(chance), chance.length()),
        5 => Call::SendFrame(kind(chance), chance.length()),
        6 => Call::SendBadFrame,
        7 => Call::Ping(chance.below(100)),
        8 => Call::Pong(chance.below(100)),
        9..11 => Call::Fragments {
            kind: kind(chance),
            lengths: lengths(chance),
            pings: chance.one_in(2),
            finished: !chance.one_in(6),
        },
        11..14 => Call::Cork {
            messages: (0..=chance.below(5)).map(|_| (kind(chance), chance.length())).collect(),
            flushes: chance.one_in(3),
            inner: inner(chance),
        },
        14..17 => Call::Writer {
            kind: kind(chance),
            lengths: lengths(chance),
            flushes: chance.one_in(2),
            inner: inner(chance),
            finished: !chance.one_in(6),
        },
        17..20 => {
            let kind = kind(chance);
            let flaw = match chance.below(10) {
                0 => Flaw::Short,
                1 => Flaw::Fails,
                2 if kind == Kind::Text => Flaw::NotUtf8,
                3 if kind == Kind::Text => Flaw::CutText,
                _ => Flaw::Nothing,
            };
            Call::Reader {
                kind,
                length: chance.length(),
                piece: 1 + if chance.one_in(2) { chance.below(100) } else { chance.below(3000) },
                announced: !chance.one_in(3),
                inner: inner(chance),
                flaw,
            }
        }
        20 | 21 => Call::TrySend(kind(chance), chance.length()),
        22 => Call::TryPayload(kind(chance), chance.length()),
        _ if chance.one_in(2) => Call::TryPing(chance.below(100)),
        _ => Call::TryFlush,
    }
}

fn closing(chance: &mut Chance) -> Call {
    match chance.below(8) {
        0 | 1 => Call::Close,
        2 => Call::CloseWith(chance.pick(&CODES), chance.pick(&REASONS)),
        3..5 => Call::SendClose(chance.pick(&CODES), chance.pick(&REASONS)),
        5 => Call::TryClose(chance.pick(&CODES), chance.pick(&REASONS)),
        6 => Call::SendClose(1006, "must not be sent"),
        _ => Call::Abort,
    }
}

/// A payload that tells what it is: a mark, and characters of one to four bytes behind it.
pub(crate) fn payload(mark: &str, kind: Kind, length: usize) -> Vec<u8> {
    let mut text = format!("{mark}|");
    let end = text.len() + length;
    for character in ['a', '\u{e9}', '\u{20ac}', '\u{1f600}', 'z', '\n'].into_iter().cycle() {
        if text.len() + character.len_utf8() > end {
            break;
        }
        text.push(character);
    }
    let mut bytes = text.into_bytes();
    if kind == Kind::Binary {
        bytes.resize(end, 0xFF);
    }
    bytes
}

struct SpeechWriter {
    speech: Speech,
    bytes: Vec<u8>,
    /// Of a client's frames.
    key: Option<[u8; 4]>,
    deflater: Option<Deflater>,
    number: usize,
    most: usize,
}

impl SpeechWriter {
    fn new(program: &Program) -> Self {
        Self {
            speech: Speech::default(),
            bytes: Vec::new(),
            key: (program.side == Side::Server).then_some([0x11, 0x22, 0x33, 0x44]),
            deflater: program.deflate.map(Deflater::new),
            number: 0,
            most: program.max_message,
        }
    }

    fn frame(&mut self, first: u8, payload: &[u8]) {
        if let Some(key) = &mut self.key {
            key[0] = key[0].wrapping_add(1);
        }
        self.bytes.extend(frames::encode(first, payload, self.key));
    }

    fn mark(&mut self) -> String {
        self.number += 1;
        format!("p{}", self.number)
    }

    fn item(&mut self, item: &Item) {
        match item {
            Item::Message { kind, lengths, compressed, pings } => self.message(*kind, lengths, *compressed, *pings),
            Item::Ping(length) => self.control(PING, *length),
            Item::Pong(length) => self.control(PONG, *length),
        }
    }

    fn control(&mut self, opcode: u8, length: usize) {
        let payload = payload(&self.mark(), Kind::Binary, length);
        self.frame(FIN | opcode, &payload);
        self.speech.controls.push((opcode, payload));
    }

    fn message(&mut self, kind: Kind, lengths: &[usize], compressed: bool, pings: bool) {
        let mark = self.mark();
        let mut payload = payload(&mark, kind, lengths.iter().sum());
        let wire = match &mut self.deflater {
            Some(deflater) if compressed => deflater.message(&payload),
            _ => payload.clone(),
        };
        let first = opcode_of(kind) | if compressed { RSV1 } else { 0 };
        let mut rest = &wire[..];
        for number in 0..lengths.len() {
            let is_last = number + 1 == lengths.len();
            let length = if is_last { rest.len() } else { rest.len().min(lengths[number]) };
            let (piece, behind) = rest.split_at(length);
            let opcode = if number == 0 { first } else { CONTINUATION };
            self.frame(opcode | if is_last { FIN } else { 0 }, piece);
            rest = behind;
            if pings && !is_last {
                self.control(PING, 3);
            }
        }
        payload.shrink_to_fit();
        self.speech.messages.push(PeerMessage { kind, payload, is_whole: true });
    }

    /// Breaks a rule, and goes on as if nothing had happened.
    fn violate(&mut self, violation: Violation, more: usize) {
        let mut part = |kind, payload: &[u8]| {
            self.speech.messages.push(PeerMessage { kind, payload: payload.to_vec(), is_whole: false });
        };
        match violation {
            Violation::Opcode => self.frame(FIN | 3, b"?"),
            Violation::Mask => {
                let key = if self.key.is_some() { None } else { Some([1, 2, 3, 4]) };
                self.bytes.extend(frames::encode(FIN | BINARY, b"?", key));
            }
            Violation::ReservedBits => self.frame(FIN | 0x20 | BINARY, b"?"),
            Violation::NotUtf8 => {
                part(Kind::Text, b"caf");
                self.frame(FIN | TEXT, b"caf\xFFe");
            }
            Violation::NotUtf8Compressed => {
                part(Kind::Text, b"caf");
                let payload = self.deflater.as_mut().map(|deflater| deflater.message(b"caf\xFFe")).unwrap_or_default();
                self.frame(FIN | RSV1 | TEXT, &payload);
            }
            Violation::TooBig => {
                let payload = payload("big", Kind::Binary, self.most);
                part(Kind::Binary, &payload);
                self.frame(FIN | BINARY, &payload);
            }
            Violation::TooBigInFragments => {
                let payload = payload("big", Kind::Binary, self.most);
                part(Kind::Binary, &payload);
                let (one, two) = payload.split_at(self.most / 2);
                self.frame(BINARY, one);
                self.frame(FIN | CONTINUATION, two);
            }
            Violation::FragmentedPing => self.frame(PING, b"?"),
            Violation::LongPing => self.frame(FIN | PING, &[b'?'; 126]),
            Violation::Continuation => self.frame(FIN | CONTINUATION, b"?"),
            Violation::CloseCode => self.frame(FIN | CLOSE, &frames::close_body(1006, "why not")),
            Violation::CloseOfOneByte => self.frame(FIN | CLOSE, b"\x03"),
            Violation::CloseReason => self.frame(FIN | CLOSE, b"\x03\xe8caf\xFF"),
        }
        self.speech.violation = Some(violation);
        for _ in 0..more {
            self.frame(FIN | TEXT, b"after");
        }
    }
}

pub(crate) const fn opcode_of(kind: Kind) -> u8 {
    match kind {
        Kind::Text => TEXT,
        Kind::Binary => BINARY,
    }
}
