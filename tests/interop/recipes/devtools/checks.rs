//! Against Chromium.

use super::*;
use crate::Check;

pub(crate) const CHECKS: [Check; 6] = [
    ("an expression", expression),
    ("events", events),
    ("a page that is loaded", page),
    ("results of 2 and of 12 MiB", large_results),
    ("a refusal", refusal),
    ("a foreign Origin is refused", foreign_origin),
];

/// The page that the browser has opened by itself.
fn open(browser: &str) -> Result<DevTools> {
    let targets = DevTools::connect(browser)?.call("Target.getTargets", &json!({}))?;
    let targets = targets["targetInfos"].as_array().expect("a list of targets");
    let page = targets.iter().find(|target| target["type"] == "page").expect("a page");
    let (base, _) = browser.split_once("/devtools/").expect("the URL of a browser");
    DevTools::connect(&format!("{base}/devtools/page/{}", page["targetId"].as_str().expect("an id")))
}

fn evaluate(page: &mut DevTools, expression: &str) -> Result<Value> {
    let params = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
    Ok(page.call("Runtime.evaluate", &params)?["result"]["value"].take())
}

fn expression(browser: &str) -> Result<()> {
    let mut page = open(browser)?;
    assert_eq!(evaluate(&mut page, "6 * 7")?, 42);
    assert_eq!(evaluate(&mut page, "'🎈'.repeat(3)")?, "🎈🎈🎈");
    assert_eq!(evaluate(&mut page, "Promise.resolve({ a: [1, null] })")?, json!({ "a": [1, null] }));
    page.ws.close()
}

fn events(browser: &str) -> Result<()> {
    let mut page = open(browser)?;
    page.call("Runtime.enable", &json!({}))?;
    // The events come before the answer.
    evaluate(&mut page, "for (let number = 0; number < 100; number += 1) console.log('line', number)")?;
    for number in 0..100 {
        let event = page.event("Runtime.consoleAPICalled")?;
        assert_eq!((&event["args"][0]["value"], &event["args"][1]["value"]), (&json!("line"), &json!(number)));
    }
    // This one comes behind it.
    evaluate(&mut page, "setTimeout(console.log, 100, 'later'), 0")?;
    assert_eq!(page.event("Runtime.consoleAPICalled")?["args"][0]["value"], "later");
    page.ws.close()
}

fn page(browser: &str) -> Result<()> {
    let mut page = open(browser)?;
    page.call("Page.enable", &json!({}))?;
    let navigated = page.call("Page.navigate", &json!({ "url": "data:text/html,<title>A title</title>" }))?;
    page.event("Page.loadEventFired")?;
    assert_eq!(evaluate(&mut page, "document.title")?, "A title");
    assert!(navigated["frameId"].is_string(), "{navigated}");
    let shot = page.call("Page.captureScreenshot", &json!({}))?;
    assert!(shot["data"].as_str().is_some_and(|data| data.starts_with("iVBORw0KGgo")), "no PNG");
    page.ws.close()
}

fn large_results(browser: &str) -> Result<()> {
    let mut page = open(browser)?;
    for mib in [2, 12] {
        let value = evaluate(&mut page, &format!("'0123456789abcdef'.repeat({} << 16)", mib))?;
        let text = value.as_str().expect("a text");
        assert_eq!(text.len(), mib << 20);
        assert!(text.as_bytes().chunks(16).all(|chunk| chunk == b"0123456789abcdef"));
    }
    page.ws.close()
}

fn refusal(browser: &str) -> Result<()> {
    let mut page = open(browser)?;
    let error = page.call("No.such", &json!({})).unwrap_err().to_string();
    assert!(error.contains("-32601"), "{error}");
    assert_eq!(evaluate(&mut page, "'still here'")?, "still here");
    page.ws.close()
}

/// What the recipe does not send.
fn foreign_origin(browser: &str) -> Result<()> {
    match ConnectOptions::new().origin("http://elsewhere.example").connect(browser) {
        Err(Error::Refused(refusal)) => assert_eq!(refusal.status, 403),
        other => panic!("{other:?}"),
    }
    Ok(())
}
