//! Does the work of `core.rs` 10,000 times without a clock, so that callgrind can count its instructions. Counts repeat
//! exactly, whatever else the machine does.
//!
//!     cargo build --release -p benches --bin count
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/count receive
#![allow(clippy::unwrap_used, clippy::panic)] // a benchmark stops at the first failure

use std::hint::black_box;
use std::io::Write as _;

use benches::{BROWSER, CURL, RESPONSE, exchange, exchange_in_ureq_proto, receive, request, with_cookies};
use http_core::server::{Connection, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status, Workspace, client};

const REPETITIONS: usize = 10_000;

fn main() {
    let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::with_capacity(512));
    let (work, size) = (std::env::args().nth(1), std::env::args().nth(2));
    let head = match size.as_deref() {
        Some("80") => CURL,
        None | Some("640") => BROWSER,
        Some("4000") => &with_cookies(),
        _ => panic!("expected 80, 640 or 4000"),
    };
    let repeat = |f: &mut dyn FnMut()| (0..REPETITIONS).for_each(|_| f());
    match work.as_deref() {
        Some("httparse") => repeat(&mut || {
            let mut fields = [httparse::EMPTY_HEADER; 24];
            let mut request = httparse::Request::new(&mut fields);
            black_box(request.parse(black_box(head)).unwrap());
        }),
        Some("receive") => repeat(&mut || {
            let mut connection = Connection::new(Limits::default());
            black_box(receive(&mut connection, &mut workspace, black_box(head)));
            connection.detach(&mut workspace);
        }),
        Some("exchange") => {
            let (mut connection, fields) = (Connection::new(Limits::default()), FieldBlock::new());
            let response = Response { body: ResponseBody::Length(1024), ..Response::new(Status::OK, &fields) };
            repeat(&mut || {
                exchange(&mut connection, &mut workspace, black_box(head), &response, &mut out);
                black_box(&out);
            });
        }
        Some("ureq-proto") => {
            let mut out = [0; 512];
            repeat(&mut || {
                black_box(exchange_in_ureq_proto(black_box(head), &mut out));
                black_box(&out);
            });
        }
        Some("httparse-response") => repeat(&mut || {
            let mut fields = [httparse::EMPTY_HEADER; 24];
            let mut response = httparse::Response::new(&mut fields);
            black_box(response.parse(black_box(RESPONSE)).unwrap());
        }),
        Some("request") => repeat(&mut || {
            let mut connection = client::Connection::new(Limits::default());
            black_box(request(&mut connection, &mut workspace, &mut out, black_box(RESPONSE)));
            connection.detach(&mut workspace);
        }),
        // The input of all the others, for programs in other languages.
        Some("head") => std::io::stdout().write_all(head).unwrap(),
        _ => {
            panic!("usage: count httparse|receive|exchange|ureq-proto|head [80|640|4000], or httparse-response|request")
        }
    }
}
