//! A troublemaker: it connects as often as it is told, and says nothing.

use std::env;
use std::error::Error;
use std::io;
use std::net::TcpStream;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [port, count] = arguments.as_slice() else { return Err("usage: silent PORT COUNT".into()) };
    let mut connections = Vec::new();
    for _ in 0..count.parse::<usize>()? {
        connections.push(TcpStream::connect(format!("127.0.0.1:{port}"))?);
    }
    println!("connections: {count}; press Enter to close them");
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}
