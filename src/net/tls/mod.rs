//! TLS through memory: the library encrypts and decrypts buffers, and never sees a socket.
//!
//! So no lock is held while anyone waits for the network, reading and writing go on at the same time, one read of the
//! socket feeds many records, and the handshake is under the same deadline as all else. The layers can be stacked.

mod connector;
mod engine;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod handshake;
#[cfg(feature = "native-tls")]
mod native;
mod pem;
mod pin;
mod pipe;
#[cfg(feature = "rustls")]
mod rustls;
mod session;
#[cfg(feature = "native-tls")]
mod traditional_key;

use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;
use std::{fmt, io, mem};

use self::engine::Engine;
use self::session::{TlsOutput, TlsSession};
use super::deadline::{Deadline, timed_out};
use super::layer::Layer;
use super::send_timer::SendTimer;
use super::transport::Transport;
use super::wait_mode::{WaitLimit, WaitMode};
use crate::buffer::Retention;
use crate::error::{Error, OptionsError, Result, TlsError};
use crate::options::{TlsOptions, TlsVersion};

/// As much plaintext is encrypted at a time: four full records. The reader waits for the lock no longer than that
/// takes.
const BATCH: usize = 64 * 1024;

/// How much TLS may have to say by itself while the peer does not read, in bytes: a peer that keeps asking for new keys and does
/// not listen would make it grow for ever.
const MAX_ANSWERS: usize = 64 * 1024;

/// How often a read that does not wait reads from below while nothing comes out: a peer that sends records without plaintext and never
/// stops must not keep a loop from its other connections.
const MAX_READS: u32 = 64;

/// Reads what the options name, so that what is wrong with them is told before anyone is bothered. Later connections have
/// it ready.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) for certificates and keys that cannot be read, and for what the backend cannot do;
/// for a file that blocks [`Error::Timeout`](crate::Error::Timeout) at the deadline and [`Error::Io`](crate::Error::Io) when the opening is
/// cancelled.
pub(super) fn prepare(options: &TlsOptions, wait: WaitLimit<'_>) -> Result<()> {
    connector::ready(options, wait).map(drop)
}

/// Whether there is nothing left to [prepare].
pub(super) fn is_prepared(options: &TlsOptions) -> bool {
    connector::is_ready(options)
}

/// Whether [`prepare`] may wait in a library of TLS, which knows no deadline.
pub(super) fn may_block() -> bool {
    pem::may_system_file_block()
}

/// With whom TLS is spoken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum TlsEnd {
    /// The other end of the connection.
    Peer,
    /// A proxy on the way there, which passes on what it decrypts.
    Proxy,
}

/// Speaks TLS as a client over `below`, with the server or proxy that is called `host` in its URL. Its certificate has to be for
/// that name, unless the options say otherwise.
///
/// # Errors
///
/// [`Error::Options`](crate::Error::Options) as [`prepare`], [`Error::Tls`](crate::Error::Tls)
/// when the two do not come to terms, [`Error::Timeout`](crate::Error::Timeout) at the deadline,
/// [`Error::Io`](crate::Error::Io) when the connection is lost.
pub(super) async fn connect<L: Layer + From<Tls<L>>>(
    mode: &WaitMode,
    below: L,
    options: &TlsOptions,
    end: TlsEnd,
    host: &str,
    deadline: Deadline,
) -> Result<L> {
    let name = options.server_hostname.as_deref().unwrap_or(host);
    let ready = connector::ready(options, WaitLimit { deadline, cancellation: None })?;
    let engine = handshake::connect(mode, &below, ready, name, deadline).await?;
    Ok(Tls::over(below, engine, end, name).into())
}

/// Speaks TLS as a server over `below`, if the options have a certificate for that.
///
/// # Errors
///
/// Those of [`connect`].
pub(super) async fn accept<L: Layer + From<Tls<L>>>(
    mode: &WaitMode,
    below: L,
    options: &TlsOptions,
    deadline: Deadline,
) -> Result<L> {
    #[cfg(feature = "rustls")]
    if let Some(config) = &options.rustls_server_config {
        let engine = handshake::accept(mode, &below, deadline, |pipe| rustls::accept(config, pipe)).await?;
        return Ok(Tls::over(below, engine, TlsEnd::Peer, "").into());
    }
    #[cfg(feature = "native-tls")]
    if let Some(acceptor) = &options.acceptor {
        let engine = handshake::accept(mode, &below, deadline, |pipe| native::accept(acceptor, pipe)).await?;
        return Ok(Tls::over(below, engine, TlsEnd::Peer, "").into());
    }
    Ok(below)
}

#[cold]
fn refuse(option: &'static str, problem: impl Into<String>) -> Error {
    Error::Options(Box::new(OptionsError::new(option, problem)))
}

/// A TLS session over another layer.
///
/// Two locks, in this order: `output` orders what is sent, and its holder may wait for the network. `session` is held
/// while bytes are encrypted or decrypted, in memory. The reader waits for `session` only, so never for the network.
pub(crate) struct Tls<L> {
    below: L,
    end: TlsEnd,
    /// The name that the certificate of the other end was to be for; none in the server role.
    host: Box<str>,
    output: Mutex<TlsOutput>,
    session: Mutex<TlsSession>,
    /// Notified when the reader has brought what a writer may wait for.
    progress: Condvar,
    /// Whether there are bytes to send that nobody is about to send. Raised under either lock, lowered under both.
    unsent: AtomicBool,
    /// How many bytes came from below since the handshake: a sign of life before a record is there whole.
    arrived: AtomicU64,
    /// How much memory `output` held when it was last given back, in bytes: who only looks must not take it, since a write that does not
    /// wait, or a close_notify, would find it taken.
    output_memory: AtomicUsize,
}

impl<L: Layer> Tls<L> {
    fn over(below: L, engine: Box<dyn Engine>, end: TlsEnd, host: &str) -> Self {
        Self {
            below,
            end,
            host: host.into(),
            output: Mutex::default(),
            session: Mutex::new(TlsSession::new(engine)),
            progress: Condvar::new(),
            unsent: AtomicBool::new(false),
            arrived: AtomicU64::new(0),
            output_memory: AtomicUsize::new(0),
        }
    }

    /// With whom it is spoken.
    pub(super) const fn end(&self) -> TlsEnd {
        self.end
    }

    /// The peer's certificate, in DER form. `None` where the library does not tell, as with the facts below.
    pub(super) fn peer_certificate(&self) -> Option<Vec<u8>> {
        self.session().engine.peer_certificate()
    }

    /// The application protocol that was agreed upon (RFC 7301).
    pub(super) fn alpn(&self) -> Option<String> {
        let protocol = self.session().engine.alpn()?;
        String::from_utf8(protocol).ok()
    }

    /// The version that was agreed upon.
    pub(super) fn version(&self) -> Option<TlsVersion> {
        self.session().engine.version()
    }

    /// The cipher suite that was agreed upon, by its IANA name.
    pub(super) fn cipher_suite(&self) -> Option<String> {
        self.session().engine.cipher_suite()
    }
}

impl<L: Layer> Layer for Tls<L> {
    fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        let mut session = self.session();
        session.has_more = false;
        let mut reads = 0;
        loop {
            let decrypted = session.decrypt(buf);
            if session.waiting > 0 {
                self.progress.notify_all();
            }
            // Decrypting may make TLS answer the peer (RFC 8446, section 4.6.3, or an alert).
            match session.outgoing() {
                0 => {}
                1..=MAX_ANSWERS => self.unsent.store(true, Ordering::Relaxed),
                _ => return Err(too_many_answers()),
            }
            if let Some(result) = decrypted {
                drop(session);
                self.flush_unsent();
                return result.map_err(|error| self.tls_error(error));
            }
            if deadline.is_now() && reads == MAX_READS {
                session.has_more = true;
                return Err(timed_out());
            }
            reads += 1;
            let mut incoming = mem::take(&mut session.engine.pipe().incoming);
            drop(session);
            self.flush_unsent();
            // Waits, if anything does, and holds no lock.
            let received = self.below.read(incoming.space(), deadline);
            if let Ok(length) = received {
                // There is one reader, so nothing has to be added atomically.
                self.arrived.store(self.arrived.load(Ordering::Relaxed) + length as u64, Ordering::Relaxed);
            }
            session = self.session();
            session.feed(incoming, received)?;
        }
    }

    /// What TLS took and could not send when this fails stays.
    fn send(&self, buf: &[u8], timer: &mut SendTimer, taken: &mut usize) -> io::Result<()> {
        let mut output = self.output();
        let sent = self.send_in_turn(&mut output, buf, timer, taken);
        self.unlock_output(output, sent)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let Some(mut output) = self.try_output() else { return Ok(0) };
        let result = self.try_encrypt(&mut output, buf);
        self.unlock_output(output, result)
    }

    fn has_input(&self) -> bool {
        let session = self.session();
        let at_hand =
            session.failed.is_some() || session.has_more || !session.needs_ciphertext && session.engine.has_input();
        drop(session);
        at_hand || self.below.has_input()
    }

    fn arrived(&self) -> u64 {
        self.arrived.load(Ordering::Relaxed) + self.below.arrived()
    }

    #[inline]
    fn has_output(&self) -> bool {
        self.unsent.load(Ordering::Relaxed) || self.below.has_output()
    }

    fn output_len(&self) -> usize {
        let encrypted = self.try_output().map_or(0, |output| output.len());
        encrypted + self.session().outgoing() + self.below.output_len()
    }

    fn try_flush(&self) -> io::Result<()> {
        loop {
            // Whoever raises `unsent` and then fails to get `output`, or releases `output` and then finds `unsent`
            // lowered: one of the two sees the other.
            fence(Ordering::SeqCst);
            if !self.unsent.load(Ordering::Relaxed) {
                return self.below.try_flush();
            }
            let Some(mut output) = self.try_output() else { return Ok(()) };
            self.collect(&mut output, &mut self.session());
            let sent = output.try_send(&self.below);
            self.note_memory(&output);
            if !matches!(sent, Ok(true)) {
                self.unsent.store(true, Ordering::Relaxed);
                return sent.map(drop);
            }
        }
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        if how != Shutdown::Read {
            self.send_close_notify();
        }
        self.below.shutdown(how)
    }

    fn release(&self) {
        if let Some(mut output) = self.try_output() {
            output.release();
            self.note_memory(&output);
        }
        self.session().engine.release();
        self.below.release();
    }

    fn can_release(&self) -> bool {
        let has_idle_output =
            self.output_memory.load(Ordering::Relaxed) > Retention::SMALLEST && !self.unsent.load(Ordering::Relaxed);
        has_idle_output || self.session().engine.pipe().can_release() || self.below.can_release()
    }

    fn memory(&self) -> usize {
        let output = self.output_memory.load(Ordering::Relaxed);
        let mut session = self.session();
        let pipe = session.engine.pipe();
        output + pipe.incoming.capacity() + pipe.outgoing.bytes().capacity() + self.below.memory()
    }

    fn is_tls(&self) -> bool {
        true
    }

    fn transport(&self) -> &Arc<dyn Transport> {
        self.below.transport()
    }
}

/// What these calls consist of.
impl<L: Layer> Tls<L> {
    /// An error of decrypting as a [`TlsError`] that names the host.
    #[cold]
    fn tls_error(&self, problem: io::Error) -> io::Error {
        let kind = self.session().engine.error_kind(&problem);
        io::Error::new(
            io::ErrorKind::InvalidData,
            TlsError { host: self.host.to_string(), kind, problem: problem.into() },
        )
    }

    fn send_in_turn(
        &self,
        output: &mut TlsOutput,
        buf: &[u8],
        timer: &mut SendTimer,
        taken: &mut usize,
    ) -> io::Result<()> {
        if self.unsent.load(Ordering::Relaxed) {
            self.collect(output, &mut self.session());
        }
        output.send(&self.below, timer)?;
        while *taken < buf.len() {
            timer.check()?;
            *taken += self.encrypt(output, &buf[*taken..], timer)?;
            output.send(&self.below, timer)?;
        }
        Ok(())
    }

    /// Sends close_notify, unless that would mean to wait for somebody who is sending.
    fn send_close_notify(&self) {
        let output = self.try_output();
        let mut session = self.session();
        let first = !mem::replace(&mut session.shut, true);
        self.progress.notify_all();
        let Some(mut output) = output.filter(|_| first) else { return };
        session.engine.close();
        self.collect(&mut output, &mut session);
        drop(session);
        // The rest is lost with the connection.
        let _ = output.try_send(&self.below);
    }

    /// Encrypts the beginning of `buf`. `output` is empty before.
    fn encrypt(&self, output: &mut TlsOutput, buf: &[u8], timer: &mut SendTimer) -> io::Result<usize> {
        let mut session = self.session();
        loop {
            let result = session.encrypt(output, buf);
            match result {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !session.engine.pipe().ended => {}
                result => return result,
            }
            // TLS 1.2 negotiates anew: the reader has to bring the peer's answer to what we say now.
            let seen = session.fed;
            drop(session);
            output.send(&self.below, timer)?;
            session = self.wait_for_reader(seen, timer)?;
        }
    }

    fn wait_for_reader(&self, seen: u64, timer: &mut SendTimer) -> io::Result<MutexGuard<'_, TlsSession>> {
        let limit = timer.remaining()?.unwrap_or(Duration::MAX);
        let mut session = self.session();
        session.waiting += 1;
        let waited = self.progress.wait_timeout_while(session, limit, |session| session.fed == seen && !session.shut);
        let (mut session, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        session.waiting -= 1;
        if timeout.timed_out() { Err(timed_out()) } else { Ok(session) }
    }

    fn try_encrypt(&self, output: &mut TlsOutput, buf: &[u8]) -> io::Result<usize> {
        if !output.try_send(&self.below)? {
            return Ok(0);
        }
        match self.session().encrypt(output, buf) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            result => {
                output.try_send(&self.below)?;
                Ok(result.unwrap_or(0))
            }
        }
    }

    /// Moves what the session has to send to `output`. Now its holder is about to send it.
    fn collect(&self, output: &mut TlsOutput, session: &mut TlsSession) {
        output.take(&mut session.engine.pipe().outgoing.bytes());
        self.unsent.store(false, Ordering::Relaxed);
        if output.len() > MAX_ANSWERS + 2 * BATCH {
            session.failed = Some(too_many_answers());
        }
    }

    fn note_memory(&self, output: &TlsOutput) {
        self.output_memory.store(output.capacity(), Ordering::Relaxed);
    }

    /// Unlocks the output, and sends what others left because it was locked. The first error is returned.
    fn unlock_output<T>(&self, output: MutexGuard<'_, TlsOutput>, result: io::Result<T>) -> io::Result<T> {
        self.note_memory(&output);
        if !output.is_empty() {
            self.unsent.store(true, Ordering::Relaxed);
            return result;
        }
        drop(output);
        let flushed = self.try_flush();
        result.and_then(|value| flushed.map(|()| value))
    }

    /// What cannot be sent stays, for the next flush to tell why: what the peer says can still be read.
    #[inline]
    fn flush_unsent(&self) {
        if self.has_output() {
            let _ = self.try_flush();
        }
    }

    fn session(&self) -> MutexGuard<'_, TlsSession> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn output(&self) -> MutexGuard<'_, TlsOutput> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_output(&self) -> Option<MutexGuard<'_, TlsOutput>> {
        match self.output.try_lock() {
            Ok(output) => Some(output),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

impl<L: fmt::Debug> fmt::Debug for Tls<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("below", &self.below).finish_non_exhaustive()
    }
}

#[cold]
fn too_many_answers() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the peer has TLS answer without end and does not read the answers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::TlsErrorKind;
    use crate::net::stream::Stream;
    use crate::net::transport::Interest;
    use crate::options::TlsVersion;
    use std::time::Instant;

    /// Decrypts records without any plaintext in them.
    #[derive(Debug, Default)]
    struct Padding(pipe::Pipe);

    impl Engine for Padding {
        fn read(&mut self, _buf: &mut [u8]) -> io::Result<usize> {
            let length = self.0.incoming.unread().len();
            self.0.incoming.consume(length);
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }

        fn close(&mut self) {}

        fn is_drained(&self) -> bool {
            self.0.incoming.is_empty()
        }

        fn has_input(&self) -> bool {
            !self.is_drained()
        }

        fn error_kind(&self, _error: &io::Error) -> TlsErrorKind {
            TlsErrorKind::Other
        }

        fn peer_certificate(&self) -> Option<Vec<u8>> {
            None
        }

        fn alpn(&self) -> Option<Vec<u8>> {
            None
        }

        fn version(&self) -> Option<TlsVersion> {
            None
        }

        fn cipher_suite(&self) -> Option<String> {
            None
        }

        fn pipe(&mut self) -> &mut pipe::Pipe {
            &mut self.0
        }

        fn release(&mut self) {}
    }

    /// Always has more, up to a bound that no test comes to.
    #[derive(Debug, Default)]
    struct Flood(AtomicU64);

    impl Transport for Flood {
        fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
            assert!(self.0.fetch_add(1, Ordering::Relaxed) < 100_000, "it is read without end");
            Ok(buf.len())
        }

        fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
            Ok(buf.len())
        }

        fn wait(&self, _interest: Interest, _deadline: Option<Instant>) -> io::Result<bool> {
            Ok(true)
        }

        fn shutdown(&self, _how: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_read_that_does_not_wait_comes_to_an_end_although_records_without_plaintext_do_not() {
        let below = Stream::from(Box::<Flood>::default() as Box<dyn Transport>);
        let stream = Tls::over(below, Box::<Padding>::default(), TlsEnd::Peer, "");
        for _ in 0..3 {
            assert_eq!(stream.read(&mut [0; 64], Deadline::NOW).unwrap_err().kind(), io::ErrorKind::TimedOut);
            assert!(stream.has_input(), "or nobody would read again before more comes");
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "it writes a hundred thousand times")]
    fn who_looks_at_its_memory_is_in_nobodys_way() {
        let below = Stream::from(Box::<Flood>::default() as Box<dyn Transport>);
        let stream = Tls::over(below, Box::<Padding>::default(), TlsEnd::Peer, "");
        let is_over = AtomicBool::new(false);
        let refused = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(!stream.can_release());
                }
            });
            let refused = (0..100_000).filter(|_| stream.try_write(b"x").unwrap() == 0).count();
            is_over.store(true, Ordering::Relaxed);
            refused
        });
        assert_eq!(refused, 0, "times there was room");
    }
}
