//! Chromium, driven by the DevTools protocol: JSON over two pipes, each message ended by a NUL.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::tool;

/// A browser needs seconds to start on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A browser with one page. Dropping the value ends it.
pub(crate) struct Browser {
    process: Child,
    input: ChildStdin,
    output: Receiver<Value>,
    session: Option<String>,
    calls: u64,
    /// All events of the page, in order.
    events: Vec<Value>,
    /// The number of events that `wait_for_page` has checked.
    seen: usize,
    _profile: TempDir,
}

impl Browser {
    /// `None` if Chromium is not installed.
    pub(crate) fn start() -> Option<Browser> {
        let chromium = tool("chromium")?;
        let profile = TempDir::new().unwrap();
        let mut process = Command::new("sh")
            // It reads from descriptor 3 and writes to descriptor 4.
            .args(["-c", r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >/dev/null"#])
            .arg(chromium)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            // It connects to the server under test only, and reloads each page.
            .args(["--no-proxy-server", "--disable-quic", "--disable-background-networking"])
            .arg("--host-resolver-rules=MAP *.example 127.0.0.1")
            .args(["--disable-component-update", "--disable-sync", "--disable-features=BackForwardCache"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .args(["--remote-debugging-pipe", "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // A process group of its own, so that all its processes can be killed.
            .process_group(0)
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let messages = BufReader::new(process.stdout.take().unwrap()).split(0);
        thread::spawn(move || {
            for message in messages.map_while(Result::ok) {
                if sender.send(serde_json::from_slice(&message).unwrap()).is_err() {
                    break;
                }
            }
        });
        let input = process.stdin.take().unwrap();
        let (session, events) = (None, Vec::new());
        let mut browser = Browser { process, input, output, session, calls: 0, events, seen: 0, _profile: profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = browser.call("Target.attachToTarget", json!({"targetId": target, "flatten": true}));
        browser.session = Some(attached["sessionId"].as_str().unwrap().into());
        for domain in ["Page", "Network", "Log", "Runtime", "Debugger", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), json!({}));
        }
        Some(browser)
    }

    /// Opens a page by its URL and waits for it.
    pub(crate) fn open(&mut self, url: &str) {
        self.call("Page.navigate", json!({"url": url}));
        self.wait_for_page(url);
    }

    /// Waits until the page with this URL has loaded.
    pub(crate) fn wait_for_page(&mut self, url: &str) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            if self.seen == self.events.len() {
                let event = self.next(deadline);
                self.events.push(event);
            }
            self.seen += 1;
            if self.events[self.seen - 1]["method"] == "Page.loadEventFired" && self.evaluate("location.href") == url {
                return;
            }
        }
    }

    /// Evaluates a JavaScript expression on the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.call("Runtime.evaluate", json!({"expression": expression, "returnByValue": true}));
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Clicks the middle of the element that an expression yields.
    pub(crate) fn click(&mut self, element: &str) {
        let middle = format!(
            "(() => {{ const e = {element}; e.scrollIntoView({{block: 'center'}}); const r = e.getClientRects()[0]; \
             return [r.x + r.width / 2, r.y + r.height / 2] }})()"
        );
        let middle = self.evaluate(&middle);
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": middle[0], "y": middle[1], "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Goes back to the previous page.
    pub(crate) fn back(&mut self) {
        let history = self.call("Page.getNavigationHistory", json!({}));
        let current = usize::try_from(history["currentIndex"].as_u64().unwrap()).unwrap();
        self.call("Page.navigateToHistoryEntry", json!({"entryId": history["entries"][current - 1]["id"]}));
    }

    /// Presses and releases a key.
    pub(crate) fn press(&mut self, key: &str, code: u32, text: &str) {
        let event = |kind: &str| json!({"type": kind, "key": key, "windowsVirtualKeyCode": code});
        let mut down = event("keyDown");
        if !text.is_empty() {
            down["text"] = text.into();
        }
        self.call("Input.dispatchKeyEvent", down);
        self.call("Input.dispatchKeyEvent", event("keyUp"));
    }

    /// The parameters of all events of this method.
    pub(crate) fn events(&self, method: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["method"] == method).map(|event| &event["params"]).collect()
    }

    /// Calls a method of the DevTools protocol.
    pub(crate) fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.calls += 1;
        let mut call = json!({"id": self.calls, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            call["sessionId"] = session.as_str().into();
        }
        self.input.write_all(&[call.to_string().as_bytes(), b"\0"].concat()).unwrap();
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let message = self.next(deadline);
            if message["id"] == self.calls {
                assert!(message.get("error").is_none(), "{call}: {message}");
                return message["result"].clone();
            }
            self.events.push(message);
        }
    }

    fn next(&mut self, deadline: Instant) -> Value {
        let left = deadline.saturating_duration_since(Instant::now());
        self.output
            .recv_timeout(left)
            .unwrap_or_else(|error| panic!("{error}: events of the browser: {:#?}", self.events))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        let _ = self.process.wait();
    }
}
