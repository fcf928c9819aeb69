//! A client that checks every byte: it sends requests, and reads and splits responses. It tolerates no deviation.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longer than anything takes on one machine, however busy it is.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);

/// One response with a status line.
#[derive(Debug)]
pub(crate) struct ReceivedResponse {
    pub(crate) status: u16,
    /// The status line and headers, with the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl ReceivedResponse {
    /// The value of a header that occurs exactly once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let headers = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        let mut values = headers.filter(|(n, _)| *n == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }

    /// The head without its Date.
    pub(crate) fn undated_head(&self) -> String {
        self.head.split_inclusive("\r\n").filter(|line| !line.starts_with("Date: ")).collect()
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.header("Content-Length")?.parse().ok()
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Whether the connection stays open.
    pub(crate) fn keeps_alive(&self) -> bool {
        match self.header("Connection") {
            Some("keep-alive") => true,
            Some("close") => false,
            other => panic!("Connection is {other:?}: {}", self.head),
        }
    }

    /// Parses a head. The body is still empty.
    fn from_head(head: &[u8]) -> Result<ReceivedResponse, String> {
        let shown = || head.escape_ascii().to_string();
        let head = str::from_utf8(head).map_err(|_| format!("a head that is not ASCII: {}", shown()))?;
        // R1945-3.1d, R1945-2.2a: lines end with CRLF, and a head contains no other control character.
        if !head.split("\r\n").all(|line| line.bytes().all(|c| matches!(c, b' '..=b'~'))) {
            return Err(format!("a control character in the head: {}", shown()));
        }
        let status = head.strip_prefix("HTTP/1.0 ").and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {}", shown()))?;
        Ok(ReceivedResponse { status, head: head.into(), body: Vec::new() })
    }

    /// The length of the body that follows the head.
    fn expected_length(&self, to_head: bool) -> Result<usize, String> {
        match self.status {
            204 | 304 => Ok(0),
            _ if to_head => Ok(0),
            _ => self.content_length().ok_or_else(|| format!("no Content-Length: {}", self.head)),
        }
    }
}

/// Splits a stream into responses, with nothing between or after them. `to_head`: the first one is to a HEAD request.
pub(crate) fn parse_responses(mut rest: &[u8], to_head: bool) -> Result<Vec<ReceivedResponse>, String> {
    let mut responses = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| format!("no head: {}", rest[..rest.len().min(400)].escape_ascii()))?;
        let (head, after) = rest.split_at(end + 4);
        let mut response = ReceivedResponse::from_head(head)?;
        let length = response.expected_length(to_head && responses.is_empty())?;
        let parts = after.split_at_checked(length);
        let (body, after) = parts.ok_or_else(|| format!("{} bytes instead of {length}", after.len()))?;
        response.body = body.to_vec();
        responses.push(response);
        rest = after;
    }
    Ok(responses)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, TIMEOUT).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    stream.set_write_timeout(Some(TIMEOUT)).unwrap();
    stream
}

/// Connects and sends these bytes.
pub(crate) fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = connect(address);
    stream.write_all(bytes).unwrap();
    stream
}

/// Reads until the server closes the connection, which it must.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads one response. More may follow on the connection.
pub(crate) fn read_response(stream: &mut impl Read) -> ReceivedResponse {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {:?}", head.escape_ascii()));
        head.push(byte[0]);
    }
    let mut response = ReceivedResponse::from_head(&head).unwrap();
    response.body = vec![0; response.expected_length(false).unwrap()];
    stream.read_exact(&mut response.body).unwrap();
    response
}

/// Sends a request on a new connection and reads the one response, after which the server closes.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> ReceivedResponse {
    let bytes = read_to_end(&mut send(address, request)).unwrap();
    let mut responses = parse_responses(&bytes, request.starts_with(b"HEAD ")).unwrap();
    assert_eq!(responses.len(), 1, "responses to {}", request.escape_ascii());
    let response = responses.remove(0);
    assert!(!response.keeps_alive());
    response
}

pub(crate) fn get(address: SocketAddr, target: &str) -> ReceivedResponse {
    fetch(address, "GET", target, "")
}

/// Sends an HTTP/1.0 request with these headers, which are complete lines.
pub(crate) fn fetch(address: SocketAddr, method: &str, target: &str, headers: &str) -> ReceivedResponse {
    exchange(address, format!("{method} {target} HTTP/1.0\r\n{headers}\r\n").as_bytes())
}

/// A GET request that asks to keep the connection.
pub(crate) fn keep_alive(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").into_bytes()
}
