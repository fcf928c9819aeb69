//! ROOT is a file: it is served and nothing else, in the sandbox too, also after it was replaced.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use support::{PROGRAM, Program, get, output_of, tool, wait_until};

/// A directory with a file, another file, and a symlink in another directory.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir(at("files")).unwrap();
    fs::create_dir(at("links")).unwrap();
    fs::write(at("files/page.html"), "one").unwrap();
    fs::write(at("files/secret"), "secret").unwrap();
    symlink("../files/page.html", at("links/latest.html")).unwrap();
    directory
}

fn rename_over(content: &str, path: &Path) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn file_is_served_and_nothing_else() {
    let directory = directory();
    let file = directory.path().join("files/page.html");
    let program = Program::start(&file, &[]);
    let messages = program.messages();
    assert!(
        messages.contains(&format!("webserver: serving the file {:?}\n", file.canonicalize().unwrap())),
        "{messages}"
    );
    assert!(messages.contains("webserver: requests reach no other file; "), "{messages}");
    let root = get(program.address(), "/");
    assert_eq!((root.status, root.header("Location")), (302, Some("./page.html")));
    for other in ["/secret", "/page.html/", "/index.html", "/files/page.html", "/page.html.gz"] {
        assert_eq!(get(program.address(), other).status, 404, "{other}");
    }
    assert_eq!(get(program.address(), "/../secret").status, 400);
    if let Some(curl) = tool("curl") {
        let url = format!("http://{}/", program.address());
        let output = Command::new(curl).args(["--disable", "--silent", "--noproxy", "*", "--location", &url]).output();
        assert_eq!(output.unwrap().stdout, b"one");
    }
    // Landlock allows the directory, so the new file can be read.
    for content in ["two", "three"] {
        rename_over(content, &file);
        assert_eq!(get(program.address(), "/page.html").text(), content);
    }
    program.finish();
}

#[test]
fn symlink_to_a_file_is_followed_and_may_be_switched() {
    let directory = directory();
    let at = |name: &str| directory.path().join(name);
    let program = Program::start(&at("links/latest.html"), &[]);
    let page = || get(program.address(), "/latest.html").text().to_owned();
    assert_eq!(get(program.address(), "/").header("Location"), Some("./latest.html"));
    assert_eq!(page(), "one");
    rename_over("two", &at("files/page.html"));
    assert_eq!(page(), "two");
    assert_eq!(get(program.address(), "/page.html").status, 404);
    // To a file in a directory that the sandbox knows.
    fs::write(at("files/next.html"), "three").unwrap();
    symlink("../files/next.html", at("links/new")).unwrap();
    fs::rename(at("links/new"), at("links/latest.html")).unwrap();
    wait_until("the switch is noticed", || page() == "three");
    let messages = program.finish();
    assert!(messages.contains("next.html\" now, which is served"), "{messages}");
}

#[test]
fn options_that_name_other_files_are_refused() {
    let directory = directory();
    let file = directory.path().join("files/page.html");
    let file = file.to_str().unwrap();
    for options in [["--fallback", "secret"], ["--error-page", "404=secret"]] {
        let output = output_of(&[&["--port", "0"], &options[..], &[file]].concat());
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && err.contains("no such file below"), "{err}");
    }
    let output = output_of(&["--port", "0", "--auth", file, file]);
    assert!(String::from_utf8(output.stderr).unwrap().contains("--auth"));
    let explained = output_of(&["--explain", "/", file]);
    assert!(String::from_utf8(explained.stdout).unwrap().contains("ROOT is a file, and \"/\" is redirected to it"));
    let missing = Command::new(PROGRAM).arg(format!("{file}/")).output().unwrap();
    assert!(String::from_utf8(missing.stderr).unwrap().contains("neither a directory nor a file"));
}
