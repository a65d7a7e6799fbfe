//! A server on loopback whose connections follow scripts, each on a thread of its own.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use super::error::PeerError;
use super::peer::{DEFAULT_TIMEOUT, FinishSignal, Peer};
use super::recording::Recording;
use super::tls;
use crate::protocol::Role;

/// A server whose connections follow scripts: the first connection the first script, and so on. Each is run by a thread of its own, so a
/// script need not end before the next connection comes.
///
/// Whatever does not go as a script expects is told by [`finish`](Self::finish), and on standard error where the test panics before. A
/// server that is dropped without it ends all its connections, and waits for nothing; on Windows a script that waits just then goes on
/// to the end of its timeout.
///
/// A connection for which there is no script left ends at once. An app that reconnects without bound goes on then, and the test never
/// comes to [`finish`](Self::finish): [`max_attempts`](crate::Reconnect::max_attempts) ends it.
///
/// What a script has sent arrives, also where the script ends at once: its connection then ends in order, unless the script
/// [resets](Peer::reset) it.
///
/// ```
/// use websocket_sync::create_connection;
/// use websocket_sync::test_kit::TestServer;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // Refuses, then opens and echoes.
/// let server = TestServer::builder()
///     .connection(|peer| peer.refuse(503))
///     .connection(|peer| {
///         peer.accept()?;
///         peer.echo()
///     })
///     .start()?;
/// assert!(create_connection(server.url()).is_err());
/// let mut ws = create_connection(server.url())?;
/// ws.send_text("there and back")?;
/// assert_eq!(ws.recv()?.as_text(), Some("there and back"));
/// ws.close()?;
/// server.finish()?;
/// # Ok(())
/// # }
/// ```
pub struct TestServer {
    address: SocketAddr,
    url: String,
    timeout: Duration,
    shared: Arc<ServerShared>,
}

/// What a [`TestServer`] does, before it is started.
///
/// ```
/// use std::time::Duration;
///
/// use websocket_sync::test_kit::{TestCertificate, TestServer};
/// use websocket_sync::{ConnectOptions, Message};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # #[cfg(any(feature = "native-tls", feature = "rustls"))] {
/// let server = TestServer::builder()
///     .tls()
///     .timeout(Duration::from_secs(20))
///     .every_connection(|peer| {
///         peer.accept()?;
///         peer.send_text("over TLS")
///     })
///     .start()?;
/// let mut ws = ConnectOptions::new().tls(TestCertificate::tls_options()).connect(server.url())?;
/// assert_eq!(ws.recv()?, Message::Text("over TLS".to_owned()));
/// # drop(ws);
/// server.finish()?;
/// # }
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct TestServerBuilder {
    scripts: VecDeque<Script>,
    every: Option<RepeatedScript>,
    security: Security,
    timeout: Duration,
}

type Script = Box<dyn FnOnce(&mut Peer) -> Result<(), PeerError> + Send>;
type RepeatedScript = Arc<dyn Fn(&mut Peer) -> Result<(), PeerError> + Send + Sync>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Security {
    Plain,
    Tls,
}

impl TestServer {
    /// A server for one connection.
    ///
    /// # Errors
    ///
    /// What the operating system says.
    pub fn start(script: impl FnOnce(&mut Peer) -> Result<(), PeerError> + Send + 'static) -> Result<Self, PeerError> {
        Self::builder().connection(script).start()
    }

    /// A server for any number of connections.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder { scripts: VecDeque::new(), every: None, security: Security::Plain, timeout: DEFAULT_TIMEOUT }
    }

    /// Where to connect to: `ws://127.0.0.1:port/`, or `wss://`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have come, those for which there was no script included.
    pub fn connections(&self) -> usize {
        let state = self.shared.state();
        state.recordings.len() + state.surplus
    }

    /// What was sent and received so far on each connection that had a script, from the server's side; without TLS.
    pub fn recordings(&self) -> Vec<Recording> {
        self.shared.state().recordings.clone()
    }

    /// Waits until a connection has come for each script, unless one has failed already, and until all scripts that were begun have
    /// ended; those that [stall](Peer::stall) end then.
    ///
    /// # Errors
    ///
    /// [`PeerError::Script`] for the first connection whose script failed, [`PeerError::Unreached`] where none came for a script within
    /// the [timeout](TestServerBuilder::timeout), [`PeerError::Surplus`] where more came than there are scripts for,
    /// [`PeerError::Timeout`] for a script that has not ended after six times that.
    pub fn finish(self) -> Result<(), PeerError> {
        let unreached = self.shared.wait_for_scripts(self.timeout);
        self.shared.finish.set();
        self.shared.wake_listener(self.address)?;
        let longest = self.timeout.saturating_mul(6);
        let mut state = self.shared.wait_for_ends(longest);
        state.is_finished = true;
        if state.ended < state.recordings.len() {
            return Err(PeerError::Timeout { expected: "the end of all scripts".to_owned(), timeout: longest });
        }
        state.failures.sort_by_key(|(connection, _)| *connection);
        if !state.failures.is_empty() {
            let (connection, source) = state.failures.remove(0);
            return Err(PeerError::Script { connection, source: Box::new(source) });
        }
        match (unreached, state.surplus) {
            (0, 0) => Ok(()),
            (0, surplus) => Err(PeerError::Surplus(surplus)),
            (unreached, _) => Err(PeerError::Unreached(unreached)),
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.shared.finish.set();
        let mut state = self.shared.state();
        if !state.is_finished {
            state.is_dropped = true;
            for socket in state.sockets.drain(..).filter_map(|socket| socket.upgrade()) {
                let _ = socket.shutdown(Shutdown::Both);
            }
        }
        let is_listening = !state.has_listened;
        drop(state);
        if is_listening {
            let _ = self.shared.wake_listener(self.address);
        }
        if thread::panicking() {
            for (connection, failure) in &self.shared.state().failures {
                eprintln!("test server at {}: connection {connection}: {failure}", self.url);
            }
        }
    }
}

impl fmt::Debug for TestServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServer")
            .field("url", &self.url)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}

impl TestServerBuilder {
    /// What happens on the next connection.
    pub fn connection(mut self, script: impl FnOnce(&mut Peer) -> Result<(), PeerError> + Send + 'static) -> Self {
        self.scripts.push_back(Box::new(script));
        self
    }

    /// What happens on every connection that comes when the other scripts are used up. Default: none may come.
    pub fn every_connection(
        mut self,
        script: impl Fn(&mut Peer) -> Result<(), PeerError> + Send + Sync + 'static,
    ) -> Self {
        self.every = Some(Arc::new(script));
        self
    }

    /// Speaks TLS, with rustls where it is there and native-tls otherwise, and shows the [`TestCertificate`](super::TestCertificate).
    /// Default: plain TCP.
    pub const fn tls(mut self) -> Self {
        self.security = Security::Tls;
        self
    }

    /// How long each call of a script waits ([`Peer::set_timeout`]), and how long [`finish`](TestServer::finish) waits for a connection.
    /// Default: 10 s.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Listens on a port of 127.0.0.1 that nobody else uses.
    ///
    /// # Errors
    ///
    /// [`PeerError::NoTlsLibrary`], and what the operating system says.
    pub fn start(self) -> Result<TestServer, PeerError> {
        let scheme = match self.security {
            Security::Plain => "ws",
            Security::Tls if tls::is_available() => "wss",
            Security::Tls => return Err(PeerError::NoTlsLibrary),
        };
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(ServerShared::default());
        shared.state().scripts = self.scripts;
        let acceptor = Acceptor {
            listener,
            every: self.every,
            security: self.security,
            timeout: self.timeout,
            shared: Arc::clone(&shared),
        };
        thread::Builder::new().name("test server".to_owned()).spawn(move || acceptor.run())?;
        let url = format!("{scheme}://{address}/");
        Ok(TestServer { address, url, timeout: self.timeout, shared })
    }
}

impl fmt::Debug for TestServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestServerBuilder")
            .field("scripts", &self.scripts.len())
            .field("security", &self.security)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// What the threads of a server share.
#[derive(Default)]
struct ServerShared {
    state: Mutex<ServerState>,
    /// A script was taken, or has ended.
    changed: Condvar,
    finish: FinishSignal,
}

#[derive(Default)]
struct ServerState {
    /// Those for which no connection has come.
    scripts: VecDeque<Script>,
    recordings: Vec<Recording>,
    /// The connections whose scripts run.
    sockets: Vec<Weak<Socket>>,
    ended: usize,
    /// No connection is accepted any more.
    has_listened: bool,
    /// All scripts have ended as far as anybody waits for them.
    is_finished: bool,
    /// Nobody waits for the scripts.
    is_dropped: bool,
    failures: Vec<(usize, PeerError)>,
    surplus: usize,
    /// The address from which the server itself connects, so that it need not wait for another connection.
    waker: Option<SocketAddr>,
}

impl ServerShared {
    fn state(&self) -> MutexGuard<'_, ServerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until each script has its connection, or one has failed; how many have none.
    fn wait_for_scripts(&self, longest: Duration) -> usize {
        let is_waiting = |state: &mut ServerState| !state.scripts.is_empty() && state.failures.is_empty();
        let state = self.changed.wait_timeout_while(self.state(), longest, is_waiting);
        state.unwrap_or_else(PoisonError::into_inner).0.scripts.len()
    }

    /// Waits until no connection is accepted any more and each script has ended.
    fn wait_for_ends(&self, longest: Duration) -> MutexGuard<'_, ServerState> {
        let is_over = |state: &ServerState| state.has_listened && state.ended == state.recordings.len();
        let state = self.changed.wait_timeout_while(self.state(), longest, |state| !is_over(state));
        state.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Connects to the listener, from an address by which it knows that this was us.
    fn wake_listener(&self, address: SocketAddr) -> io::Result<()> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        socket.bind(&SocketAddr::new(address.ip(), 0).into())?;
        self.state().waker = socket.local_addr()?.as_socket();
        // Some systems report an error where the listener is gone before this looks.
        let _ = socket.connect_timeout(&address.into(), Duration::from_secs(1));
        Ok(())
    }
}

/// Hands connections to scripts.
struct Acceptor {
    listener: TcpListener,
    every: Option<RepeatedScript>,
    security: Security,
    timeout: Duration,
    shared: Arc<ServerShared>,
}

impl Acceptor {
    fn run(self) {
        loop {
            match self.listener.accept() {
                Ok((_, from)) if self.shared.state().waker == Some(from) => break,
                Ok((stream, _)) => self.begin(stream),
                Err(_) if self.shared.finish.is_set() => break,
                // Such as too many descriptors: they may become fewer.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
        self.shared.state().has_listened = true;
        self.shared.changed.notify_all();
    }

    /// Starts a script for a connection, if there is one.
    fn begin(&self, stream: TcpStream) {
        let mut state = self.shared.state();
        let script = match (state.scripts.pop_front(), &self.every) {
            (Some(script), _) => script,
            (None, Some(every)) => {
                let every = Arc::clone(every);
                Box::new(move |peer: &mut Peer| every(peer))
            }
            (None, None) => {
                state.surplus += 1;
                return;
            }
        };
        let recording = Recording::new();
        state.recordings.push(recording.clone());
        let number = state.recordings.len();
        drop(state);
        self.shared.changed.notify_all();
        let connection = ScriptedConnection {
            number,
            security: self.security,
            timeout: self.timeout,
            recording,
            shared: Arc::clone(&self.shared),
        };
        let name = format!("test server, connection {number}");
        if let Err(error) = thread::Builder::new().name(name).spawn(move || connection.run(stream, script)) {
            self.shared.end(number, Err(error.into()));
        }
    }
}

impl ServerShared {
    fn end(&self, connection: usize, result: Result<(), PeerError>) {
        let mut state = self.state();
        state.ended += 1;
        state.failures.extend(result.err().map(|error| (connection, error)));
        drop(state);
        self.changed.notify_all();
    }
}

/// A connection with a script of its own.
struct ScriptedConnection {
    number: usize,
    security: Security,
    timeout: Duration,
    recording: Recording,
    shared: Arc<ServerShared>,
}

impl ScriptedConnection {
    fn run(self, stream: TcpStream, script: Script) {
        let mut peer = match self.peer(stream) {
            Ok(peer) => peer,
            Err(error) => return self.shared.end(self.number, Err(error)),
        };
        let result = panic::catch_unwind(AssertUnwindSafe(|| script(&mut peer)));
        let result = result.unwrap_or_else(|panicked| Err(PeerError::Panicked(message(&*panicked))));
        self.shared.end(self.number, result);
        peer.end_in_order();
    }

    fn peer(&self, stream: TcpStream) -> Result<Peer, PeerError> {
        let mut peer = Peer::over(stream, Role::Server)?;
        peer.set_timeout(self.timeout);
        peer.set_finish(self.shared.finish.clone());
        let mut state = self.shared.state();
        state.sockets.retain(|socket| socket.strong_count() > 0);
        if state.is_dropped {
            return Err(PeerError::other("the server was dropped"));
        }
        state.sockets.push(peer.weak_socket());
        drop(state);
        if self.security == Security::Tls {
            peer.accept_tls()?;
        }
        peer.record(&self.recording);
        Ok(peer)
    }
}

/// What a panic says.
fn message(panicked: &(dyn std::any::Any + Send)) -> String {
    let text = panicked.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panicked.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
