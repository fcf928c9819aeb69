//! The book: `docs/SUMMARY.md` lists its pages, and `scripts/book` makes it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::links::links;
use crate::{markdown, read};

#[test]
fn summary_lists_every_page_once() {
    let listed: Vec<String> = links(&read("docs/SUMMARY.md")).into_iter().map(|(_, target)| target).collect();
    let once: BTreeSet<&String> = listed.iter().collect();
    assert_eq!(listed.len(), once.len(), "docs/SUMMARY.md lists a page twice: {listed:?}");
    let pages = markdown().into_iter().filter(|path| path != "docs/SUMMARY.md");
    let missing: Vec<String> = pages
        .filter_map(|path| path.strip_prefix("docs/").map(str::to_string))
        .filter(|page| !once.contains(page))
        .collect();
    assert!(missing.is_empty(), "add to docs/SUMMARY.md: {missing:?}");
}

/// Of the book that `scripts/book` has made, in the directory `BOOK`.
#[test]
#[ignore = "scripts/book runs it"]
fn every_link_of_the_book_leads_somewhere() {
    let book = std::env::var("BOOK").expect("BOOK is not set");
    let (mut faults, mut count) = (Vec::new(), 0);
    let mut directories = vec![Path::new(&book).to_path_buf()];
    while let Some(directory) = directories.pop() {
        for path in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            // Rustdoc checks its own links, and the examples have pages to serve.
            if path.is_dir() && !path.ends_with("api") && !path.ends_with("examples") {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "html") && !path.ends_with("404.html") {
                let text = fs::read_to_string(&path).unwrap();
                for start in [" href=\"", " src=\"", " srcset=\""] {
                    for target in text.split(start).skip(1).map(|part| part.split('"').next().unwrap()) {
                        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
                        if target.contains(':') {
                            continue;
                        }
                        count += 1;
                        let file = if file.is_empty() { path.clone() } else { directory.join(file) };
                        let has_anchor = || fs::read_to_string(&file).unwrap().contains(&format!(" id=\"{anchor}\""));
                        if !file.exists()
                            || file.extension().is_some_and(|extension| extension == "md")
                            || !(anchor.is_empty() || has_anchor())
                        {
                            faults.push(format!("{}: {target}", path.display()));
                        }
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "these links lead nowhere:\n{}", faults.join("\n"));
    assert!(count > 500, "only {count} links were found");
}
