//! From options to servers at work; what can go wrong on the way is one line that says what to do.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use http_files::{Containment, Files};
use http_server::auth::{BasicAuth, Users};
use http_server::http_core::{FieldName, FieldValue};
use http_server::{Log, LogHandle, RunningServer, Stats};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::cli::Cli;
use crate::os_error::describe;
use crate::sandbox::{self, SandboxPaths};
use crate::systemd::Notifier;
use crate::unix_socket::SocketFile;
use crate::{listeners, metrics};

/// All that is at work.
#[derive(Debug)]
pub(crate) struct Started {
    files: RunningServer,
    metrics: Option<RunningServer>,
    notified: Notifier,
    _socket: Option<SocketFile>,
}

/// Descriptors without which it cannot serve.
const MIN_FDS: u64 = 40;

/// Starts everything. What opens files or sockets comes first, then the process is confined, then come the threads.
pub(crate) fn start(options: &Cli, handed: Vec<OwnedFd>) -> Result<Started, String> {
    let descriptors = descriptors();
    if descriptors < MIN_FDS {
        return Err(format!(
            "it takes {MIN_FDS} open files, and {descriptors} are allowed; raise the limit: ulimit -n 1024"
        ));
    }
    let config = options.config(descriptors);
    let (files, users) = (Arc::new(files(options)?.cache_entries(options.cache_entries(descriptors))), users(options)?);
    let (server, socket) = listeners::server(options, handed)?;
    let metrics = options.metrics.map(metrics::bind).transpose()?;
    let notified = Notifier::from_env();
    let (log, log_directory) = log(options)?;
    let confined = sandbox::confine(&SandboxPaths {
        reading: Some(files.as_fd()).filter(|_| !options.follow_symlinks),
        writing: log_directory.as_ref().map(AsFd::as_fd),
        removing: socket.as_ref().map(SocketFile::directory),
    });
    let requests = match files.containment() {
        Containment::Openat2 => "requests stay below the directory, by openat2",
        Containment::ComponentWalk => "requests stay below the directory, by following no links, for want of openat2",
        _ => "requests go wherever links lead",
    };

    let server = match log {
        Some(log) => server.log(log),
        None => server,
    };
    let mut server = server.config(config);
    if !options.logs_to_standard_error() {
        server = server.on_message(warn_at_once);
    }
    let running = match users {
        Some(users) => server.start(BasicAuth::new(users, files.clone())),
        None => server.start(files.clone()),
    };
    let cannot_start = |error| format!("cannot start: {}", describe(&error));
    let running = running.map_err(cannot_start)?;
    let metrics = metrics.map(|server| metrics::start(server, running.stats_handle(), files));
    let metrics = metrics.transpose().map_err(cannot_start)?;
    if geteuid().is_root() {
        say("warning: started as root, and serving files needs no privileges; start it as another user");
    }
    for address in metrics.iter().flat_map(RunningServer::local_addrs) {
        say(&format!("metrics at http://{address}/metrics"));
    }
    say(&format!("{requests}; the process is {confined}"));
    // Nobody may be listening to us; that is no reason not to serve.
    let _ = io::stdout().write_all(listeners::ready_lines(options, &running).as_bytes());
    notified.tell("READY=1");
    Ok(Started { files: running, metrics, notified, _socket: socket })
}

impl Started {
    /// What begins to stop it all, from any thread.
    pub(crate) fn shut_down(&self) -> impl Fn() + Send + 'static {
        let (files, notified) = (self.files.shutdown_handle(), self.notified.clone());
        move || {
            notified.tell("STOPPING=1");
            files.shut_down();
        }
    }

    /// What opens the log's file anew, from any thread.
    pub(crate) fn log_handle(&self) -> LogHandle {
        self.files.log_handle()
    }

    /// Waits until it was stopped and has ended.
    pub(crate) fn join(self) -> Stats {
        let counts = self.files.join();
        if let Some(metrics) = self.metrics {
            metrics.shutdown_handle().shut_down(); // not before: they tell how the end goes
            metrics.join();
        }
        counts
    }
}

/// The log, and the directory in which its file will be made again.
fn log(options: &Cli) -> Result<(Option<Log>, Option<OwnedFd>), String> {
    let Some(file) = &options.log_file else {
        let log = options.log().map_err(|error| format!("cannot write to standard error: {}", describe(&error)))?;
        return Ok((log, None));
    };
    let cannot_open = |error: io::Error| {
        format!("cannot open the log's file {file:?}: {}; name another by --log-file FILE", describe(&error))
    };
    let log = options.log().map_err(cannot_open)?;
    // That of the file itself, where the name is a link to it.
    let real = file.canonicalize();
    let directory = match real.as_deref().unwrap_or(file).parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let opened = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(|error| cannot_open(error.into()))?;
    if let (Ok(directory), Ok(root)) = (directory.canonicalize(), options.root.canonicalize())
        && directory.starts_with(root)
    {
        say(&format!(
            "warning: the log's file {file:?} lies below the directory that is served, and can be read by all"
        ));
    }
    Ok((log, Some(opened)))
}

/// The directory, served as the options say.
pub(crate) fn files(options: &Cli) -> Result<Files, String> {
    let root = &options.root;
    let mut files = Files::new(root).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no directory {root:?}; name the directory to serve: webserver FOLDER"),
        ErrorKind::NotADirectory => format!("{root:?} is no directory; name the directory to serve: webserver FOLDER"),
        ErrorKind::PermissionDenied => {
            format!("the directory {root:?} may not be read; let this user read it, or name another: webserver FOLDER")
        }
        _ => format!("cannot open the directory {root:?}: {}", describe(&error)),
    })?;
    files = files
        .listing(!options.no_listing)
        .hidden(options.hidden)
        .follow_symlinks(options.follow_symlinks)
        .precompressed(!options.no_precompressed)
        .cors(options.cors)
        .charset(&options.charset);
    if !options.index.is_empty() {
        files = files.index_files(options.index.iter().map(|name| name.as_bytes()));
    }
    for (extension, value) in &options.types {
        files = files.media_type(extension, valid(value)?);
    }
    if let Some(value) = &options.cache_control {
        files = files.cache_control(valid(value)?);
    }
    for (name, value) in &options.header {
        let name = FieldName::new(name.as_bytes()).map_err(|_| "a field has no name")?;
        files = files.header(name, valid(value)?).map_err(|error| format!("{name}: {error}"))?;
    }
    for path in options.fallback.iter().chain(options.error_page.iter().map(|(_, path)| path)) {
        if !files.contains(path.as_bytes()) {
            return Err(format!("there is no file {path:?} below {root:?} that could be shown"));
        }
    }
    if let Some(path) = &options.fallback {
        files = files.fallback(path.as_bytes());
    }
    for (status, path) in &options.error_page {
        files = files.error_page(*status, path.as_bytes());
    }
    Ok(files)
}

/// Who is let in, if not everybody; never by a file that is served itself.
pub(crate) fn users(options: &Cli) -> Result<Option<Users>, String> {
    let Some(file) = &options.auth else { return Ok(None) };
    let users = Users::read(file).map_err(|error| format!("--auth {file:?}: {error}"))?;
    let is_hidden = |file: &Path| file.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
    match (file.canonicalize(), options.root.canonicalize()) {
        (Ok(real), Ok(root)) if real.starts_with(&root) && (options.hidden || !is_hidden(&real)) => {
            Err(format!("--auth {file:?}: it would be served, too; keep it out of {root:?}"))
        }
        _ => Ok(Some(users)),
    }
}

/// The value of a field; the options have been checked.
fn valid(value: &str) -> Result<FieldValue<'_>, String> {
    FieldValue::new(value.as_bytes()).map_err(|_| format!("{value:?} is no value of a field"))
}

/// One line on standard error.
fn say(what: &str) {
    let _ = writeln!(io::stderr(), "webserver: {what}");
}

/// One line on standard error, unless that would have to wait for its reader.
fn warn_at_once(message: &str) {
    let stderr = io::stderr();
    let writable = poll(&mut [PollFd::new(&stderr, PollFlags::OUT)], Some(&Timespec::default()));
    if writable == Ok(1) {
        say(message);
    }
}

/// Raises the soft limit of descriptors to the hard one, and says how many that is.
pub(crate) fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
