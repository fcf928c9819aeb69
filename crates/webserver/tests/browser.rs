//! The listing in a real browser: what users see, where they can go, and that the page runs no script but its own.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, UNIX_EPOCH};

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
    name: row.querySelector('a').textContent.replace(/\\/$/, '').replace('\\\\u202E', '\\u202e'),
    path: new URL(row.querySelector('a').href).pathname,
    host: new URL(row.querySelector('a').href).host,
    size: row.cells[1].title,
    time: row.querySelector('time').dateTime,
    elements: row.querySelectorAll(':not(mark)').length }))";

const SUMMARY: &str = "document.querySelector('[role=status]').textContent";

/// An expression for the link with this text, or a part of it.
fn link(text: &str) -> String {
    format!("[...document.links].find(a => a.textContent.includes({}))", json!(text))
}

fn sorted_by(browser: &mut Browser) -> Value {
    browser.evaluate("[...document.querySelectorAll('[aria-sort]')].map(th => [th.textContent, th.ariaSort])")
}

// V17
#[test]
#[ignore = "beside real software: scripts/interop"]
fn listing_can_be_navigated_and_runs_no_script_but_its_own() {
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
    assert_eq!(browser.evaluate("[document.title, document.documentElement.lang]"), json!(["Index of /", "en"]));
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
    assert_eq!(browser.evaluate("document.querySelector('h1').textContent"), "Home / sub & <b> / deeper");
    assert_eq!(browser.evaluate(SUMMARY), "This directory is empty");
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

    // In all events: no script of a page but one, no dialog, no request to another server, and no error.
    for method in ["Page.javascriptDialogOpening", "Runtime.exceptionThrown", "Runtime.consoleAPICalled"] {
        assert!(browser.events(method).is_empty(), "{method}");
    }
    let scripts = browser.events("Debugger.scriptParsed");
    let of_pages = scripts.iter().filter(|script| script["url"] != "");
    assert_eq!(BTreeSet::from_iter(of_pages.map(|script| script["hash"].as_str())).len(), 1, "{scripts:#?}");
    let requests = browser.events("Network.requestWillBeSent");
    assert!(requests.len() >= 8);
    for request in requests {
        let url = request["request"]["url"].as_str().unwrap();
        assert!(url.starts_with(&root) || url.starts_with("data:"), "{url}");
    }
    for entry in browser.events("Log.entryAdded") {
        // For a plain file the browser requests an icon.
        let expected = ["nothing", "favicon.ico"].map(|name| json!(format!("{root}{name}")));
        assert!(expected.contains(&entry["entry"]["url"]), "{entry:#}");
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn listing_fits_screens_and_screen_readers() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = directory();
    let program = Program::start(directory.path(), &[]);
    browser.open(&format!("http://{}/", program.address()));

    // The style sheets apply: the content security policy allows them.
    assert_eq!(browser.evaluate("getComputedStyle(document.querySelector('tbody a')).whiteSpaceCollapse"), "preserve");
    assert_eq!(browser.evaluate("getComputedStyle(document.querySelector('tbody a')).unicodeBidi"), "plaintext");
    for width in [320, 390, 1000, 1600] {
        let metrics = json!({"width": width, "height": 300, "deviceScaleFactor": 1, "mobile": width <= 400});
        browser.call("Emulation.setDeviceMetricsOverride", metrics);
        // Names of 255 letters wrap, and nothing overflows.
        let overflows = "document.documentElement.scrollWidth > document.documentElement.clientWidth";
        assert_eq!(browser.evaluate(overflows), false, "at {width}");
        let row = browser.evaluate(ROW);
        let number = |name: &str| row[name].as_f64().unwrap();
        assert!(number("height") >= 24.0 && number("icon") >= 16.0, "at {width}: {row}");
        let is_narrow = width < 640;
        assert_eq!(number("detail_top") >= number("name_bottom"), is_narrow, "at {width}: {row}");
        assert_eq!(number("detail_font") <= 13.0, is_narrow, "at {width}: {row}");
        // The header row stays where it can be seen.
        browser.evaluate("scrollTo(0, 250)");
        assert_eq!(browser.evaluate("scrollY"), 250);
        assert_eq!(browser.evaluate("document.querySelector('thead th').getBoundingClientRect().top"), 0, "at {width}");
        browser.evaluate("scrollTo(0, 0)");
        check_what_a_screen_reader_sees(&mut browser);
    }
    let colours = "['color', 'backgroundColor'].map(name => getComputedStyle(document.body)[name])";
    for (scheme, expected) in
        [("light", ["rgb(28, 33, 40)", "rgb(255, 255, 255)"]), ("dark", ["rgb(232, 234, 237)", "rgb(21, 24, 28)"])]
    {
        let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        browser.call("Emulation.setEmulatedMedia", json!({"features": feature}));
        assert_eq!(browser.evaluate(colours), json!(expected));
    }
}

/// Where the parts of a row are, and how large its text is.
const ROW: &str = "(() => {
    const row = document.querySelector('tbody tr:last-child'), name = row.querySelector('a'), size = row.cells[1];
    return {
        height: row.offsetHeight,
        icon: parseFloat(getComputedStyle(name, '::before').width),
        name_bottom: name.getBoundingClientRect().bottom,
        detail_top: size.getBoundingClientRect().top,
        detail_font: parseFloat(getComputedStyle(size).fontSize),
    } })()";

fn check_what_a_screen_reader_sees(browser: &mut Browser) {
    let tree = browser.call("Accessibility.getFullAXTree", json!({}));
    let nodes = tree["nodes"].as_array().unwrap();
    let named = |role: &str| {
        let nodes = nodes.iter().filter(|node| node["role"]["value"] == role && node["ignored"] == false);
        nodes.map(|node| node["name"]["value"].as_str().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(named("table"), ["1 directory, 14 files, 415 B"]);
    assert_eq!(named("columnheader"), ["Name", "Size", "Modified"], "the sort marks are hidden from screen readers");
    assert_eq!(named("rowheader").len(), 15);
    assert_eq!(named("heading"), ["Home"]);
    assert_eq!(named("searchbox"), ["Part of a name"]);
    assert!(named("rowheader").contains(&"100%") && named("link").contains(&ATTACK));
}

/// The texts of the rows that can be seen.
const SHOWN: &str = "[...document.querySelectorAll('tbody tr')].filter(row => row.offsetHeight > 0).map(row =>
    [...row.cells].map(cell => cell.textContent).join('|'))";

#[test]
#[ignore = "beside real software: scripts/interop"]
fn listing_is_complete_without_its_script_and_easier_with_it() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = TempDir::new().unwrap();
    fs::create_dir(directory.path().join("sub")).unwrap();
    for name in ["Release-9.txt", "release-10.txt", "other"] {
        let file = File::create(directory.path().join("sub").join(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(1_796_083_199)).unwrap(); // 2026-11-30 23:59:59
    }
    let program = Program::start(directory.path(), &[]);
    let root = format!("http://{}/sub/", program.address());
    browser.call("Emulation.setTimezoneOverride", json!({"timezoneId": "Asia/Kolkata"}));
    let type_in_filter = |browser: &mut Browser, text: &str| {
        browser.click("document.querySelector('input')");
        browser.call("Input.insertText", json!({"text": text}));
    };
    let modified = "document.querySelector('thead tr').lastChild.textContent";
    let row = |name: &str, time: &str| json!(format!("{name}|0 B|{time}"));

    browser.open(&root);
    let (local, up) = ("2026-12-01 05:29", json!("Parent directory||"));
    let all = json!([up, row("other", local), row("Release-9.txt", local), row("release-10.txt", local)]);
    assert_eq!((browser.evaluate(SHOWN), browser.evaluate(modified)), (all.clone(), "Modified".into()));
    type_in_filter(&mut browser, "LEASE-1");
    assert_eq!(browser.evaluate(SHOWN), json!([up, row("release-10.txt", local)]));
    assert_eq!(browser.evaluate(SUMMARY), "1 of 3 shown");
    (0.."LEASE-1".len()).for_each(|_| browser.press("Backspace", 8, ""));
    assert_eq!((browser.evaluate(SHOWN), browser.evaluate(SUMMARY)), (all, "3 files, 0 B".into()));

    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(&format!("{root}?sort=name&order=desc"));
    let utc = "2026-11-30 23:59";
    let all = [row("release-10.txt", utc), row("Release-9.txt", utc), row("other", utc)];
    assert_eq!(browser.evaluate(SHOWN), json!([&up, &all[0], &all[1], &all[2]]));
    assert_eq!(browser.evaluate(modified), "Modified UTC");
    type_in_filter(&mut browser, "+R&EL");
    browser.press("Enter", 13, "\r");
    browser.wait_for_page(&format!("{root}?q=%2BR%26EL&sort=name&order=desc"));
    assert_eq!(browser.evaluate(SUMMARY), "No name contains “+R&EL”");
    browser.evaluate("document.querySelector('input').select()");
    browser.call("Input.insertText", json!({"text": "REL"}));
    browser.click("document.querySelector('.bar button')");
    browser.wait_for_page(&format!("{root}?q=REL&sort=name&order=desc"));
    assert_eq!(browser.evaluate(SHOWN), json!([&up, &all[0], &all[1]]));
    assert_eq!(browser.evaluate(SUMMARY), "2 files, 0 B · names with “REL”");
    // Each form keeps what the others have done.
    browser.click("document.querySelector('[value=size]')");
    browser.wait_for_page(&format!("{root}?sort=size&order=desc&q=REL"));
    browser.click("document.querySelector('footer button')");
    browser.wait_for_page(&format!("{root}?format=json&sort=size&order=desc&q=REL"));
    assert_eq!(browser.evaluate("JSON.parse(document.body.textContent).entries.length"), 2);
    browser.back();
    browser.wait_for_page(&format!("{root}?sort=size&order=desc&q=REL"));
    browser.click(&link("Show all"));
    browser.wait_for_page(&root);
    assert_eq!(browser.evaluate(SUMMARY), "3 files, 0 B");

    // In a directory with too many names, the form finds what the page does not have.
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": false}));
    (0..=10_000).for_each(|n| drop(File::create(directory.path().join(n.to_string())).unwrap()));
    let root = format!("http://{}/?sort=name&order=desc", program.address());
    browser.open(&root);
    assert_eq!(browser.evaluate(SUMMARY), "10000 files, 0 B · the first of 10002 names");
    type_in_filter(&mut browser, "10000");
    assert_eq!(browser.evaluate(SUMMARY), "0 of 10000 shown · Enter searches all names");
    browser.press("Enter", 13, "\r");
    browser.wait_for_page(&root.replace('?', "?q=10000&"));
    assert_eq!(browser.evaluate(SUMMARY), "1 file, 0 B · names with “10000”");
}
