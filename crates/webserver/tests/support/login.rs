//! Users for the tests of `--auth`, and clients that log in.

use std::net::{IpAddr, SocketAddr, TcpStream};

use http_core::auth::Basic;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

use super::TIMEOUT;

pub(crate) const PASSWORD: &str = "open sesame";

/// The line of a user whose password is [`PASSWORD`].
pub(crate) fn users_line(user: &str, cost: u32) -> String {
    format!("{user}:{}\n", bcrypt::hash_with_salt(PASSWORD, cost, [7; 16]).unwrap())
}

/// A header with these credentials.
pub(crate) fn authorization(user: &str, password: &str) -> String {
    let mut value = Vec::new();
    Basic::new(user.as_bytes(), password.as_bytes()).unwrap().append_to(&mut value);
    format!("Authorization: {}\r\n", String::from_utf8(value).unwrap())
}

/// Connects from this address of the machine, such as another one of 127.0.0.0/8.
pub(crate) fn connect_from(source: IpAddr, address: SocketAddr) -> TcpStream {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::new(source, 0)).unwrap();
    connect(&socket, &address).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream
}
