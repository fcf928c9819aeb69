//! What the program prints about itself: the help, completions for shells, the manual.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};

use support::{PROGRAM, output_of, output_of_command};

/// All of its options, as the help names them.
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

// Each is one line, at the width of the narrowest terminal and of a wide one.
#[test]
fn the_help_fits_its_terminal() {
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
                    assert!(begins, "at {width} it takes a second line: {line}");
                    assert!(line.trim_start().contains("  "), "no word about it: {line}");
                }
                None => {}
            }
        }
        let tasks =
            ["Arguments", "Network", "Content", "Response headers", "Access", "Logging", "Limits", "Information"];
        assert_eq!(groups, tasks);
    }
}

#[test]
fn completions_know_all_options() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = printed(&["--completions", shell]);
        for option in options() {
            let name = option.trim_start_matches('-');
            assert!(script.contains(name), "{shell}: {option}");
        }
    }
    // bash reads it without an error, and offers what begins as it was typed.
    let mut bash = Command::new("bash").arg("-s").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let ask = "COMP_WORDS=(webserver --un); COMP_CWORD=1; _webserver webserver --un webserver; echo ${COMPREPLY[@]}";
    let script = format!("set -e\n{}\n{ask}\n", printed(&["--completions", "bash"]));
    bash.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = bash.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "--unix\n");
    assert_eq!(output_of(&["--completions", "tcsh"]).status.code(), Some(2));
}

#[test]
fn the_manual_tells_of_all_options() {
    let manual = printed(&["--man"]);
    assert!(manual.contains("\n.TH webserver 1 "), "{manual}");
    for option in options() {
        assert!(manual.contains(&option.replace('-', "\\-")), "{option}: {manual}");
    }
    assert!(manual.contains("Exit status"), "{manual}");
}
