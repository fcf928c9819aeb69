//! Tests of the server over TLS, with curl and with a client of rustls.
#![cfg(test)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// More than the buffers of both sides hold.
const LARGE: u64 = 64 << 20;

/// The program, serving a directory of its own. Dropping it ends the program.
struct Server {
    child: Child,
    port: u16,
    directory: PathBuf,
}

impl Server {
    /// `None` if openssl is not installed, which is an error in CI.
    fn start(name: &str) -> Option<Server> {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(directory.join("www")).unwrap();
        fs::write(directory.join("www/page.html"), "<p>hello").unwrap();
        File::create(directory.join("www/large")).unwrap().set_len(LARGE).unwrap();
        let arguments = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost \
                         -addext subjectAltName=DNS:localhost -addext basicConstraints=critical,CA:FALSE \
                         -keyout key.pem -out certificate.pem";
        run("openssl", Command::new("openssl").args(arguments.split_whitespace()).current_dir(&directory))?;
        let mut child = Command::new(env!("CARGO_BIN_EXE_tls"))
            .args(["certificate.pem", "key.pem", "www", "0"])
            .current_dir(&directory)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim_end().trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        Some(Server { child, port, directory })
    }

    fn connect(&self) -> StreamOwned<ClientConnection, TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.directory.join("certificate.pem")).unwrap()).unwrap();
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        let connection = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let socket = TcpStream::connect(("localhost", self.port)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        StreamOwned::new(connection, socket)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The output of a program that must succeed.
fn run(name: &str, command: &mut Command) -> Option<String> {
    match command.output() {
        Ok(output) => {
            assert!(output.status.success(), "{output:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) if error.kind() == ErrorKind::NotFound && std::env::var_os("CI").is_none() => {
            // Not by eprintln, which the test harness captures.
            let _ = io::stderr().write_all(format!("MISSING: {name}\n").as_bytes());
            None
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

#[test]
fn curl_fetches_files_over_one_connection() {
    let Some(server) = Server::start("tls-curl") else { return };
    let url = |path: &str| format!("https://localhost:{}{path}", server.port);
    let mut curl = Command::new("curl");
    curl.args(["-q", "-sS", "-m", "60", "--noproxy", "*", "--cacert"]).arg(server.directory.join("certificate.pem"));
    curl.args(["-w", "%{num_connects} %{http_code} %{ssl_verify_result} %{size_download}\n", "-o", "/dev/null"]);
    curl.args(["-o", "/dev/null"]).args([url("/page.html"), url("/large")]);
    let Some(output) = run("curl", &mut curl) else { return };
    assert_eq!(output, "1 200 0 8\n0 200 0 67108864\n");
}

#[test]
fn complete_response_is_followed_by_close_notify() {
    let Some(server) = Server::start("tls-complete") else { return };
    let mut client = server.connect();
    client.write_all(b"GET /page.html HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap(); // without close_notify, an error
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n") && response.ends_with("\r\n\r\n<p>hello"), "{response}");
}

#[test]
fn truncated_response_is_not_followed_by_close_notify() {
    let Some(server) = Server::start("tls-truncated") else { return };
    let mut client = server.connect();
    client.write_all(b"GET /large HTTP/1.0\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    File::options().write(true).open(server.directory.join("www/large")).unwrap().set_len(0).unwrap();
    let mut rest = Vec::new();
    let error = client.read_to_end(&mut rest).unwrap_err();
    assert!((rest.len() as u64) < LARGE, "{} bytes, then {error}", rest.len());
    assert!(matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset), "{error:?}");
}

#[test]
fn client_without_tls_harms_no_other() {
    let Some(server) = Server::start("tls-plain") else { return };
    let mut plain = TcpStream::connect(("localhost", server.port)).unwrap();
    plain.write_all(b"GET /page.html HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer); // an alert or a reset
    assert!(!answer.starts_with(b"HTTP/"), "{}", answer.escape_ascii());
    let silent = TcpStream::connect(("localhost", server.port)).unwrap();
    let mut client = server.connect();
    client.write_all(b"HEAD /page.html HTTP/1.0\r\n\r\n").unwrap();
    let mut response = String::new();
    client.read_to_string(&mut response).unwrap();
    assert!(response.starts_with("HTTP/1.0 200 OK\r\n"), "{response}");
    drop(silent);
}
