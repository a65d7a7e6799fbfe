//! Against graphql-ws.

use std::thread;
use std::time::Instant;

use websocket_sync::CloseInfo;

use super::*;
use crate::{Check, LIMIT};

pub(crate) const CHECKS: [Check; 8] = [
    ("a query", query),
    ("a subscription until it is complete", until_it_is_complete),
    ("a subscription that this side ends", until_this_side_ends_it),
    ("an operation that is invalid", invalid),
    ("a subscription that fails", failing),
    ("an id that is in use", id_in_use),
    ("a refused login", refused_login),
    ("pings while nothing comes", pings),
];

fn open(url: &str) -> Result<WebSocket> {
    connect(url, &json!({ "token": "pa55" }))
}

/// All results of an operation.
fn all(ws: &mut WebSocket, id: &str, query: &str) -> Result<Vec<Value>> {
    let mut results = Vec::new();
    subscribe(ws, id, query, |result| {
        results.push(result);
        ControlFlow::Continue(())
    })?;
    Ok(results)
}

fn query(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    assert_eq!(ws.subprotocol(), Some("graphql-transport-ws"));
    assert_eq!(all(&mut ws, "1", "{ live }")?, [json!({ "data": { "live": 0 } })]);
    ws.close()
}

fn until_it_is_complete(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    for (id, last) in [("1", 3), ("2", 1000), ("3", 0)] {
        let results = all(&mut ws, id, &format!("subscription {{ count(last: {last}) }}"))?;
        let expected: Vec<_> = (1..=last).map(|number| json!({ "data": { "count": number } })).collect();
        assert_eq!(results, expected);
    }
    ws.close()
}

fn until_this_side_ends_it(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    for id in ["1", "2"] {
        let mut results = 0;
        subscribe(&mut ws, id, "subscription { countForEver }", |_| {
            results += 1;
            if results == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        assert_eq!(results, 5);
    }
    // The server has heard of it.
    let until = Instant::now() + LIMIT / 2;
    for number in 3.. {
        let live = all(&mut ws, &number.to_string(), "{ live }")?;
        if live == [json!({ "data": { "live": 0 } })] {
            break;
        }
        assert!(Instant::now() < until, "{live:?}");
        thread::sleep(Duration::from_millis(20));
    }
    ws.close()
}

fn invalid(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    let error = all(&mut ws, "1", "subscription { nonsense }").unwrap_err().to_string();
    assert!(error.contains("Cannot query field"), "{error}");
    // The connection goes on.
    assert_eq!(all(&mut ws, "2", "subscription { count(last: 1) }")?.len(), 1);
    ws.close()
}

fn failing(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    let mut results = Vec::new();
    let outcome = subscribe(&mut ws, "1", "subscription { fail }", |result| {
        results.push(result);
        ControlFlow::Continue(())
    });
    assert_eq!(results, [json!({ "data": { "fail": 1 } })]);
    assert_eq!(outcome.unwrap_err().to_string(), r#"[{"message":"broken"}]"#);
    ws.close()
}

fn id_in_use(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    let mut inner = String::new();
    let sender = ws.sender();
    let request = json!({ "type": "subscribe", "id": "1", "payload": { "query": "{ live }" } });
    let outcome = subscribe(&mut ws, "1", "subscription { countForEver }", |_| {
        if inner.is_empty() {
            inner = format!("{:?}", sender.send_json(&request));
        }
        ControlFlow::Continue(())
    });
    assert_eq!(closed(outcome).code.0, 4409);
    Ok(())
}

fn refused_login(url: &str) -> Result<()> {
    let info = closed(connect(url, &json!({ "token": "wrong" })));
    assert_eq!((info.code.0, &*info.reason), (4403, "Forbidden"));
    Ok(())
}

/// The server ends a connection on which a ping of its own, which is a control frame, is not answered before the next one.
fn pings(url: &str) -> Result<()> {
    let mut ws = open(url)?;
    let error = ws.recv_timeout(Duration::from_secs(2)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    // This kind is a message, which each side may send.
    ws.send_json(&json!({ "type": "ping" }))?;
    assert_eq!(ws.recv_json::<Value>()?["type"], "pong");
    assert_eq!(all(&mut ws, "1", "{ live }")?.len(), 1);
    ws.close()
}

fn closed<T: std::fmt::Debug>(outcome: Result<T>) -> CloseInfo {
    match outcome {
        Err(Error::Closed(info)) => *info,
        other => panic!("the end was expected, not {other:?}"),
    }
}
