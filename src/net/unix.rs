//! Unix sockets.

use std::io;
use std::path::Path;
#[cfg(unix)]
use std::{iter, time::Duration};

use super::deadline::Deadline;
#[cfg(unix)]
use super::socket;
use super::socket::Socket;
#[cfg(unix)]
use super::tcp::called_off;
use super::tcp::{at, failed};
#[cfg(unix)]
use super::wake::{Wake, Woken, wait};
use crate::error::Result;
use crate::options::Settings;

/// How long a listener whose queue is full is left alone, at first and at most.
#[cfg(unix)]
const PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(50));

/// Connects to a socket in the file system.
///
/// # Errors
///
/// [`Error::Timeout`](crate::Error::Timeout) when time runs out, otherwise what the system says.
pub(super) fn connect(path: &Path, settings: &Settings, deadline: Deadline) -> Result<Socket> {
    let connected = attempt(path, settings, deadline);
    connected.map(Socket::new).map_err(|error| failed(at(path.display(), error)))
}

#[cfg(unix)]
fn attempt(path: &Path, settings: &Settings, deadline: Deadline) -> io::Result<socket2::Socket> {
    let address = socket2::SockAddr::unix(path)?;
    let wake = settings.cancellation.as_ref().map(Wake::new).transpose()?;
    let socket = socket::unix(&settings.socket)?;
    let (mut pause, longest) = PAUSE;
    loop {
        // Each time: whoever has a clone may have changed it.
        socket.set_nonblocking(true)?;
        match socket.connect(&address) {
            // Linux says so when the listener's queue is full, and nothing tells when there is room.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return result.map(|()| socket),
        }
        let timeout = deadline.remaining()?.map_or(pause, |rest| rest.min(pause));
        if wait(iter::empty(), wake.as_ref(), Some(timeout))? == Woken::CalledOff {
            return Err(called_off());
        }
        pause = (2 * pause).min(longest);
    }
}

#[cfg(not(unix))]
fn attempt(_path: &Path, _settings: &Settings, _deadline: Deadline) -> io::Result<socket2::Socket> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "Unix sockets are for Unix"))
}
