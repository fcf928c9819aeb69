//! A page, its picture and a video in Chromium: what it fetches, keeps and asks for again.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Browser, Program, wait_until};

const HOUR: Duration = Duration::from_secs(3600);

/// The directory of the example page.
fn site() -> TempDir {
    let directory = TempDir::new().unwrap();
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/www");
    for file in ["HelloWorld.html", "style.css", "sunrise.png"] {
        let copy = directory.path().join(file);
        fs::copy(examples.join(file), &copy).unwrap();
        // A file that has just been written might change again without a new time, so it would have no strong tag.
        File::options().write(true).open(copy).unwrap().set_modified(SystemTime::now() - HOUR).unwrap();
    }
    directory
}

/// A PNG begins with a signature and the header chunk: length, name, width.
fn picture_width(png: &[u8]) -> u32 {
    u32::from_be_bytes(png[16..20].try_into().unwrap())
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn chromium_shows_a_page_with_its_picture_and_reloads_by_304_on_kept_connections() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = site();
    let program = Program::start(directory.path(), &["--log-format", "combined"]);
    let url = format!("http://{}/HelloWorld.html", program.address());
    let width = picture_width(&fs::read(directory.path().join("sunrise.png")).unwrap());
    let state = "[document.querySelector('h1').textContent, document.querySelector('img').naturalWidth, \
                 document.styleSheets[0].cssRules.length > 0]";
    let logged = |line: &str| program.messages().matches(line).count();
    let files = ["HelloWorld.html", "style.css", "sunrise.png"];

    browser.open(&url);
    assert_eq!(browser.evaluate(state), json!(["Hello, World!", width, true]));
    let fetched = || files.map(|file| logged(&format!("\"GET /{file} HTTP/1.1\" 200 ")));
    let revalidated = || files.map(|file| logged(&format!("\"GET /{file} HTTP/1.1\" 304 0 ")));
    wait_until("all is logged", || fetched().iter().all(|count| *count > 0));
    for _ in 0..3 {
        let before = revalidated();
        browser.call("Page.reload", json!({}));
        browser.wait_for_page(&url);
        assert_eq!(browser.evaluate(state), json!(["Hello, World!", width, true]));
        wait_until("all is logged", || revalidated().iter().zip(before).all(|(after, before)| *after > before));
    }
    let [page, style, picture] = fetched();
    assert!(page == 1 && style == 1 && picture <= 2, "the picture is the icon, too: {picture}");
    let responses = browser.events("Network.responseReceived");
    let of_files = responses.iter().filter(|event| event["response"]["url"].as_str().unwrap().starts_with("http:"));
    let reused: Vec<bool> = of_files.map(|event| event["response"]["connectionReused"] == true).collect();
    let opened = reused.iter().filter(|reused| !**reused).count();
    assert!(reused.len() >= 12 && opened <= 4, "{opened} of {} responses came on a new connection", reused.len());
    // Chromium opens a connection in advance, too.
    let last = program.finish().lines().last().unwrap().to_owned();
    let connections: usize = last.strip_prefix("webserver: ").unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(connections <= 6, "{last}");
}

/// Two pictures of one colour, as the browser itself compresses them: a lossy WebP file is a key frame of VP8.
const FRAMES: &str = "['red', 'blue'].map(colour => {
    const canvas = document.createElement('canvas');
    canvas.width = canvas.height = 64;
    const context = canvas.getContext('2d', {alpha: false});
    context.fillStyle = colour;
    context.fillRect(0, 0, 64, 64);
    return canvas.toDataURL('image/webp', 0.5).split(',')[1];
})";

/// What a video shows: where it is, how long it is, and the colour in its middle.
const SHOWN: &str = "(() => {
    const video = document.querySelector('video'), canvas = document.createElement('canvas');
    const context = canvas.getContext('2d');
    context.drawImage(video, 0, 0, 64, 64);
    const [red, green, blue] = context.getImageData(32, 32, 1, 1).data;
    return [video.currentTime, video.duration, red > 200 ? 'red' : blue > 200 ? 'blue' : 'neither'];
})()";

#[test]
#[ignore = "beside real software: scripts/interop"]
fn chromium_seeks_in_a_video_by_a_range() {
    let Some(mut browser) = Browser::start() else { return };
    let directory = TempDir::new().unwrap();
    let page = "<!DOCTYPE html><title>Video</title><video src=video.webm preload=auto muted></video>";
    fs::write(directory.path().join("index.html"), page).unwrap();
    let program = Program::start(directory.path(), &["--log-format", "json"]);
    let url = format!("http://{}/", program.address());

    let frames = browser.evaluate(FRAMES);
    let frames: Vec<Vec<u8>> =
        frames.as_array().unwrap().iter().map(|frame| vp8_frame(frame.as_str().unwrap())).collect();
    // Far larger than what a browser reads in advance.
    let video = webm(&frames[0], &frames[1]);
    assert!(video.len() > 60_000_000);
    fs::write(directory.path().join("video.webm"), &video).unwrap();
    thread::sleep(Duration::from_secs(3)); // only then it has a strong entity tag, as a part needs it

    browser.open(&url);
    let shows = |browser: &mut Browser, expected: Value| {
        wait_until("the video shows it", || {
            browser.evaluate("document.querySelector('video').readyState >= 2") == json!(true) || {
                assert_eq!(browser.evaluate("document.querySelector('video').error?.message"), Value::Null);
                false
            }
        });
        assert_eq!(browser.evaluate(SHOWN), expected);
    };
    shows(&mut browser, json!([0, 600, "red"]));
    browser.evaluate(
        "document.querySelector('video').addEventListener('seeked', () => window.seeked = true);
         document.querySelector('video').currentTime = 550; 0",
    );
    wait_until("the browser has sought", || browser.evaluate("window.seeked === true") == json!(true));
    shows(&mut browser, json!([550, 600, "blue"]));

    // It has asked for a part that begins near that place.
    let responses = browser.events("Network.responseReceived");
    let start = |event: &&Value| {
        let range = event["response"]["headers"]["Content-Range"].as_str()?;
        range.strip_prefix("bytes ")?.split('-').next()?.parse::<usize>().ok()
    };
    let starts: Vec<usize> = responses.iter().filter_map(start).collect();
    let place = video.len() / 600 * 550;
    assert!(starts.iter().any(|start| start.abs_diff(place) < 5_000_000), "{place} and {starts:?}");
    browser.open("about:blank");
    let log = program.finish();
    let requests: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of_video: Vec<_> = requests.iter().filter(|request| request["path"] == "/video.webm").collect();
    assert!(of_video.len() >= 2 && of_video.iter().all(|request| request["status"] == 206), "{of_video:#?}");
    let sent: u64 = of_video.iter().map(|request| request["sent"].as_u64().unwrap()).sum();
    assert!(sent < video.len() as u64, "{sent} bytes: {of_video:#?}");
}

/// The frame within a WebP file, which consists of chunks: a name, a length, and data of even length.
fn vp8_frame(base64: &str) -> Vec<u8> {
    let file = STANDARD.decode(base64).unwrap();
    let mut rest = &file[12..];
    loop {
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        if &rest[..4] == b"VP8 " {
            return rest[8..8 + length].to_vec();
        }
        rest = &rest[8 + length.next_multiple_of(2)..];
    }
}

/// An element of Matroska: its id, its length in 8 bytes, and its content.
fn element(id: u32, content: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let length = (content.len() as u64 | 1 << 56).to_be_bytes();
    [&id[..], &length, content].concat()
}

fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// A video of 600 s with a frame each second, 300 times the early one and then the late one, and as much padding as a real one has
/// data. An index of all frames (Cues) comes first.
fn webm(early: &[u8], late: &[u8]) -> Vec<u8> {
    const SECONDS: u64 = 600;
    let header = [
        [number(0x4286, 1), number(0x42F7, 1), number(0x42F2, 4), number(0x42F3, 8), element(0x4282, b"webm")].concat(),
        [number(0x4287, 2), number(0x4285, 2)].concat(), // versions
    ];
    let duration = element(0x4489, &((SECONDS * 1000) as f64).to_be_bytes());
    let information = element(0x1549_A966, &[number(0x2AD7B1, 1_000_000), duration].concat()); // in milliseconds
    let size = element(0xE0, &[number(0xB0, 64), number(0xBA, 64)].concat());
    let track = [number(0xD7, 1), number(0x73C5, 1), number(0x83, 1), element(0x86, b"V_VP8"), size].concat();
    let tracks = element(0x1654_AE6B, &element(0xAE, &track));
    let clusters: Vec<Vec<u8>> = (0..SECONDS)
        .map(|second| {
            let frame = if second < SECONDS / 2 { early } else { late };
            let block = element(0xA3, &[&[0x81, 0, 0, 0x80], frame].concat()); // track 1, at once, a key frame
            let padding = element(0xEC, &vec![0; 110_000]);
            element(0x1F43_B675, &[number(0xE7, second * 1000), block, padding].concat())
        })
        .collect();
    let cues = |start: u64| {
        let mut offset = start;
        let points = (0..).zip(&clusters).flat_map(|(second, cluster)| {
            let place = element(0xB7, &[number(0xF7, 1), number(0xF1, offset)].concat());
            offset += cluster.len() as u64;
            element(0xBB, &[number(0xB3, second * 1000), place].concat())
        });
        element(0x1C53_BB6B, &points.collect::<Vec<u8>>())
    };
    let before = information.len() + tracks.len() + cues(0).len(); // all numbers take 8 bytes
    let segment = [information, tracks, cues(before as u64), clusters.concat()].concat();
    [element(0x1A45_DFA3, &header.concat()), element(0x1853_8067, &segment)].concat()
}
