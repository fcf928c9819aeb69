//! What the pages of `docs/recipes/` tell a reader to do, for the tests that do it: the blocks that name a test.

use std::cell::Cell;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::program::{PROGRAM, Program};
use super::tool::{missing, tool};

/// A directory that stands for `/` in a recipe. Dropping the value checks that the test has used all of its blocks.
pub(crate) struct Recipe {
    page: String,
    blocks: Vec<Block>,
    directory: TempDir,
}

#[derive(Debug)]
struct Block {
    text: String,
    is_used: Cell<bool>,
}

impl Recipe {
    /// The blocks of `docs/recipes/PAGE.md` before which stands that this test (`FILE.rs::NAME`) runs them.
    pub(crate) fn read(page: &str, test: &str) -> Recipe {
        let path = format!("{}/../../docs/recipes/{page}.md", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).unwrap();
        let mark = format!("<!-- run by crates/webserver/tests/{test} -->\n```");
        let block = |rest: &str| {
            let text = rest.split_once('\n')?.1.split_once("\n```")?.0.to_owned();
            Some(Block { text, is_used: Cell::new(false) })
        };
        let blocks: Vec<_> = text.split(&mark).skip(1).map(|rest| block(rest).unwrap()).collect();
        assert!(!blocks.is_empty(), "{path} says nowhere: {mark}");
        Recipe { page: text, blocks, directory: TempDir::new().unwrap() }
    }

    /// The only block that contains a text.
    pub(crate) fn block(&self, part: &str) -> &str {
        let found: Vec<_> = self.blocks.iter().filter(|block| block.text.contains(part)).collect();
        assert_eq!(found.len(), 1, "blocks with {part:?} in {:?}", self.blocks);
        found[0].is_used.set(true);
        &found[0].text
    }

    /// The path in the directory of a path below `/` in the recipe.
    pub(crate) fn path(&self, path: &str) -> String {
        self.directory.path().join(path).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, path: &str, content: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// The text with the paths of this directory.
    pub(crate) fn local(&self, text: &str) -> String {
        ["/srv/", "/etc/", "/var/"].iter().fold(text.to_owned(), |text, top| text.replace(top, &self.path(&top[1..])))
    }

    /// Starts the server by the only line of the page that does so, on a free port of 127.0.0.1. The log is in JSON.
    pub(crate) fn serve(&self) -> Program {
        self.serve_with("", "")
    }

    /// Like `serve`, with another text in place of a part of that line.
    pub(crate) fn serve_with(&self, part: &str, by: &str) -> Program {
        let found: Vec<_> = self.page.lines().filter_map(|line| line.strip_prefix("webserver ")).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains(part), "{part} in {}", found[0]);
        let alone = |block: &&Block| block.text.strip_prefix("webserver ") == Some(found[0]);
        self.blocks.iter().filter(alone).for_each(|block| block.is_used.set(true));
        let line = self.local(found[0]);
        let line = if part.is_empty() { line } else { line.replace(part, by) };
        let mut command = Command::new(PROGRAM);
        command.args(["--bind", "127.0.0.1", "--port", "0", "--log-format", "json"]);
        Program::run(command.args(line.split_whitespace()))
    }

    /// Runs the commands of a block in the directory, with this server in place of `localhost:6789`.
    pub(crate) fn try_run(&self, block: &str, program: &Program) -> Output {
        let address = program.address().to_string();
        let commands = self.local(block).replace("localhost:6789", &address).replace("sudo ", "");
        let mut bash = Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", &commands]).current_dir(self.directory.path());
        bash.env("HOME", self.directory.path()).env("LC_ALL", "C").env("NO_PROXY", "*").env("no_proxy", "*");
        bash.env("APT_CONFIG", self.path("etc/apt/apt.conf")).stdin(Stdio::null()).output().unwrap()
    }

    /// Like `try_run`; what it prints, if it succeeds.
    pub(crate) fn run(&self, block: &str, program: &Program) -> String {
        let output = self.try_run(block, program);
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(output.status.success(), "{block}\n{printed}");
        printed
    }
}

impl Drop for Recipe {
    fn drop(&mut self) {
        let unused: Vec<_> = self.blocks.iter().filter(|block| !block.is_used.get()).collect();
        assert!(unused.is_empty() || std::thread::panicking(), "the test does not run {unused:?}");
    }
}

/// The objects of the log.
pub(crate) fn requests(messages: &str) -> Vec<Value> {
    let objects = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects.filter(|object| object.get("level").is_none()).collect()
}

/// Whether all these programs are installed, and these modules of Debian's Python. What is missing is reported.
pub(crate) fn installed(programs: &[&str], modules: &[&str]) -> bool {
    let has_module = |module: &&&str| {
        let output = Command::new("/usr/bin/python3").args(["-c", &format!("import {module}")]).output();
        let found = output.is_ok_and(|output| output.status.success());
        if !found {
            missing(&format!("the module {module} of Python"));
        }
        found
    };
    programs.iter().filter(|program| tool(program).is_some()).count() == programs.len()
        && modules.iter().filter(has_module).count() == modules.len()
}

/// A service of others, on a port of its own. Dropping the value ends it.
pub(crate) struct Service {
    process: Child,
    pub(crate) port: u16,
}

impl Service {
    /// Starts it, on one of three free ports, and waits until it is ready, at most a minute. The output goes to a file.
    pub(crate) fn start(log: &str, command: impl Fn(u16) -> Command, is_ready: impl Fn(u16) -> bool) -> Service {
        let start = || {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let output = File::create(log).unwrap();
            let mut command = command(port);
            command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
            let mut service = Service { process: command.spawn().unwrap(), port };
            let deadline = Instant::now() + Duration::from_secs(60);
            while !is_ready(port) {
                if service.process.try_wait().unwrap().is_some() {
                    return None;
                }
                assert!(Instant::now() < deadline, "not ready: {:?}", fs::read_to_string(log));
                sleep(Duration::from_millis(20));
            }
            Some(service)
        };
        let started = (0..3).find_map(|_| start());
        started.unwrap_or_else(|| panic!("it ends instead of serving: {:?}", fs::read_to_string(log)))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
