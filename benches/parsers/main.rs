//! Times the core beside other parsers and libraries: on request heads of 80, 640 and 4,000 bytes as a server, and on a
//! response head of 400 bytes as a client.
//!
//!     cargo bench -p benches --features parsers --bench parsers
//!
//! The work differs, and each name says what is included. httparse and picohttpparser split a head. actix-http, ureq-proto
//! and http-core also decide on framing and persistence. hyper has no parser for others, so it does complete exchanges
//! with a connection in memory. picohttpparser is left out if it is not installed (Debian package: libh2o0.13).
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // it prints, and stops at a failure

mod hyper_in_memory;
mod picohttpparser;

use std::hint::black_box;

use actix_codec::Decoder;
use actix_http::h1;
use benches::{BROWSER, CURL, RESPONSE, with_cookies};
use bytes::BytesMut;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use http_core::server::{Connection, Response, ResponseBody};
use http_core::{FieldBlock, Limits, Status, Workspace, client};
use picohttpparser::Picohttpparser;
use tokio::task::LocalSet;

fn server(c: &mut Criterion) {
    let local = LocalSet::new();
    let _guard = local.enter(); // actix-http starts a task for its clock
    let pico = Picohttpparser::build();
    for head in [CURL, BROWSER, &with_cookies()] {
        let mut group = c.benchmark_group(format!("request head of {} bytes", head.len()));
        group.throughput(Throughput::Bytes(head.len() as u64));
        bench_httparse(&mut group, head);
        if let Some(pico) = &pico {
            group.bench_function("picohttpparser: parse", |b| b.iter_custom(|n| pico.parse("request", head, n)));
        }
        group.bench_function("http-core: receive", |b| {
            let mut workspace = Workspace::with_capacity(16_384);
            b.iter(|| {
                let mut connection = Connection::new(Limits::default());
                black_box(benches::receive(&mut connection, &mut workspace, black_box(head)));
                connection.detach(&mut workspace);
            });
        });
        group.bench_function("actix-http: decode", |b| {
            let (mut codec, mut buffer) = (h1::Codec::default(), BytesMut::with_capacity(16_384));
            b.iter(|| {
                buffer.extend_from_slice(black_box(head));
                black_box(codec.decode(&mut buffer).unwrap().unwrap());
            });
        });
        group.bench_function("http-core: exchange", |b| {
            let (mut workspace, mut connection) =
                (Workspace::with_capacity(16_384), Connection::new(Limits::default()));
            let (fields, mut out) = (FieldBlock::new(), Vec::with_capacity(512));
            let response = Response { body: ResponseBody::Length(1024), ..Response::new(Status::OK, &fields) };
            b.iter(|| {
                benches::exchange(&mut connection, &mut workspace, black_box(head), &response, &mut out);
                black_box(&out);
            });
        });
        group.bench_function("ureq-proto: exchange", |b| {
            let mut out = [0; 512];
            b.iter(|| {
                black_box(benches::exchange_in_ureq_proto(black_box(head), &mut out));
                black_box(&out);
            });
        });
        group.bench_function("hyper: exchange", |b| b.iter_custom(|n| hyper_in_memory::serve(head, n)));
    }
}

fn bench_httparse(group: &mut BenchmarkGroup<'_, WallTime>, head: &[u8]) {
    group.bench_function("httparse: parse", |b| {
        b.iter(|| {
            let mut fields = [httparse::EMPTY_HEADER; 24];
            let mut request = httparse::Request::new(&mut fields);
            black_box(request.parse(black_box(head)).unwrap());
        });
    });
}

fn client(c: &mut Criterion) {
    let local = LocalSet::new();
    let _guard = local.enter();
    let mut group = c.benchmark_group(format!("response head of {} bytes", RESPONSE.len()));
    group.throughput(Throughput::Bytes(RESPONSE.len() as u64));
    group.bench_function("httparse: parse", |b| {
        b.iter(|| {
            let mut fields = [httparse::EMPTY_HEADER; 24];
            let mut response = httparse::Response::new(&mut fields);
            black_box(response.parse(black_box(RESPONSE)).unwrap());
        });
    });
    if let Some(pico) = Picohttpparser::build() {
        group.bench_function("picohttpparser: parse", |b| b.iter_custom(|n| pico.parse("response", RESPONSE, n)));
    }
    group.bench_function("actix-http: decode", |b| {
        let mut buffer = BytesMut::with_capacity(16_384);
        b.iter(|| {
            buffer.clear();
            buffer.extend_from_slice(black_box(RESPONSE));
            black_box(h1::ClientCodec::default().decode(&mut buffer).unwrap().unwrap());
        });
    });
    group.bench_function("http-core: request and response", |b| {
        let (mut workspace, mut out) = (Workspace::with_capacity(16_384), Vec::with_capacity(512));
        b.iter(|| {
            let mut connection = client::Connection::new(Limits::default());
            black_box(benches::request(&mut connection, &mut workspace, &mut out, black_box(RESPONSE)));
            connection.detach(&mut workspace);
        });
    });
    group.bench_function("ureq-proto: request and response", |b| {
        let mut out = [0; 512];
        b.iter(|| {
            let request = http::Request::head("http://localhost/a.txt").body(()).unwrap();
            let mut call = ureq_proto::client::Call::new(request).unwrap().proceed();
            black_box(call.write(&mut out).unwrap());
            let Ok(Some(ureq_proto::client::SendRequestResult::RecvResponse(mut call))) = call.proceed() else {
                panic!()
            };
            black_box(call.try_response(black_box(RESPONSE), false).unwrap());
        });
    });
    group.bench_function("hyper: request and response", |b| b.iter_custom(|n| hyper_in_memory::request(RESPONSE, n)));
}

criterion_group!(benches, server, client);
criterion_main!(benches);
