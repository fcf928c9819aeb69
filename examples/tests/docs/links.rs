//! Links of Markdown files to files and headings of the repository. Links to other sites are not followed.

use std::collections::BTreeMap;

use crate::{markdown, read, workspace};

#[test]
fn every_link_leads_to_a_file_and_heading() {
    let (mut faults, mut count) = (Vec::new(), 0);
    for path in markdown() {
        let text = read(&path);
        for (place, target) in links(&text).iter().map(|(line, target)| (format!("{path}:{line}"), target)) {
            if target.contains("://") || target.starts_with("mailto:") || is_item_of_rustdoc(&path, target) {
                continue;
            }
            count += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let directory = workspace().join(&path);
            let file = if file.is_empty() { directory } else { directory.parent().unwrap().join(file) };
            if !file.exists() {
                faults.push(format!("{place}: {target}: there is no such file"));
            } else if !anchor.is_empty() && !anchors(&read(&file)).contains(&anchor.to_string()) {
                faults.push(format!("{place}: {target}: there is no such heading"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 100, "only {count} links were found");
}

#[test]
fn crates_and_the_page_about_them_lead_to_each_other() {
    let page = read("docs/crates.md");
    for path in markdown().iter().filter(|path| path.starts_with("crates/") && path.ends_with("/README.md")) {
        assert!(read(path).contains("docs/crates.md"), "{path}"); // no link where that is a page of rustdoc
        assert!(links(&page).iter().any(|(_, target)| *target == format!("../{path}")), "docs/crates.md: {path}");
    }
}

#[test]
fn page_about_the_crates_lists_their_features() {
    let page = read("docs/crates.md");
    for name in ["http-core", "http-server", "http-files", "webclient"] {
        let row = page.lines().find(|line| line.starts_with(&format!("| `{name}` |"))).unwrap();
        let manifest = read(format!("crates/{name}/Cargo.toml"));
        let features = manifest.split_once("[features]\n").unwrap().1.split("\n\n").next().unwrap();
        let names = features.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name);
        for feature in names.filter(|name| !name.starts_with('#') && *name != "default") {
            assert!(row.contains(&format!("`{feature}`: ")), "{name}: {feature}");
        }
    }
}

/// The READMEs of crates are front pages of rustdoc, too, which checks links such as `[x](crate::X)`.
fn is_item_of_rustdoc(path: &str, target: &str) -> bool {
    path.starts_with("crates/") && target.contains("::")
}

/// The links of a page in Markdown and HTML, with their lines. Code is left out.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    // scripts/book shows such a line, whose links lead to what it makes.
    for (number, line) in prose(text).filter(|(_, line)| !line.starts_with("<!-- in the book: ")) {
        // Every other part is code.
        for part in line.split('`').step_by(2).flat_map(|part| part.split("](").skip(1)) {
            found.push((number, part.split([')', ' ']).next().unwrap().to_string()));
        }
        for start in [" href=\"", " src=\"", " srcset=\""] {
            let values = line.split(start).skip(1).map(|part| part.split('"').next().unwrap());
            found.extend(values.map(|value| (number, value.to_string())));
        }
        if line.starts_with('[')
            && let Some((_, target)) = line.split_once("]: ")
        {
            found.push((number, target.to_string()));
        }
    }
    found
}

/// The anchors of a page, by the rules of GitHub and mdBook.
fn anchors(text: &str) -> Vec<String> {
    let (mut seen, mut found) = (BTreeMap::new(), Vec::new());
    for (_, line) in prose(text).filter(|(_, line)| line.starts_with('#')) {
        let title = line.trim_start_matches('#').trim();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        let anchor: String = kept.flat_map(char::to_lowercase).map(|c| if c == ' ' { '-' } else { c }).collect();
        let before = seen.entry(anchor.clone()).and_modify(|count| *count += 1).or_insert(0);
        found.push(if *before == 0 { anchor } else { format!("{anchor}-{before}") });
    }
    found
}

/// The lines outside of blocks of code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().zip(1..).filter_map(move |(line, number)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        (!in_code && !fence).then_some((number, line))
    })
}
