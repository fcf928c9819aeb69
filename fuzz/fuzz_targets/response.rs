//! Whatever bytes a client receives: no panic, bounded room, and no body is whole that is not as long as it says.
#![no_main]

use http_core::{Framing, ResponseError};
use http_core_fuzz::{Answered, Choices, ask};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = Choices::split(input) else { return };
    let seen = ask(choices, bytes, true);
    let mut rest = bytes;
    for (number, event) in seen.iter().enumerate() {
        let Answered::Response { bytes: head, body: framing, .. } = event else { continue };
        let (body, end) = match &seen[number + 1..] {
            [Answered::Body(body), end, ..] => (&body[..], end),
            [end, ..] => (&b""[..], end),
            [] => panic!("an answer without an end"),
        };
        let length = body.len() as u64;
        match (framing, end) {
            (Framing::Empty, Answered::End) => assert_eq!(length, 0),
            (Framing::Length(n), Answered::End) => assert_eq!(length, *n),
            (Framing::Length(n), Answered::Failed(ResponseError::BodyTruncated)) => assert!(length < *n),
            (Framing::UntilClose, Answered::End) => assert!(bytes.ends_with(body)),
            (
                Framing::Chunked,
                Answered::End | Answered::Failed(ResponseError::BodyTruncated | ResponseError::InvalidChunk),
            ) => {}
            other => panic!("{other:?}"),
        }
        // What is handed out stands in the input, in order.
        let message = if *framing == Framing::Chunked { head.clone() } else { [&head[..], body].concat() };
        let at = rest.windows(message.len().max(1)).position(|part| part == message);
        rest = &rest[at.map_or(0, |at| at + message.len())..];
        assert!(at.is_some() || message.is_empty(), "{}", message.escape_ascii());
    }
});
