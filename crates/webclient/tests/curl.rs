//! The same responses, usual, odd and broken, through http-core's client and through curl with both versions. The
//! outcomes are equal, or the case has what curl does and why. `docs/differential.md` lists the differences, and the
//! test compares the page with them. Other versions of curl than the one named there may behave like it or like us.
// Clippy then treats the helpers, too, as test code.
#![cfg(test)]

mod peers;
#[path = "peers/responses.rs"]
#[allow(dead_code, reason = "another test plays other ends")]
mod responses;

use std::fs;

use http_core::client::Leniency;
use peers::tool;
use responses::{Difference, Ending::Close, PAGE, cases, escaped, of_core, of_curl};

/// The outcome does not depend on the version.
const VERSIONS: [&str; 2] = ["--http1.0", "--http1.1"];

#[test]
fn responses_are_understood_as_by_curl() {
    let (cases, curl) = (cases(), tool("curl").is_some());
    let (mut faults, mut table, mut differing) = (Vec::new(), String::new(), 0);
    for case in &cases {
        let (name, response, here) = (case.name, escaped(&case.response), of_core(case, Leniency::NONE, Close));
        if let Some(Difference { curl, why, rules }) = &case.differs {
            table += &format!("| {name} | `{response}` | {here} | {curl} | {why} | {rules} |\n");
            differing += 1;
            if *curl == here {
                faults.push(format!("{name}: curl does not differ"));
            }
        }
        for version in VERSIONS.iter().filter(|_| curl) {
            let there = of_curl(case, version, Close);
            if there != here && case.differs.as_ref().is_none_or(|difference| difference.curl != there) {
                faults.push(format!("{name} ({response}): {here}, curl {version}: {there}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));

    if let Ok(page) = fs::read_to_string(PAGE) {
        assert!(page.contains(&table), "docs/differential.md should have these rows of curl:\n{table}");
        let counts = format!("{} responses, of which {differing}", cases.len());
        assert!(page.contains(&counts), "docs/differential.md should contain: {counts}");
    }
}

// D18
#[test]
fn leniency_accepts_what_devices_send() {
    let mut table = String::new();
    for case in cases() {
        let (strict, lenient) = (of_core(&case, Leniency::NONE, Close), of_core(&case, Leniency::ALL, Close));
        if lenient != strict {
            let curl = case.differs.as_ref().map_or(&strict, |difference| &difference.curl);
            assert_eq!(case.lenient.is_some(), lenient != *curl, "a reason to differ from curl: {}", case.name);
            let why = case.lenient.unwrap_or("as curl");
            table += &format!("| {} | {strict} | {lenient} | {curl} | {why} |\n", case.name);
        }
    }
    if let Ok(page) = fs::read_to_string(PAGE) {
        assert!(page.contains(&table), "docs/differential.md should have these rows of leniency:\n{table}");
    }
}
