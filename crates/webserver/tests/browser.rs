//! The listing in a real browser: what people see of it and reach from it, and that it does nothing of its own.
// Clippy then takes the helpers, too, for tests.
#![cfg(test)]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Browser, Program, get};

const ATTACK: &str = "<img src=x onerror=alert(1)>\"&%23.txt";

/// Each holds its own name, so that its size is known too.
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

/// The rows as they are on the page: text and address of each link, and what else stands there.
const ROWS: &str = "[...document.querySelectorAll('tbody tr')].map(row => ({
    name: row.querySelector('bdi')?.textContent,
    path: new URL(row.querySelector('a').href).pathname,
    host: new URL(row.querySelector('a').href).host,
    size: row.cells[1].title,
    time: row.querySelector('time').dateTime,
    elements: row.querySelectorAll('*').length }))";

/// A link by its text, or a part of it.
fn link(text: &str) -> String {
    format!("[...document.links].find(a => a.textContent.includes({}))", json!(text))
}

fn sorted_by(browser: &mut Browser) -> Value {
    browser.value("[...document.querySelectorAll('[aria-sort]')].map(th => [th.textContent, th.ariaSort])")
}

// V17
#[test]
fn people_find_their_way_and_nothing_runs() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    let root = format!("http://{}/", program.address());

    browser.open(&root);
    let rows = browser.value(ROWS);
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 15);
    assert_eq!((&rows[0]["name"], &rows[0]["size"]), (&"sub & <b>".into(), &"".into()), "directories first");
    for row in &rows[1..] {
        // The link leads to that file and the size is its own.
        let answer = get(program.address(), row["path"].as_str().unwrap());
        assert_eq!(answer.status, 200, "{row}");
        assert_eq!(row["name"], *String::from_utf8_lossy(&answer.body), "{row}");
        assert_eq!(row["size"], format!("{} bytes", answer.body.len()), "{row}");
        assert_eq!((&row["elements"], &row["host"]), (&rows[1]["elements"], &program.address().to_string().into()));
    }
    assert_eq!(browser.value("[document.title, document.documentElement.lang]"), json!(["/", "en"]));
    assert_eq!(browser.value("document.querySelector('link[rel=icon]').href"), "data:,", "no icon is asked for");
    assert_eq!(sorted_by(&mut browser), json!([["Name", "ascending"]]));

    // By the keyboard: to the head of the column of sizes, and there.
    while browser.value("document.activeElement.textContent") != "Size" {
        browser.press("Tab", 9, "");
    }
    assert_ne!(browser.value("getComputedStyle(document.activeElement).outlineStyle"), "none", "the focus is visible");
    browser.press("Enter", 13, "\r");
    browser.arrive(&format!("{root}?sort=size&order=desc"));
    assert_eq!(sorted_by(&mut browser), json!([["Size", "descending"]]));
    let by_size = browser.value(ROWS);
    assert_eq!(by_size[1]["size"], "255 bytes");
    assert_eq!(by_size[14]["size"], "2 bytes");

    // Into a directory and one more, up by the path, and back.
    browser.click(&link("sub"));
    browser.arrive(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click(&link("deeper"));
    browser.arrive(&format!("{root}sub%20%26%20%3Cb%3E/deeper/"));
    assert_eq!(browser.value("document.querySelector('h1').textContent"), "Index of /sub & <b>/deeper/");
    assert_eq!(browser.value("document.querySelector('caption').textContent"), "This directory is empty.");
    browser.click("document.querySelectorAll('h1 a')[1]");
    browser.arrive(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click(&link("Parent directory"));
    browser.arrive(&root);
    browser.back();
    browser.arrive(&format!("{root}sub%20%26%20%3Cb%3E/"));
    browser.click("document.querySelector('h1 a')");
    browser.arrive(&root);

    browser.click(&link("<img"));
    browser.arrive(&format!("{root}%3Cimg%20src%3Dx%20onerror%3Dalert%281%29%3E%22%26%2523.txt"));
    assert_eq!(browser.value("[document.contentType, document.body.textContent]"), json!(["text/plain", ATTACK]));
    browser.open(&format!("{root}nothing"));
    assert_eq!(browser.value("document.querySelector('h1').textContent"), "404 Not Found");

    // Of all that happened: no script of a page, no dialogue, no request elsewhere, and no complaint.
    for never in ["Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"] {
        assert!(browser.happened(never).is_empty(), "{never}");
    }
    for script in browser.happened("Debugger.scriptParsed") {
        assert_eq!(script["url"], "", "it is none of this test's own");
    }
    let requests = browser.happened("Network.requestWillBeSent");
    assert!(requests.len() >= 8);
    for request in requests {
        let url = request["request"]["url"].as_str().unwrap();
        assert!(url.starts_with(&root) || url == "data:,", "{url}");
    }
    for complaint in browser.happened("Log.entryAdded") {
        // Of a plain file the browser wants an icon.
        let known = ["nothing", "favicon.ico"].map(|name| json!(format!("{root}{name}")));
        assert!(known.contains(&complaint["entry"]["url"]), "{complaint:#}");
    }
}

#[test]
fn the_page_suits_screens_and_readers() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    browser.open(&format!("http://{}/", program.address()));

    // The style is in force, in spite of the policy.
    assert_eq!(browser.value("getComputedStyle(document.querySelector('bdi')).whiteSpaceCollapse"), "preserve");
    assert_eq!(browser.value("getComputedStyle(document.querySelector('bdi')).unicodeBidi"), "isolate");
    for width in [320, 400, 1000, 1600] {
        let metrics = json!({"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width <= 400});
        browser.call("Emulation.setDeviceMetricsOverride", metrics);
        // Names of 255 letters are broken, and nothing sticks out.
        let sticks_out = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.value(sticks_out), false, "at {width}");
        assert!(browser.value("document.querySelector('bdi').offsetWidth").as_u64().unwrap() > 30);
    }
    for (scheme, text) in [("light", "rgb(0, 0, 0)"), ("dark", "rgb(255, 255, 255)")] {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": feature}));
        assert_eq!(browser.value("getComputedStyle(document.body).color"), text);
    }

    // What a screen reader is told.
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] == false);
        nodes.map(|node| node["name"]["value"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(named("table"), ["1 directory, 14 files"]);
    assert_eq!(named("columnheader"), ["Name", "Size", "Modified (UTC)"], "the arrow is not read out");
    assert_eq!(named("rowheader").len(), 15);
    assert_eq!(named("heading"), ["Index of /"]);
    assert!(named("rowheader").contains(&"100%") && named("link").contains(&ATTACK));
}
