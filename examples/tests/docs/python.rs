//! The tables of docs/from-python.md: what Python's server and `webserver` do with the same files and requests.

use std::path::Path;
use std::thread;

use crate::commands::{Done, follow, programs};
use crate::page::Step;
use crate::read;

const FILES: &str = "mkdir site && echo page >page.html && echo other >site/page.html && echo text >README && \
                     echo secret >.env && ln -s /etc/passwd out";
const STATUS: &str = "-q -s -o /dev/null -w '%{http_code} %{content_type}'";

#[test]
#[ignore = "beside real software: scripts/interop"]
fn servers_started_by_one_row_serve_the_same() {
    let Some(programs) = programs() else { return };
    let rows = table("## What to type");
    let compare = |[python, webserver, ..]: &[String; 3]| {
        let port = python.split(' ').find(|word| word.parse::<u16>().is_ok()).unwrap_or("8000");
        let fetch = |host| format!("curl -s http://{host}:{port}/page.html || echo nothing listens here");
        let asked = ["localhost", "127.0.0.2", "[::1]"].map(fetch);
        let answers = |server: &str| {
            let steps = [FILES, server].into_iter().chain(asked.iter().map(String::as_str));
            run(steps, &programs).into_iter().skip(2).map(|done| done.output).collect::<Vec<_>>()
        };
        let (theirs, ours) = (answers(python), answers(webserver));
        assert!(theirs.iter().any(|output| output == "page\n" || output == "other\n"), "{python}: {theirs:?}");
        for (ours, theirs) in ours.iter().zip(theirs) {
            // By default, Python may leave out IPv6.
            let narrower = !python.contains("bind") && theirs.starts_with("nothing");
            assert!(narrower || *ours == theirs, "{webserver} is not like {python}: {ours:?}, {theirs:?}");
        }
    };
    let compare = &compare;
    thread::scope(|scope| rows.iter().for_each(|row| _ = scope.spawn(move || compare(row))));
    assert!(rows.len() >= 6);
}

#[test]
#[ignore = "beside real software: scripts/interop"]
fn requests_get_the_statuses_of_the_table() {
    let Some(programs) = programs() else { return };
    let rows = table("## What differs");
    let requests = || rows.iter().map(|[request, ..]| request.replacen("curl", &format!("curl {STATUS}"), 1));
    let servers = ["python3 -m http.server", "webserver --port 8000"];
    for (server, column) in servers.into_iter().zip(1..) {
        let steps: Vec<String> = [FILES, server].map(String::from).into_iter().chain(requests()).collect();
        let done = run(steps.iter().map(String::as_str), &programs);
        for (row, done) in rows.iter().zip(&done[2..]) {
            assert!(done.output.starts_with(&row[column]), "{server}: {}: {}, {:?}", row[0], row[column], done.output);
        }
    }
    assert!(rows.len() >= 9);
}

fn run<'a>(commands: impl Iterator<Item = &'a str>, programs: &Path) -> Vec<Done> {
    let step =
        |command: &str| Step { place: String::new(), command: command.into(), output: None, typed: String::new() };
    let steps: Vec<Step> = commands.map(step).collect();
    let done = follow(&steps, programs);
    let faults: Vec<_> = steps.iter().zip(&done).filter(|(_, done)| done.status != Some(0)).collect();
    assert!(faults.is_empty(), "{}: {}", faults[0].0.command, faults[0].1.output);
    done
}

/// The first three cells of each row below a heading, without their backquotes.
fn table(heading: &str) -> Vec<[String; 3]> {
    let page = read("docs/from-python.md");
    let section = page.split_once(heading).unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    rows.map(|row| {
        let mut cells = row.split('|').skip(1).map(|cell| cell.trim().trim_matches('`').to_string());
        [(); 3].map(|()| cells.next().unwrap_or_default())
    })
    .collect()
}
