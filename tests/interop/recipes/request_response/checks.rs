//! Against the DevTools of Chromium, whose requests and answers have this form, with events in between.

use std::thread;

use super::*;
use crate::{Check, LIMIT};

pub(crate) const CHECKS: [Check; 4] = [
    ("calls of many threads", calls_of_many_threads),
    ("a refusal", refusal),
    ("an answer that comes too late", late_answer),
    ("a connection that is lost while a call waits", lost_while_a_call_waits),
];

/// Calls that the browser hands to a page: its session is an argument of the protocol, not of the recipe.
fn open_page(client: &Client) -> String {
    let target = client.call("Target.createTarget", json!({ "url": "about:blank" }), LIMIT).unwrap();
    target["targetId"].as_str().unwrap().to_owned()
}

fn calls_of_many_threads(browser: &str) -> websocket_sync::Result<()> {
    let (client, app) = Client::connect(browser)?;
    // Events come from here on.
    client.call("Target.setDiscoverTargets", json!({ "discover": true }), LIMIT).unwrap();
    let pages: Vec<String> = thread::scope(|scope| {
        let threads = [(); 8].map(|()| scope.spawn(|| open_page(&client)));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    for page in &pages {
        let info = client.call("Target.getTargetInfo", json!({ "targetId": page }), LIMIT).unwrap();
        assert_eq!(info["targetInfo"]["targetId"], **page);
        client.call("Target.closeTarget", json!({ "targetId": page }), LIMIT).unwrap();
    }
    assert!(client.pending.lock().unwrap().is_empty());
    client.handle.close()?;
    app.join().map(drop)
}

fn refusal(browser: &str) -> websocket_sync::Result<()> {
    let (client, app) = Client::connect(browser)?;
    match client.call("No.such", json!({}), LIMIT) {
        Err(CallError::Refused(error)) => assert_eq!(error["code"], -32601, "{error}"),
        other => panic!("{other:?}"),
    }
    client.handle.close()?;
    app.join()?;
    let gone = client.call("Browser.getVersion", json!({}), LIMIT);
    match gone {
        Err(CallError::NotSent(error)) => assert!(error.is_closed(), "{error}"),
        other => panic!("{other:?}"),
    }
    Ok(())
}

fn late_answer(browser: &str) -> websocket_sync::Result<()> {
    let (client, app) = Client::connect(browser)?;
    let (page, page_app) = Client::connect(&page_url(browser, &open_page(&client)))?;
    let slow = json!({ "expression": "new Promise(done => setTimeout(done, 500, 'late'))", "awaitPromise": true });
    let late = page.call("Runtime.evaluate", slow, Duration::from_millis(50));
    assert!(matches!(late, Err(CallError::Unanswered)), "{late:?}");
    let next = page.call(
        "Runtime.evaluate",
        json!({ "expression": "new Promise(done => setTimeout(done, 700, 'next'))", "awaitPromise": true }),
        LIMIT,
    );
    assert_eq!(next.unwrap()["result"]["value"], "next");
    page.handle.close()?;
    client.handle.close()?;
    page_app.join()?;
    app.join().map(drop)
}

fn lost_while_a_call_waits(browser: &str) -> websocket_sync::Result<()> {
    let (client, app) = Client::connect(browser)?;
    let id = open_page(&client);
    let (page, page_app) = Client::connect(&page_url(browser, &id))?;
    let never = json!({ "expression": "new Promise(() => {})", "awaitPromise": true });
    thread::scope(|scope| {
        let call = scope.spawn(|| page.call("Runtime.evaluate", never, LIMIT));
        thread::sleep(Duration::from_millis(200));
        client.call("Target.closeTarget", json!({ "targetId": id }), LIMIT).unwrap();
        let began = std::time::Instant::now();
        let lost = call.join().unwrap();
        assert!(matches!(lost, Err(CallError::Unanswered)), "{lost:?}");
        assert!(began.elapsed() < LIMIT / 4, "{:?}", began.elapsed());
    });
    assert!(page_app.join().unwrap_err().is_closed());
    client.handle.close()?;
    app.join().map(drop)
}

fn page_url(browser: &str, page: &str) -> String {
    let (base, _) = browser.split_once("/devtools/").unwrap();
    format!("{base}/devtools/page/{page}")
}
