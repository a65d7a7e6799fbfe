//! Redirects that lead nowhere, and challenges that are not met.

use websocket_sync::RedirectProblem;

use crate::*;

type IsProblem = fn(&RedirectProblem) -> bool;
type IsExpected = fn(&Error) -> bool;

/// Redirects that lead nowhere.
pub(crate) fn redirects() -> Vec<Kind> {
    let table: [(&str, IsProblem); 9] = [
        ("", |problem| matches!(problem, RedirectProblem::MissingLocation)),
        ("Location: /a\r\nLocation: /b\r\n", |problem| matches!(problem, RedirectProblem::RepeatedLocation)),
        ("Location: /\r\n", |problem| matches!(problem, RedirectProblem::Loop)),
        ("Location: a/\r\n", |problem| matches!(problem, RedirectProblem::Limit { limit: 3 })),
        ("Location: ftp://h/\r\n", |problem| matches!(problem, RedirectProblem::Location(_))),
        ("Location: ws+unix:///run/s:/\r\n", |problem| matches!(problem, RedirectProblem::Location(_))),
        ("Location: http://\r\n", |problem| matches!(problem, RedirectProblem::Location(_))),
        ("Location: //h:0/\r\n", |problem| matches!(problem, RedirectProblem::Location(_))),
        ("Location: \\\\h\\\r\n", |problem| matches!(problem, RedirectProblem::Location(_))),
    ];
    let mut kinds: Vec<Kind> = table
        .into_iter()
        .map(|(location, is_problem)| {
            let answer = format!("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n{location}\r\n");
            let is_expected =
                move |error: &Error| matches!(error, Error::Redirect(redirect) if is_problem(&redirect.problem));
            Kind::at(
                format!("redirect, {location}"),
                Server::answering(answer),
                "ws",
                ConnectOptions::new(),
                is_expected,
            )
        })
        .collect();
    let dead = Arc::new(refusing_address());
    let ends: [(String, IsExpected); 3] = [
        (format!("http://{dead}/"), |error| matches!(error, Error::Io { phase: Phase::Connect, .. })),
        ("/refused".into(), |error| matches!(error, Error::Refused(refusal) if refusal.status == 403)),
        ("/broken".into(), |error| matches!(error, Error::Handshake(broken) if **broken == HandshakeError::NotHttp)),
    ];
    for (location, is_expected) in ends {
        let first = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 99\r\n\r\nno more");
        let dead = Arc::clone(&dead);
        let server = Server::new(move |stream| {
            let _keep = &dead;
            let mut peer = Peer::new(stream);
            let head = peer.head();
            let _ = match head.split(' ').nth(1) {
                Some("/refused") => peer.try_say("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"),
                Some("/broken") => peer.try_say("SSH-2.0-OpenSSH_9.9\r\n\r\n"),
                _ => peer.try_say(&first),
            };
        });
        kinds.push(Kind::at(format!("redirect to {location}"), server, "ws", ConnectOptions::new(), is_expected));
    }
    kinds
}

/// Challenges that are not met, and a provider of header fields that has none.
pub(crate) fn challenges() -> Vec<Kind> {
    let challenges = ["Basic realm=\"r\"", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\"", "Bearer", "Digest \"", ""];
    let is_401 = |error: &Error| matches!(error, Error::Refused(refusal) if refusal.status == 401);
    let mut kinds: Vec<Kind> = challenges
        .into_iter()
        .map(|challenge| {
            let answer = format!("HTTP/1.1 401 Who\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 2\r\n\r\nno");
            let options = ConnectOptions::new().credentials("user", "password");
            Kind::at(format!("challenge, {challenge}"), Server::answering(answer), "ws", options, is_401)
        })
        .collect();
    let provider = ConnectOptions::new().header_provider(|| Err(Error::other("no token")));
    let attempt = move || provider.connect("ws://127.0.0.1:9/").unwrap_err();
    kinds.push(Kind::new("no header fields", attempt, |error| matches!(error, Error::Other(_))));
    kinds
}
