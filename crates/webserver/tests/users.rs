//! The users file of `--auth` while the server runs: read again on SIGHUP, with a sandbox and without one. And how its
//! lines are made: `--hash-password`.
// Lets clippy treat the helpers as test code.
#![cfg(test)]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::Signal;
use tempfile::TempDir;

use support::{
    PASSWORD, PROGRAM, Program, authorization, connect, fetch, get, missing, output_of_command, read_response, tool,
    users_line, wait_until,
};

/// A directory to serve, and another one with a users file.
struct Site {
    place: TempDir,
    root: PathBuf,
    users: PathBuf,
}

impl Site {
    fn new(lines: &str) -> Site {
        let place = TempDir::new().unwrap();
        let (root, users) = (place.path().join("www"), place.path().join("logins/users"));
        fs::create_dir_all(root.join("directory")).unwrap();
        fs::create_dir(place.path().join("logins")).unwrap();
        fs::write(root.join("small"), "small").unwrap();
        let site = Site { place, root, users };
        site.replace(lines);
        site
    }

    /// By renaming, as an administrator should.
    fn replace(&self, lines: &str) {
        let new = self.users.with_extension("new");
        fs::write(&new, lines).unwrap();
        fs::rename(new, &self.users).unwrap();
    }

    fn start(&self, options: &[&str]) -> Program {
        Program::start(&self.root, &[&["--auth", self.users.to_str().unwrap()], options].concat())
    }
}

/// Sends SIGHUP, and returns the message that follows.
fn read_again(program: &Program) -> String {
    let before = program.messages().len();
    program.signal(Signal::HUP);
    let after = || String::from_utf8(program.messages_from(before)).unwrap();
    let is_message = |line: &&str| line.starts_with("webserver: --auth ");
    wait_until("the file was read again", || after().lines().any(|line| is_message(&line)));
    let messages = after();
    assert_eq!(messages.lines().filter(is_message).count(), 1, "{messages}");
    messages.lines().find(is_message).unwrap().to_owned()
}

fn status_for(address: SocketAddr, user: &str, password: &str) -> u16 {
    fetch(address, "GET", "/small", &authorization(user, password)).status
}

/// A connection that is kept, and its user.
struct Kept(TcpStream, &'static str);

impl Kept {
    fn status(&mut self) -> u16 {
        let headers = authorization(self.1, PASSWORD);
        write!(self.0, "GET /small HTTP/1.0\r\nConnection: keep-alive\r\n{headers}\r\n").unwrap();
        let response = read_response(&mut self.0);
        assert!(response.keeps_alive());
        response.status
    }
}

/// The users are [`first_users`]. Whatever the sandbox allows, the same happens.
fn changed_users_count_from_the_next_request_on(site: &Site, program: &Program) {
    let address = program.address();
    let mut kept = ["removed", "changed", "same"].map(|user| Kept(connect(address), user));
    assert_eq!(kept.each_mut().map(Kept::status), [200; 3]);
    assert_eq!(status_for(address, "added", PASSWORD), 401);
    let other = bcrypt::hash_with_salt("another", 4, [7; 16]).unwrap();
    site.replace(&format!("{}{}changed:{other}\n", users_line("same", 4), users_line("added", 4)));
    assert_eq!(kept.each_mut().map(Kept::status), [200; 3], "it is read when it is asked for");
    assert!(read_again(program).ends_with(": read again"));
    assert_eq!(kept.each_mut().map(Kept::status), [401, 401, 200]);
    assert_eq!((status_for(address, "removed", PASSWORD), status_for(address, "changed", "another")), (401, 200));
    assert_eq!(status_for(address, "added", PASSWORD), 200, "though it was wrong before");

    // A file that cannot be read changes nothing.
    for (lines, expected) in [
        (
            "same:secret\n",
            "line 1: expected a bcrypt hash, found plain text (make the line with: webserver --hash-password)",
        ),
        ("", "no users found (add one: webserver --hash-password >> FILE)"),
    ] {
        site.replace(lines);
        let message = read_again(program);
        assert!(message.ends_with(&format!("users\": {expected}; the previous users stay")), "{message}");
        assert!(!message.contains("secret"));
    }
    fs::remove_file(&site.users).unwrap();
    assert!(read_again(program).contains("no such file"));
    assert_eq!(kept.each_mut().map(Kept::status), [401, 401, 200]);
    // A byte order mark does not matter.
    site.replace(&("\u{feff}".to_owned() + &users_line("removed", 4)));
    assert!(read_again(program).ends_with(": read again"));
    assert_eq!(kept.each_mut().map(Kept::status), [200, 401, 401]);
}

fn first_users() -> String {
    users_line("removed", 4) + &users_line("changed", 4) + &users_line("same", 4)
}

// V19
#[test]
fn v19_changed_users_count_from_sighup_on_within_the_sandbox() {
    for options in [&[][..], &["--follow-symlinks"]] {
        let site = Site::new(&first_users());
        let program = site.start(options);
        changed_users_count_from_the_next_request_on(&site, &program);
        let messages = program.finish();
        let directory = site.users.parent().unwrap().canonicalize().unwrap();
        let named = format!("; it can read all of {directory:?}, where the users may be replaced\n");
        if messages.contains("sandboxed by Landlock") {
            assert_eq!(messages.contains(&named), options.is_empty(), "{messages}");
        }
        assert!(!messages.contains("in the clear"), "{messages}");
    }
}

#[test]
fn changed_users_count_from_sighup_on_without_a_sandbox() {
    let Some(strace) = tool("strace") else { return };
    let site = Site::new(&first_users());
    let mut command = Command::new(strace);
    // The child is the program, and not the tracer, which uses a seccomp filter that the program sees as its own.
    command.args(["-D", "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=landlock_create_ruleset"]);
    command.args(["-e", "inject=landlock_create_ruleset:error=ENOSYS", PROGRAM, "--port", "0", "--bind", "127.0.0.1"]);
    let program = Program::run(command.arg("--auth").arg(&site.users).arg(&site.root));
    assert!(program.messages().contains("the process is not sandboxed"), "{}", program.messages());
    changed_users_count_from_the_next_request_on(&site, &program);
}

// Kubernetes replaces secrets like this. What the sandbox does not allow is refused.
#[test]
fn users_file_may_be_a_symlink_that_is_switched_below_its_directory() {
    let site = Site::new("");
    let logins = site.users.parent().unwrap();
    for (version, user) in [("v1", "me"), ("v2", "you")] {
        fs::create_dir(logins.join(version)).unwrap();
        fs::write(logins.join(version).join("users"), users_line(user, 4)).unwrap();
    }
    let outside = site.place.path().join("elsewhere");
    fs::write(&outside, users_line("him", 4)).unwrap();
    let switch = |to: &Path| {
        symlink(to, logins.join("next")).unwrap();
        fs::rename(logins.join("next"), logins.join("..data")).unwrap();
    };
    switch(Path::new("v1"));
    fs::remove_file(&site.users).unwrap();
    symlink("..data/users", &site.users).unwrap();
    let program = site.start(&[]);
    let address = program.address();
    assert_eq!((status_for(address, "me", PASSWORD), status_for(address, "you", PASSWORD)), (200, 401));
    switch(Path::new("v2"));
    assert!(read_again(&program).ends_with(": read again"));
    assert_eq!((status_for(address, "me", PASSWORD), status_for(address, "you", PASSWORD)), (401, 200));
    fs::remove_file(&site.users).unwrap();
    symlink(&outside, &site.users).unwrap();
    if program.messages().contains("sandboxed by Landlock") {
        let message = read_again(&program);
        let expected = "permission denied (let the user that runs the server read it); the previous users stay";
        assert!(message.ends_with(expected), "{message}");
        assert_eq!(status_for(address, "you", PASSWORD), 200);
    }
    fs::remove_file(&site.users).unwrap();
    fs::write(site.root.join("inside"), users_line("me", 4)).unwrap();
    symlink(site.root.join("inside"), &site.users).unwrap();
    let message = read_again(&program);
    assert!(message.contains("clients could read this file"), "{message}");
    program.finish();
}

// A pipe that nobody writes, as a disk that does not answer: one worker, the log and the shutdown go on.
#[test]
fn users_file_that_does_not_answer_holds_up_nothing() {
    let site = Site::new(&users_line("me", 4));
    let log = site.place.path().join("log");
    let program = site.start(&["--threads", "1", "--log-file", log.to_str().unwrap()]);
    let address = program.address();
    fs::remove_file(&site.users).unwrap();
    mknodat(CWD, &site.users, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    for n in 0..3 {
        fs::rename(&log, log.with_extension(n.to_string())).unwrap();
        program.signal(Signal::HUP);
        wait_until("the signal after it is handled", || log.exists());
        assert_eq!((status_for(address, "me", PASSWORD), status_for(address, "you", PASSWORD)), (200, 401));
    }
    assert!(!program.messages().contains("--auth"), "{}", program.messages());
    // It answers. SIGHUP came since it was asked: it is read once more, and only once.
    fs::write(&site.users, users_line("you", 4)).unwrap();
    let lines = |program: &Program| program.messages().matches("read again\n").count();
    wait_until("it is read", || lines(&program) == 1);
    fs::write(&site.users, users_line("him", 4)).unwrap();
    wait_until("it is read once more", || lines(&program) == 2);
    assert_eq!((status_for(address, "me", PASSWORD), status_for(address, "him", PASSWORD)), (401, 200));
    // It does not answer again, at the end.
    program.signal(Signal::HUP);
    assert_eq!(program.finish().matches("--auth").count(), 2);
}

#[test]
fn users_file_of_another_user_is_refused_with_advice() {
    if !rustix::process::geteuid().is_root() {
        return; // the owner of a file can read it
    }
    let Some(setpriv) = tool("setpriv") else { return };
    let site = Site::new(&users_line("me", 4));
    fs::set_permissions(site.place.path(), PermissionsExt::from_mode(0o755)).unwrap();
    fs::set_permissions(&site.users, PermissionsExt::from_mode(0o600)).unwrap();
    let mut command = Command::new(setpriv);
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM, "--port", "0", "--auth"]);
    let output = output_of_command(command.arg(&site.users).arg(&site.root));
    let error = String::from_utf8(output.stderr).unwrap();
    if error.contains("setpriv") {
        return missing("a program that another user may execute");
    }
    assert!(error.ends_with(": permission denied (let the user that runs the server read it)\n"), "{error}");
}

#[test]
fn warning_says_where_passwords_cross_a_network_in_the_clear() {
    let site = Site::new(&users_line("me", 4));
    let socket = site.place.path().join("socket");
    let (users, socket) = (site.users.to_str().unwrap(), socket.to_str().unwrap());
    let has_ipv6 = TcpListener::bind("[::1]:0").is_ok();
    let mut cases = vec![
        (vec!["--port", "0", "--auth", users], true),
        (vec!["--port", "0"], false),
        (vec!["--port", "0", "--bind", "0.0.0.0", "--auth", users], true),
        (vec!["--port", "0", "--bind", "127.0.0.1", "--auth", users], false),
        (vec!["--port", "0", "--bind", "127.0.0.2", "--bind", "127.0.0.1", "--auth", users], false),
        (vec!["--port", "0", "--bind", "127.0.0.1", "--bind", "0.0.0.0", "--auth", users], true),
        (vec!["--port", "0", "--auth", users, "--trust-proxy", "10.0.0.0/8"], false),
        (vec!["--unix", socket, "--auth", users], false),
        (vec!["--unix", socket, "--port", "0", "--auth", users], true),
    ];
    if has_ipv6 {
        cases.push((vec!["--port", "0", "--bind", "::1", "--auth", users], false));
        cases.push((vec!["--port", "0", "--bind", "::", "--auth", users], true));
    }
    for (mut options, is_warned) in cases {
        // Two binds share no port.
        if options.iter().filter(|option| **option == "--bind").count() == 2 {
            options[1] = "0";
        }
        let messages = Program::run(Command::new(PROGRAM).args(&options).arg(&site.root)).finish();
        let warning = "webserver: warning: passwords cross the network in the clear (put a TLS proxy in front, and use \
                       --bind 127.0.0.1 or --trust-proxy)\n";
        assert_eq!(messages.contains(warning), is_warned, "{options:?}: {messages}");
        assert_eq!(messages.contains("in the clear"), is_warned);
    }
}

/// Runs `--hash-password` with this standard input.
fn hash(user: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(PROGRAM);
    command.arg("--hash-password").args(user).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let _ = process.stdin.take().unwrap().write_all(input); // it may have ended already
    process.wait_with_output().unwrap()
}

#[test]
fn line_is_made_of_a_password_from_a_pipe_and_lets_its_user_log_in() {
    let long = "x".repeat(72);
    let mut lines = String::new();
    for (user, input) in
        [("a", "open sesame"), ("c d", "open sesame\r\nand more\n"), ("\u{e4}", " p\u{e4}ss:wort \n"), ("long", &*long)]
    {
        let output = hash(&[user], input.as_bytes());
        let line = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        assert!(line.starts_with(&format!("{user}:$2y$10$")) && line.ends_with('\n') && line.lines().count() == 1);
        lines.push_str(&line);
    }
    let salts: Vec<&str> = lines.lines().map(|line| &line[line.len() - 53..][..22]).collect();
    assert!((1..salts.len()).all(|n| !salts[..n].contains(&salts[n])), "{salts:?}");
    let site = Site::new(&lines);
    let program = site.start(&[]);
    for (user, password) in [("a", PASSWORD), ("c d", PASSWORD), ("\u{e4}", " p\u{e4}ss:wort "), ("long", &long)] {
        assert_eq!(status_for(program.address(), user, password), 200, "{user}");
    }
    assert_eq!(status_for(program.address(), "long", &long[1..]), 401);
    assert_eq!(get(program.address(), "/small").status, 401);
    program.finish();
}

#[test]
fn what_cannot_be_a_login_is_refused_with_one_line() {
    let bad_user = "a user name is not empty, has no colon or control character, and does not begin with #";
    let (long, empty) = ("x".repeat(73), "no password was given");
    for (user, input, expected) in [
        (&[][..], "a\n", "whose password is on standard input? (webserver --hash-password USER)"),
        (&[""], "a\n", bad_user),
        (&["a:b"], "a\n", bad_user),
        (&["a\nb"], "a\n", bad_user),
        (&["#a"], "a\n", bad_user),
        (&["a"], "", empty),
        (&["a"], "\r\n", empty),
        (&["a"], "a\tb\n", "the password has control characters, which no browser sends"),
        (&["a"], &*long, "the password has 73 bytes, and bcrypt uses only the first 72"),
    ] {
        let output = hash(user, input.as_bytes());
        assert_eq!((output.status.code(), &*output.stdout), (Some(1), &b""[..]), "{user:?} {input:?}");
        assert_eq!(str::from_utf8(&output.stderr), Ok(&*format!("webserver: {expected}\n")));
    }
}

/// Runs a line of shell on a terminal, and types after each prompt, which ends with `: `. Returns what the terminal
/// showed.
fn type_after_prompts(line: &str, typed: &[&str]) -> String {
    // `script` is of util-linux, which every Debian has. The time ends a wait for a prompt that does not come.
    let mut script = Command::new("timeout");
    script.args(["20", "script", "--quiet", "--return", "--echo", "always", "--command", line, "/dev/null"]);
    script.env("W", PROGRAM).env("SHELL", "/bin/sh").env("LC_ALL", "C.UTF-8");
    let mut child = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut seen = Vec::new();
    for typed in typed {
        let begins_at = seen.len();
        while !seen[begins_at..].ends_with(b": ") {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap_or_else(|_| panic!("{}", seen.escape_ascii()));
            seen.push(byte[0]);
        }
        stdin.write_all(typed.as_bytes()).unwrap();
    }
    stdout.read_to_end(&mut seen).unwrap();
    child.wait().unwrap();
    String::from_utf8(seen).unwrap()
}

#[test]
fn password_is_asked_for_twice_on_the_terminal_and_not_shown() {
    let place = TempDir::new().unwrap();
    let users = place.path().join("users");
    let modes = "; echo status $?; stty -a | tr ' ' '\\n' | grep -x -e '-*isig' -e '-*echo'";
    let end = "isig\r\necho\r\n";
    let run = |user: &str, typed: &[&str]| {
        // A shell lets its background jobs ignore SIGINT.
        let program = "env --default-signal=INT $W --hash-password";
        type_after_prompts(&format!("{program} {user} >> {}{modes}", users.display()), typed)
    };
    let prompts = "Password of me: \r\nOnce more: \r\n";
    assert_eq!(run("me", &["open sesame\n", "open sesame\n"]), format!("{prompts}status 0\r\n{end}"));
    let shown = run("", &["me too\n", "open sesame\n", "open sesame\n"]);
    let expected = "User: me too\r\nPassword of me too: \r\nOnce more: \r\nstatus 0\r\n";
    assert_eq!(shown, format!("{expected}{end}"));
    let shown = run("me", &["open sesame\n", "open sesam\n"]);
    assert_eq!(shown, format!("{prompts}webserver: the two passwords differ\r\nstatus 1\r\n{end}"));
    for typed in ["\n", "\x04"] {
        let shown = run("me", &[typed]);
        assert_eq!(shown, format!("Password of me: \r\nwebserver: no password was given\r\nstatus 1\r\n{end}"));
    }
    // The interrupt leaves the terminal as it was.
    assert_eq!(run("me", &["ses\x03"]), format!("Password of me: \r\nstatus 130\r\n{end}"));
    assert_eq!(run("me", &["sesame\n", "ses\x03"]), format!("{prompts}status 130\r\n{end}"));
    let lines = fs::read_to_string(&users).unwrap();
    assert_eq!(lines.lines().map(|line| line.split_once(":$2y$10$").unwrap().0).collect::<Vec<_>>(), ["me", "me too"]);
    let site = Site::new(&lines);
    let program = site.start(&[]);
    assert_eq!(status_for(program.address(), "me too", PASSWORD), 200);
    program.finish();
}
