//! A server that receives any bytes does not panic, uses bounded memory, and writes only the expected lines.
#![no_main]

use http_core_fuzz::{Choices, Served, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = Choices::split(input) else { return };
    let (seen, out) = serve(choices, bytes, true);
    assert!(matches!(seen.last(), Some(Served::Closed(Some(_)))), "it closes with a reason");
    assert!(out.is_empty() || seen.len() > 1, "a response without a request");
    let errors = seen.iter().filter(|seen| matches!(seen, Served::Rejected(_))).count();
    assert!(errors <= 1, "nothing is served after an error");
    let bodies: usize = seen.iter().map(|seen| if let Served::Body(body) = seen { body.len() } else { 0 }).sum();
    assert!(bodies <= bytes.len());
});
