//! Which subprotocols may be shown in a trace, in `Debug` and in a log. Some servers take tokens as subprotocols, so that only names
//! that are known to be public are shown.

use std::fmt;

/// What is shown in place of a subprotocol that may be a token.
pub(super) const HIDDEN: &str = "<hidden>";

/// The names in the registry of RFC 6455, section 11.5.
const REGISTERED: [&str; 61] = [
    "MBWS.huawei.com",
    "MBLWS.huawei.com",
    "soap",
    "wamp",
    "v10.stomp",
    "v11.stomp",
    "v12.stomp",
    "ocpp1.2",
    "ocpp1.5",
    "ocpp1.6",
    "ocpp2.0",
    "ocpp2.0.1",
    "ocpp2.1",
    "rfb",
    "sip",
    "notificationchannel-netapi-rest.openmobilealliance.org",
    "wpcp",
    "amqp",
    "mqtt",
    "jsflow",
    "rwpcp",
    "xmpp",
    "ship",
    "mielecloudconnect",
    "v10.pcp.sap.com",
    "msrp",
    "v1.saltyrtc.org",
    "TLCP-2.0.0.lightstreamer.com",
    "bfcp",
    "sldp.softvelum.com",
    "opcua+uacp",
    "opcua+uajson",
    "v1.swindon-lattice+json",
    "v1.usp",
    "mles-websocket",
    "coap",
    "TLCP-2.1.0.lightstreamer.com",
    "TLCP-2.2.0.lightstreamer.com",
    "TLCP-2.3.0.lightstreamer.com",
    "TLCP-2.4.0.lightstreamer.com",
    "TLCP-2.5.0.lightstreamer.com",
    "sqlnet.oracle.com",
    "oneM2M.R2.0.json",
    "oneM2M.R2.0.xml",
    "oneM2M.R2.0.cbor",
    "transit",
    "2016.serverpush.dash.mpeg.org",
    "2018.mmt.mpeg.org",
    "clue",
    "webrtc.softvelum.com",
    "cobra.v2.json",
    "drp",
    "hub.bsc.bacnet.org",
    "dc.bsc.bacnet.org",
    "jmap",
    "t140",
    "done",
    "collection-update",
    "text.ircv3.net",
    "binary.ircv3.net",
    "v3.penguin-stats.live+proto",
];

/// A subprotocol as it is shown: hidden unless it is registered or among those that the user has named as public.
pub(crate) fn shown<'a>(name: &'a str, public: &[String]) -> &'a str {
    let is_public = is_registered(name.as_bytes()) || public.iter().any(|public| public == name);
    if is_public { name } else { HIDDEN }
}

/// Whether a subprotocol is in the registry.
pub(super) fn is_registered(name: &[u8]) -> bool {
    REGISTERED.iter().any(|registered| registered.as_bytes() == name)
}

/// Subprotocols, for `Debug`: those that are not registered are hidden.
pub(in crate::protocol) struct ShownSubprotocols<'a>(pub(in crate::protocol) &'a [String]);

impl fmt::Debug for ShownSubprotocols<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|name| shown(name, &[]))).finish()
    }
}

/// The subprotocol that was chosen, for `Debug`: hidden unless it is registered.
pub(in crate::protocol) struct ShownSubprotocol<'a>(pub(in crate::protocol) &'a Option<String>);

impl fmt::Debug for ShownSubprotocol<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_deref().map(|name| shown(name, &[])).fmt(f)
    }
}
