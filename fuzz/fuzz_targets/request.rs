//! Whatever bytes a server receives: no panic, bounded room, and no line in its output but those that were asked for.
#![no_main]

use http_core_fuzz::{Choices, Served, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = Choices::split(input) else { return };
    let (seen, out) = serve(choices, bytes, true);
    assert!(matches!(seen.last(), Some(Served::Closed(Some(_)))), "it closes for a reason");
    assert!(out.is_empty() || seen.len() > 1, "an answer to nothing");
    let refusals = seen.iter().filter(|seen| matches!(seen, Served::Refused(_))).count();
    assert!(refusals <= 1, "behind a refusal nothing is served");
    let bodies: usize = seen.iter().map(|seen| if let Served::Body(body) = seen { body.len() } else { 0 }).sum();
    assert!(bodies <= bytes.len());
});
