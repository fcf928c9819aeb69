//! The same octets in any pieces are the same events and the same output, for both machines.
#![no_main]

use http_core_fuzz::{Choices, ask, serve};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choices, octets)) = Choices::split(input) else { return };
    let (whole, bytewise) = (choices.with_cut(0), choices.with_cut(1));
    if choices.of_client() {
        let expected = ask(whole, octets, false);
        assert_eq!(ask(choices, octets, false), expected);
        assert_eq!(ask(bytewise, octets, false), expected);
    } else {
        let expected = serve(whole, octets, false);
        assert_eq!(serve(choices, octets, false), expected);
        assert_eq!(serve(bytewise, octets, false), expected);
    }
});
