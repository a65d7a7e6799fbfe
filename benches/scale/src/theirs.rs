//! The clients by tokio-tungstenite: a task for each, on a current-thread runtime.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::time::{MissedTickBehavior, interval_at, sleep, timeout};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use crate::Failure;
use crate::clients::{Client, MAX_OPENINGS, PING_INTERVAL, Runner, Told};

/// What all tasks have in common.
#[derive(Clone)]
struct Shared {
    told: Arc<Told>,
    config: WebSocketConfig,
    tls: Arc<ClientConfig>,
    openings: Arc<Semaphore>,
    /// Whether it is over.
    closing: watch::Receiver<bool>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Ended {
    Lost,
    Closed,
}

type WebSocket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) fn runner(
    clients: &[Client],
    certificate: &str,
    read_buffer: Option<usize>,
    told: &Arc<Told>,
) -> Result<Runner, Failure> {
    let (close, closing) = watch::channel(false);
    let config = WebSocketConfig::default();
    let shared = Shared {
        told: Arc::clone(told),
        config: read_buffer.map_or(config, |size| config.read_buffer_size(size)),
        tls: Arc::new(tls(certificate)?),
        openings: Arc::new(Semaphore::new(MAX_OPENINGS)),
        closing,
    };
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    let clients = clients.to_vec();
    let run = move || {
        runtime.block_on(async move {
            let tasks: Vec<_> =
                clients.into_iter().map(|client| tokio::spawn(keep_open(client, shared.clone()))).collect();
            for task in tasks {
                task.await.expect("no task panics");
            }
        });
    };
    let close = move || {
        // Without a receiver all is over already.
        let _ = close.send(true);
    };
    Ok(Runner { run: Box::new(run), close: Box::new(close) })
}

fn tls(certificate: &str) -> Result<ClientConfig, Failure> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// Opens, and opens again, until it is told to close.
async fn keep_open(client: Client, shared: Shared) {
    let mut closing = shared.closing.clone();
    loop {
        let opened = tokio::select! {
            opened = open(&client, &shared) => opened,
            _ = closing.changed() => break,
        };
        match opened {
            Some(ws) => {
                shared.told.opened();
                let ended = receive(ws, &shared, &mut closing).await;
                shared.told.lost();
                if ended == Ended::Closed {
                    break;
                }
            }
            None => shared.told.failed(),
        }
        tokio::select! {
            () = sleep(client.reconnect) => {}
            _ = closing.changed() => break,
        }
    }
    shared.told.ended();
}

async fn open(client: &Client, shared: &Shared) -> Option<WebSocket> {
    let _permit = shared.openings.acquire().await.ok()?;
    let connector = Connector::Rustls(Arc::clone(&shared.tls));
    let opening = connect_async_tls_with_config(&client.url, Some(shared.config), true, Some(connector));
    timeout(client.open_timeout, opening).await.ok()?.ok().map(|(ws, _)| ws)
}

async fn receive(mut ws: WebSocket, shared: &Shared, closing: &mut watch::Receiver<bool>) -> Ended {
    let mut pings = interval_at(tokio::time::Instant::now() + PING_INTERVAL, PING_INTERVAL);
    pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            message = ws.next() => match message {
                Some(Ok(Message::Text(text))) => shared.told.received(text.as_bytes()),
                Some(Ok(Message::Binary(bytes))) => shared.told.received(&bytes),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Ended::Lost,
            },
            _ = pings.tick() => {
                if ws.send(Message::Ping(Bytes::new())).await.is_err() {
                    return Ended::Lost;
                }
            }
            _ = closing.changed() => {
                close(ws).await;
                return Ended::Closed;
            }
        }
    }
}

/// Makes the closing handshake.
async fn close(mut ws: WebSocket) {
    let closing = async {
        if ws.close(None).await.is_ok() {
            while let Some(Ok(_)) = ws.next().await {}
        }
    };
    let _ = timeout(Duration::from_secs(3), closing).await;
}
