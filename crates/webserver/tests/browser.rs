//! The listing in a real browser: what users see, where they can go, and that the page runs no script.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Browser, Program, get};

const ATTACK: &str = "<img src=x onerror=alert(1)>\"&%23.txt";

/// Each file contains its own name, so that its size is known too.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let longest = [b'n'; 255];
    let names: [&[u8]; 14] = [
        ATTACK.as_bytes(),
        b"<script>alert(2)<%2fscript>",
        b"javascript:alert(3)",
        b"data:text,x",
        b"foo:bar",
        b"100%",
        b"a?b#c",
        b"trailing  ",
        b"-rf",
        b"\\evil.example",
        b"\xff\xfe",
        "\u{202e}gpj.exe".as_bytes(),
        "gr\u{fc}\u{df}e \u{1f600}".as_bytes(),
        &longest,
    ];
    for name in names {
        fs::write(directory.path().join(OsStr::from_bytes(name)), name).unwrap();
    }
    fs::create_dir_all(directory.path().join("sub & <b>/deeper")).unwrap();
    fs::write(directory.path().join("sub & <b>/file"), "in sub").unwrap();
    directory
}

/// The rows of the page: text and URL of each link, and the other columns.
const ROWS: &str = "[...document.querySelectorAll('tbody tr')].map(row => ({
    name: row.querySelector('bdi')?.textContent,
    path: new URL(row.querySelector('a').href).pathname,
    host: new URL(row.querySelector('a').href).host,
    size: row.cells[1].title,
    time: row.querySelector('time').dateTime,
    elements: row.querySelectorAll('*').length }))";

/// An expression for the link with this text, or a part of it.
fn link(text: &str) -> String {
    format!("[...document.links].find(a => a.textContent.includes({}))", json!(text))
}

fn sorted_by(browser: &mut Browser) -> Value {
    browser.evaluate("[...document.querySelectorAll('[aria-sort]')].map(th => [th.textContent, th.ariaSort])")
}

// V17
#[test]
fn listing_can_be_navigated_and_runs_no_script() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let root = format!("http://{}/", program.address());

    browser.open(&root);
    let rows = browser.evaluate(ROWS);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 15);
    assert_eq!((&rows[0]["name"], &rows[0]["size"]), (&"sub & <b>".into(), &"".into()), "directories first");
    for row in &rows[1..] {
        // The link leads to the file, and the size is that of the file.
        let response = get(program.address(), row["path"].as_str().unwrap());
        assert_eq!(response.status, 200, "{row}");
        assert_eq!(row["name"], *String::from_utf8_lossy(&response.body), "{row}");
        assert_eq!(row["size"], format!("{} bytes", response.body.len()), "{row}");
        assert_eq!((&row["elements"], &row["host"]), (&rows[1]["elements"], &program.address().to_string().into()));
    }
    assert_eq!(browser.evaluate("[document.title, document.documentElement.lang]"), json!(["/", "en"]));
    assert_eq!(
        browser.evaluate("document.querySelector('link[rel=icon]').href"),
        "data:,",
        "the page requests no icon"
    );
    assert_eq!(sorted_by(&mut browser), json!([["Name", "ascending"]]));

    // By keyboard: to the heading of the size column, and press it.
    while browser.evaluate("document.activeElement.textContent") != "Size" {
        browser.press("Tab", 9, "");
    }
    assert_ne!(
        browser.evaluate("getComputedStyle(document.activeElement).outlineStyle"),
        "none",
        "the focus is visible"
    );
    browser.press("Enter", 13, "\r");
    browser.wait_for_page(&format!("{root}?sort=size&order=desc"));
    assert_eq!(sorted_by(&mut browser), json!([["Size", "descending"]]));
    let by_size = browser.evaluate(ROWS);
    assert_eq!(by_size[1]["size"], "255 bytes");
    assert_eq!(by_size[14]["size"], "2 bytes");

    // Down two directories, up by the path, and back.
    browser.click(&link("sub"));
    browser.wait_for_page(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click(&link("deeper"));
    browser.wait_for_page(&format!("{root}sub%20%26%20%3Cb%3E/deeper/"));
    assert_eq!(browser.evaluate("document.querySelector('h1').textContent"), "Index of /sub & <b>/deeper/");
    assert_eq!(browser.evaluate("document.querySelector('caption').textContent"), "This directory is empty.");
    browser.click("document.querySelectorAll('h1 a')[1]");
    browser.wait_for_page(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click(&link("Parent directory"));
    browser.wait_for_page(&root);
    browser.back();
    browser.wait_for_page(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click("document.querySelector('h1 a')");
    browser.wait_for_page(&root);

    browser.click(&link("<img"));
    browser.wait_for_page(&format!("{root}%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%26%2523.txt"));
    assert_eq!(browser.evaluate("[document.contentType, document.body.textContent]"), json!(["text/plain", ATTACK]));
    browser.open(&format!("{root}nothing"));
    assert_eq!(browser.evaluate("document.querySelector('h1').textContent"), "404 Not Found");

    // In all events: no script of a page, no dialog, no request to another server, and no error.
    for method in ["Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"] {
        assert!(browser.events(method).is_empty(), "{method}");
    }
    for script in browser.events("Debugger.scriptParsed") {
        assert_eq!(script["url"], "", "a script of a page ran");
    }
    let requests = browser.events("Network.requestWillBeSent");
    assert!(requests.len() >= 8);
    for request in requests {
        let url = request["request"]["url"].as_str().unwrap();
        assert!(url.starts_with(&root) || url == "data:,", "{url}");
    }
    for entry in browser.events("Log.entryAdded") {
        // For a plain file the browser requests an icon.
        let expected = ["nothing", "favicon.ico"].map(|name| json!(format!("{root}{name}")));
        assert!(expected.contains(&entry["entry"]["url"]), "{entry:#}");
    }
}

#[test]
fn listing_fits_screens_and_screen_readers() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    browser.open(&format!("http://{}/", program.address()));

    // The style sheet applies: the content security policy allows it.
    assert_eq!(browser.evaluate("getComputedStyle(document.querySelector('bdi')).whiteSpaceCollapse"), "preserve");
    assert_eq!(browser.evaluate("getComputedStyle(document.querySelector('bdi')).unicodeBidi"), "isolate");
    for width in [320, 400, 1000, 1600] {
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width <= 400});
        browser.call("Emulation.setDeviceMetricsOverride", metrics);
        // Names of 255 letters wrap, and nothing overflows.
        let overflows = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(overflows), false, "at {width}");
        assert!(browser.evaluate("document.querySelector('bdi').offsetWidth").as_u64().unwrap() > 30);
    }
    for (scheme, text) in [("light", "rgb(0, 0, 0)"), ("dark", "rgb(255, 255, 255)")] {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": feature}));
        assert_eq!(browser.evaluate("getComputedStyle(document.body).color"), text);
    }

    // What a screen reader sees.
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] == false);
        nodes.map(|node| node["name"]["value"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(named("table"), ["1 directory, 14 files"]);
    assert_eq!(
        named("columnheader"),
        ["Name", "Size", "Modified (UTC)"],
        "the sort arrow is hidden from screen readers"
    );
    assert_eq!(named("rowheader").len(), 15);
    assert_eq!(named("heading"), ["Index of /"]);
    assert!(named("rowheader").contains(&"100%") && named("link").contains(&ATTACK));
}
