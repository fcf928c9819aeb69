//! A client that receives any bytes does not panic and uses bounded memory, and a complete body has its announced
//! length.
#![no_main]

use http_core::{Framing, ResponseError};
use http_core_fuzz::{Choices, Received, ask};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = Choices::split(input) else { return };
    let seen = ask(choices, bytes, true);
    let mut rest = bytes;
    for (number, event) in seen.iter().enumerate() {
        let Received::Response { bytes: head, body: framing, .. } = event else { continue };
        let (body, end) = match &seen[number + 1..] {
            [Received::Body(body), end, ..] => (&body[..], end),
            [end, ..] => (&b""[..], end),
            [] => panic!("a response without an end"),
        };
        let length = body.len() as u64;
        match (framing, end) {
            (Framing::Empty, Received::End) => assert_eq!(length, 0),
            (Framing::Length(n), Received::End) => assert_eq!(length, *n),
            (Framing::Length(n), Received::Failed(ResponseError::BodyTruncated)) => assert!(length < *n),
            (Framing::UntilClose, Received::End) => assert!(bytes.ends_with(body)),
            (
                Framing::Chunked,
                Received::End | Received::Failed(ResponseError::BodyTruncated | ResponseError::InvalidChunk),
            ) => {}
            other => panic!("{other:?}"),
        }
        // What was reported occurs in the input, in order.
        let message = if *framing == Framing::Chunked { head.clone() } else { [&head[..], body].concat() };
        let at = rest.windows(message.len().max(1)).position(|part| part == message);
        rest = &rest[at.map_or(0, |at| at + message.len())..];
        assert!(at.is_some() || message.is_empty(), "{}", message.escape_ascii());
    }
});
