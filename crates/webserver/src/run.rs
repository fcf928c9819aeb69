//! Startup, in the order that security needs: open files and sockets, give up rights, start threads, report readiness.
//! A failure is one line that says what to do.

use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use http_files::{Containment, Files};
use http_server::auth::{BasicAuth, Users};
use http_server::http_core::{FieldName, FieldValue};
use http_server::{Log, RunningServer, Server};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::cli::Cli;
use crate::messages::{Level, notice, warn};
use crate::os_error::describe;
use crate::sandbox::{self, LinkDirectory, SandboxPaths};
use crate::signals::{CaughtSignals, run_interruptibly};
use crate::systemd::Notifier;
use crate::unix_socket::SocketFile;
use crate::{listeners, messages, metrics};

/// The running program.
#[derive(Debug)]
pub(crate) struct App {
    server: RunningServer,
    metrics: Option<RunningServer>,
    socket_file: Option<SocketFile>,
}

/// The fewest descriptors with which the server works.
const MIN_FDS: u64 = 40;

/// What the server needs, opened.
struct Opened {
    files: Arc<Files>,
    /// What may be read: ROOT, and the directory of its symlink. `None` and `None`: anything.
    root: Option<OwnedFd>,
    link: Option<LinkDirectory>,
    users: Option<Users>,
    server: Server,
    /// The sockets come from systemd.
    is_inherited: bool,
    socket_file: Option<SocketFile>,
    metrics: Option<Server>,
    notifier: Notifier,
    log: Option<Log>,
    log_directory: Option<OwnedFd>,
}

impl Opened {
    /// Opens everything. A disk may make that wait for ever.
    fn open(cli: &Cli, max_fds: u64, inherited: Vec<OwnedFd>) -> Result<Opened, String> {
        let files = files(cli)?.cache_size(cli.cache_size()).cached_descriptors(cli.cached_descriptors(max_fds));
        let (files, users) = (Arc::new(files), users(cli)?);
        let cannot_read = |error| format!("cannot serve {:?}: {}", cli.root, describe(&error));
        let (root, link) = match cli.follow_symlinks {
            true => (None, None),
            false => {
                (Some(files.directory().map_err(cannot_read)?), LinkDirectory::of(&cli.root).map_err(cannot_read)?)
            }
        };
        let is_inherited = !inherited.is_empty();
        let (server, socket_file) = listeners::bind(cli, inherited)?;
        let metrics = cli.metrics.map(metrics::bind).transpose()?;
        let notifier = Notifier::from_env();
        let (log, log_directory) = open_log(cli)?;
        Ok(Opened {
            files,
            root,
            link,
            users,
            server,
            is_inherited,
            socket_file,
            metrics,
            notifier,
            log,
            log_directory,
        })
    }

    fn sandbox_paths(&self) -> SandboxPaths<'_> {
        SandboxPaths {
            read: self.root.as_ref().map(AsFd::as_fd),
            link: self.link.as_ref(),
            write: self.log_directory.as_ref().map(AsFd::as_fd),
            remove: self.socket_file.as_ref().map(SocketFile::directory),
        }
    }
}

impl App {
    /// Starts everything. Until the end of the start, a signal ends the process.
    pub(crate) fn start(cli: &Cli, inherited: Vec<OwnedFd>, signals: CaughtSignals) -> Result<App, String> {
        let cannot_start = |error| format!("cannot start: {}", describe(&error));
        let max_fds = max_fds();
        if max_fds < MIN_FDS {
            return Err(format!(
                "cannot start: at least {MIN_FDS} open files are needed, and the limit is {max_fds} (raise it: ulimit -n 1024)"
            ));
        }
        let config = cli.config(max_fds);
        let opened = run_interruptibly(|| Opened::open(cli, max_fds, inherited)).map_err(cannot_start)??;
        let sandbox = sandbox::restrict_process(&opened.sandbox_paths());
        let Opened { files, users, server, is_inherited, socket_file, metrics, notifier, log, .. } = opened;
        let containment = match files.containment() {
            Containment::Openat2 => "requests cannot leave the directory (openat2)",
            Containment::ComponentWalk => "requests cannot leave the directory (no openat2 here)",
            _ => "requests may follow symlinks out of the directory",
        };

        let log_on_stderr = log.as_ref().filter(|_| cli.logs_to_standard_error()).map(Log::handle);
        let server = match log {
            Some(log) => server.log(log),
            None => server,
        };
        let server = server.config(config).on_message(move |message| messages::report(message, log_on_stderr.as_ref()));
        let running = match users {
            Some(users) => server.start(BasicAuth::new(users, files.clone())),
            None => server.start(files.clone()),
        };
        let running = running.map_err(cannot_start)?;
        let metrics = metrics.map(|server| metrics::start(server, running.stats_handle(), files));
        let metrics = metrics.transpose().map_err(cannot_start)?;
        let shut_down = {
            let (server, notifier) = (running.shutdown_handle(), notifier.clone());
            move || {
                notifier.notify("STOPPING=1");
                server.shut_down();
            }
        };
        let is_starting = signals.handle(shut_down, running.log_handle()).map_err(cannot_start)?;
        if geteuid().is_root() {
            warn("running as root, which serving files does not need (start it as another user)");
        }
        for address in metrics.iter().flat_map(RunningServer::local_addrs) {
            notice(&format!("metrics at http://{address}/metrics"));
        }
        if let Some(cause) = listeners::missing_ipv6(cli, &running).filter(|_| !is_inherited) {
            notice(&format!("listening on IPv4 only: {cause}"));
        }
        notice(&format!("{containment}; {sandbox}"));
        let stdout = io::stdout();
        // If a full pipe must be waited for, it is here, where a signal still ends the process.
        let _ = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None);
        is_starting.store(false, SeqCst);
        // A closed standard output is no reason not to serve.
        let _ = stdout.lock().write_all(listeners::ready_lines(cli, &running).as_bytes());
        notifier.notify("READY=1");
        Ok(App { server: running, metrics, socket_file })
    }

    /// Waits until the server has been shut down, and returns the last lines for standard error: the statistics, and
    /// what still holds a thread.
    pub(crate) fn join(self) -> String {
        let handle = self.server.stats_handle();
        let mut lines = messages::line(Level::Info, &self.server.join().to_string());
        if let Some((first, rest)) = handle.blocking_requests().split_first() {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            let held = format!("still held by a disk that does not answer: \"{first}\"{more}");
            lines += &messages::line(Level::Warning, &held);
        }
        if let Some(metrics) = self.metrics {
            metrics.shutdown_handle().shut_down(); // last, so that the metrics can be read during the shutdown
            metrics.join();
        }
        // Its disk may not answer, and a second signal must be heard.
        let _ = run_interruptibly(|| drop(self.socket_file));
        lines
    }
}

/// Opens the log, and the directory in which its file is created when it is reopened.
fn open_log(cli: &Cli) -> Result<(Option<Log>, Option<OwnedFd>), String> {
    let Some(format) = cli.log_format.to_server() else { return Ok((None, None)) };
    let Some(file) = &cli.log_file else {
        let log = Log::to_standard_error(format);
        let log = log.map_err(|error| format!("cannot write to standard error: {}", describe(&error)))?;
        return Ok((Some(log), None));
    };
    let cannot_open = |error: io::Error| {
        format!("cannot open the log file {file:?}: {} (choose another with --log-file)", describe(&error))
    };
    let log = Log::to_file(format, file).map_err(cannot_open)?;
    // If the name is a symlink, the file is created where it points.
    let real = file.canonicalize();
    let directory = match real.as_deref().unwrap_or(file).parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    };
    let opened = openat(CWD, directory, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
    let opened = opened.map_err(|error| cannot_open(error.into()))?;
    if let (Ok(directory), Ok(root)) = (directory.canonicalize(), cli.root.canonicalize())
        && directory.starts_with(root)
    {
        warn(&format!("the log file {file:?} is inside the served directory, so clients can read it"));
    }
    Ok((Some(log), Some(opened)))
}

/// The handler that serves the directory as the options say.
pub(crate) fn files(cli: &Cli) -> Result<Files, String> {
    let root = &cli.root;
    let mut files = Files::new(root).map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::NotFound => "no such directory (give the directory to serve: webserver ROOT)".into(),
            ErrorKind::NotADirectory => "not a directory (give the directory to serve: webserver ROOT)".into(),
            ErrorKind::PermissionDenied => "permission denied (let this user read it, or give another ROOT)".into(),
            _ => describe(&error),
        };
        format!("cannot serve {root:?}: {cause}")
    })?;
    files = files
        .listing(!cli.no_listing)
        .hidden(cli.hidden)
        .follow_symlinks(cli.follow_symlinks)
        .precompressed(!cli.no_precompressed)
        .mirror_etags(cli.mirror_etags)
        .cors(cli.cors)
        .charset(&cli.charset);
    if !cli.index.is_empty() {
        files = files.index_files(cli.index.iter().map(|name| name.as_bytes()));
    }
    for (extension, value) in &cli.types {
        files = files.media_type(extension, header_value(value)?);
    }
    if let Some(value) = &cli.cache_control {
        files = files.cache_control(header_value(value)?);
    }
    for (name, value) in &cli.header {
        let name = FieldName::new(name.as_bytes()).map_err(|_| "--header: the name is missing")?;
        files = files.header(name, header_value(value)?).map_err(|error| format!("--header {name}: {error}"))?;
    }
    let error_pages = cli.error_page.iter().map(|(_, path)| ("--error-page", path));
    for (option, path) in cli.fallback.iter().map(|path| ("--fallback", path)).chain(error_pages) {
        if !files.contains(path.as_bytes()) {
            return Err(format!("{option} {path:?}: no such file below {root:?}"));
        }
    }
    if let Some(path) = &cli.fallback {
        files = files.fallback(path.as_bytes());
    }
    for (status, path) in &cli.error_page {
        files = files.error_file(*status, path.as_bytes());
    }
    Ok(files)
}

/// The users of `--auth`. A users file that clients could read is refused.
pub(crate) fn users(cli: &Cli) -> Result<Option<Users>, String> {
    let Some(file) = &cli.auth else { return Ok(None) };
    let users = Users::read(file).map_err(|error| format!("--auth {file:?}: {error}"))?;
    let is_hidden = |file: &Path| file.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
    match (file.canonicalize(), cli.root.canonicalize()) {
        (Ok(real), Ok(root)) if real.starts_with(&root) && (cli.hidden || !is_hidden(&real)) => {
            Err(format!("--auth {file:?}: clients could read this file (move it out of {root:?})"))
        }
        _ => Ok(Some(users)),
    }
}

/// The value of a header. The command line has checked it already.
fn header_value(value: &str) -> Result<FieldValue<'_>, String> {
    FieldValue::new(value.as_bytes()).map_err(|_| format!("{value:?} is not a valid header value"))
}

/// Raises the soft limit of open files to the hard one, and returns it.
pub(crate) fn max_fds() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
