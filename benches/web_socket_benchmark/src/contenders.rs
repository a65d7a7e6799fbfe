//! The same round by each crate: the client sends, the server echoes, the client receives.
//!
//! Each works with its own means for whole messages, in the way in which its documentation does it. Each message is checked to be
//! text, in UTF-8, and the one that was sent. Where a crate can gather messages before it writes, it is there twice: with a write for
//! each message, and gathered.

use std::error::Error;
use std::future::Future;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::runtime::{Builder, Runtime};

use crate::pipe::pipe;

/// What is sent.
pub(crate) const MESSAGE: &str = "Hello, World!\n";

/// The buffers of those who have a setting for them: what those of websocket-sync grow to by themselves.
const BUFFER: usize = 128 * 1024;

/// How long the three parts of a round took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) send: Duration,
    pub(crate) echo: Duration,
    pub(crate) recv: Duration,
}

impl Round {
    pub(crate) fn total(self) -> Duration {
        self.send + self.echo + self.recv
    }
}

pub(crate) type Outcome = Result<Round, Box<dyn Error>>;

pub(crate) struct Contender {
    /// As Cargo.lock has it.
    pub(crate) package: &'static str,
    /// Whether each message is written by itself.
    pub(crate) writes: Writes,
    pub(crate) run: fn(usize) -> Outcome,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Writes {
    Each,
    Gathered,
}

pub(crate) const CONTENDERS: &[Contender] = &[
    Contender { package: "websocket-sync", writes: Writes::Each, run: ours },
    Contender { package: "web-socket", writes: Writes::Each, run: web_socket },
    Contender { package: "sockudo-ws", writes: Writes::Each, run: |messages| sockudo(messages, Writes::Each) },
    Contender { package: "fastwebsockets", writes: Writes::Each, run: fastwebsockets },
    Contender {
        package: "tokio-tungstenite",
        writes: Writes::Each,
        run: |messages| tungstenite(messages, Writes::Each),
    },
    Contender { package: "websocket-sync", writes: Writes::Gathered, run: ours_gathered },
    Contender { package: "sockudo-ws", writes: Writes::Gathered, run: |messages| sockudo(messages, Writes::Gathered) },
    Contender {
        package: "tokio-tungstenite",
        writes: Writes::Gathered,
        run: |messages| tungstenite(messages, Writes::Gathered),
    },
];

/// What a message takes in the stream, with the longest header that it has.
fn capacity(messages: usize) -> usize {
    (messages + 1) * (MESSAGE.len() + 14)
}

fn timed<T, E>(work: impl FnOnce() -> Result<T, E>) -> Result<Duration, E> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn ends(messages: usize) -> websocket_sync::Result<[websocket_sync::WebSocket; 2]> {
    use websocket_sync::ConnectOptions;
    use websocket_sync::protocol::Role;

    let [client, server] = pipe(capacity(messages));
    let options = ConnectOptions::new();
    Ok([options.from_open(client, Role::Client, b"", None)?, options.from_open(server, Role::Server, b"", None)?])
}

fn received(client: &mut websocket_sync::WebSocket, messages: usize) -> websocket_sync::Result<()> {
    for _ in 0..messages {
        assert_eq!(client.recv_ref()?, websocket_sync::MessageRef::Text(MESSAGE));
    }
    Ok(())
}

fn ours(messages: usize) -> Outcome {
    use websocket_sync::MessageRef;

    let [mut client, mut server] = ends(messages)?;
    let sender = server.sender();
    let send = timed(|| (0..messages).try_for_each(|_| client.send_text(MESSAGE).map(drop)))?;
    let echo = timed(|| -> websocket_sync::Result<()> {
        for _ in 0..messages {
            match server.recv_ref()? {
                MessageRef::Text(text) => sender.send_text(text)?,
                MessageRef::Binary(bytes) => sender.send_binary(bytes)?,
            };
        }
        Ok(())
    })?;
    let recv = timed(|| received(&mut client, messages))?;
    Ok(Round { send, echo, recv })
}

fn ours_gathered(messages: usize) -> Outcome {
    use websocket_sync::MessageRef;

    let [mut client, mut server] = ends(messages)?;
    let sender = server.sender();
    let send = timed(|| client.cork(|batch| (0..messages).try_for_each(|_| batch.send_text(MESSAGE).map(drop))))?;
    let echo = timed(|| {
        sender.cork(|batch| {
            for _ in 0..messages {
                match server.recv_ref()? {
                    MessageRef::Text(text) => batch.send_text(text)?,
                    MessageRef::Binary(bytes) => batch.send_binary(bytes)?,
                };
            }
            Ok(())
        })
    })?;
    let recv = timed(|| received(&mut client, messages))?;
    Ok(Round { send, echo, recv })
}

/// The same for all that are asynchronous. Nothing in a round is ever pending, so it is never entered twice.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime without I/O can be built"));

fn timed_async<T, E>(work: impl Future<Output = Result<T, E>>) -> Result<Duration, E> {
    RUNTIME.block_on(async {
        let start = Instant::now();
        work.await?;
        Ok(start.elapsed())
    })
}

/// It reads what it wants exactly, and so wants a buffered reader. It leaves it to its caller whether text is UTF-8.
fn web_socket(messages: usize) -> Outcome {
    use tokio::io::BufReader;
    use web_socket::{DataType, Event, MessageType, WebSocket};

    let [client, server] = pipe(capacity(messages));
    let mut client = WebSocket::client(BufReader::with_capacity(BUFFER, client));
    let mut server = WebSocket::server(BufReader::with_capacity(BUFFER, server));
    let send = timed_async(async {
        for _ in 0..messages {
            client.send(MESSAGE).await?;
        }
        std::io::Result::Ok(())
    })?;
    let echo = timed_async(async {
        for _ in 0..messages {
            match server.recv().await? {
                Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                    server.send(str::from_utf8(&data).map_err(std::io::Error::other)?).await?;
                }
                Event::Data { ty: DataType::Complete(MessageType::Binary), data } => server.send(&*data).await?,
                event => panic!("{event:?}"),
            }
        }
        std::io::Result::Ok(())
    })?;
    let recv = timed_async(async {
        for _ in 0..messages {
            match client.recv().await? {
                Event::Data { ty: DataType::Complete(MessageType::Text), data } => {
                    assert_eq!(str::from_utf8(&data), Ok(MESSAGE));
                }
                event => panic!("{event:?}"),
            }
        }
        std::io::Result::Ok(())
    })?;
    Ok(Round { send, echo, recv })
}

/// It has no settings for its buffers, and nothing that gathers frames.
fn fastwebsockets(messages: usize) -> Outcome {
    use fastwebsockets::{FragmentCollector, Frame, OpCode, Role, WebSocket, WebSocketError};

    let [client, server] = pipe(capacity(messages));
    let mut client = FragmentCollector::new(WebSocket::after_handshake(client, Role::Client));
    let mut server = FragmentCollector::new(WebSocket::after_handshake(server, Role::Server));
    let send = timed_async(async {
        for _ in 0..messages {
            client.write_frame(Frame::text(MESSAGE.as_bytes().into())).await?;
        }
        Result::<_, WebSocketError>::Ok(())
    })?;
    let echo = timed_async(async {
        for _ in 0..messages {
            let frame = server.read_frame().await?;
            match frame.opcode {
                OpCode::Text | OpCode::Binary => server.write_frame(frame).await?,
                opcode => panic!("{opcode:?}"),
            }
        }
        Result::<_, WebSocketError>::Ok(())
    })?;
    let recv = timed_async(async {
        for _ in 0..messages {
            let frame = client.read_frame().await?;
            assert_eq!(frame.opcode, OpCode::Text);
            assert_eq!(frame.payload, MESSAGE.as_bytes());
        }
        Result::<_, WebSocketError>::Ok(())
    })?;
    Ok(Round { send, echo, recv })
}

fn sockudo(messages: usize, writes: Writes) -> Outcome {
    use bytes::Bytes;
    use sockudo_ws::{Config, Error, Message, WebSocketStream};

    let [client, server] = pipe(capacity(messages));
    // Without timers, which no other has.
    let config = Config::builder().write_buffer_size(BUFFER).idle_timeout(0).auto_ping(false).build();
    let mut client = WebSocketStream::client(client, config.clone());
    let mut server = WebSocketStream::server(server, config);
    let send = timed_async(async {
        for _ in 0..messages {
            let message = Message::Text(Bytes::from_static(MESSAGE.as_bytes()));
            match writes {
                Writes::Each => client.send(message).await?,
                Writes::Gathered => client.feed(message).await?,
            }
        }
        client.flush().await
    })?;
    let echo = timed_async(async {
        for _ in 0..messages {
            match server.next().await.ok_or(Error::ConnectionClosed)?? {
                message @ (Message::Text(_) | Message::Binary(_)) if writes == Writes::Each => {
                    server.send(message).await?
                }
                message @ (Message::Text(_) | Message::Binary(_)) => server.feed(message).await?,
                message => panic!("{message:?}"),
            }
        }
        server.flush().await
    })?;
    let recv = timed_async(async {
        for _ in 0..messages {
            match client.next().await.ok_or(Error::ConnectionClosed)?? {
                Message::Text(text) => assert_eq!(text, MESSAGE),
                message => panic!("{message:?}"),
            }
        }
        Result::<_, Error>::Ok(())
    })?;
    Ok(Round { send, echo, recv })
}

fn tungstenite(messages: usize, writes: Writes) -> Outcome {
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
    use tokio_tungstenite::tungstenite::{Error, Message};

    let [client, server] = pipe(capacity(messages));
    let config = WebSocketConfig::default().read_buffer_size(BUFFER).write_buffer_size(BUFFER);
    let mut client = RUNTIME.block_on(WebSocketStream::from_raw_socket(client, Role::Client, Some(config)));
    let mut server = RUNTIME.block_on(WebSocketStream::from_raw_socket(server, Role::Server, Some(config)));
    let send = timed_async(async {
        for _ in 0..messages {
            let message = Message::text(MESSAGE);
            match writes {
                Writes::Each => client.send(message).await?,
                Writes::Gathered => client.feed(message).await?,
            }
        }
        client.flush().await
    })?;
    let echo = timed_async(async {
        for _ in 0..messages {
            match server.next().await.ok_or(Error::ConnectionClosed)?? {
                message @ (Message::Text(_) | Message::Binary(_)) if writes == Writes::Each => {
                    server.send(message).await?
                }
                message @ (Message::Text(_) | Message::Binary(_)) => server.feed(message).await?,
                message => panic!("{message:?}"),
            }
        }
        server.flush().await
    })?;
    let recv = timed_async(async {
        for _ in 0..messages {
            match client.next().await.ok_or(Error::ConnectionClosed)?? {
                Message::Text(text) => assert_eq!(text.as_str(), MESSAGE),
                message => panic!("{message:?}"),
            }
        }
        Result::<_, Error>::Ok(())
    })?;
    Ok(Round { send, echo, recv })
}
