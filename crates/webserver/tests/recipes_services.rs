//! Services around the server, as `docs/recipes/` says: OpenSSL fetches a CRL, Prometheus scrapes, Varnish caches, and
//! what Kubernetes does with a deployment is done to the program.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{
    PROGRAM, Program, Recipe, Service, connect_from, exchange, get, installed, read_to_end, requests, send, tool,
    wait_until,
};

fn command(text: &str) -> Command {
    let mut words = text.split_whitespace();
    let mut command = Command::new(tool(words.next().unwrap()).unwrap());
    command.args(words);
    command
}

/// A response that need not be of the program: the head and the body. The connection is closed after it.
fn fetch_from(client: Ipv4Addr, port: u16, path: &str, headers: &str) -> (String, Vec<u8>) {
    let mut stream = connect_from(client.into(), SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let bytes = read_to_end(&mut stream).unwrap();
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn openssl_downloads_the_crl_and_sees_a_revocation() {
    if !installed(&["openssl"], &[]) {
        return;
    }
    let recipe = Recipe::read("crl", "recipes_services.rs::openssl_downloads_the_crl_and_sees_a_revocation");
    fs::create_dir_all(recipe.path("srv/crl")).unwrap();
    let program = recipe.serve();
    let address = program.address().to_string();
    recipe.write("ca.cnf", recipe.block("[ca]").replace("localhost:6789", &address));
    recipe.run(recipe.block("req -x509"), &program);
    let response = get(program.address(), "/ca.crl");
    assert_eq!((response.status, response.header("Content-Type")), (200, Some("application/pkix-crl")));
    let verify = recipe.block("openssl verify");
    assert!(recipe.run(verify, &program).contains("client.pem: OK"));
    recipe.run(recipe.block("-revoke"), &program);
    let output = recipe.try_run(verify, &program);
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && printed.contains("certificate revoked"), "{printed}");
    // It has fetched the list both times.
    let messages = program.finish();
    let by_openssl = |request: &&Value| request["path"] == "/ca.crl" && request["status"] == 200;
    let requests = requests(&messages);
    let versions: Vec<_> = requests.iter().filter(by_openssl).map(|request| &request["request"]).collect();
    assert_eq!(versions, ["GET /ca.crl HTTP/1.0"; 3], "one of this test, two of OpenSSL");
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn prometheus_scrapes_the_metrics() {
    if !installed(&["prometheus"], &[]) {
        return;
    }
    let recipe = Recipe::read("prometheus", "recipes_services.rs::prometheus_scrapes_the_metrics");
    recipe.write("srv/www/index.html", "<p>index");
    let program = recipe.serve_with("127.0.0.1:9100", "127.0.0.1:0");
    let messages = program.messages();
    let metrics = messages.split_once("metrics at http://").unwrap().1.split_once('/').unwrap().0;
    let settings = recipe.block("scrape_configs").replace("127.0.0.1:9100", metrics);
    recipe.write("prometheus.yml", format!("global: {{scrape_interval: 1s}}\n{settings}\n"));
    let start = |port: u16| {
        let (file, data) = (recipe.path("prometheus.yml"), recipe.path("data"));
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        command(&format!("prometheus --config.file={file} --storage.tsdb.path={data} {listen}"))
    };
    let is_ready = |port: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        std::net::TcpStream::connect(address).is_ok()
            && fetch_from(Ipv4Addr::LOCALHOST, port, "/-/ready", "").0.contains(" 200 ")
    };
    let prometheus = Service::start(&recipe.path("output"), start, is_ready);
    // The sum of what a query finds.
    let value = |query: &str| -> Option<f64> {
        let (_, body) = fetch_from(Ipv4Addr::LOCALHOST, prometheus.port, &format!("/api/v1/query?query={query}"), "");
        let answer: Value = serde_json::from_slice(&body).ok()?;
        let samples = answer["data"]["result"].as_array()?;
        let values = samples.iter().map(|sample| sample["value"][1].as_str().unwrap().parse::<f64>().unwrap());
        (!samples.is_empty()).then(|| values.sum())
    };
    wait_until("the server is up", || value("up{job=%22webserver%22}") == Some(1.0));
    let accepted = "webserver_connections_accepted_total{job=%22webserver%22}";
    wait_until("there are counters", || value(accepted).is_some());
    let before = value(accepted).unwrap();
    for _ in 0..7 {
        assert_eq!(get(program.address(), "/").status, 200);
    }
    wait_until("the connections are counted", || value(accepted) == Some(before + 7.0));
    program.finish();
    wait_until("the server is down", || value("up{job=%22webserver%22}") == Some(0.0));
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn varnish_serves_from_its_cache() {
    if !installed(&["varnishd"], &[]) {
        return;
    }
    let recipe = Recipe::read("varnish", "recipes_services.rs::varnish_serves_from_its_cache");
    let content: Vec<u8> = (0..=250).cycle().take(300_000).collect();
    recipe.write("srv/www/file", &content);
    recipe.write("srv/www/ready", "");
    let program = recipe.serve();
    let settings = recipe.block("vcl 4.1").replace("\"6789\"", &format!("\"{}\"", program.port()));
    recipe.write("default.vcl", settings);
    let start = |port: u16| {
        let (file, own) = (recipe.path("default.vcl"), recipe.path("varnish"));
        command(&format!("varnishd -F -a 127.0.0.1:{port} -f {file} -n {own} -s malloc,16m -j none"))
    };
    let is_ready = |port: u16| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        std::net::TcpStream::connect(address).is_ok_and(|mut stream| {
            let sent = stream.write_all(b"GET /ready HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
            let mut head = String::new();
            sent.is_ok() && stream.read_to_string(&mut head).is_ok() && head.starts_with("HTTP/1.1 200 ")
        })
    };
    let varnish = Service::start(&recipe.path("output"), start, is_ready);
    let client = Ipv4Addr::new(127, 0, 0, 2);
    for _ in 0..2 {
        let (head, body) = fetch_from(client, varnish.port, "/file", "");
        assert!(head.starts_with("HTTP/1.1 200 ") && body == content, "{head}");
    }
    let (head, body) = fetch_from(client, varnish.port, "/file", "Range: bytes=100-199\r\n");
    assert!(head.starts_with("HTTP/1.1 206 ") && body == content[100..200], "{head}");
    drop(varnish);
    let requests = requests(&program.finish());
    let of_file: Vec<_> = requests.iter().filter(|request| request["path"] == "/file").collect();
    assert_eq!(of_file.len(), 1, "{of_file:?}");
    assert_eq!(of_file[0]["client"], "127.0.0.2");
}

/// The documents of a YAML file, by Debian's Python.
fn yaml(text: &str) -> Vec<Value> {
    let code = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))";
    let mut python = Command::new("/usr/bin/python3");
    let mut python = python.args(["-c", code]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn kubernetes_probes_and_stops_the_deployment() {
    if !installed(&["python3"], &["yaml"]) {
        return;
    }
    let recipe = Recipe::read("kubernetes", "recipes_services.rs::kubernetes_probes_and_stops_the_deployment");
    let documents = yaml(recipe.block("kind: Deployment"));
    let [deployment, service] = &documents[..] else { panic!("two documents") };
    let pod = &deployment["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"], service["spec"]["selector"]);
    assert_eq!(pod["metadata"]["labels"], deployment["spec"]["selector"]["matchLabels"]);
    let (pod, container) = (&pod["spec"], &pod["spec"]["containers"][0]);
    assert_eq!(container["volumeMounts"][0]["mountPath"], "/srv/www");

    recipe.write("srv/www/index.html", "<p>index");
    File::create(recipe.path("srv/www/large")).unwrap().set_len(64 << 20).unwrap();
    let arguments: Vec<_> = container["args"].as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
    let ports = container["ports"].as_array().unwrap();
    let port_named = |name: &Value| ports.iter().find(|port| port["name"] == *name).unwrap()["containerPort"].clone();
    let http = port_named(&"http".into());
    assert!(arguments.contains(&&*format!("--port={http}")), "{arguments:?}");
    assert!(arguments.contains(&&*format!("--metrics=0.0.0.0:{}", port_named(&"metrics".into()))), "{arguments:?}");
    assert_eq!(service["spec"]["ports"][0]["targetPort"], "http");
    let local = |argument: &&str| match *argument {
        argument if argument.starts_with("--port=") => "--port=0".into(),
        argument if argument.starts_with("--metrics=") => "--metrics=127.0.0.1:0".into(),
        argument => recipe.local(&argument.replace("/srv/www", "/srv/www/")),
    };
    // With the log on standard output, the ready line is on standard error.
    let (log, messages) = (recipe.path("log"), recipe.path("messages"));
    let mut program = Command::new(PROGRAM)
        .args(arguments.iter().map(local))
        .args(["--bind", "127.0.0.1"])
        .stdin(Stdio::null())
        .stdout(File::create(&log).unwrap())
        .stderr(File::create(&messages).unwrap())
        .spawn()
        .unwrap();
    let address = || -> Option<SocketAddr> {
        let messages = fs::read_to_string(&messages).unwrap();
        messages.split_once("listening on http://")?.1.split_once('/')?.0.parse().ok()
    };
    wait_until("the server is ready", || address().is_some());
    let address = address().unwrap();
    for probe in ["readinessProbe", "livenessProbe"] {
        let probe = &container[probe]["httpGet"];
        assert_eq!(port_named(&probe["port"]), http);
        let request = format!(
            "GET {} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: kube-probe/1.30\r\nAccept: */*\r\nConnection: close\r\n\r\n",
            probe["path"].as_str().unwrap()
        );
        let response = exchange(address, request.as_bytes());
        assert_eq!((response.status, response.text()), (200, "<p>index"));
    }

    let seconds = |value: &Value| value.as_u64().unwrap();
    let option = "--shutdown-timeout=";
    let for_responses: u64 =
        arguments.iter().find_map(|argument| argument.strip_prefix(option)).unwrap().parse().unwrap();
    let before = seconds(&container["lifecycle"]["preStop"]["sleep"]["seconds"]);
    assert!(before + for_responses < seconds(&pod["terminationGracePeriodSeconds"]));
    let mut download = send(address, b"GET /large HTTP/1.1\r\nHost: site\r\n\r\n");
    download.read_exact(&mut [0; 100]).unwrap();
    kill_process(Pid::from_child(&program), Signal::TERM).unwrap();
    let rest = read_to_end(&mut download).unwrap();
    assert!(rest.ends_with(&[0; 64 << 20]) && rest.len() < 65 << 20, "the download completes: {} bytes", rest.len());
    assert_eq!(program.wait().unwrap().code(), Some(0));
    let statuses: Vec<_> = requests(&fs::read_to_string(log).unwrap())
        .iter()
        .map(|request| (request["status"].as_u64().unwrap(), request["user_agent"].clone()))
        .collect();
    let probe = (200, "kube-probe/1.30".into());
    assert_eq!(statuses, [probe.clone(), probe, (200, Value::Null)]);
}

/// A ConfigMap as a kubelet mounts it.
struct ConfigMap<'a>(&'a Path);

impl ConfigMap<'_> {
    /// The content of a file in a version: of another length in each, and no part of one is a part of another.
    fn content(version: usize, file: &str) -> Vec<u8> {
        format!("{file} {version};").repeat(if file == "small" { 100 + version } else { 20_000 + version }).into_bytes()
    }

    /// What a kubelet does: a new directory, a link to it renamed over the old one, and then the old directory goes.
    fn update(&self, version: usize) {
        let name = |version: usize| format!("..2026_11_29_06_00_00.{version}");
        fs::create_dir(self.0.join(name(version))).unwrap();
        for file in ["small", "large"] {
            fs::write(self.0.join(name(version)).join(file), Self::content(version, file)).unwrap();
        }
        symlink(name(version), self.0.join("..data_tmp")).unwrap();
        fs::rename(self.0.join("..data_tmp"), self.0.join("..data")).unwrap();
        if version > 0 {
            fs::remove_dir_all(self.0.join(name(version - 1))).unwrap();
        } else {
            for file in ["small", "large"] {
                symlink(Path::new("..data").join(file), self.0.join(file)).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn an_update_of_a_config_map_is_served_at_once_and_mixes_nothing() {
    let directory = tempfile::TempDir::new().unwrap();
    let map = ConfigMap(directory.path());
    map.update(0);
    let program = Program::start(directory.path(), &[]);
    for hidden in ["/..data/small", "/..data/", "/..2026_11_29_06_00_00.0/small"] {
        assert_eq!(get(program.address(), hidden).status, 404, "{hidden}");
    }
    let listing = get(program.address(), "/");
    assert!(listing.text().contains("small") && !listing.text().contains("..data"));
    let (current, ends) = (AtomicUsize::new(0), AtomicBool::new(false));
    thread::scope(|scope| {
        for file in ["small", "large"] {
            let (current, ends, address) = (&current, &ends, program.address());
            scope.spawn(move || {
                let mut served = 0;
                while !ends.load(Ordering::SeqCst) {
                    let oldest = current.load(Ordering::SeqCst);
                    let response = get(address, &format!("/{file}"));
                    // The version may change during the request, once or more often.
                    let newest = current.load(Ordering::SeqCst) + 1;
                    let found = (oldest..=newest).find(|version| response.body == ConfigMap::content(*version, file));
                    assert!(response.status == 200 && found.is_some(), "{oldest}..{newest}: {}", response.head);
                    served += 1;
                }
                assert!(served > 0);
            });
        }
        for version in 1..200 {
            map.update(version);
            current.store(version, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(1));
        }
        ends.store(true, Ordering::SeqCst);
    });
    program.finish();
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn a_root_of_dot_dot_data_is_switched_with_the_config_map() {
    let directory = tempfile::TempDir::new().unwrap();
    let map = ConfigMap(directory.path());
    map.update(0);
    let program = Program::start(&directory.path().join("..data"), &[]);
    for version in 1..4 {
        map.update(version);
        let is_served =
            |file: &str| get(program.address(), &format!("/{file}")).body == ConfigMap::content(version, file);
        wait_until("the new version is served", || is_served("small"));
        assert!(is_served("large"), "both change at once");
    }
    program.finish();
}
