//! Times parts of `http-core`: receiving a request head, beside bare `httparse`; writing a response head; one complete
//! exchange, beside `ureq-proto`; and the heads that cost most.
#![allow(missing_docs, clippy::unwrap_used)] // a benchmark stops at the first failure

use std::hint::black_box;

use benches::{BROWSER, receive};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_core::server::{Connection, Response, ResponseBody};
use http_core::{Date, FieldBlock, FieldValue, Limits, Status, Workspace, header};

fn parse(c: &mut Criterion) {
    let mut group = c.benchmark_group("parse a browser's request head");
    group.throughput(Throughput::Bytes(BROWSER.len() as u64));
    group.bench_function("bare httparse", |b| {
        b.iter(|| {
            let mut fields = [httparse::EMPTY_HEADER; 24];
            let mut request = httparse::Request::new(&mut fields);
            black_box(request.parse(black_box(BROWSER)).unwrap());
        });
    });
    group.bench_function("http-core: receive, scan, validate, index", |b| {
        let mut workspace = Workspace::with_capacity(16_384);
        b.iter(|| {
            let mut connection = Connection::new(Limits::default());
            black_box(receive(&mut connection, &mut workspace, black_box(BROWSER)));
            connection.detach(&mut workspace);
        });
    });
    group.finish();
}

fn fields() -> FieldBlock {
    let mut fields = FieldBlock::new();
    fields.push(header::CONTENT_TYPE, FieldValue::from_static("text/html; charset=utf-8")).unwrap();
    fields.push(header::LAST_MODIFIED, FieldValue::from_static("Sun, 06 Nov 1994 08:49:37 GMT")).unwrap();
    fields
}

fn serialize(c: &mut Criterion) {
    let fields = fields();
    let date = Date::from_unix(784_111_777).map(Date::text);
    let response = Response { body: ResponseBody::Length(1024), date, ..Response::new(Status::OK, &fields) };
    let mut out = Vec::with_capacity(512);
    c.bench_function("serialize one response head", |b| {
        b.iter_batched_ref(
            || {
                let mut connection = Connection::new(Limits::default());
                let _ = receive(&mut connection, &mut Workspace::with_capacity(1024), BROWSER);
                connection
            },
            |connection| {
                out.clear();
                black_box(connection.respond(&response, &mut out).unwrap())
            },
            criterion::BatchSize::SmallInput,
        );
    });
}

fn exchange(c: &mut Criterion) {
    let fields = fields();
    let date = Date::from_unix(784_111_777).map(Date::text);
    let response = Response { body: ResponseBody::Length(1024), date, ..Response::new(Status::OK, &fields) };
    let mut group = c.benchmark_group("one exchange in memory, keep-alive");
    group.bench_function("http-core", |b| {
        let mut workspace = Workspace::with_capacity(16_384);
        let mut connection = Connection::new(Limits::default());
        let mut out = Vec::with_capacity(512);
        b.iter(|| {
            benches::exchange(&mut connection, &mut workspace, black_box(BROWSER), &response, &mut out);
            black_box(&out);
        });
    });
    group.bench_function("ureq-proto, with fewer headers", |b| {
        let mut out = [0; 512];
        b.iter(|| {
            black_box(benches::exchange_in_ureq_proto(black_box(BROWSER), &mut out));
            black_box(&out);
        });
    });
    group.finish();
}

/// The heads that cost most: thousands of continuation lines, of a long name and of a short one.
fn folded(c: &mut Criterion) {
    let mut group = c.benchmark_group("receive a folded head of 16 KiB");
    for (name, lines) in [(8100, 4100), (1, 8150)] {
        let head = format!("GET / HTTP/1.0\n{}:\n{}\n", "A".repeat(name), " \n".repeat(lines));
        let mut workspace = Workspace::with_capacity(16_384);
        group.bench_function(format!("{lines} lines of a name of {name} bytes"), |b| {
            b.iter(|| {
                let mut connection = Connection::new(Limits::default());
                connection.attach(&mut workspace);
                assert_eq!(connection.receive(black_box(head.as_bytes())), head.len());
                assert!(connection.poll().is_ok());
                connection.detach(&mut workspace);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, parse, serialize, exchange, folded);
criterion_main!(benches);
