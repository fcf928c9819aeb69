//! The pages of this repository, and what rustdoc makes of the crates: every command is run, its output compared, and
//! every link leads to something.
//!
//! Blocks of `sh` and `console` are run in the order of their page, each page in namespaces of its own, with the programs
//! of this workspace on PATH. A server that a page starts runs until the page ends, or starts another at its port. In
//! `console`, a command follows `$ `, and what it prints is compared: `...` stands for any lines, `…` for anything in one.
//! Lines directly before a block, which a reader does not see, change that:
//!
//! - `<!-- not run: REASON -->`, which `NOT_RUN` counts; below the title, `<!-- commands of this page are not run: REASON -->`
//! - `<!-- run by FILE::TEST -->`: that test takes the block from the page and runs it
//! - `<!-- run: COMMANDS -->`, anywhere and over several lines: commands that prepare or check something
//! - `<!-- typed: TEXT -->`: each command of the block gets this line as its input
#![cfg(target_os = "linux")] // whose namespaces it uses

mod book;
mod commands;
mod faults;
mod links;
mod page;
mod python;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::thread;

use page::Page;

/// How many blocks of each page are not run. The mark before each says why.
const NOT_RUN: [(&str, usize); 15] = [
    ("BENCHMARKS.md", 17),
    ("CONTRIBUTING.md", 3),
    ("README.md", 1),
    ("RELEASING.md", 4),
    ("crates/http-core/src/manual/no_std.rs", 1),
    ("crates/webclient/README.md", 1),
    ("docs/crates.md", 1),
    ("docs/differential.md", 1),
    ("docs/growing.md", 3),
    ("docs/installing.md", 4),
    ("docs/mutants.md", 1),
    ("docs/recipes/README.md", 3),
    ("docs/recipes/docker.md", 1),
    ("docs/webclient.md", 1),
    ("fuzz/README.md", 2),
];

#[test]
fn every_command_does_what_its_page_says() {
    let Some(programs) = commands::programs() else { return };
    let programs = &programs;
    let pages = PAGES.values().filter(|page| !page.steps.is_empty());
    let faults: Vec<String> = thread::scope(|scope| {
        let running: Vec<_> = pages.map(|page| scope.spawn(move || commands::run(page, programs))).collect();
        running.into_iter().flat_map(|page| page.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn blocks_that_are_not_run_are_counted() {
    let counts = PAGES.iter().map(|(path, page)| (&**path, page.not_run));
    let counts: BTreeMap<_, _> = counts.filter(|(_, count)| *count > 0).collect();
    let stated = BTreeMap::from(NOT_RUN);
    assert_eq!(counts, stated, "left: blocks marked as not run; right: NOT_RUN, to be changed if that is intended");
}

#[test]
fn every_page_of_the_tutorial_is_followed_by_its_own_test() {
    let test = read("examples/tutorial/tests/tutorial/main.rs");
    for path in markdown().iter().filter(|path| is_tutorial(path)) {
        let name = path.rsplit('/').next().unwrap();
        assert!(test.contains(&format!("\"{name}\"")), "{path} is not in PAGES of examples/tutorial/tests");
    }
}

/// Code in a page is a copy of tested code, so that it cannot become outdated.
#[test]
fn rust_in_the_pages_is_that_of_the_examples() {
    let mut faults = Vec::new();
    for (_, page) in PAGES.iter().filter(|(path, _)| path.starts_with("docs/")) {
        for (place, code, marks) in &page.rust {
            let file = marks.iter().find_map(|mark| mark.strip_prefix("from "));
            match file.map(read) {
                Some(text) if text.contains(code) => {}
                Some(_) => faults.push(format!("{place}: {} differs: copy it again", file.unwrap())),
                None => faults.push(format!("{place}: `<!-- from FILE -->` has to name the example with this code")),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// The pages whose commands are run here, with the sources of the crates, where comments are pages of rustdoc.
static PAGES: LazyLock<BTreeMap<String, Page>> = LazyLock::new(|| {
    let sources = files(".rs").into_iter().filter(|path| path.starts_with("crates/") && path.contains("/src/"));
    let paths = markdown().into_iter().filter(|path| !is_tutorial(path)).chain(sources);
    paths.map(|path| (path.clone(), Page::read(&path))).collect()
});

fn is_tutorial(path: &str) -> bool {
    path.starts_with("docs/tutorial/")
}

fn markdown() -> BTreeSet<String> {
    files(".md")
}

/// Every file of the repository whose name ends so, as a path from its root.
fn files(extension: &str) -> BTreeSet<String> {
    let (mut found, mut directories) = (BTreeSet::new(), vec![workspace()]);
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
            let kind = entry.file_type().unwrap();
            if kind.is_dir() && !name.starts_with('.') && !["target", "node_modules", "corpus"].contains(&&*name) {
                directories.push(path);
            } else if kind.is_file() && name.ends_with(extension) {
                found.insert(path.strip_prefix(workspace()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(workspace().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().into()
}
