//! From options to servers at work; what can go wrong on the way is one line that says what to do.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};
use webserver::http_core::{FieldName, FieldValue};
use webserver::{Containment, Counts, Files, Guard, Log, LogOpener, Running, Users};

use crate::cause::cause;
use crate::confine::{self, Allowed};
use crate::options::Options;
use crate::systemd::Notified;
use crate::unix::SocketFile;
use crate::{listening, metrics};

/// All that is at work.
#[derive(Debug)]
pub(crate) struct Started {
    files: Running,
    metrics: Option<Running>,
    notified: Notified,
    _socket: Option<SocketFile>,
}

/// Descriptors without which it cannot serve.
const FEWEST: u64 = 40;

/// Starts everything. What opens files or sockets comes first, then the process is confined, then come the threads.
pub(crate) fn start(options: &Options, handed: Vec<OwnedFd>) -> Result<Started, String> {
    let descriptors = descriptors();
    if descriptors < FEWEST {
        return Err(format!(
            "it takes {FEWEST} open files, and {descriptors} are allowed; raise the limit: ulimit -n 1024"
        ));
    }
    let bounds = options.bounds(descriptors);
    let (files, users) = (Arc::new(files(options)?.cache(bounds.cached)), users(options)?);
    let (server, socket) = listening::server(options, handed)?;
    let metrics = options.metrics.map(metrics::bind).transpose()?;
    let notified = Notified::from_env();
    let (log, log_directory) = log(options)?;
    let confined = confine::confine(&Allowed {
        reading: Some(files.as_fd()).filter(|_| !options.follow_links),
        writing: log_directory.as_ref().map(AsFd::as_fd),
        removing: socket.as_ref().map(SocketFile::directory),
    });
    let requests = match files.containment() {
        Containment::Kernel => "requests stay below the directory, by openat2",
        Containment::Walk => "requests stay below the directory, by following no links, for want of openat2",
        _ => "requests go wherever links lead",
    };

    let server = match log {
        Some(log) => server.log(log),
        None => server,
    };
    let trusted = options.trust_proxy.iter().copied();
    let server = server.bounds(bounds).keep_alive(!options.no_keep_alive).trust_proxies(trusted);
    let running = match users {
        Some(users) => server.start(Guard::new(users, files.clone())),
        None => server.start(files.clone()),
    };
    let cannot_start = |error| format!("cannot start: {}", cause(&error));
    let running = running.map_err(cannot_start)?;
    let metrics = metrics.map(|server| metrics::start(server, running.stopper(), files));
    let metrics = metrics.transpose().map_err(cannot_start)?;
    if geteuid().is_root() {
        say("warning: started as root, and serving files needs no privileges; start it as another user");
    }
    for address in metrics.iter().flat_map(Running::addresses) {
        say(&format!("metrics at http://{address}/metrics"));
    }
    say(&format!("{requests}; the process is {confined}"));
    // Nobody may be listening to us; that is no reason not to serve.
    let _ = io::stdout().write_all(listening::ready_lines(options, &running).as_bytes());
    notified.tell("READY=1");
    Ok(Started { files: running, metrics, notified, _socket: socket })
}

impl Started {
    /// What begins to stop it all, from any thread.
    pub(crate) fn stop(&self) -> impl Fn() + Send + 'static {
        let (files, notified) = (self.files.stopper(), self.notified.clone());
        move || {
            notified.tell("STOPPING=1");
            files.stop();
        }
    }

    /// What opens the log's file anew, from any thread.
    pub(crate) fn log_opener(&self) -> LogOpener {
        self.files.log_opener()
    }

    /// Waits until it was stopped and has ended.
    pub(crate) fn join(self) -> Counts {
        let counts = self.files.join();
        if let Some(metrics) = self.metrics {
            metrics.stopper().stop(); // not before: they tell how the end goes
            metrics.join();
        }
        counts
    }
}

/// The log, and the directory in which its file will be made again.
fn log(options: &Options) -> Result<(Option<Log>, Option<OwnedFd>), String> {
    let Some(file) = &options.log_file else {
        let log = options.log().map_err(|error| format!("cannot write to standard error: {}", cause(&error)))?;
        return Ok((log, None));
    };
    let cannot_open = |error: io::Error| {
        format!("cannot open the log's file {file:?}: {}; name another by --log-file FILE", cause(&error))
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
pub(crate) fn files(options: &Options) -> Result<Files, String> {
    let root = &options.root;
    let mut files = Files::new(root).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no directory {root:?}; name the directory to serve: webserver FOLDER"),
        ErrorKind::NotADirectory => format!("{root:?} is no directory; name the directory to serve: webserver FOLDER"),
        ErrorKind::PermissionDenied => {
            format!("the directory {root:?} may not be read; let this user read it, or name another: webserver FOLDER")
        }
        _ => format!("cannot open the directory {root:?}: {}", cause(&error)),
    })?;
    files = files
        .listing(!options.no_listing)
        .hidden(options.hidden)
        .follow_links(options.follow_links)
        .sidecars(!options.no_sidecars)
        .cors(options.cors)
        .charset(&options.charset);
    if !options.index.is_empty() {
        files = files.indexes(options.index.iter().map(|name| name.as_bytes()));
    }
    for (extension, value) in &options.types {
        files = files.media_type(extension, valid(value)?);
    }
    if let Some(value) = &options.cache_control {
        files = files.cache_control(valid(value)?);
    }
    for (name, value) in &options.header {
        let name = FieldName::new(name.as_bytes()).map_err(|_| "a field has no name")?;
        files = files.field(name, valid(value)?).map_err(|error| format!("{name}: {error}"))?;
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
pub(crate) fn users(options: &Options) -> Result<Option<Users>, String> {
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

/// Raises the soft limit of descriptors to the hard one, and says how many that is.
pub(crate) fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
