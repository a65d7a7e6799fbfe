//! Compares what both sides have noted of each connection.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;
use std::time::Duration;

use websocket_sync::CloseCause;

use crate::clients::{ClientRecord, Leaving};
use crate::server::ServerRecord;

#[derive(Debug, Default)]
struct Sums {
    connections: u64,
    sent: u64,
    received: u64,
    /// Sent and not received, on connections of which the sender or the receiver was told that they have ended.
    told: u64,
}

/// # Panics
///
/// When a message is missing and nobody was told, or when there is one too many; when it took longer than this until an app was told
/// that its server is silent.
pub(crate) fn compare(clients: &[ClientRecord], servers: &[ServerRecord], longest_silence: Duration) {
    let by_client: HashMap<u64, &ServerRecord> =
        servers.iter().filter_map(|server| Some((server.client_number?, server))).collect();
    let by_number: HashMap<u64, &ServerRecord> = servers.iter().map(|server| (server.number, server)).collect();
    let known: HashMap<u64, &ClientRecord> = clients.iter().map(|client| (client.number, client)).collect();
    assert_eq!(by_number.len(), servers.len(), "the server has two connections of the same number");
    assert_eq!(known.len(), clients.len(), "two connections of clients have the same number");
    let mut mistakes = Vec::new();
    let (mut there, mut back) = (Sums::default(), Sums::default());
    let mut silences = Vec::new();
    for client in clients {
        let by_name = by_client.get(&client.number).copied();
        let Some(server) = by_name.or_else(|| by_number.get(&client.server_number?).copied()) else {
            // No message has passed in either direction, so that nobody can tell which connection of the server it was.
            there.told += client.sent;
            if client.received > 0 || is_clean(client) {
                mistakes.push(format!("unknown to the server: {client:?}"));
            }
            continue;
        };
        if let Some(problem) = problem(client, server, longest_silence) {
            mistakes.push(format!("{problem}:\n  {client:?}\n  {server:?}"));
        }
        if server.fault == "Silence" {
            silences.push(client.ended_at.saturating_sub(server.fault_at));
        }
        there.add(client.sent, server.received);
        back.add(server.sent, client.received);
    }
    for server in servers {
        // Messages from nobody.
        if server.client_number.is_some_and(|number| !known.contains_key(&number)) {
            mistakes.push(format!("unknown to the clients: {server:?}"));
        }
    }
    let mut faults = BTreeMap::<&str, u64>::new();
    servers.iter().for_each(|server| *faults.entry(&server.fault).or_default() += 1);
    println!("the faults that connections met last: {faults:?}");
    silences.sort_unstable();
    if let Some(longest) = silences.last() {
        println!("silence was told after {} ms, {longest} ms at most", silences[silences.len() / 2]);
    }
    println!("to the server {there:?}");
    println!("to the clients {back:?}");
    let shown: Vec<_> = mistakes.iter().take(5).collect();
    assert!(mistakes.is_empty(), "{} mistakes, of which these are the first: {shown:#?}", mistakes.len());
}

impl Sums {
    fn add(&mut self, sent: u64, received: u64) {
        self.connections += 1;
        self.sent += sent;
        self.received += received;
        self.told += sent.saturating_sub(received);
    }
}

const fn is_clean(client: &ClientRecord) -> bool {
    matches!(client.cause, Some(CloseCause::Local | CloseCause::Remote))
}

/// What is wrong with a connection.
fn problem(client: &ClientRecord, server: &ServerRecord, longest_silence: Duration) -> Option<&'static str> {
    let names_agree = client.server_number.is_none_or(|number| number == server.number)
        && server.client_number.is_none_or(|number| number == client.number);
    let all_there = server.received == client.sent;
    let all_back = client.received == server.sent;
    let Some(cause) = client.cause else { return Some("no end was told") };
    let silent_for = Duration::from_millis(client.ended_at.saturating_sub(server.fault_at));
    let rules = [
        (names_agree, "the sides do not mean the same connection"),
        (server.received <= client.sent, "more has come to the server than was sent"),
        (client.received <= server.sent, "more has come to the client than was sent"),
        // A Close is behind all messages: who has received it has received them.
        (!server.heard_close || all_there, "the server heard the Close, and not all messages before it"),
        (
            cause != CloseCause::Remote || client.leaving != Leaving::No || all_back,
            "the client heard the Close, and not all messages before it",
        ),
        (
            client.leaving != Leaving::Settled || (all_there && all_back),
            "at the end nothing was under way, and yet something is missing",
        ),
        (
            cause != CloseCause::Local || client.leaving != Leaving::No,
            "the client has closed it, and nobody asked it to",
        ),
        // So is the end of a stream that was not reset.
        (
            !(server.ended_in_order && matches!(cause, CloseCause::Lost(ErrorKind::UnexpectedEof)))
                || client.leaving != Leaving::No
                || client.received == server.written,
            "the stream has ended in order, and not all messages before its end have come",
        ),
        (server.fault != "Silence" || silent_for <= longest_silence, "the silence was not found out in time"),
    ];
    rules.iter().find(|(holds, _)| !holds).map(|(_, problem)| *problem)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection on which all was delivered, and that the server has closed.
    fn pair() -> (ClientRecord, ServerRecord) {
        let client = ClientRecord {
            number: 7,
            server_number: Some(1),
            received: 3,
            sent: 5,
            leaving: Leaving::No,
            ended_at: 0,
            cause: Some(CloseCause::Remote),
        };
        (client, ServerRecord::parse("1 7 5 3 3 Close 0 true false"))
    }

    #[test]
    fn accounts_that_do_not_add_up_are_found() {
        let lost = Some(CloseCause::Lost(ErrorKind::UnexpectedEof));
        let longest = Duration::from_secs(10);
        let check = |change: fn(&mut ClientRecord, &mut ServerRecord)| {
            let (mut client, mut server) = pair();
            change(&mut client, &mut server);
            problem(&client, &server, longest)
        };
        assert_eq!(check(|_, _| {}), None);
        assert!(check(|_, server| server.number = 2).is_some());
        assert!(check(|_, server| server.received = 6).is_some());
        assert!(check(|_, server| server.received = 4).is_some(), "the server has heard the Close");
        assert!(check(|client, _| client.received = 4).is_some());
        assert!(check(|client, _| client.received = 2).is_some(), "the client has heard the Close");
        assert!(check(|client, _| client.cause = None).is_some());
        assert!(check(|client, _| client.cause = Some(CloseCause::Local)).is_some(), "nobody asked for it");
        // Where the connection was lost, messages may be, but not behind an end in order.
        let (mut client, mut server) = pair();
        (client.cause, client.received, server.received, server.heard_close) = (lost, 2, 4, false);
        assert_eq!(problem(&client, &server, longest), None);
        server.ended_in_order = true;
        assert!(problem(&client, &server, longest).is_some());
        // Silence is to be found out.
        let (mut client, mut server) = pair();
        server.fault = "Silence".to_owned();
        client.ended_at = 100_000;
        assert!(problem(&client, &server, longest).is_some());
        // At the end nothing may be missing.
        let (mut client, mut server) = pair();
        (client.leaving, client.cause) = (Leaving::Settled, Some(CloseCause::Local));
        assert_eq!(problem(&client, &server, longest), None);
        server.sent = 4;
        assert!(problem(&client, &server, longest).is_some());
    }
}
