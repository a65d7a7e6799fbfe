//! What programs run on: threads of the scheduler, its clock, a pipe in memory.

use std::io;
use std::net::Shutdown;
use std::time::Duration;

pub(super) use crate::protocol::ProtocolError;
pub(super) use crate::protocol::handshake::accept_for;
pub(super) use crate::sync::{late, now};
pub(super) use crate::{
    CloseCause, CloseCode, CloseInfo, ConnectOptions, ControlFrames, DeflateOptions, Error, Frame, Message,
    MessageKind, MessageRef, Opcode, Sender, Transport, WebSocket,
};

use super::model::Wire;
use crate::net::tests::pipe::PipeEnd;
use crate::sync::thread::{self, JoinHandle};
use crate::sync::{Condvar, Mutex};

/// What a call may take beyond its deadline: what remains of it is rounded up to steps of 16 ms.
pub(super) const SLACK: Duration = Duration::from_millis(20);
/// What one may take that does not wait.
pub(super) const AT_ONCE: Duration = Duration::ZERO;
/// How much earlier than another event one must have been to be surely before it.
pub(super) const TOLERANCE: Duration = Duration::ZERO;

pub(super) fn sleep(length: Duration) {
    let until = now() + length;
    let (nothing, never) = (Mutex::new(()), Condvar::new());
    while now() < until {
        drop(never.wait_timeout(nothing.lock().unwrap(), until - now()));
    }
}

pub(super) fn spawn<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(body)
}

pub(super) fn join<T>(thread: JoinHandle<T>) -> T {
    thread.join().unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))
}

/// The peer's end of the pipe.
pub(super) struct End(pub(super) PipeEnd);

impl Wire for End {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.0.try_write(buf)
    }

    fn wait(&self, readable: bool, writable: bool, longest: Duration) {
        self.0.wait_for(readable, writable, Some(now() + longest));
    }

    fn shutdown_write(&self) {
        let _ = self.0.shutdown(Shutdown::Write);
    }

    fn reset(&self) {
        self.0.reset();
    }
}
