//! A connection without a network: two lanes of bytes in memory, whose waits are the scheduler's to see.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::net::{Interest, Transport};
use crate::sync::{Condvar, Mutex, MutexGuard, now};

/// The two ends of one. So many bytes are on their way at most, in each direction.
pub(crate) fn pair(capacity: usize) -> (PipeEnd, PipeEnd) {
    pair_with(capacity, Room::Bytes)
}

/// How much of a write finds room.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Room {
    /// As many bytes as are missing to the capacity.
    Bytes,
    /// All of it, unless the capacity is reached already: as with a socket that takes a whole buffer or none.
    Writes,
}

/// The same, with another kind of room.
pub(crate) fn pair_with(capacity: usize, room: Room) -> (PipeEnd, PipeEnd) {
    let lane = || Lane { bytes: VecDeque::new(), capacity, room, writer: Writer::Open, reader_is_gone: false };
    let pipe = Arc::new(Pipe { lanes: Mutex::new([lane(), lane()]), changed: Condvar::new() });
    let end = |incoming| PipeEnd { pipe: Arc::clone(&pipe), incoming };
    (end(0), end(1))
}

/// One end. Dropped, it is closed.
#[derive(Debug)]
pub(crate) struct PipeEnd {
    pipe: Arc<Pipe>,
    /// The lane that this end reads; it writes the other one.
    incoming: usize,
}

#[derive(Debug)]
struct Pipe {
    lanes: Mutex<[Lane; 2]>,
    changed: Condvar,
}

/// One direction.
#[derive(Debug)]
struct Lane {
    bytes: VecDeque<u8>,
    capacity: usize,
    room: Room,
    writer: Writer,
    reader_is_gone: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Writer {
    Open,
    /// Nothing comes any more.
    Finished,
    /// What was on its way is lost.
    Reset,
}

impl Lane {
    /// What a read gives now; `None` for nothing yet.
    fn read(&mut self, buf: &mut [u8]) -> Option<io::Result<usize>> {
        let length = buf.len().min(self.bytes.len());
        if length > 0 {
            buf.iter_mut().zip(self.bytes.drain(..length)).for_each(|(to, byte)| *to = byte);
            return Some(Ok(length));
        }
        match self.writer {
            Writer::Reset => Some(Err(io::ErrorKind::ConnectionReset.into())),
            Writer::Finished => Some(Ok(0)),
            Writer::Open => self.reader_is_gone.then_some(Ok(0)),
        }
    }

    /// What a write gives now; `None` where there is no room.
    fn write(&mut self, buf: &[u8]) -> Option<io::Result<usize>> {
        match self.writer {
            Writer::Reset => return Some(Err(io::ErrorKind::ConnectionReset.into())),
            Writer::Finished => return Some(Err(io::ErrorKind::BrokenPipe.into())),
            Writer::Open if self.reader_is_gone => return Some(Err(io::ErrorKind::BrokenPipe.into())),
            Writer::Open => {}
        }
        let rest = self.capacity.saturating_sub(self.bytes.len());
        let length = match self.room {
            Room::Writes if rest > 0 => buf.len(),
            _ => buf.len().min(rest),
        };
        self.bytes.extend(&buf[..length]);
        (length > 0).then_some(Ok(length))
    }

    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.writer != Writer::Open || self.reader_is_gone
    }

    fn is_writable(&self) -> bool {
        self.writer != Writer::Open || self.reader_is_gone || self.bytes.len() < self.capacity
    }
}

impl PipeEnd {
    /// Ends both directions; what is on its way is lost.
    pub(crate) fn reset(&self) {
        for lane in self.lanes().iter_mut() {
            lane.bytes.clear();
            lane.writer = Writer::Reset;
        }
        self.pipe.changed.notify_all();
    }

    /// Waits until one of the directions can be used, or time is up; says whether one can.
    pub(crate) fn wait_for(&self, readable: bool, writable: bool, deadline: Option<Instant>) -> bool {
        let mut lanes = self.lanes();
        while !(readable && lanes[self.incoming].is_readable() || writable && lanes[1 - self.incoming].is_writable()) {
            let Some(deadline) = deadline else {
                lanes = self.pipe.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let rest = deadline.saturating_duration_since(now());
            if rest.is_zero() {
                return false;
            }
            lanes = self.pipe.changed.wait_timeout(lanes, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn lanes(&self) -> MutexGuard<'_, [Lane; 2]> {
        self.pipe.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport for PipeEnd {
    fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let result = self.lanes()[self.incoming].read(buf);
        self.pipe.changed.notify_all();
        result.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        let result = self.lanes()[1 - self.incoming].write(buf);
        self.pipe.changed.notify_all();
        result.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn wait(&self, interest: Interest, deadline: Option<Instant>) -> io::Result<bool> {
        Ok(self.wait_for(interest == Interest::Read, interest == Interest::Write, deadline))
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let mut lanes = self.lanes();
        if how != Shutdown::Write {
            lanes[self.incoming].reader_is_gone = true;
        }
        if how != Shutdown::Read && lanes[1 - self.incoming].writer == Writer::Open {
            lanes[1 - self.incoming].writer = Writer::Finished;
        }
        drop(lanes);
        self.pipe.changed.notify_all();
        Ok(())
    }
}

impl Drop for PipeEnd {
    fn drop(&mut self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}
