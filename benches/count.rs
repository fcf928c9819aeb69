//! Does the work of `core.rs` 10,000 times without a clock, so that callgrind can count its instructions. Counts repeat
//! exactly, whatever else the machine does.
//!
//!     cargo build --release -p benches --bin count
//!     valgrind --tool=callgrind --callgrind-out-file=/dev/null target/release/count receive
#![allow(clippy::unwrap_used, clippy::panic)] // a benchmark stops at the first failure

use std::hint::black_box;
use std::io::Write as _;

use benches::{BROWSER, exchange, exchange_in_ureq_proto, receive};
use http_core::server::{Connection, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status, Workspace};

const REPETITIONS: usize = 10_000;

fn main() {
    let mut workspace = Workspace::with_capacity(16_384);
    match std::env::args().nth(1).as_deref() {
        Some("httparse") => {
            for _ in 0..REPETITIONS {
                let mut fields = [httparse::EMPTY_HEADER; 24];
                let mut request = httparse::Request::new(&mut fields);
                black_box(request.parse(black_box(BROWSER)).unwrap());
            }
        }
        Some("receive") => {
            for _ in 0..REPETITIONS {
                let mut connection = Connection::new(Limits::default());
                black_box(receive(&mut connection, &mut workspace));
                connection.detach(&mut workspace);
            }
        }
        Some("exchange") => {
            let mut connection = Connection::new(Limits::default());
            let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
            let response = Response { body: ResponseBody::Length(1024), ..Response::new(Status::OK, &fields) };
            for _ in 0..REPETITIONS {
                exchange(&mut connection, &mut workspace, &response, &mut out);
                black_box(&out);
            }
        }
        Some("ureq-proto") => {
            let mut out = [0; 512];
            for _ in 0..REPETITIONS {
                black_box(exchange_in_ureq_proto(black_box(BROWSER), &mut out));
                black_box(&out);
            }
        }
        // The input of all the others, for programs in other languages.
        Some("head") => std::io::stdout().write_all(BROWSER).unwrap(),
        _ => panic!("usage: count httparse|receive|exchange|ureq-proto|head"),
    }
}
