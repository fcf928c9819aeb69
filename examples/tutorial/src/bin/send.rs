//! A troublemaker: it sends its arguments, with a pause after each.

use std::env;
use std::error::Error;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, pause, pieces @ ..] = arguments.as_slice() else { return Err("usage: send PORT PAUSE PIECE".into()) };
    let pause = Duration::from_millis(pause.parse()?);
    let mut server = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    let mut response = server.try_clone()?;
    let start = Instant::now();
    let reader = thread::spawn(move || {
        let _ = io::copy(&mut response, &mut io::stdout());
        println!("-- closed after {} s", start.elapsed().as_secs());
    });
    for piece in pieces {
        if reader.is_finished() || server.write_all(piece.replace(r"\r\n", "\r\n").as_bytes()).is_err() {
            break;
        }
        thread::sleep(pause);
    }
    let _ = server.shutdown(Shutdown::Write);
    reader.join().map_err(|_| "the reader panicked".into())
}
