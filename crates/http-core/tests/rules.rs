//! Checks that a test names every rule and decision of `docs/protocol.md`, and that every name in the code is on that
//! page. It cannot check that the test shows the rule, only that it says so.
// Makes Clippy treat the helpers as test code, too.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The rules that are not implemented yet. The page marks each of them and gives the reason. Both lists must agree, so
/// that they change only on purpose.
const NOT_YET: [&str; 0] = [];

#[test]
fn every_rule_has_a_test_and_every_name_is_a_rule() {
    let Some(workspace) = workspace() else { return };
    let page = fs::read_to_string(workspace.join(PAGE)).unwrap();
    let (rules, mut faults) = rules(&page);
    let named = names(&workspace);

    let not_yet: BTreeSet<&str> = rules.iter().filter(|(_, not_yet)| **not_yet).map(|(id, _)| id.as_str()).collect();
    for id in not_yet.symmetric_difference(&BTreeSet::from(NOT_YET)) {
        faults.push(format!("{id}: marked as not yet in only one of {PAGE} and NOT_YET"));
    }
    for (id, not_yet) in &rules {
        let tests: Vec<&Name> = named.iter().filter(|name| name.id == *id && name.in_test).collect();
        match (not_yet, tests.first()) {
            (false, None) => faults.push(format!("{id}: no test names it")),
            (true, Some(name)) => faults.push(format!("{id}: marked as not yet, but {} names it", name.place)),
            _ => {}
        }
    }
    let ids_of_page = ids(&page).into_iter().map(|id| Name { id, place: PAGE.into(), in_test: false });
    for name in ids_of_page.chain(named).filter(|name| !rules.contains_key(&name.id)) {
        faults.push(format!("{}: {} names it, but there is no such rule", name.id, name.place));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    println!("{} rules and decisions, {} of them not yet", rules.len(), not_yet.len());
}

const PAGE: &str = "docs/protocol.md";

/// The directory of all packages. `None`, with a message, if this package was taken out of it.
fn workspace() -> Option<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = package.parent()?.parent()?;
    if workspace.join(PAGE).is_file() || workspace.join("crates/http-core").is_dir() {
        return Some(workspace.into());
    }
    // Written directly, because the harness hides what a passing test prints.
    let _ = io::stderr().write_all(b"SKIPPED: docs/protocol.md is not here, so no rule was checked\n");
    None
}

/// Each rule and decision of the page, and whether it is marked as not yet. Then the faults of the page itself.
fn rules(page: &str) -> (BTreeMap<String, bool>, Vec<String>) {
    let (mut rules, mut faults) = (BTreeMap::new(), Vec::new());
    for line in page.lines() {
        let (id, not_yet) = if let Some(rule) = line.strip_prefix("- **R") {
            let Some((id, bound, text)) = rule
                .split_once("** ")
                .and_then(|(id, rest)| rest.split_once(" — ").map(|(bound, text)| (id, bound, text)))
            else {
                faults.push(format!("not `- **id** bound — text`: {line}"));
                continue;
            };
            let (bound, not_yet) = bound.strip_suffix(", *not yet*").map_or((bound, false), |bound| (bound, true));
            if bound.is_empty() || !bound.split(' ').all(|role| matches!(role, "S" | "C" | "L")) || text.is_empty() {
                faults.push(format!("R{id}: binds {bound:?}"));
            }
            (format!("R{id}"), not_yet)
        } else if let Some((id, _)) = line.strip_prefix("| D").and_then(|row| row.split_once(" |")) {
            (format!("D{id}"), false)
        } else {
            continue;
        };
        if ids(&id) != [id.clone()] {
            faults.push(format!("{id} is not an id"));
        }
        if rules.insert(id.clone(), not_yet).is_some() {
            faults.push(format!("{id} is repeated"));
        }
    }
    if rules.len() < 200 {
        faults.push(format!("{} rules are not all of them", rules.len()));
    }
    (rules, faults)
}

/// An id and where it was found.
struct Name {
    id: String,
    place: String,
    in_test: bool,
}

/// All ids in the Rust files of the workspace and in the conformance cases.
fn names(workspace: &Path) -> Vec<Name> {
    let mut files = Vec::new();
    collect(workspace, &mut files);
    assert!(files.len() > 40, "{} files are not all of them", files.len());
    let mut names = Vec::new();
    for file in files {
        let place = file.strip_prefix(workspace).unwrap().display().to_string();
        if place == "crates/http-core/tests/rules.rs" {
            continue; // its ids are examples
        }
        let text = fs::read_to_string(&file).unwrap();
        let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
        let (code, tests) = if is_test { ("", text.as_str()) } else { text.split_at(tests_from(&text)) };
        for (part, in_test) in [(code, false), (tests, true)] {
            names.extend(ids(part).into_iter().map(|id| Name { id, place: place.clone(), in_test }));
        }
    }
    for line in include_str!("conformance/cases.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).unwrap();
        let place = format!("the case {}", case["id"]);
        let rule = case["rule"].as_str().unwrap_or_else(|| panic!("{place} names no rule"));
        names.extend(ids(rule).into_iter().map(|id| Name { id, place: place.clone(), in_test: true }));
    }
    names
}

/// Where the tests of a file begin. They come last.
fn tests_from(code: &str) -> usize {
    code.find("\n#[cfg(test)]\nmod ").unwrap_or(code.len())
}

/// The Rust files below a directory, except build outputs.
fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() && !path.is_symlink() && name != "target" && !name.starts_with('.') {
            collect(&path, files);
        } else if name.ends_with(".rs") && !name.starts_with('.') {
            files.push(path);
        }
    }
}

/// The ids in a text, in order, such as `R9112-2.2f` and `D8`. `D1 to D4` and `D1–D4` include the ids in between.
fn ids(text: &str) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    let mut rest = text;
    let mut before = ' ';
    // The previous id, if only a range sign separates it from this place.
    let mut range_from = None;
    while let Some(first) = rest.chars().next() {
        // `%0D1` and `\xD1` are not decisions.
        let free = !(before.is_alphanumeric() || matches!(before, '_' | '%' | '\\'));
        let length = if free { id_length(rest) } else { 0 };
        if length > 0 {
            let id = &rest[..length];
            if let Some(from) = range_from.take() {
                ids.extend(between(from, id));
            }
            ids.push(id.into());
            rest = &rest[length..];
            before = '0';
            let sign = [" to ", "–", "-"].into_iter().find(|sign| rest.starts_with(sign));
            if let Some(sign) = sign.filter(|sign| id_length(&rest[sign.len()..]) > 0) {
                range_from = Some(id);
                rest = &rest[sign.len()..];
                before = ' ';
            }
        } else {
            rest = &rest[first.len_utf8()..];
            before = first;
        }
    }
    ids
}

/// The length of the id at the front of the text, or 0.
fn id_length(text: &str) -> usize {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let is_word = |text: &str| text.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    if let Some(number) = text.strip_prefix('D') {
        let length = digits(number);
        return if length == 0 || is_word(&number[length..]) { 0 } else { 1 + length };
    }
    let Some(rfc) = text.strip_prefix('R').filter(|rfc| digits(rfc) == 4) else { return 0 };
    let Some(section) = rfc[4..].strip_prefix('-') else { return 0 };
    let length = section.bytes().take_while(|c| c.is_ascii_alphanumeric() || *c == b'.').count();
    // The full stop of a sentence is not part of it.
    let length = section[..length].trim_end_matches('.').len();
    if length == 0 { 0 } else { 6 + length }
}

/// The ids between two decisions, or between two letters of a section, without the two themselves.
fn between(from: &str, to: &str) -> Vec<String> {
    if let (Some(Ok(from)), Some(Ok(to))) =
        (from.strip_prefix('D').map(str::parse::<u32>), to.strip_prefix('D').map(str::parse))
    {
        return (from + 1..to).map(|number| format!("D{number}")).collect();
    }
    let (from_section, from) = from.split_at(from.len() - 1);
    let (to_section, to) = to.split_at(to.len() - 1);
    let letters = |id: &str| id.bytes().next().filter(u8::is_ascii_lowercase);
    match (letters(from), letters(to)) {
        (Some(from), Some(to)) if from_section == to_section => {
            (from + 1..to).map(|letter| format!("{from_section}{}", char::from(letter))).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn ids_finds_ids_and_nothing_else() {
    for (text, expected) in [
        ("// R1945-2.1, R9112-C.2.2: x", "R1945-2.1 R9112-C.2.2"),
        ("R1945-Ba/R1945-Bb; see R2068-19.7.1a.", "R1945-Ba R1945-Bb R2068-19.7.1a"),
        ("\"R6585-5\" (R3986-5.2.4)", "R6585-5 R3986-5.2.4"),
        ("D1 to D4, D8", "D1 D2 D3 D4 D8"),
        ("D1–D3 and D15-D16", "D1 D2 D3 D15 D16"),
        ("D1 to see D4", "D1 D4"),
        ("R1945-9.3a to R1945-9.3d", "R1945-9.3a R1945-9.3b R1945-9.3c R1945-9.3d"),
        ("R1945-9.3a-R1945-9.3c", "R1945-9.3a R1945-9.3b R1945-9.3c"),
        ("R1945-9.3a to R1945-9.4d", "R1945-9.3a R1945-9.4d"),
        ("%D1 \\D2 0D3 D4a D5_ _D6 D R1945 R194-5 XR1945-2.1 R1945- R19455-1 R1945-.", ""),
        ("\u{e9}D1 \u{2013}D2", "D2"),
    ] {
        assert_eq!(ids(text).join(" "), expected, "{text:?}");
    }
}

#[test]
fn faulty_lines_of_the_page_are_reported() {
    let (rules, faults) = rules(
        "- **R1945-2.1** S C L — a\n- **R1945-9.3a** C, *not yet* — b\n| D1 | c |\n- **R1945-2.2** X — d\n\
         - **R1945-2.3** S - e\n- **R1945-2.1** S — f\n- **R19-2.1** S — g\n",
    );
    assert_eq!(
        (rules.get("R1945-2.1"), rules.get("R1945-9.3a"), rules.get("D1")),
        (Some(&false), Some(&true), Some(&false))
    );
    assert_eq!(faults.len(), 5, "{faults:?}"); // the role, the form, the repetition, the bad id, and too few rules
}
