//! The same bytes give the same events and the same output in any pieces, for both machines, and so does a request that
//! is postponed.
#![no_main]

use http_core_fuzz::{Choices, ask, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, bytes)) = Choices::split(input) else { return };
    let (whole, bytewise) = (choices.with_cut(0).at_once(), choices.with_cut(1));
    if choices.of_client() {
        let expected = ask(whole, bytes, false);
        assert_eq!(ask(choices, bytes, false), expected);
        assert_eq!(ask(bytewise, bytes, false), expected);
    } else {
        let expected = serve(whole, bytes, false);
        assert_eq!(serve(choices, bytes, false), expected);
        assert_eq!(serve(bytewise, bytes, false), expected);
    }
});
