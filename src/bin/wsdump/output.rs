//! Standard output and files, without a buffer that would hold back what has come.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Where the payloads or lines go.
pub(crate) struct Output(Box<dyn Write + Send>);

impl Output {
    /// Standard output, past the line buffer of std, which looks for line feeds in all that goes through it.
    pub(crate) fn standard() -> Self {
        #[cfg(unix)]
        {
            use std::os::fd::AsFd;
            if let Ok(descriptor) = io::stdout().as_fd().try_clone_to_owned() {
                enlarge(&descriptor);
                return Self(Box::new(File::from(descriptor)));
            }
        }
        Self(Box::new(io::stdout()))
    }

    pub(crate) fn file(path: &Path) -> io::Result<Self> {
        Ok(Self(Box::new(File::create(path)?)))
    }

    /// Writes all of it, as it is.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Writes a line in one piece, so that a reader gets no half of it.
    pub(crate) fn line(&mut self, mut line: String) -> io::Result<()> {
        line.push('\n');
        self.bytes(line.as_bytes())
    }
}

/// Gives a pipe the room of many messages, so that the programs at its ends need not take turns. What is no pipe stays as it is.
#[cfg(target_os = "linux")]
pub(crate) fn enlarge(pipe: impl std::os::fd::AsFd) {
    // What Linux grants to everybody, unless it was told otherwise.
    const ROOM: usize = 1024 * 1024;
    // It works with less, too.
    let _ = rustix::pipe::fcntl_setpipe_size(pipe, ROOM);
}

/// Elsewhere pipes are as they are.
#[cfg(all(unix, not(target_os = "linux")))]
pub(crate) fn enlarge(_: impl std::os::fd::AsFd) {}
