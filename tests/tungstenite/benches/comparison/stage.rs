//! What all workloads of a run have in common.

use native_tls::TlsAcceptor;
use websocket_sync_tungstenite::rounds::Plan;

use crate::cores::Cores;
use crate::server::Speech;

pub(crate) struct Stage {
    pub(crate) plan: Plan,
    pub(crate) cores: Option<Cores>,
    pub(crate) acceptor: TlsAcceptor,
}

impl Stage {
    /// Away from the clients.
    pub(crate) fn server_core(&self) -> Option<usize> {
        self.cores.map(|cores| cores.server)
    }

    /// The same that the clients have.
    pub(crate) fn client_core(&self) -> Option<usize> {
        self.cores.map(|cores| cores.client)
    }

    pub(crate) fn tls(&self) -> Speech {
        Speech::Tls(self.acceptor.clone())
    }
}
