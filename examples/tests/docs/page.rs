//! What a page says: its blocks of commands and of Rust, with the marks before them. It runs nothing.

use std::mem;
use std::process::{Command, Stdio};

use crate::read;

/// What stands in place of a language in rustdoc, where `cargo test` runs the blocks.
const RUSTDOC: [&str; 5] = ["", "compile_fail", "ignore", "no_run", "should_panic"];

/// The languages of other blocks.
const NO_COMMANDS: [&str; 13] =
    ["caddyfile", "diff", "haproxy", "html", "http", "ini", "json", "nginx", "promql", "text", "toml", "vcl", "yaml"];

pub struct Page {
    pub steps: Vec<Step>,
    /// How many blocks are marked as not run.
    pub not_run: usize,
    /// Where a block of Rust begins, the code, and the marks.
    pub rust: Vec<(String, String, Vec<String>)>,
}

pub struct Step {
    pub place: String,
    pub command: String,
    /// What is printed, if the page says that.
    pub output: Option<Vec<String>>,
    pub typed: String,
}

impl Page {
    /// If the page breaks a rule of `main.rs`, this panics, and says where.
    pub fn read(path: &str) -> Page {
        Page::parse(path, read(path))
    }

    pub fn parse(path: &str, mut text: String) -> Page {
        if path.ends_with(".rs") {
            let line = |line: &str| Some(line.trim_start().strip_prefix("//")?.strip_prefix(['!', '/'])?.to_string());
            text = text.lines().map(|code| format!("{}\n", line(code).unwrap_or_default())).collect();
        }
        let page_is_not_run = text.contains("<!-- commands of this page are not run: ");
        let mut page = Page { steps: Vec::new(), not_run: 0, rust: Vec::new() };
        let mut marks: Vec<String> = Vec::new();
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let place = format!("{path}:{}", number + 1);
            if let Some(mark) = line.trim_start().strip_prefix("<!-- ") {
                let mut mark = mark.to_string();
                while !mark.contains("-->") {
                    mark += &format!("\n{}", lines.next().unwrap_or_else(|| panic!("{place}: where does it end?")).1);
                }
                let mark = mark.split("-->").next().unwrap().trim();
                match mark.strip_prefix("run:") {
                    Some(commands) => {
                        let lines: Vec<&str> = commands.lines().collect();
                        page.steps.extend(shell(&place, &lines, ""));
                    }
                    None => marks.push(mark.to_string()),
                }
                continue;
            }
            let indent = line.len() - line.trim_start().len();
            let Some(language) = line[indent..].strip_prefix("```") else {
                assert!(!line.trim_start().starts_with("~~~"), "{place}: begin a block by ```");
                marks.clear();
                continue;
            };
            let body = lines.by_ref().map(|(_, line)| line.get(indent..).unwrap_or(""));
            let body: Vec<&str> = body.take_while(|line| *line != "```").collect();
            let marks = mem::take(&mut marks);
            let mark = |name: &str| marks.iter().find_map(|mark| mark.strip_prefix(name));
            if let Some(test) = mark("run by ") {
                check_test(&place, path, test);
                continue;
            }
            let typed = mark("typed: ").map_or(String::new(), |text| format!("{text}\n"));
            match language.split(',').next().unwrap() {
                "sh" | "console" if page_is_not_run || mark("not run: ").is_some() => page.not_run += 1,
                "sh" => page.steps.extend(shell(&place, &body, &typed)),
                "console" => page.steps.extend(console(&place, &body, &typed)),
                "rust" => page.rust.push((place, body.iter().map(|line| format!("{line}\n")).collect(), marks)),
                other if RUSTDOC.contains(&other) && path.ends_with(".rs") => {}
                other if NO_COMMANDS.contains(&other) => {}
                other => panic!("{place}: `{other}`: write `sh` or `console` for commands, and for the rest `text`"),
            }
        }
        page
    }
}

/// The commands of a script, each with all of its lines.
fn shell(place: &str, lines: &[&str], typed: &str) -> Vec<Step> {
    let (mut steps, mut command) = (Vec::new(), String::new());
    for line in lines {
        command += &format!("{line}\n");
        if is_complete(&command) {
            let command = mem::take(&mut command);
            if command.lines().any(|line| !line.trim().is_empty() && !line.trim().starts_with('#')) {
                steps.push(Step { place: place.into(), command, output: None, typed: typed.into() });
            }
        }
    }
    assert!(command.trim().is_empty(), "{place}: this is no complete command: {command}");
    steps
}

/// The commands after `$ `, and what each prints.
fn console(place: &str, lines: &[&str], typed: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (None, Some(step)) if is_complete(&step.command) => step.output.as_mut().unwrap().push(line.to_string()),
            (None, Some(step)) => step.command += &format!("{line}\n"),
            (Some(command), _) => {
                let (place, command) = (place.into(), format!("{command}\n"));
                steps.push(Step { place, command, output: Some(Vec::new()), typed: typed.into() });
            }
            (None, None) => panic!("{place}: a block of `console` begins with `$ `"),
        }
    }
    steps
}

/// Whether a shell would not wait for another line.
fn is_complete(command: &str) -> bool {
    let checked = Command::new("bash").args(["-n", "-c", command]).stdin(Stdio::null()).output().unwrap();
    !command.ends_with("\\\n") && checked.status.success() && checked.stderr.is_empty()
}

/// Checks that a test takes the block from the page (`Recipe` of `webserver`'s tests then fails if it does not use it),
/// and that a script runs the test.
fn check_test(place: &str, page: &str, test: &str) {
    let (file, name) = test.rsplit_once("::").unwrap_or_else(|| panic!("{place}: write `run by FILE::TEST`"));
    let text = read(file);
    let (before, after) = text
        .split_once(&format!("\nfn {name}() {{"))
        .unwrap_or_else(|| panic!("{place}: there is no test {name} in {file}"));
    let stem = |path: &str| path.rsplit('/').next().unwrap().split('.').next().unwrap().to_string();
    if before.lines().next_back().unwrap().starts_with("#[ignore") {
        let script = read("scripts/interop");
        let listed = script.split_whitespace().any(|word| word == stem(file));
        assert!(listed, "{place}: scripts/interop does not run {file}");
    }
    let body = after.split("\n}\n").next().unwrap();
    let reads = body.contains(&format!("\"{}\"", stem(page))) && text.contains("Recipe::read(");
    assert!(reads, "{place}: {name} in {file} does not read this page");
}
