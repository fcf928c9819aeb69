//! The diagram of the pool names every kind of work, and every way in which a turn ends, as the code does.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;

fn read(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// The variants of an enum in a file of this crate.
fn variants(file: &str, name: &str) -> BTreeSet<String> {
    let source = read(file);
    let body = source.split_once(&format!("enum {name}")).unwrap().1.split_once("\n}").unwrap().0;
    let first_words = body.lines().map(|line| line.trim().split(|c: char| !c.is_alphanumeric()).next().unwrap());
    first_words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect()
}

#[test]
fn diagram_of_the_pool_names_each_kind_of_work_and_each_end_of_a_turn() {
    let mut wanted = variants("src/reactor/mod.rs", "Work<C>");
    let outcomes = variants("src/connection/mod.rs", "TurnOutcome");
    assert!(wanted.len() >= 14 && outcomes.len() >= 5, "{wanted:?} {outcomes:?}");
    wanted.extend(outcomes);
    let diagram = read("../../docs/pictures/pool.dot");
    let edges = diagram.lines().filter(|line| line.contains(" -> "));
    let labels =
        edges.map(|line| line.split_once("label=\"").unwrap().1.split_once('"').unwrap().0.replace("\\l", " "));
    let words: Vec<String> = labels.flat_map(|label| label.split(' ').map(str::to_owned).collect::<Vec<_>>()).collect();
    let words = words.iter().map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    let drawn: BTreeSet<String> =
        words.filter(|word| word.starts_with(char::is_uppercase)).map(str::to_owned).collect();
    assert_eq!(drawn, wanted);
}
