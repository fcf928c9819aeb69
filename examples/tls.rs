//! A directory over TLS, with rustls.
//!
//! It teaches that the protocol knows nothing of sockets: `blocking` drives `http_core::server::Connection` over any
//! stream. And it teaches how a TLS connection ends. A response that is complete is followed by a close_notify. One that
//! is not is followed by none, so that the client notices.
//!
//!     cargo run --bin tls certificate.pem key.pem examples/www
//!
//! Each connection has a thread, and nothing limits their number; see `threaded`.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use http_files::Files;
use http_server::blocking;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

fn main() -> Result<(), Box<dyn Error>> {
    let argument = |n| std::env::args().nth(n);
    let (Some(certificate), Some(key)) = (argument(1), argument(2)) else {
        return Err("usage: tls CERTIFICATE KEY [ROOT] [PORT]".into());
    };
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
    let mut config =
        ServerConfig::builder().with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    config.alpn_protocols = vec![b"http/1.1".into()]; // a client that speaks only HTTP/2 learns at once that we do not
    let config = Arc::new(config);
    let files = Arc::new(Files::new(argument(3).unwrap_or(".".into()).as_ref())?);

    let listener = TcpListener::bind(("localhost", argument(4).unwrap_or("8443".into()).parse()?))?;
    println!("listening on https://{}/", listener.local_addr()?);
    for client in listener.incoming() {
        let (Ok(client), config, files) = (client, config.clone(), files.clone()) else { continue };
        thread::spawn(move || {
            if let Err(error) = serve(client, config, &files) {
                eprintln!("{error}");
            }
        });
    }
    Ok(())
}

fn serve(socket: TcpStream, config: Arc<ServerConfig>, files: &Files) -> Result<(), Box<dyn Error>> {
    let peer = socket.peer_addr()?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_secs(15)))?;
    socket.set_write_timeout(Some(Duration::from_secs(15)))?;
    let mut stream = StreamOwned::new(ServerConnection::new(config)?, socket);
    blocking::serve_from(&mut stream, peer, files)?; // after an error, the socket is closed without close_notify

    stream.conn.send_close_notify();
    stream.flush()?;
    // The client may still be sending. Closing now could destroy what it has not received yet.
    stream.sock.shutdown(Shutdown::Write)?;
    stream.sock.set_read_timeout(Some(Duration::from_secs(2)))?;
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(2) && stream.sock.read(&mut [0; 4096])? > 0 {}
    Ok(())
}
