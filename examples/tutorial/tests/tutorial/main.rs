//! Follows docs/tutorial as a reader does: types every listing into a project, compares the result with the programs of
//! this package, runs every command, and compares what it prints with the text.
//!
//! `TUTORIAL=write cargo test -p tutorial listings` writes the programs after a change of the text.

#![cfg(target_os = "linux")] // whose messages the text shows

mod page;
mod terminal;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use page::{Entry, Step};
use terminal::Terminal;

const PAGES: [&str; 5] = ["README.md", "1-hello-world.md", "2-client.md", "3-threads.md", "4-what-can-go-wrong.md"];

#[test]
fn listings_lead_to_the_programs() {
    let mut reader = Reader::new("listings", "");
    let mut seen = Vec::new();
    for page in PAGES {
        for (place, step) in page::steps(page) {
            if let Step::Program(name) = &step {
                seen.push(name.clone());
            }
            reader.follow(&place, step, false);
        }
    }
    let programs = fs::read_dir(programs()).unwrap().map(|file| file.unwrap().path());
    let mut programs: Vec<_> = programs.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    programs.sort();
    seen.sort();
    assert_eq!(seen, programs, "each program is linked once");
}

#[test]
fn part_1_happens_as_told() {
    happens_as_told(1, |_| true);
}

#[test]
fn part_2_happens_as_told() {
    let reader = happens_as_told(2, |_| true);
    if !terminal::has_curl() {
        return;
    }
    let read = |name| fs::read(reader.project.join(name)).unwrap();
    assert!(read("saved.png") == read("www/sunrise.png"), "the saved picture differs");
}

#[test]
fn part_3_happens_as_told() {
    happens_as_told(3, |_| true);
}

// Part 4 waits for several timeouts, so its halves are tested at the same time.
const ABOUT_LARGE_FILES: [&str; 2] = ["A file that changes", "A slow peer, for the last time"];

#[test]
fn part_4_happens_as_told_with_small_files() {
    happens_as_told(4, |section| !ABOUT_LARGE_FILES.contains(&section));
}

#[test]
fn part_4_happens_as_told_with_large_files() {
    let reader = happens_as_told(4, |section| ABOUT_LARGE_FILES.contains(&section));
    assert!(
        reader.project.join("www/big.txt").exists() || !terminal::has_curl(),
        "the sections have other names than here"
    );
}

#[test]
fn head_is_limited_from_server_head_on() {
    for name in ["server_head", "server_patient"] {
        let reader = Reader::new(name, "");
        let command = format!("exec '{}' 127.0.0.1:0", program(name));
        let mut server = Terminal::start(&command, &reader.project, Stdio::null());
        let port = server.next_line().unwrap().split(':').next_back().unwrap().trim_end_matches('/').parse().unwrap();
        let mut client = TcpStream::connect(("127.0.0.1", port)).unwrap();
        // Exactly one byte too many, so that the server leaves nothing unread, and its close is no reset.
        client.write_all(format!("GET /{}", "a".repeat(8192 + 1 - 5)).as_bytes()).unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0, "the connection is closed without a response");
        server.expect("server", &["the head is too large".into()], |line| line, false);
    }
}

#[test]
fn tests_in_the_table_exist() {
    let page = page::read(PAGES[4]);
    let named: Vec<_> = page.split('`').skip(1).step_by(2).filter(|code| code.contains('/')).collect();
    let crates = workspace().join("crates");
    for code in named.iter().filter(|code| crates.join(code.split('/').next().unwrap()).is_dir()) {
        let (file, test) = code.split_once("::").unwrap_or((code, ""));
        let text = fs::read_to_string(crates.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(&format!("fn {test}")), "{code} does not exist");
    }
    assert!(named.iter().filter(|code| code.contains("::")).count() >= 12);
}

/// Follows the tutorial up to a part, and runs the commands in sections of that part.
fn happens_as_told(part: usize, sections: impl Fn(&str) -> bool) -> Reader {
    let mut reader = Reader::new(&format!("part-{part}-{}", u8::from(sections(ABOUT_LARGE_FILES[0]))), "lab");
    let commands = terminal::has_curl();
    for (number, page) in PAGES[..=part].iter().enumerate() {
        let mut run = number == 0 && commands;
        for (place, step) in page::steps(page) {
            if let Step::Section(title) = &step {
                run = commands && (number == 0 || number == part && sections(title));
            }
            reader.follow(&place, step, run);
        }
    }
    reader
}

/// What a reader has in front of them.
struct Reader {
    directory: PathBuf,
    project: PathBuf,
    sources: BTreeMap<String, String>,  // the files of the project, as typed
    programs: BTreeMap<String, String>, // which program of this package a program of the project is by now
    terminals: BTreeMap<char, Terminal>,
    ports: Vec<(String, String)>, // those of the text, and those of the servers here
}

impl Reader {
    fn new(name: &str, project: &str) -> Reader {
        // Not below this workspace, into which `cargo new` would take the project.
        let directory = std::env::temp_dir().join(format!("tutorial-{}-{name}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let project = directory.join(project);
        let (sources, programs) = Default::default();
        Reader { directory, project, sources, programs, terminals: BTreeMap::new(), ports: Vec::new() }
    }

    fn follow(&mut self, place: &str, step: Step, run: bool) {
        match step {
            Step::Listing { file, language, text } => self.type_in(place, file, &language, &text),
            Step::Program(name) => self.compare(place, &name),
            Step::Commands(entries) if run => entries.iter().for_each(|entry| self.run(place, entry)),
            Step::Commands(_) | Step::Section(_) => {}
        }
    }

    fn type_in(&mut self, place: &str, file: String, language: &str, text: &str) {
        if file.starts_with("examples/") {
            let example = fs::read_to_string(workspace().join(&file)).unwrap();
            assert!(example.contains(text), "{place}: {file} does not contain this listing");
            return;
        }
        let source = self.sources.entry(file.clone()).or_default();
        match language {
            "rust" if !text.contains("fn main") => *source += &format!("\n{text}"),
            "rust" | "html" => *source = text.into(),
            "diff" => {
                let side = |other| {
                    let lines = text.lines().filter(|line| !line.starts_with(other));
                    lines.map(|line| format!("{}\n", line.get(1..).unwrap_or(""))).collect::<String>()
                };
                let (old, new) = (side('+'), side('-'));
                assert_eq!(source.matches(&old).count(), 1, "{place}: it is not clear where {file} changes");
                *source = source.replace(&old, &new);
            }
            _ => panic!("{place}: unknown language {language}"),
        }
        if file.starts_with("www/") {
            // The picture needs no listing.
            fs::create_dir_all(self.project.join("www")).unwrap();
            fs::write(self.project.join(&file), text).unwrap();
            fs::copy(workspace().join("examples/www/sunrise.png"), self.project.join("www/sunrise.png")).unwrap();
        }
    }

    fn compare(&mut self, place: &str, name: &str) {
        let role = name.split('_').next().unwrap().to_string();
        let typed = &self.sources[&format!("src/bin/{role}.rs")];
        let path = programs().join(name).with_extension("rs");
        let program = fs::read_to_string(&path).unwrap_or_default();
        let header: String =
            program.lines().take_while(|line| line.starts_with("//!")).map(|l| format!("{l}\n")).collect();
        if std::env::var_os("TUTORIAL").is_some_and(|task| task == "write") {
            fs::write(&path, format!("{header}\n{typed}")).unwrap();
        } else {
            let typed = format!("{header}\n{typed}");
            let differs = typed.lines().zip(program.lines()).find(|(typed, line)| typed != line);
            assert!(typed == program, "{place}: what was typed is not {name}.rs: {differs:#?}");
        }
        self.programs.insert(role, name.to_string());
    }

    fn run(&mut self, place: &str, entry: &Entry) {
        let Entry { terminal, input, output } = entry;
        let place = format!("{place}: [{terminal}]{input}");
        let ports = self.ports.clone();
        let as_told = |line: String| {
            ports.iter().fold(line, |line, (told, here)| line.replace(&format!(":{here}"), &format!(":{told}")))
        };
        match input.strip_prefix("$ ") {
            Some(command) if *terminal == '2' => {
                // Before the project exists, commands are for the directory above.
                let directory = if self.project.exists() { &self.project } else { &self.directory };
                let mut terminal = Terminal::start(&self.command(command), directory, Stdio::null());
                terminal.expect(&place, output, as_told, true);
            }
            Some(command) => {
                drop(self.terminals.remove(terminal)); // Ctrl-C
                let command = format!("exec {}", self.command(command));
                let (mut started, output) = match output.first().and_then(|line| port(line)) {
                    Some(told) => (self.start_server(&place, &command, told), &output[1..]),
                    None => (Terminal::start(&command, &self.project, Stdio::piped()), &output[..]),
                };
                started.expect(&place, output, as_told, false);
                self.terminals.insert(*terminal, started);
            }
            None => {
                let running = self.terminals.get_mut(terminal).unwrap();
                match input.as_str() {
                    " Enter" => running.press_enter(),
                    "$" => running.wait(&place),
                    other => assert_eq!(other, "", "{place}"),
                }
                running.expect(&place, output, as_told, false);
            }
        }
    }

    /// Starts a server at a port that is free, in place of the one that the text shows in its first line.
    fn start_server(&mut self, place: &str, command: &str, told: String) -> Terminal {
        let mut server = Terminal::start(&format!("{command} 127.0.0.1:0"), &self.project, Stdio::null());
        let line = server.next_line().unwrap_or_default();
        let here = port(&line).unwrap_or_else(|| panic!("{place}: {line}"));
        self.ports.retain(|(other, _)| *other != told);
        self.ports.push((told, here));
        server
    }

    /// A command as it is run here: a compiled program, and other ports.
    fn command(&self, told: &str) -> String {
        let command = self.ports.iter().fold(told.to_string(), |command, (told, here)| command.replace(told, here));
        match command.strip_prefix("cargo run -q --bin ") {
            Some(rest) => {
                let (role, arguments) = rest.split_once(' ').unwrap_or((rest, ""));
                format!("'{}' {arguments}", program(&self.programs[role]))
            }
            None => command,
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.terminals.clear();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The port in the first line of a server.
fn port(line: &str) -> Option<String> {
    Some(line.strip_prefix("listening on http://127.0.0.1:")?.strip_suffix('/')?.to_string())
}

fn program(name: &str) -> String {
    let any = Path::new(env!("CARGO_BIN_EXE_silent"));
    any.with_file_name(name).display().to_string()
}

fn programs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/bin")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_path_buf()
}
