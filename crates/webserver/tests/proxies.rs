//! nginx, HAProxy and Varnish in front of the program, with the configurations of `deploy/`.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use support::{Browser, Program, Proxy, deployed_for, tool, wait_until};

/// Checks responses through the proxy against the files.
fn check_forwarding(proxy: &Proxy, large: &[u8]) {
    for _ in 0..20 {
        let (status, _, body) = proxy.get("/large", "");
        assert!(status == 200 && body == large, "{status}, {} bytes", body.len());
        let (status, head, body) = proxy.get("/large", "Range: bytes=100-199\r\n");
        assert!(status == 206 && body == large[100..200], "{head}");
        assert!(head.to_ascii_lowercase().contains("content-range: bytes 100-199/300000"), "{head}");
        assert_eq!(proxy.get("/none", "").0, 404);
        assert_eq!(proxy.get("/sub", "").0, 301);
    }
}

fn site() -> (TempDir, Vec<u8>) {
    let directory = TempDir::new().unwrap();
    let large: Vec<u8> = (0..251).cycle().take(300_000).collect();
    fs::create_dir(directory.path().join("sub")).unwrap();
    for (name, content) in [("ready", &b"ready"[..]), ("large", &large), ("text.txt", b"text")] {
        fs::write(directory.path().join(name), content).unwrap();
    }
    (directory, large)
}

/// The number of connections in the last line of the program.
fn connections(log: &str) -> usize {
    let last = log.lines().last().unwrap();
    last.strip_prefix("webserver: ").unwrap().split(' ').next().unwrap().parse().unwrap()
}

/// A header of a response.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

// R9110-9.3.7: by default HAProxy checks health by OPTIONS.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn haproxy_considers_server_up() {
    let (directory, large) = site();
    let program = Program::start(directory.path(), &[]);
    let config = deployed_for("haproxy.cfg", &[program.port(); 3]).replace("inter 1s", "inter 10ms");
    let Some(haproxy) = Proxy::haproxy(&config) else { return };
    let checks = || program.messages().matches("\"OPTIONS / HTTP/1.0\" 200 0\n").count();
    wait_until("many health checks have come", || checks() > 20);
    check_forwarding(&haproxy, &large); // HAProxy still considers the server up
    drop(haproxy);
    program.finish();
}

// For a client that keeps its connection. If a client closes, so does HAProxy.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn haproxy_keeps_its_connections() {
    let Some(ab) = tool("ab") else { return };
    let (directory, _) = site();
    let program = Program::start(directory.path(), &[]);
    let Some(haproxy) = Proxy::haproxy(&deployed_for("haproxy.cfg", &[program.port(); 3])) else { return };
    let url = format!("http://127.0.0.1:{}/text.txt", haproxy.port);
    let output = Command::new(ab).args(["-k", "-q", "-n", "200", "-c", "2", &url]).output().unwrap();
    let report = String::from_utf8(output.stdout).unwrap();
    let kept = report.lines().find_map(|line| line.strip_prefix("Keep-Alive requests:"));
    assert_eq!(kept.map(str::trim), Some("200"), "{report}");
    drop(haproxy);
    let log = program.finish();
    let checks = log.matches("\"OPTIONS / HTTP/1.0\"").count();
    let others = connections(&log) - checks;
    assert!(others < 20, "{others} connections for 200 requests: {log}");
}

/// nginx with these locations, which can pass requests on to `http://own`.
fn nginx(program: &Program, locations: &str) -> Option<Proxy> {
    let port = program.port();
    let upstream = format!("upstream own {{ server 127.0.0.1:{port}; keepalive 4; }}");
    Proxy::nginx(&format!("{upstream} server {{ listen 80; {locations} }}"))
}

// Its default, 1.0 until nginx 1.29, and 1.1. Connections are kept by neither: nginx keeps none to a server whose
// responses are HTTP/1.0.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn nginx_forwards_requests_in_both_versions() {
    let (directory, large) = site();
    let both = [("", "1.0"), ("proxy_http_version 1.1; proxy_set_header Connection \"\";", "1.1")];
    for (settings, version) in both {
        let program = Program::start(directory.path(), &[]);
        let Some(nginx) = nginx(&program, &format!("location / {{ proxy_pass http://own; {settings} }}")) else {
            return;
        };
        check_forwarding(&nginx, &large);
        drop(nginx);
        let log = program.finish();
        // A newer nginx has another default.
        let requests = log.matches(&format!("\"GET /large HTTP/{version}\" 200 ")).count();
        assert!(requests == 20 || settings.is_empty(), "{requests} requests in version {version}: {log}");
        assert!(requests == 0 || connections(&log) > 80, "{} connections in version {version}", connections(&log));
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn nginx_serves_from_its_cache_and_revalidates_by_entity_tag() {
    let (directory, large) = site();
    let program = Program::start(directory.path(), &["--cache-control", "max-age=1", "--trust-proxy", "127.0.0.1"]);
    let Some(nginx) = Proxy::nginx(&deployed_for("nginx.conf", &[program.port(); 3])) else { return };
    check_forwarding(&nginx, &large);
    check_cache(&nginx, &program, &directory, |head| header(head, "X-Cache") == Some("HIT"), "1.0");
    drop(nginx);
    program.finish();
}

// R9110-13.1.2, R9110-15.4.5: a shared cache serves its copy, revalidates it by the entity tag, and sends parts of it.
#[test]
#[ignore = "beside real software: scripts/interop"]
fn varnish_serves_from_its_cache_and_revalidates_by_entity_tag() {
    let (directory, large) = site();
    let program = Program::start(directory.path(), &["--cache-control", "max-age=1", "--trust-proxy", "127.0.0.1"]);
    let Some(varnish) = Proxy::varnish(&deployed_for("varnish.vcl", &[program.port(); 2])) else { return };
    // A hit has two ids: of its own request, and of the one that fetched the copy.
    let is_hit = |head: &str| header(head, "X-Varnish").is_some_and(|ids| ids.contains(' '));
    check_forwarding(&varnish, &large);
    check_cache(&varnish, &program, &directory, is_hit, "1.1");
    drop(varnish);
    program.finish();
}

/// Checks a cache for responses that are valid for a second.
fn check_cache(cache: &Proxy, program: &Program, directory: &TempDir, is_hit: impl Fn(&str) -> bool, version: &str) {
    let logged = |status: &str| {
        let line = format!("\"GET /text.txt HTTP/{version}\" {status}\n");
        program.messages().matches(&line).count()
    };
    let (mut hits, mut requests, mut first) = (0, 0, String::new());
    wait_until("the cache has revalidated three times, and served its copy meanwhile", || {
        let (status, head, body) = cache.get("/text.txt", "");
        assert_eq!((status, &*body), (200, &b"text"[..]), "{head}");
        requests += 1;
        hits += usize::from(is_hit(&head));
        first = head;
        logged("304 0") >= 3 && hits > 10
    });
    assert!(!program.messages().contains("\" 206 "), "parts are taken from the copy of the whole");
    // The server sent the content once, and has not seen the hits.
    wait_until("all is logged", || logged("200 4") + logged("304 0") + hits >= requests);
    assert_eq!((logged("200 4"), logged("304 0") + hits + 1), (1, requests));
    // A client of the cache revalidates, too, and gets parts.
    let tag = header(&first, "ETag").unwrap();
    let (status, _, body) = cache.get("/text.txt", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((status, body.len()), (304, 0));
    let (status, head, body) = cache.get("/text.txt", "Range: bytes=1-2\r\n");
    assert_eq!((status, &*body), (206, &b"ex"[..]), "{head}");
    assert_eq!(cache.get("/text.txt", "Range: bytes=4-\r\n").0, 416);
    // Changed content has another tag, so the cache fetches it.
    fs::write(directory.path().join("text.txt"), "other").unwrap();
    wait_until("the changed content is served", || cache.get("/text.txt", "").2 == b"other");
}

// R9110-10.2.2
#[test]
#[ignore = "beside real software: scripts/interop"]
fn redirects_and_links_keep_the_prefix_of_a_proxy() {
    let (directory, _) = site();
    fs::create_dir_all(directory.path().join("sub/deeper/foo:bar")).unwrap();
    let program = Program::start(directory.path(), &[]);
    let locations = "location = /ready { proxy_pass http://own; }\nlocation /prefix/ { proxy_pass http://own/; }\n\
                     merge_slashes off;";
    let Some(nginx) = nginx(&program, locations) else { return };
    let root = format!("http://127.0.0.1:{}", nginx.port);

    let redirects = [
        ("/prefix/sub", "/prefix/sub/"),
        ("/prefix/sub?sort=size", "/prefix/sub/?sort=size"),
        ("/prefix/sub/deeper", "/prefix/sub/deeper/"),
        ("/prefix/sub/deeper/foo:bar", "/prefix/sub/deeper/foo%3Abar/"),
        ("/prefix//sub", "/prefix//sub/"),
        ("/prefix/sub//deeper", "/prefix/sub//deeper/"),
    ];
    if let Some(curl) = tool("curl") {
        for (from, to) in redirects {
            let mut command = Command::new(&curl);
            command.args(["-sL", "-m", "10", "-o", "/dev/null", "-w", "%{url_effective} %{http_code}"]);
            let output = command.arg(format!("{root}{from}")).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{root}{to} 200"));
        }
    }
    if let Some(wget) = tool("wget") {
        for (from, to) in redirects {
            let output = Command::new(&wget).args(["-S", "-T", "10", "-O", "-", &format!("{root}{from}")]).output();
            let output = output.unwrap();
            let (page, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
            assert!(page.contains("<title>Index of /") && log.contains(&format!("{root}{to}")), "{log}");
        }
    }
    let Some(mut browser) = Browser::start() else { return };
    for (from, to) in redirects {
        browser.call("Page.navigate", serde_json::json!({"url": format!("{root}{from}")}));
        browser.wait_for_page(&format!("{root}{to}"));
        let outside =
            "[...document.links].map(a => a.href).filter(url => !url.startsWith(location.origin + '/prefix/'))";
        assert_eq!(browser.evaluate(outside), serde_json::json!([]), "links on {to}");
        assert_ne!(browser.evaluate("document.links.length"), 0);
    }
    // The page of an error leads to the start.
    for missing in ["/prefix/missing", "/prefix/missing/", "/prefix/sub/a/b/c", "/prefix/sub//a?b/c"] {
        browser.open(&format!("{root}{missing}"));
        assert_eq!(
            browser.evaluate("[...document.links].map(a => a.pathname)"),
            serde_json::json!(["/prefix/"]),
            "{missing}"
        );
    }
    drop(nginx);
    program.finish();
}
