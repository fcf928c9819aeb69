//! What the program prints about itself: help, shell completions, man page.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{PROGRAM, output_of, output_of_command};

/// All options that the help names.
fn options() -> Vec<String> {
    let help = printed(&["--help"]);
    let words = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
    words.filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

fn printed(arguments: &[&str]) -> String {
    let output = output_of(arguments);
    assert_eq!((output.status.code(), output.stderr.len()), (Some(0), 0), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

// Every option takes one line, in a terminal of 80 columns and in a wide one.
#[test]
fn help_takes_one_line_per_option() {
    for width in [80, 100] {
        let output = output_of_command(Command::new(PROGRAM).arg("--help").env("COLUMNS", width.to_string()));
        let help = String::from_utf8(output.stdout).unwrap();
        let mut groups = Vec::new();
        for line in help.lines() {
            assert!(line.chars().count() <= width, "{line}");
            match line.strip_suffix(':') {
                Some(group) => groups.push(group),
                None if line.starts_with(' ') => {
                    let begins = line.trim_start().starts_with(['-', '[']);
                    assert!(begins, "at width {width} an option takes a second line: {line}");
                    assert!(line.trim_start().contains("  "), "no description: {line}");
                }
                None => {}
            }
        }
        let headings =
            ["Arguments", "Network", "Content", "Response headers", "Access", "Logging", "Limits", "Information"];
        assert_eq!(groups, headings);
    }
}

#[test]
fn completions_contain_all_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["--completions", shell]);
        for option in options() {
            let name = option.trim_start_matches('-');
            assert!(script.contains(name), "{shell}: {option}");
        }
    }
    // bash reads the script without an error, and completes an option.
    let mut bash = Command::new("bash").arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ask = "COMP_WORDS=(webserver --un); COMP_CWORD=1; _webserver webserver --un webserver; echo ${COMPREPLY[@]}";
    let script = format!("set -e\n{}\n{ask}\n", printed(&["--completions", "bash"]));
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "--unix\n");
    assert_eq!(output_of(&["--completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn man_page_contains_all_options() {
    let page = printed(&["--man"]);
    assert!(page.contains("\n.TH webserver 1 "), "{page}");
    for option in options() {
        assert!(page.contains(&option.replace('-', "\\-")), "{option}: {page}");
    }
    assert!(page.contains("Exit status"), "{page}");
}

// V20: heads and bodies have a budget each, and files take no bodies.
#[test]
fn limits_show_the_memory_for_heads_and_for_bodies() {
    let limits = printed(&["--print-limits"]);
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let lines: Vec<_> = limits.lines().map(words).collect();
    for expected in ["received heads 16.0 MiB", "received bodies 0.0 MiB"] {
        assert!(lines.iter().any(|line| line == expected), "no {expected} in {limits}");
    }
    let more = printed(&["--print-limits", "--auth", "users", "--metrics", "127.0.0.1:0"]);
    assert!(!limits.contains("more with"), "{limits}");
    assert!(more.contains("\nmore with --auth ") && more.contains("\nmore with --metrics "), "{more}");
}
