//! A troublemaker: it reads the heads of responses, and the bodies only after Enter.

use std::cmp::Ordering;
use std::env;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, file, count] = arguments.as_slice() else { return Err("usage: slow PORT FILE COUNT".into()) };
    let mut responses = Vec::new();
    for _ in 0..count.parse::<usize>()? {
        let mut server = BufReader::new(TcpStream::connect(format!("127.0.0.1:{port}"))?);
        server.get_mut().write_all(format!("GET /{file} HTTP/1.0\r\n\r\n").as_bytes())?;
        let (mut promised, mut line) = (0, String::new());
        while server.read_line(&mut line)? > "\r\n".len() {
            if let Some(length) = line.strip_prefix("Content-Length: ") {
                promised = length.trim().parse()?;
            }
            line.clear();
        }
        println!("{promised} bytes are promised");
        responses.push((server, promised));
    }
    println!("press Enter to receive them");
    io::stdin().read_line(&mut String::new())?;
    for (mut server, promised) in responses {
        let received = io::copy(&mut server, &mut io::sink())?;
        match received.cmp(&promised) {
            Ordering::Less => println!("{received} bytes came: too few"),
            Ordering::Equal => println!("{received} bytes came, as promised"),
            Ordering::Greater => println!("{received} bytes came: too many"),
        }
    }
    Ok(())
}
