//! Which file gets which bytes, and when.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::scripted::{Place, Reply, Server, assert_ends, program};

const HELLO: &str = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
/// Its last 5 bytes are missing.
const CUT: &str = "HTTP/1.0 200 OK\r\nContent-Length: 10\r\nETag: \"v\"\r\n\r\nbegun";

#[test]
fn file_has_its_name_only_when_it_is_complete() {
    let server = Server::new([Reply::new(CUT).pause().send(" ende")]);
    let place = Place::new();
    place.write("file", "old");
    let mut child = place.command(["-o", "file", &server.url("/a")]).spawn().unwrap();
    place.await_length("file.part", 5);
    place.assert_has(&[("file", "old"), ("file.part", "begun"), ("file.part.meta", "")]);
    server.go_on();
    assert!(child.wait().unwrap().success());
    place.assert_has(&[("file", "begun ende")]);
}

#[test]
fn body_is_saved_however_it_ends() {
    for (response, saved) in [
        (HELLO, "hello"),
        ("HTTP/1.0 200 OK\r\n\r\nhello", "hello"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.0 201 Created\r\nContent-Length: 1\r\n\r\nx", "x"),
        ("HTTP/1.0 204 No Content\r\n\r\n", ""),
    ] {
        let (server, place) = (Server::new([response]), Place::new());
        assert_ends(&place.run(["-o", "file", &server.url("/a")]), 0, &[]);
        place.assert_has(&[("file", saved)]);
    }
}

// Each of these is known to be incomplete. An old file stays, and so does what was received.
#[test]
fn incomplete_body_is_never_success() {
    let place = Place::new();
    place.write("file", "old");
    let part = || place.path("file.part");
    for (reply, status, message) in [
        (Reply::new(CUT), 18, "the body was cut short; file.part has 5 bytes (--continue goes on)"),
        (Reply::new(CUT).reset_when(part(), 5), 18, "the connection was lost while receiving the body"),
        (Reply::new(CUT).stall(), 28, "receiving the body timed out after 2 s; file.part has 5 bytes"),
        // Without a length, only a close ends the body. A reset does not.
        (Reply::new("HTTP/1.0 200 OK\r\n\r\nbegun").reset_when(part(), 5), 18, "lost while receiving the body"),
        (Reply::new("HTTP/1.0 200 OK\r\n\r\nbegun").stall(), 28, "receiving the body timed out after 2 s"),
        (
            Reply::new("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"),
            18,
            "the body was cut short; file.part has 5 bytes",
        ),
    ] {
        let server = Server::new([reply]);
        let timeout = if status == 28 { "--idle-timeout=2" } else { "--idle-timeout=60" };
        assert_ends(&place.run(["-o", "file", timeout, &server.url("/a")]), status, &[message]);
        place.assert_has(&[("file", "old"), ("file.part", "begun"), ("file.part.meta", "")]);
        fs::remove_file(part()).unwrap(); // a reset waits for that of its own client
    }
}

#[test]
fn no_empty_part_is_left() {
    for (reply, status) in [
        ("HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n", 18),
        ("HTTP/1.0 200", 18),
        ("", 18),
        ("nonsense", 8),
        ("HTTP/1.0 404 Not Found\r\n\r\nno", 4),
    ] {
        let (server, place) = (Server::new([reply]), Place::new());
        assert_eq!(place.run(["-o", "file", &server.url("/a")]).status.code(), Some(status));
        place.assert_has(&[]);
    }
    let place = Place::new();
    assert_eq!(place.run(["-o", "file", "http://no-such-host.invalid/"]).status.code(), Some(6));
    place.assert_has(&[]);
}

// An error page is no version of the file, so it is neither saved nor shown.
#[test]
fn response_without_success_replaces_no_file() {
    let place = Place::new();
    place.write("file", "old");
    for (status, exit_status) in [("404 Not Found", 4), ("302 Found", 3), ("304 Not Modified", 3), ("500 Oops", 5)] {
        let server = Server::new([format!("HTTP/1.0 {status}\r\n\r\nerror page")]);
        let output = place.run(["-o", "file", &server.url("/a")]);
        assert_ends(&output, exit_status, &[status]);
        assert_eq!(output.stdout, b"");
        place.assert_has(&[("file", "old")]);
    }
}

#[test]
fn body_goes_to_the_file_and_the_head_to_standard_output() {
    let (server, place) = (Server::new([HELLO]), Place::new());
    let output = place.run(["-i", "-o", "file", &server.url("/a")]);
    assert_ends(&output, 0, &[]);
    assert_eq!(output.stdout, b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n");
    place.assert_has(&[("file", "hello")]);
}

#[test]
fn replaced_file_keeps_its_permissions_and_its_symlinks() {
    let place = Place::new();
    for mode in [0o600, 0o640, 0o755] {
        place.write("file", "old");
        fs::set_permissions(place.path("file"), fs::Permissions::from_mode(mode)).unwrap();
        let _ = fs::remove_file(place.path("link"));
        symlink("file", place.path("link")).unwrap();
        let server = Server::new([Reply::new(CUT).pause().send(" ende")]);
        let mut child = place.command(["-o", "link", &server.url("/a")]).spawn().unwrap();
        place.await_length("file.part", 5);
        let mode_of = |name| fs::metadata(place.path(name)).unwrap().mode() & 0o7777;
        assert_eq!(mode_of("file.part"), 0o600, "it may be as private as the file");
        assert_eq!(mode_of("file.part.meta"), 0o600);
        server.go_on();
        assert!(child.wait().unwrap().success());
        assert_eq!(mode_of("file"), mode);
        assert!(fs::symlink_metadata(place.path("link")).unwrap().is_symlink());
        place.assert_has(&[("file", "begun ende"), ("link", "begun ende")]);
    }
    symlink("new", place.path("dangling")).unwrap();
    let server = Server::new([HELLO]);
    assert_ends(&place.run(["-o", "dangling", &server.url("/a")]), 0, &[]);
    assert_eq!(fs::read(place.path("new")).unwrap(), b"hello");
}

#[test]
fn what_cannot_be_written_is_known_before_the_request() {
    let place = Place::new();
    fs::create_dir(place.path("directory")).unwrap();
    place.write("plain", "");
    symlink("loop", place.path("loop")).unwrap();
    symlink("plain", place.path("linked.part")).unwrap();
    fs::create_dir(place.path("used.part")).unwrap();
    let (long, longest) = ("n".repeat(246), "n".repeat(245));
    let server = Server::new([HELLO]);
    let url = server.url("/a");
    for (name, message) in [
        ("directory", "directory: is a directory"),
        ("directory/", "directory/: is a directory"),
        ("none/", "none/: is a directory"),
        ("none/file", "none/file.part: No such file or directory"),
        ("plain/file", "plain/file: Not a directory"),
        ("loop", "loop: there are too many symlinks"),
        ("linked", "linked.part: Too many levels of symbolic links"),
        ("used", "used.part: Is a directory"),
        (&long, "its name is too long"),
    ] {
        assert_ends(&place.run(["-o", name, &url]), 23, &[message]);
    }
    server.assert_no_request();
    assert_ends(&place.run(["-o", &longest, &url]), 0, &[]);
}

/// Runs the program as a user who is not root, in a directory that belongs to root.
#[test]
fn write_protected_file_and_directory_are_left_alone() {
    let place = Place::new();
    place.write("file", "old");
    place.write("mine", "old");
    let set = |name: &str, mode| fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
    let server = Server::new([HELLO]);
    let is_root = fs::metadata(place.path("file")).unwrap().uid() == 0;
    let run = |name: &str| {
        let mut command = place.command(["-o", name, &server.url("/a")]);
        if is_root {
            command.uid(65534).gid(65534);
        }
        command.output().unwrap()
    };
    set("file", 0o444);
    set("mine", 0o666);
    set(".", 0o777);
    assert_ends(&run("file"), 23, &["file: Permission denied"]);
    set(".", 0o555);
    assert_ends(&run("mine"), 23, &["mine.part: Permission denied"]);
    server.assert_no_request();
    set(".", 0o755);
    place.assert_has(&[("file", "old"), ("mine", "old")]);
}

#[test]
fn remote_name_is_the_end_of_the_url_and_never_from_a_header() {
    let (redirect, disposition) = (
        "HTTP/1.0 302 Found\r\nLocation: /evil\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Disposition: attachment; filename=evil\r\nContent-Location: /evil\r\n\r\nhello",
    );
    let (server, place) = (Server::new([redirect, disposition]), Place::new());
    assert_ends(&place.run(["-L", "-O", &server.url("/a/b%20c.txt?d=/e")]), 0, &[]);
    place.assert_has(&[("b c.txt", "hello")]);
    let (server, place) = (Server::new([HELLO]), Place::new());
    for path in ["/", "/a/", "/..", "/%2e%2e", "/..%2F..%2Fetc%2Fpasswd", "/a%00b", "/a%0Ab", "/%1b%5b2J", "/-rf", "/-"]
    {
        assert_ends(&place.run(["-O", &server.url(path)]), 23, &["(use --output)"]);
    }
    server.assert_no_request();
    place.assert_has(&[]);
}

#[test]
fn remote_name_replaces_a_file_only_by_force() {
    let place = Place::new();
    place.write("file", "old");
    symlink("nowhere", place.path("link")).unwrap();
    let server = Server::new([HELLO, HELLO]);
    for name in ["file", "link"] {
        let message = format!("{name}: it exists (--force replaces it)");
        assert_ends(&place.run(["-O", &server.url(&format!("/{name}"))]), 23, &[&message]);
    }
    server.assert_no_request();
    place.assert_has(&[("file", "old"), ("link", "")]);
    assert_ends(&place.run(["-O", "--force", &server.url("/file")]), 0, &[]);
    assert_eq!(fs::read(place.path("file")).unwrap(), b"hello");
}

#[test]
fn remote_name_replaces_no_file_that_appears_meanwhile() {
    let (server, place) = (Server::new([Reply::new(CUT).pause().send(" ende")]), Place::new());
    let child = place.command(["-O", &server.url("/file")]).stderr(Stdio::piped()).spawn().unwrap();
    place.await_length("file.part", 5);
    place.write("file", "new");
    server.go_on();
    assert_ends(&child.wait_with_output().unwrap(), 23, &["file: it exists (--force replaces it)"]);
    place.assert_has(&[("file", "new"), ("file.part", "begun ende"), ("file.part.meta", "")]);
}

#[test]
fn each_url_has_a_file_of_its_own() {
    let (server, place) = (Server::new([HELLO, HELLO]), Place::new());
    place.write("b", "old");
    let output = place.run(["-O", &server.url("/a"), &server.url("/b"), &server.url("/c")]);
    assert_ends(&output, 23, &["b: it exists"]);
    place.assert_has(&[("a", "hello"), ("b", "old"), ("c", "hello")]);
}

#[test]
fn second_client_does_not_write_the_same_file() {
    let (server, place) = (Server::new([Reply::new(CUT).pause().send(" ende"), Reply::new(HELLO)]), Place::new());
    let url = server.url("/a");
    let mut first = place.command(["-o", "file", &url]).spawn().unwrap();
    place.await_length("file.part", 5);
    for arguments in [&["-o", "file", &url][..], &["-C", "-o", "file", &url]] {
        assert_ends(&place.run(arguments), 23, &["file.part: another download is writing it"]);
    }
    server.go_on();
    assert!(first.wait().unwrap().success());
    place.assert_has(&[("file", "begun ende")]);
    // The lock ends with its process.
    assert_ends(&place.run(["-o", "file", &url]), 0, &[]);
    place.assert_has(&[("file", "hello")]);
}

// Whoever wins, the file is whole, and nothing else is left.
#[test]
fn many_clients_never_mix_their_downloads() {
    let (root, place) = (Place::new(), Place::new());
    let running = http_server::Server::bind(("127.0.0.1", 0)).unwrap().threads(2);
    let running = running.start(http_files::Files::new(root.0.path()).unwrap()).unwrap();
    let whole = |c: char| c.to_string().repeat(300_000);
    root.write("a", whole('a'));
    root.write("b", whole('b'));
    let url = format!("http://{}", running.local_addrs()[0]);
    for _ in 0..5 {
        let clients = ["/a", "/b", "/a", "/b", "/a", "/b"].map(|path| {
            let arguments = ["-C", "-o", "file", &format!("{url}{path}")];
            place.command(arguments).stderr(Stdio::piped()).spawn().unwrap()
        });
        let ends = clients.map(|client| client.wait_with_output().unwrap());
        assert!(ends.iter().any(|end| end.status.success()));
        for end in ends.iter().filter(|end| !end.status.success()) {
            assert_ends(end, 23, &["file.part: another download is writing it"]);
        }
        let file = fs::read_to_string(place.path("file")).unwrap();
        assert!(file == whole('a') || file == whole('b'));
        place.assert_has(&[("file", &file)]);
    }
    running.shutdown_handle().shut_down();
}

#[test]
fn device_pipe_and_descriptor_are_written_in_place() {
    let place = Place::new();
    let server = Server::new([HELLO; 6]);
    let url = server.url("/a");
    assert_ends(&place.run(["-o", "/dev/null", &url]), 0, &[]);
    assert!(fs::metadata("/dev/null").unwrap().file_type().is_char_device());
    for name in ["-", "/dev/stdout", "/dev/fd/1"] {
        let output = place.run(["-o", name, &url]);
        assert_ends(&output, 0, &[]);
        assert_eq!(output.stdout, b"hello", "{name}");
    }
    // Descriptors of files: what is in them stays.
    assert_ends(&place.shell(r#"echo before >out; "$0" -o /dev/fd/3 "$1" 3>>out"#, &[&url]), 0, &[]);
    place.assert_has(&[("out", "before\nhello")]);

    assert!(Command::new("mkfifo").arg(place.path("fifo")).status().unwrap().success());
    let mut child = place.command(["-o", "fifo", &url]).spawn().unwrap();
    let mut received = String::new();
    fs::File::open(place.path("fifo")).unwrap().read_to_string(&mut received).unwrap();
    assert_eq!((received.as_str(), child.wait().unwrap().code()), ("hello", Some(0)));
}

#[test]
fn full_disk_is_an_error_and_the_rest_can_follow() {
    let place = Place::new();
    let whole = "x".repeat(300_000);
    let head = "HTTP/1.0 200 OK\r\nContent-Length: 300000\r\nETag: \"v\"\r\n\r\n";
    let rest = |from: usize| {
        let range = format!("Content-Range: bytes {from}-299999/300000\r\nContent-Length: {}", 300_000 - from);
        format!("HTTP/1.0 206 Partial Content\r\n{range}\r\n\r\n{}", &whole[from..])
    };
    let limit = 100 << 10;
    let server = Server::new([format!("{head}{whole}"), rest(limit)]);
    let url = server.url("/a");
    // The limit is like a full disk, if its signal is ignored.
    let output = place.shell(r#"trap '' XFSZ; ulimit -f 100; exec "$0" -o file "$1""#, &[&url]);
    assert_ends(&output, 23, &["File too large (os error 27); file.part has 102400 bytes (--continue goes on)"]);
    assert_ends(&place.run(["-C", "-o", "file", &url]), 0, &[]);
    place.assert_has(&[("file", &whole)]);

    if !fs::exists("/dev/full").unwrap() {
        return println!("SKIPPED: no /dev/full");
    }
    let server = Server::new([HELLO]);
    assert_ends(&place.run(["-o", "/dev/full", &server.url("/a")]), 23, &["No space left on device"]);
}

// In a directory such as /tmp, somebody else may have put it there.
#[test]
fn part_that_is_not_of_this_user_alone_is_left_alone() {
    let place = Place::new();
    let server = Server::new([HELLO]);
    let run = || assert_ends(&place.run(["-C", "-o", "file", &server.url("/a")]), 23, &["file.part: "]);
    assert!(Command::new("mkfifo").arg(place.path("file.part")).status().unwrap().success());
    run();
    assert!(fs::metadata(place.path("file.part")).unwrap().file_type().is_fifo());
    fs::remove_file(place.path("file.part")).unwrap();

    place.write("other", "text");
    symlink("other", place.path("file.part")).unwrap();
    run();
    fs::remove_file(place.path("file.part")).unwrap();

    fs::hard_link(place.path("other"), place.path("file.part")).unwrap();
    run();
    fs::remove_file(place.path("other")).unwrap();

    if chown(place.path("file.part"), Some(65534), None).is_ok() {
        run();
    } else {
        println!("SKIPPED: only root can give a file away");
    }
    server.assert_no_request();
    place.assert_has(&[("file.part", "text")]);
}

#[test]
fn replaced_file_keeps_its_owner() {
    let (server, place) = (Server::new([HELLO]), Place::new());
    place.write("file", "old");
    if chown(place.path("file"), Some(65534), Some(65534)).is_err() {
        return println!("SKIPPED: only root can give a file away");
    }
    assert_ends(&place.run(["-o", "file", &server.url("/a")]), 0, &[]);
    let found = fs::metadata(place.path("file")).unwrap();
    assert_eq!((found.uid(), found.gid(), found.len()), (65534, 65534, 5));
}

#[test]
fn head_has_no_body_to_save() {
    let (place, server) = (Place::new(), Server::new([HELLO]));
    let url = server.url("/a");
    for arguments in [&["-I", "-o", "f", &url][..], &["-I", "-O", &url], &["-X", "HEAD", "-o", "f", &url]] {
        assert_eq!(place.run(arguments).status.code(), Some(2), "{arguments:?}");
    }
    server.assert_no_request();
}

// Whatever its length, a body takes the same memory.
#[test]
fn large_body_takes_little_memory() {
    const LENGTH: usize = 128 << 20;
    let head = format!("HTTP/1.0 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n");
    let server = Server::new([Reply::new(head).send(vec![b'x'; LENGTH - 1]).pause().send("x")]);
    let place = Place::new();
    let mut child = place.command(["-o", "file", &server.url("/a")]).spawn().unwrap();
    place.await_length("file.part", LENGTH as u64 - 1);
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    server.go_on();
    assert!(child.wait().unwrap().success());
    assert_eq!(fs::metadata(place.path("file")).unwrap().len(), LENGTH as u64);
    assert!(peak < 16 << 10, "{peak} KiB");
}

/// Runs the program on a terminal of its own. Returns what it shows there.
fn on_terminal(place: &Place, arguments: &str, url: &str, redirection: &str) -> String {
    let command = format!("{} {arguments} {url} {redirection}", program().display());
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).current_dir(place.0.path()).stdin(Stdio::null());
    let output = script.output().expect("script is part of util-linux");
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn terminal_gets_no_control_characters_whatever_its_name() {
    let (place, response) = (Place::new(), "HTTP/1.0 200 OK\r\n\r\n\x1b]0;title\x07");
    for (arguments, shown) in [
        ("-o /dev/tty", "\\x1b]0;title\\x07"),
        ("-o /dev/fd/1", "\\x1b]0;title\\x07"),
        ("-o -", "\\x1b]0;title\\x07"),
        ("--raw -o /dev/tty", "\x1b]0;title\x07"),
    ] {
        assert_eq!(on_terminal(&place, arguments, &Server::new([response]).url("/a"), ""), shown, "{arguments}");
    }
}

#[cfg(feature = "progress")]
#[test]
fn progress_is_shown_on_a_terminal_while_a_file_is_saved() {
    let place = Place::new();
    let run = |arguments, redirection| on_terminal(&place, arguments, &Server::new([HELLO]).url("/a"), redirection);
    let shown = run("-o file", "");
    assert!(shown.contains("file") && shown.contains("5 B/5 B") && shown.ends_with("\r\n"), "{shown:?}");
    assert_eq!(run("-o /dev/null", ""), "");
    assert_eq!(run("", ""), "hello");
    assert_eq!(run("-o file", "2>/dev/null"), "");
}
