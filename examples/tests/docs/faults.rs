//! What is wrong with a page is found: without this, a mistake in these tests could accept every page.

use std::panic::catch_unwind;
use std::thread;

use crate::commands;
use crate::page::Page;

#[test]
fn commands_that_do_something_else_are_found() {
    let Some(programs) = commands::programs() else { return };
    let faults = |text: &str| commands::run(&Page::parse("page.md", text.into()), &programs).concat();
    let pages = [
        ("```sh\ntrue\nfalse\n```", "page.md:1: `false` ended with 1"),
        ("```sh\nexit 0\n```", "did not end, or ended the shell"),
        ("```console\n$ echo a\nb\n```", "should print\nb\nand printed\na"),
        ("```sh\nwebserver missing\n```", "ended with"),
        ("```sh\nwebserver\ncurl http://localhost:6789/missing\n```", "ended with 22"),
        ("```sh\nwebserver\npkill -KILL -x webserver\n```", "a server ended with 137"),
        ("<!-- run: false -->", "`false` ended with 1"),
        ("<!-- not run: it fails -->\n```sh\nfalse\n```\n```sh\ncat\n```", ""),
    ];
    let found = |text: &str, fault: &str| {
        let faults = faults(text);
        assert!(faults.contains(fault) && faults.is_empty() == fault.is_empty(), "{text}\n{fault}\n{faults}");
    };
    thread::scope(|scope| pages.iter().for_each(|(text, fault)| _ = scope.spawn(|| found(text, fault))));
}

#[test]
fn blocks_and_marks_that_break_a_rule_are_found() {
    let git = "crates/webserver/tests/recipes_packages.rs::git_clones_and_fetches";
    for (path, text) in [
        ("page.md", "```\ncargo test\n```".to_string()),
        ("page.md", "```bash\ncargo test\n```".into()),
        ("page.md", "~~~sh\ncargo test\n~~~".into()),
        ("page.md", "```sh\nif true\n```".into()),
        ("page.md", "```console\nwebserver\n```".into()),
        ("page.md", "<!-- run: true".into()),
        ("page.md", "<!-- run by README.md::git_clones_and_fetches -->\n```sh\n```".into()),
        ("page.md", format!("<!-- run by {git}_twice -->\n```sh\n```")),
        ("docs/recipes/apt.md", format!("<!-- run by {git} -->\n```sh\n```")),
    ] {
        assert!(catch_unwind(|| Page::parse(path, text.clone())).is_err(), "{text}");
    }
    let page = Page::parse("docs/recipes/git.md", format!("<!-- run by {git} -->\n```sh\nfalse\n```"));
    assert!(page.steps.is_empty() && page.not_run == 0);
}
