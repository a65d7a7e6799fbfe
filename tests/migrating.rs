//! docs/MIGRATING.md, the part on websocket-client: each name that people use has its row, each row says what there is now, and the
//! functions that a row names exist.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What `import websocket` has, of version 1.9.2, its options, methods and attributes, and what people use besides.
const PYTHON: &str = "
    WebSocket WebSocketApp ABNF frame_buffer continuous_frame sock_opt
    create_connection setdefaulttimeout getdefaulttimeout set_reconnect setReconnect enableTrace dump error warning debug
    trace isEnabledForError isEnabledForDebug isEnabledForTrace recv recv_line send DEFAULT_SOCKET_OPTION __version__
    WebSocketException WebSocketProtocolException WebSocketPayloadException WebSocketConnectionClosedException
    WebSocketTimeoutException WebSocketAddressException WebSocketBadStatusException WebSocketProxyException
    STATUS_NORMAL STATUS_GOING_AWAY STATUS_PROTOCOL_ERROR STATUS_UNSUPPORTED_DATA_TYPE STATUS_STATUS_NOT_AVAILABLE
    STATUS_ABNORMAL_CLOSED STATUS_INVALID_PAYLOAD STATUS_POLICY_VIOLATION STATUS_MESSAGE_TOO_BIG STATUS_INVALID_EXTENSION
    STATUS_UNEXPECTED_CONDITION STATUS_SERVICE_RESTART STATUS_TRY_AGAIN_LATER STATUS_BAD_GATEWAY STATUS_TLS_HANDSHAKE_ERROR
    connect send_text send_bytes send_binary send_frame ping pong recv_data recv_data_frame recv_frame send_close close
    abort shutdown settimeout gettimeout timeout getsubprotocol subprotocol getstatus status getheaders headers is_ssl
    fileno next set_mask_key get_mask_key handshake_response sock connected close_frame cont_frame dispatcher lock readlock
    header cookie origin connection suppress_origin suppress_host host http_proxy_host http_proxy_port http_no_proxy
    http_proxy_auth http_proxy_timeout proxy_type redirect_limit subprotocols socket sockopt sslopt fire_cont_frame
    enable_multithread skip_utf8_validation class_
    on_open on_reconnect on_data on_message on_cont_message on_ping on_pong on_error on_close url keep_running
    last_ping_tm last_pong_tm has_errored last_close_frame ready create_dispatcher run_forever ping_interval ping_timeout
    ping_payload reconnect
    ca_certs ca_cert_path cert_reqs check_hostname server_hostname context certfile keyfile cert_chain password ssl_version
    ciphers ecdh_curve do_handshake_on_connect suppress_ragged_eofs
    create_frame format validate mask OPCODE_CONT OPCODE_TEXT OPCODE_BINARY OPCODE_CLOSE OPCODE_PING OPCODE_PONG OPCODES
    OPCODE_MAP LENGTH_7 LENGTH_16 LENGTH_63
    parse_url get_proxy_info proxy_info CookieJar SimpleCookieJar _dispatcher NoLock VALID_CLOSE_STATUS
";

/// The rows of the tables for websocket-client: what Python has, and what there is here.
fn rows(document: &str) -> Vec<(&str, &str)> {
    let (part, _) = document.split_once("\n# wsproto\n").expect("the part on wsproto is the second one");
    part.lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(" | "))
        .filter(|(python, _)| *python != "Python" && *python != "---")
        .collect()
}

/// The words of the code in a text, and whether each of them is called.
fn words(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    text.split('`').skip(1).step_by(2).flat_map(move |code| {
        code.match_indices(is_word).filter(move |(at, _)| !code[..*at].ends_with(is_word)).map(move |(at, _)| {
            let end = code[at..].find(|c| !is_word(c)).map_or(code.len(), |length| at + length);
            (&code[at..end], code[end..].starts_with('('))
        })
    })
}

fn source(directory: &Path, all: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            source(&path, all);
        } else {
            all.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

fn document() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/MIGRATING.md")).unwrap()
}

#[test]
fn every_name_of_python_has_a_row() {
    let document = document();
    let known: BTreeSet<&str> =
        rows(&document).into_iter().flat_map(|(python, _)| words(python)).map(|(word, _)| word).collect();
    let missing: Vec<_> = PYTHON.split_whitespace().filter(|name| !known.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn no_row_puts_anybody_off() {
    let document = document();
    let rows = rows(&document);
    assert!(rows.len() > 150, "{} rows", rows.len());
    for (python, here) in rows {
        assert!(!here.starts_with("later") && !here.trim_matches(['|', ' ']).is_empty(), "{python}: {here}");
    }
}

#[test]
fn what_a_row_says_can_be_called_exists() {
    let document = document();
    let mut all = String::new();
    source(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let mut called = BTreeSet::new();
    for (_, here) in rows(&document) {
        called.extend(words(here).filter(|(_, is_called)| *is_called).map(|(word, _)| word));
    }
    assert!(called.len() > 100, "{called:?}");
    // `http(s)` is no call, and what begins with a capital is a variant or Python's.
    called.retain(|name| name.starts_with(|first: char| first.is_lowercase()) && *name != "http");
    let exists = |name: &&str| ["(", "<"].iter().any(|next| all.contains(&format!("fn {name}{next}")));
    let missing: Vec<_> = called.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
