//! The clients by this crate: apps of one `ManyApps`.

use std::sync::Arc;

use websocket_sync::{
    CloseCause, CloseCode, ConnectOptions, Handle, ManyApps, MessageRef, Reconnect, TlsOptions, WebSocketApp,
};

use crate::Failure;
use crate::clients::{Client, PING_INTERVAL, Runner, Told};

pub(crate) fn runner(clients: &[Client], certificate: &str, told: &Arc<Told>) -> Result<Runner, Failure> {
    let options = ConnectOptions::new().tls(TlsOptions::new().ca_certs_pem(certificate));
    let mut apps = ManyApps::new()?;
    let mut handles = Vec::with_capacity(clients.len());
    for client in clients {
        handles.push(apps.add(app(client, options.clone(), told))?);
    }
    let run = move || {
        if let Err(error) = apps.run() {
            panic!("{error}");
        }
    };
    let close = move || {
        handles.iter().for_each(|handle: &Handle| drop(handle.try_close(CloseCode::NORMAL, "")));
    };
    Ok(Runner { run: Box::new(run), close: Box::new(close) })
}

fn app(client: &Client, options: ConnectOptions, told: &Arc<Told>) -> WebSocketApp<'static> {
    let [opened, again, received, failed, closed, ended] = std::array::from_fn(|_| Arc::clone(told));
    WebSocketApp::new(&client.url)
        .options(options.open_timeout(client.open_timeout))
        .ping_interval(PING_INTERVAL)
        .reconnect(Reconnect::fixed(client.reconnect))
        .on_open(move |_| opened.opened())
        .on_reconnect(move |_| again.opened())
        .on_message(move |_, message: MessageRef<'_>| received.received(message.as_bytes()))
        .on_error(move |_, _| failed.failed())
        .on_close(move |_, how| {
            if how.cause != CloseCause::NotConnected {
                closed.lost();
            }
        })
        .on_end(move |_, _| ended.ended())
}
