//! The ways to a server on which system calls fail, and the servers at their ends, in the process that starts those with the faults.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustls::ServerConfig;

use crate::error::Phase;
use crate::net::tests::tls_peer::{self, Authority, Leaf, Validity};
use crate::net::{HalfDuplex, Transport};
use crate::options::{ConnectOptions, Family, Proxy, SocketOptions, TlsOptions};
use crate::protocol::{Frame, Opcode};
use crate::{Message, TlsBackend, WebSocket};

/// A way to a server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Route {
    Tcp,
    Unix,
    #[cfg(feature = "native-tls")]
    NativeTls,
    #[cfg(feature = "rustls")]
    Rustls,
    HttpProxy,
    SocksProxy,
    /// TLS through a proxy.
    #[cfg(feature = "native-tls")]
    NativeTlsHttpProxy,
    #[cfg(feature = "rustls")]
    RustlsSocksProxy,
    /// TLS in TLS: through a proxy that speaks TLS itself.
    #[cfg(feature = "native-tls")]
    NativeTlsHttpsProxy,
    #[cfg(feature = "rustls")]
    RustlsHttpsProxy,
}

/// What a server speaks before it speaks WebSocket.
#[derive(Clone, Copy, Debug)]
enum Face {
    Plain,
    Tls,
    HttpProxy,
    SocksProxy,
    HttpProxyTls,
    SocksProxyTls,
    HttpsProxyTls,
}

impl Face {
    const ALL: [Self; 7] = [
        Self::Plain,
        Self::Tls,
        Self::HttpProxy,
        Self::SocksProxy,
        Self::HttpProxyTls,
        Self::SocksProxyTls,
        Self::HttpsProxyTls,
    ];
}

impl Route {
    pub(super) const ALL: &[Self] = &[
        Self::Tcp,
        Self::Unix,
        #[cfg(feature = "native-tls")]
        Self::NativeTls,
        #[cfg(feature = "rustls")]
        Self::Rustls,
        Self::HttpProxy,
        Self::SocksProxy,
        #[cfg(feature = "native-tls")]
        Self::NativeTlsHttpProxy,
        #[cfg(feature = "rustls")]
        Self::RustlsSocksProxy,
        #[cfg(feature = "native-tls")]
        Self::NativeTlsHttpsProxy,
        #[cfg(feature = "rustls")]
        Self::RustlsHttpsProxy,
    ];

    fn face(self) -> Face {
        match self {
            Self::Tcp | Self::Unix => Face::Plain,
            #[cfg(feature = "native-tls")]
            Self::NativeTls => Face::Tls,
            #[cfg(feature = "rustls")]
            Self::Rustls => Face::Tls,
            Self::HttpProxy => Face::HttpProxy,
            Self::SocksProxy => Face::SocksProxy,
            #[cfg(feature = "native-tls")]
            Self::NativeTlsHttpProxy => Face::HttpProxyTls,
            #[cfg(feature = "rustls")]
            Self::RustlsSocksProxy => Face::SocksProxyTls,
            #[cfg(feature = "native-tls")]
            Self::NativeTlsHttpsProxy => Face::HttpsProxyTls,
            #[cfg(feature = "rustls")]
            Self::RustlsHttpsProxy => Face::HttpsProxyTls,
        }
    }

    /// In which phases of an opening something is said and heard.
    pub(super) fn phases(self) -> &'static [Phase] {
        match self.face() {
            Face::Plain => &[Phase::Handshake],
            Face::Tls => &[Phase::Tls, Phase::Handshake],
            Face::HttpProxy | Face::SocksProxy => &[Phase::Proxy, Phase::Handshake],
            // What TLS with the proxy says of an alert is said of TLS.
            Face::HttpProxyTls | Face::SocksProxyTls | Face::HttpsProxyTls => {
                &[Phase::Proxy, Phase::Tls, Phase::Handshake]
            }
        }
    }

    fn backend(self) -> Option<TlsBackend> {
        match self {
            Self::Tcp | Self::Unix | Self::HttpProxy | Self::SocksProxy => None,
            #[cfg(feature = "native-tls")]
            Self::NativeTls | Self::NativeTlsHttpProxy | Self::NativeTlsHttpsProxy => Some(TlsBackend::NativeTls),
            #[cfg(feature = "rustls")]
            Self::Rustls | Self::RustlsSocksProxy | Self::RustlsHttpsProxy => Some(TlsBackend::Rustls),
        }
    }
}

/// Where the servers are: what a process with faults needs to know of them.
#[derive(Debug)]
pub(super) struct Addresses {
    /// In the order of [`Face::ALL`].
    ports: Vec<u16>,
    directory: PathBuf,
}

impl Addresses {
    pub(super) fn parse(text: &str) -> Self {
        let (ports, directory) = text.split_once(' ').unwrap();
        Self { ports: ports.split(',').map(|port| port.parse().unwrap()).collect(), directory: directory.into() }
    }

    fn authority(&self) -> PathBuf {
        self.directory.join("authority.pem")
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("socket")
    }

    /// How to connect by each route: the options, and the URL.
    pub(super) fn clients(&self) -> Vec<(ConnectOptions, String)> {
        Route::ALL.iter().map(|&route| self.client(route)).collect()
    }

    fn client(&self, route: Route) -> (ConnectOptions, String) {
        let port = self.ports[route.face() as usize];
        let mut tls = TlsOptions::new();
        if let Some(backend) = route.backend() {
            tls = tls.backend(backend).ca_certs_pem(fs::read(self.authority()).unwrap());
        }
        let options = ConnectOptions::new();
        let options = match route.face() {
            Face::Plain | Face::Tls => options.no_proxy(),
            Face::HttpProxy | Face::HttpProxyTls => options.proxy(Proxy::new(format!("http://127.0.0.1:{port}"))),
            Face::SocksProxy | Face::SocksProxyTls => options.proxy(Proxy::new(format!("socks5h://127.0.0.1:{port}"))),
            Face::HttpsProxyTls => options.proxy(Proxy::new(format!("https://localhost:{port}")).tls(tls.clone())),
        };
        // Small, so that a large message does not fit.
        let socket = SocketOptions::new().family(Family::Ipv4Only).send_buffer_size(4096);
        let url = match route {
            Route::Unix => format!("ws+unix://{}:/", self.socket().display()),
            Route::Tcp | Route::HttpProxy | Route::SocksProxy => format!("ws://localhost:{port}/"),
            _ => format!("wss://localhost:{port}/"),
        };
        (options.tls(tls).socket(socket), url)
    }
}

/// The servers, each on a thread of its own.
pub(super) struct Servers {
    addresses: Addresses,
    /// How many connections are open.
    open: Arc<AtomicUsize>,
}

impl Servers {
    pub(super) fn start() -> Self {
        let directory = std::env::temp_dir().join(format!("websocket-sync-faults-{}", process::id()));
        fs::create_dir_all(&directory).unwrap();
        let authority = Authority::new();
        let leaf = authority.leaf("localhost", Validity::Now);
        let server = Arc::new(Server {
            open: Arc::default(),
            tls: server_tls(&leaf),
            proxy: leaf.server(&rustls::version::TLS13),
        });
        let mut addresses = Addresses { ports: Vec::new(), directory };
        fs::write(addresses.authority(), &authority.pem).unwrap();
        for face in Face::ALL {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            addresses.ports.push(listener.local_addr().unwrap().port());
            let server = Arc::clone(&server);
            thread::spawn(move || {
                listener
                    .incoming()
                    .map_while(Result::ok)
                    .for_each(|stream| server.serve(move |server| server.tcp(face, stream)))
            });
        }
        let listener = UnixListener::bind(addresses.socket()).unwrap();
        let open = Arc::clone(&server.open);
        thread::spawn(move || {
            let streams = listener.incoming().map_while(Result::ok);
            streams.for_each(|stream| server.serve(move |server| server.accept(stream, TlsOptions::new())));
        });
        Self { addresses, open }
    }

    /// For [`Addresses::parse`].
    pub(super) fn addresses(&self) -> String {
        let ports: Vec<_> = self.addresses.ports.iter().map(u16::to_string).collect();
        format!("{} {}", ports.join(","), self.addresses.directory.display())
    }

    /// How many connections are open that nobody else has ended, after some time.
    pub(super) fn left_open(&self) -> usize {
        for _ in 0..100 {
            if self.open.load(Ordering::SeqCst) == 0 {
                return 0;
            }
            thread::sleep(Duration::from_millis(20));
        }
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.addresses.directory);
    }
}

fn server_tls(leaf: &Leaf) -> TlsOptions {
    #[cfg(feature = "native-tls")]
    return TlsOptions::new().acceptor(leaf.acceptor(native_tls::Protocol::Tlsv13));
    #[cfg(not(feature = "native-tls"))]
    TlsOptions::new().rustls_server_config(leaf.server(&rustls::version::TLS13))
}

struct Server {
    open: Arc<AtomicUsize>,
    tls: TlsOptions,
    /// Of a proxy that speaks TLS.
    proxy: Arc<ServerConfig>,
}

impl Server {
    fn serve(self: &Arc<Self>, serve: impl FnOnce(&Self) -> io::Result<()> + Send + 'static) {
        let server = Arc::clone(self);
        server.open.fetch_add(1, Ordering::SeqCst);
        thread::spawn(move || {
            // Whatever the client does, a server goes on.
            let _ = serve(&server);
            server.open.fetch_sub(1, Ordering::SeqCst);
        });
    }

    fn tcp(&self, face: Face, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        match face {
            Face::Plain => self.accept(stream, TlsOptions::new()),
            Face::Tls => self.accept(stream, self.tls.clone()),
            Face::HttpProxy => http_proxy(&mut stream).and_then(|()| self.accept(stream, TlsOptions::new())),
            Face::HttpProxyTls => http_proxy(&mut stream).and_then(|()| self.accept(stream, self.tls.clone())),
            Face::SocksProxy => socks_proxy(&mut stream).and_then(|()| self.accept(stream, TlsOptions::new())),
            Face::SocksProxyTls => socks_proxy(&mut stream).and_then(|()| self.accept(stream, self.tls.clone())),
            Face::HttpsProxyTls => {
                let mut stream = tls_peer::accept(Arc::clone(&self.proxy), stream)?;
                http_proxy(&mut stream)?;
                self.accept(HalfDuplex::new(stream), self.tls.clone())
            }
        }
    }

    fn accept(&self, stream: impl Into<Box<dyn Transport>>, tls: TlsOptions) -> io::Result<()> {
        let options = ConnectOptions::new().tls(tls).timeout(PATIENCE).open_timeout(PATIENCE);
        Ok(answer(options.accept(stream)?)?)
    }
}

/// Far more than a client waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// Texts come back in two fragments with a ping between them, binary messages in one frame; "lose" loses the connection.
fn answer(mut ws: WebSocket) -> crate::Result<()> {
    loop {
        match ws.recv()? {
            Message::Text(text) if text == "lose" => {
                ws.shutdown();
                return Ok(());
            }
            Message::Text(text) => {
                let (head, tail) = text.split_at(text.len() / 2);
                ws.send_frame(&Frame::new(Opcode::Text, head.as_bytes()).fragment())?;
                ws.ping("between")?;
                ws.send_frame(&Frame::new(Opcode::Continuation, tail.as_bytes()))?;
            }
            Message::Binary(bytes) => drop(ws.send_binary(&bytes)?),
        }
    }
}

/// Takes the server's part behind itself.
fn http_proxy<S: Read + Write>(stream: &mut S) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    stream.flush()
}

fn socks_proxy(stream: &mut TcpStream) -> io::Result<()> {
    let mut greeting = [0; 2];
    stream.read_exact(&mut greeting)?;
    stream.read_exact(&mut vec![0; usize::from(greeting[1])])?;
    stream.write_all(&[5, 0])?;
    // Version, command, reserved, a name and its length.
    let mut request = [0; 5];
    stream.read_exact(&mut request)?;
    stream.read_exact(&mut vec![0; usize::from(request[4]) + 2])?;
    stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80])
}
