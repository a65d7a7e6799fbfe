//! One step of rustls.

use std::ops::Deref;

use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, InsufficientSizeError, UnbufferedStatus, WriteTraffic,
};
use rustls::{CommonState, Error};

/// What TLS adds to the bytes that it encrypts, for records of the largest size; where it is more, rustls says how much.
const OVERHEAD: usize = 256;

/// Either side's state.
pub(super) enum RustlsConnection {
    Client(UnbufferedClientConnection),
    Server(UnbufferedServerConnection),
}

/// What is wanted of a step, beside going on with what came in.
pub(super) enum Want<'a> {
    /// Nothing.
    Progress,
    /// These bytes encrypted.
    Encrypt(&'a [u8]),
    /// close_notify.
    CloseNotify,
}

/// Where the results of a step go.
pub(super) struct Results<'a> {
    /// Takes plaintext.
    pub(super) plain: &'a mut dyn FnMut(&[u8]),
    /// Ciphertext is appended to it.
    pub(super) outgoing: &'a mut Vec<u8>,
}

/// What a step came to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum RecordStep {
    /// There may be more to do with the bytes that are there.
    Again,
    /// The same, and there was plaintext.
    Plain,
    /// The peer has sent close_notify. More may be sent.
    PeerClosed,
    /// What was wanted is done. More bytes are needed to go on.
    Done,
    /// More bytes are needed to go on. What was wanted cannot be done before.
    Blocked,
}

impl RustlsConnection {
    /// Steps until there is nothing more to do with `bytes`, and says how many of them are to be dropped from the front. After
    /// an error, what there is to tell the peer about it is among the results.
    pub(super) fn advance(
        &mut self,
        bytes: &mut [u8],
        want: &Want<'_>,
        results: &mut Results<'_>,
    ) -> (usize, Result<RecordStep, Error>) {
        let mut done = 0;
        loop {
            let (n, step) = self.step(&mut bytes[done..], want, results);
            done += n;
            match step {
                Ok(RecordStep::Plain) if done == bytes.len() && !self.wants_write() => return (done, step),
                Ok(RecordStep::Again | RecordStep::Plain) => {}
                Ok(RecordStep::Done | RecordStep::Blocked | RecordStep::PeerClosed) => return (done, step),
                Err(_) => {
                    self.queue_alert(results);
                    return (done, step);
                }
            }
        }
    }

    /// While there is something to be said, a step says it, and does not look at bytes.
    fn queue_alert(&mut self, results: &mut Results<'_>) {
        while self.wants_write() {
            if !matches!(self.step(&mut [], &Want::Progress, results), (_, Ok(RecordStep::Again))) {
                return;
            }
        }
    }

    /// Works on `bytes`, of which the number that is returned has to be dropped from the front before the next step.
    ///
    /// All bytes that were there before and have not been dropped have to be there again: rustls remembers where in them the
    /// parts of a handshake message are.
    fn step(
        &mut self,
        bytes: &mut [u8],
        want: &Want<'_>,
        results: &mut Results<'_>,
    ) -> (usize, Result<RecordStep, Error>) {
        match self {
            Self::Client(connection) => take_step(connection.process_tls_records(bytes), want, results),
            Self::Server(connection) => take_step(connection.process_tls_records(bytes), want, results),
        }
    }
}

impl Deref for RustlsConnection {
    type Target = CommonState;

    fn deref(&self) -> &CommonState {
        match self {
            Self::Client(connection) => connection,
            Self::Server(connection) => connection,
        }
    }
}

fn take_step<Data>(
    status: UnbufferedStatus<'_, '_, Data>,
    want: &Want<'_>,
    results: &mut Results<'_>,
) -> (usize, Result<RecordStep, Error>) {
    let mut discard = status.discard;
    let step = status.state.and_then(|state| match state {
        ConnectionState::ReadTraffic(mut traffic) => {
            while let Some(record) = traffic.next_record() {
                let record = record?;
                discard += record.discard;
                (results.plain)(record.payload);
            }
            Ok(RecordStep::Plain)
        }
        ConnectionState::EncodeTlsData(mut data) => encode(&mut data, results.outgoing).map(|()| RecordStep::Again),
        ConnectionState::TransmitTlsData(transmit) => {
            // It is on its way: whoever holds the buffer sends it before anything else.
            transmit.done();
            Ok(RecordStep::Again)
        }
        ConnectionState::WriteTraffic(mut traffic) => {
            write(&mut traffic, want, results.outgoing).map(|()| RecordStep::Done)
        }
        ConnectionState::PeerClosed => Ok(RecordStep::PeerClosed),
        ConnectionState::BlockedHandshake | ConnectionState::Closed => Ok(RecordStep::Blocked),
        // Early data is not accepted. There are no other states.
        state => Err(Error::General(format!("unexpected state {state:?}"))),
    });
    (discard, step)
}

fn write<Data>(traffic: &mut WriteTraffic<'_, Data>, want: &Want<'_>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    match want {
        Want::Progress => Ok(()),
        Want::Encrypt(bytes) => append(outgoing, bytes.len() + OVERHEAD, |room| traffic.encrypt(bytes, room)),
        Want::CloseNotify => append(outgoing, OVERHEAD, |room| traffic.queue_close_notify(room)),
    }
}

fn encode<Data>(data: &mut EncodeTlsData<'_, Data>, outgoing: &mut Vec<u8>) -> Result<(), Error> {
    append(outgoing, OVERHEAD, |room| match data.encode(room) {
        Ok(n) => Ok(n),
        Err(EncodeError::InsufficientSize(size)) => Err(EncryptError::InsufficientSize(size)),
        Err(EncodeError::AlreadyEncoded) => Ok(0),
    })
}

/// Makes room behind what there is, has it filled, and keeps what was. With more room if it was not enough.
fn append(
    outgoing: &mut Vec<u8>,
    room: usize,
    mut fill: impl FnMut(&mut [u8]) -> Result<usize, EncryptError>,
) -> Result<(), Error> {
    let start = outgoing.len();
    let mut room = room;
    loop {
        outgoing.resize(start + room, 0);
        match fill(&mut outgoing[start..]) {
            Ok(n) => {
                outgoing.truncate(start + n);
                return Ok(());
            }
            Err(EncryptError::InsufficientSize(InsufficientSizeError { required_size })) if required_size > room => {
                room = required_size;
            }
            Err(error) => {
                outgoing.truncate(start);
                return Err(Error::General(error.to_string()));
            }
        }
    }
}
