//! The built-in pages as pictures, on a wide and a narrow screen, light and dark, and what axe finds wrong with them.
//! `scripts/pages` runs this, because axe is not a crate; `scripts/pictures` has the pictures of the listing taken.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Browser, Program};

const PAGES: [(&str, &str); 6] = [
    ("listing", "/downloads/"),
    ("filtered", "/downloads/?q=release&sort=size&order=desc"),
    ("names", "/names/"),
    ("nothing-found", "/downloads/?q=windows"),
    ("empty", "/downloads/manual/"),
    ("error", "/downloads/nothing"),
];

/// The rules that axe finds broken, or cannot decide, with the elements.
const AXE: &str = "axe.run().then(found => found.violations.concat(found.incomplete)
    .map(rule => `${rule.id}: ${rule.help}: ${rule.nodes.map(node => node.html).join()}`))";

const SMALLEST: &str = "Math.min(...[...document.querySelectorAll('a, button, input:not([type=hidden])')]
    .map(element => element.getBoundingClientRect().height))";

#[test]
#[ignore = "scripts/pages runs it"]
fn pages_look_finished_and_axe_finds_nothing() {
    let (axe, pictures) = (fs::read_to_string(directory_of("AXE")).unwrap(), directory_of("PICTURES"));
    let mut browser = Browser::start().unwrap();
    let site = site();
    let program = Program::start(site.path(), &[]);
    browser.call("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"}));
    for (name, target) in PAGES {
        for width in [1280, 390] {
            for scheme in ["light", "dark"] {
                let what = format!("{name}-{width}-{scheme}");
                let scale = if width == 390 { 2 } else { 1 };
                show(&mut browser, width, 844, scale, scheme);
                browser.open(&format!("http://{}{target}", program.address()));
                fs::write(pictures.join(format!("{what}.png")), picture(&mut browser, json!({}))).unwrap();

                browser.evaluate(&axe);
                let found = json!({"expression": AXE, "awaitPromise": true, "returnByValue": true});
                let found = browser.call("Runtime.evaluate", found);
                assert_eq!(found["result"]["value"], json!([]), "{what}: {found:#}");
                assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), width, "{what}");
                assert!(browser.evaluate(SMALLEST).as_f64().unwrap() >= 24.0, "{what}");
            }
        }
    }
}

#[test]
#[ignore = "scripts/pictures runs it"]
fn pictures_of_the_listing_are_taken_for_the_documentation() {
    let pictures = directory_of("PICTURES");
    let mut browser = Browser::start().unwrap();
    let site = site();
    let program = Program::start(site.path(), &[]);
    browser.call("Emulation.setTimezoneOverride", json!({"timezoneId": "UTC"}));
    for (name, width) in [("desktop", 900), ("phone", 390)] {
        for scheme in ["light", "dark"] {
            show(&mut browser, width, 900, 2, scheme);
            browser.open(&format!("http://{}/downloads/", program.address()));
            let height = browser.evaluate("document.querySelector('main').offsetHeight");
            let clip = json!({"clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1}});
            fs::write(pictures.join(format!("readme-{name}-{scheme}.png")), picture(&mut browser, clip)).unwrap();
        }
    }
}

/// The directory that a script passes in a variable.
fn directory_of(variable: &str) -> PathBuf {
    PathBuf::from(std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")))
}

/// Directories, files and symlinks whose names, sizes and times are the same in every run.
fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    for name in ["downloads/manual", "downloads/nightly", "names"] {
        fs::create_dir_all(at(name)).unwrap();
    }
    for (name, bytes, day) in [
        ("downloads/README.md", 4300, 20_591),
        ("downloads/release-9.tar.gz", 18_769_510, 20_514),
        ("downloads/release-10.tar.gz", 19_084_083, 20_591),
        ("downloads/SHA256SUMS", 412, 20_591),
        ("names/rtl\u{202e}gpj.exe", 5, 20_000),
        ("names/line\nend", 5, 20_000),
        ("names/<b>bold", 5, 20_000),
        ("names/\u{5e9}\u{5dc}\u{5d5}\u{5dd}.txt", 5, 20_000),
        ("names/two  spaces ", 5, 20_000),
        (&format!("names/{}", "nothing-to-break-at".repeat(12)), 5, 20_000),
    ] {
        let file = File::create(at(name)).unwrap();
        file.set_len(bytes).unwrap();
        set_time(&file, day);
    }
    symlink("release-10.tar.gz", at("downloads/latest.tar.gz")).unwrap();
    symlink("nightly", at("downloads/unstable")).unwrap();
    symlink("/etc", at("names/outside")).unwrap();
    for (name, day) in [("downloads/manual", 20_591), ("downloads/nightly", 20_605), ("names", 20_000)] {
        set_time(&File::open(at(name)).unwrap(), day);
    }
    directory
}

/// Sets the time of the last modification to a morning, so many days after 1970.
fn set_time(file: &File, day: u64) {
    file.set_modified(UNIX_EPOCH + Duration::from_secs(day * 86_400 + 9 * 3600 + 12 * 60)).unwrap();
}

fn show(browser: &mut Browser, width: u32, height: u32, scale: u32, scheme: &str) {
    let metrics = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 500});
    browser.call("Emulation.setDeviceMetricsOverride", metrics);
    let feature = json!([{"name": "prefers-color-scheme", "value": scheme}]);
    browser.call("Emulation.setEmulatedMedia", json!({"features": feature}));
}

fn picture(browser: &mut Browser, options: Value) -> Vec<u8> {
    let picture = browser.call("Page.captureScreenshot", options);
    BASE64_STANDARD.decode(picture["data"].as_str().unwrap()).unwrap()
}
