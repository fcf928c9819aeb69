//! A peer that sees every byte: how requests are sent, and answers cut and read. It forgives nothing.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Nothing on one machine takes so long, however busy it is.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// One response with a status line.
#[derive(Debug)]
pub(crate) struct Action {
    pub(crate) status: u16,
    /// Status line and fields, with the empty line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Action {
    /// The value of a field that stands once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let fields = self.head.split("\r\n").skip(1).filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(n, _)| *n == name).map(|(_, value)| value);
        values.next().filter(|_| values.next().is_none())
    }

    pub(crate) fn content_length(&self) -> Option<usize> {
        self.field("Content-Length")?.parse().ok()
    }

    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap()
    }

    /// Whether its connection lives on.
    pub(crate) fn is_idle_keep_alive(&self) -> bool {
        match self.field("Connection") {
            Some("keep-alive") => true,
            Some("close") => false,
            other => panic!("Connection is {other:?}: {}", self.head),
        }
    }

    /// From a head alone.
    fn from_head(head: &[u8]) -> Result<Action, String> {
        let shown = || head.escape_ascii().to_string();
        let head = str::from_utf8(head).map_err(|_| format!("a head that is no ASCII: {}", shown()))?;
        // R1945-3.1d, R1945-2.2a: lines end with CRLF, and no other control is in a head.
        if !head.split("\r\n").all(|line| line.bytes().all(|c| matches!(c, b' '..=b'~'))) {
            return Err(format!("a control in the head: {}", shown()));
        }
        let status = head.strip_prefix("HTTP/1.0 ").and_then(|line| line.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| format!("no status line: {}", shown()))?;
        Ok(Action { status, head: head.into(), body: Vec::new() })
    }

    /// Bytes of body that follow the head.
    fn expected(&self, to_head: bool) -> Result<usize, String> {
        match self.status {
            204 | 304 => Ok(0),
            _ if to_head => Ok(0),
            _ => self.content_length().ok_or_else(|| format!("no Content-Length: {}", self.head)),
        }
    }
}

/// Cuts a stream into answers, with nothing between or behind them. `to_head`: the first answers a HEAD.
pub(crate) fn answers(mut rest: &[u8], to_head: bool) -> Result<Vec<Action>, String> {
    let mut answers = Vec::new();
    while !rest.is_empty() {
        let end = rest.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(|| format!("no head: {}", rest[..rest.len().min(400)].escape_ascii()))?;
        let (head, behind) = rest.split_at(end + 4);
        let mut answer = Action::from_head(head)?;
        let length = answer.expected(to_head && answers.is_empty())?;
        let cut = behind.split_at_checked(length);
        let (body, behind) = cut.ok_or_else(|| format!("{} bytes instead of {length}", behind.len()))?;
        answer.body = body.to_vec();
        answers.push(answer);
        rest = behind;
    }
    Ok(answers)
}

pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Everything until the server closes, which it must.
pub(crate) fn read_to_end(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// One answer of a connection that may go on behind it.
pub(crate) fn read_answer(stream: &mut impl Read) -> Action {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap_or_else(|error| panic!("{error} after {:?}", head.escape_ascii()));
        head.push(byte[0]);
    }
    let mut answer = Action::from_head(&head).unwrap();
    answer.body = vec![0; answer.expected(false).unwrap()];
    stream.read_exact(&mut answer.body).unwrap();
    answer
}

/// One connection with one answer, after which the server closes.
pub(crate) fn exchange(address: SocketAddr, request: &[u8]) -> Action {
    let mut stream = connect(address);
    stream.write_all(request).unwrap();
    let bytes = read_to_end(&mut stream).unwrap();
    let mut answers = answers(&bytes, request.starts_with(b"HEAD ")).unwrap();
    assert_eq!(answers.len(), 1, "to {}", request.escape_ascii());
    let answer = answers.remove(0);
    assert!(!answer.is_idle_keep_alive());
    answer
}

pub(crate) fn get(address: SocketAddr, target: &str) -> Action {
    get_as(address, "GET", target, "")
}

/// `fields` are whole lines.
pub(crate) fn get_as(address: SocketAddr, method: &str, target: &str, fields: &str) -> Action {
    exchange(address, format!("{method} {target} HTTP/1.0\r\n{fields}\r\n").as_bytes())
}

/// A GET that asks for the connection to be kept.
pub(crate) fn keep_alive(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").into_bytes()
}
