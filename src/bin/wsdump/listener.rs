//! What the clients of `--listen` connect to: a TCP port, or a Unix socket whose file goes in the end.

use std::io;
use std::net::TcpListener;
#[cfg(unix)]
use std::os::unix::fs::FileTypeExt;
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
#[cfg(unix)]
use std::path::Path;
use std::path::PathBuf;

use websocket_sync::Transport;

#[cfg(unix)]
use crate::connect::unix_url;

/// What clients connect to.
pub(crate) enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener, PathBuf),
}

impl Listener {
    /// An address with a slash is the path of a Unix socket; a port alone is one of this machine.
    pub(crate) fn bind(address: &str) -> io::Result<Self> {
        #[cfg(unix)]
        if address.contains('/') {
            let path = std::path::absolute(address)?;
            remove_stale_socket(&path);
            return UnixListener::bind(&path).map(|listener| Self::Unix(listener, path));
        }
        let port = address.strip_prefix(':').unwrap_or(address);
        match port.parse::<u16>() {
            Ok(port) => TcpListener::bind(("127.0.0.1", port)),
            Err(_) => TcpListener::bind(address),
        }
        .map(Self::Tcp)
    }

    /// A stream, and the address of the client if it has one.
    pub(crate) fn accept(&self) -> io::Result<(Box<dyn Transport>, Option<String>)> {
        match self {
            Self::Tcp(listener) => {
                listener.accept().map(|(stream, address)| (stream.into(), Some(address.to_string())))
            }
            #[cfg(unix)]
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| (stream.into(), None)),
        }
    }

    pub(crate) fn url(&self, scheme: &str) -> io::Result<String> {
        match self {
            Self::Tcp(listener) => Ok(format!("{scheme}://{}/", listener.local_addr()?)),
            #[cfg(unix)]
            Self::Unix(_, path) => Ok(unix_url(scheme, path, "/")),
        }
    }

    /// What removes the file of a Unix socket in the end.
    pub(crate) fn socket_file(&self) -> Option<SocketFile> {
        match self {
            Self::Tcp(_) => None,
            #[cfg(unix)]
            Self::Unix(_, path) => Some(SocketFile(path.clone())),
        }
    }
}

/// The file of a Unix socket, as long as its server lives.
#[cfg_attr(not(unix), allow(dead_code, reason = "other systems have none"))]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes the file of a socket that nobody listens on any more, such as that of a server that was killed.
#[cfg(unix)]
fn remove_stale_socket(path: &Path) {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if is_socket && UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
        // What is wrong with that is told when the socket is bound.
        let _ = std::fs::remove_file(path);
    }
}
