//! Asks the other end of the serial line for the time, as the Date of a response, and then serves it. So it has both
//! halves of HTTP.
#![no_std]
#![no_main]
#![forbid(unsafe_code)]

extern crate alloc;

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::time::Duration;

use device::page::{self, Page};
use device::session::LIMITS;
use firmware::Board;
use http_core::client::{Connection, Event, Request};
use http_core::{Authority, Date, FieldBlock, FieldValue, Method, Target, header};

#[cortex_m_rt::entry]
fn main() -> ! {
    let Some(mut board) = Board::start() else { panic!() };
    let started = ask(&mut board);
    let find = |path: &[u8], uptime: Duration| match (path, started) {
        (b"/time", Some(started)) => {
            let now = Date::from_unix(started.unix() + uptime.as_secs() as i64)?;
            let body = Cow::Owned(now.text().as_bytes().to_vec());
            Some(Page { media_type: FieldValue::from_static("text/plain"), body })
        }
        _ => page::find(path, uptime),
    };
    board.serve(find)
}

/// When the device started, by the clock at the other end. `None` if that does not respond within five seconds.
fn ask(board: &mut Board) -> Option<Date> {
    let (mut connection, mut out, fields) = (Connection::new(LIMITS), Vec::new(), FieldBlock::new());
    let (target, host) = (Target::new(b"/").ok()?, Authority::new(b"host").ok()?);
    let request = Request { keep_alive: true, ..Request::new(Method::Head, target, host, &fields) };
    let _no_body = connection.request(&request, &mut out).ok()?;
    for byte in out {
        while !board.send(byte) {}
    }
    let mut date = None;
    loop {
        let now = board.now();
        match connection.poll().ok()? {
            Event::NeedInput => drop(board.receive().map(|byte| connection.receive(&[byte]))),
            Event::Response(head) => {
                let epoch = Date::from_unix(0)?;
                date = head.fields.only(header::DATE).and_then(|value| Date::parse(value.as_bytes(), epoch).ok());
            }
            Event::Body(_) => {}
            Event::ResponseEnd | Event::Closed => return date,
            _ => return None,
        }
        if now > Duration::from_secs(5) {
            return None;
        }
    }
}
