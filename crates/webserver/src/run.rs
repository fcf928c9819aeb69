//! Startup, in the order that security needs: open files and sockets, give up rights, start threads, report readiness.
//! A failure is one line that says what to do.

use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use http_files::{Containment, Files};
use http_server::auth::{BasicAuth, Users};
use http_server::{RunningServer, Server};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Resource, Rlimit, geteuid, getrlimit, setrlimit};

use crate::cli::Cli;
use crate::log_file::{Destination, LogFile};
use crate::messages::{Level, notice, warn};
use crate::os_error::describe;
use crate::sandbox::{self, LinkDirectory, SandboxPaths};
use crate::signals::{CaughtSignals, run_interruptibly};
use crate::site::{at_allowed_hosts, files};
use crate::systemd::Notifier;
use crate::unix_socket::SocketFile;
use crate::users::{UsersFile, clear_text_warning};
use crate::{listeners, messages, metrics, startup_messages};

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
    users: Option<(Users, UsersFile)>,
    users_directories: Vec<(PathBuf, OwnedFd)>,
    server: Server,
    /// The sockets come from systemd.
    is_inherited: bool,
    socket_file: Option<SocketFile>,
    metrics: Option<Server>,
    notifier: Notifier,
    log: Option<LogFile>,
}

impl Opened {
    /// Opens everything. A disk may make that wait for ever.
    fn open(cli: &Cli, max_fds: u64, inherited: Vec<OwnedFd>) -> Result<Opened, String> {
        let files = files(cli)?.cache_size(cli.cache_size()).cached_descriptors(cli.cached_descriptors(max_fds));
        let files = Arc::new(files);
        let users = UsersFile::of(cli).map(|file| file.read().map(|users| (users, file))).transpose()?;
        let users_directories = users.as_ref().map(|(_, file)| file.directories()).unwrap_or_default();
        let cannot_read = |error| format!("cannot serve {:?}: {}", cli.root, describe(&error));
        let (root, link) = match cli.follow_symlinks {
            true => (None, None),
            false => {
                (Some(files.directory().map_err(cannot_read)?), LinkDirectory::of(&cli.root).map_err(cannot_read)?)
            }
        };
        let is_inherited = !inherited.is_empty();
        let (server, socket_file) = listeners::bind(cli, inherited)?;
        let metrics = cli.metrics.as_ref().map(metrics::bind).transpose()?;
        let notifier = Notifier::from_env();
        let log = LogFile::open(cli)?;
        Ok(Opened {
            files,
            root,
            link,
            users,
            users_directories,
            server,
            is_inherited,
            socket_file,
            metrics,
            notifier,
            log,
        })
    }

    fn sandbox_paths(&self) -> SandboxPaths<'_> {
        SandboxPaths {
            read: self.root.as_ref().map(AsFd::as_fd),
            link: self.link.as_ref(),
            users: &self.users_directories,
            write: self.log.as_ref().and_then(|log| match &log.destination {
                Destination::Directory(directory) => Some(directory.as_fd()),
                _ => None,
            }),
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
            Containment::Openat2 | Containment::ComponentWalk if files.is_one_file() => "requests reach no other file",
            Containment::Openat2 => "requests cannot leave the directory (openat2)",
            Containment::ComponentWalk => "requests cannot leave the directory (no openat2 here)",
            _ => "requests may follow symlinks out of the directory",
        };

        let mut log_on_stderr = None;
        let mut stdout_is_for_log = false;
        let server = match log {
            Some(LogFile { log, destination }) => {
                log_on_stderr = matches!(destination, Destination::StandardError).then(|| log.handle());
                stdout_is_for_log = matches!(destination, Destination::StandardOutput);
                server.log(log)
            }
            None => server,
        };
        let report = move |level, message: &str| messages::report(level, message, log_on_stderr.as_ref());
        let on_message = report.clone();
        let server = server.config(config).on_message(move |message| on_message(Level::Error, message));
        let (running, read_users) = match users {
            Some((users, file)) => {
                let auth = Arc::new(BasicAuth::new(users, files.clone()));
                let running = server.start(at_allowed_hosts(cli, auth.clone())).map_err(cannot_start)?;
                let replace = move |users| auth.replace_users(users);
                (running, Some(file.read_on_demand(replace, report).map_err(cannot_start)?))
            }
            None => (server.start(at_allowed_hosts(cli, files.clone())).map_err(cannot_start)?, None),
        };
        let metrics = metrics.map(|server| metrics::start(server, running.stats_handle(), files));
        let metrics = metrics.transpose().map_err(cannot_start)?;
        let shut_down = {
            let (server, notifier) = (running.shutdown_handle(), notifier.clone());
            move || {
                notifier.notify("STOPPING=1");
                server.shut_down();
            }
        };
        let reload = {
            let log = running.log_handle();
            move || {
                log.reopen();
                read_users.iter().for_each(|read| read());
            }
        };
        let is_starting = signals.handle(shut_down, reload).map_err(cannot_start)?;
        if geteuid().is_root() {
            warn("running as root, which serving files does not need (start it as another user)");
        }
        if let Some(warning) = clear_text_warning(cli, running.local_addrs()) {
            warn(warning);
        }
        startup_messages::print_root(cli);
        for address in metrics.iter().flat_map(RunningServer::local_addrs) {
            notice(&format!("metrics at http://{address}/metrics"));
        }
        if let Some(cause) = listeners::missing_ipv6(cli, &running).filter(|_| !is_inherited) {
            notice(&format!("listening on IPv4 only: {cause}"));
        }
        notice(&format!("{containment}; {sandbox}"));
        startup_messages::print_urls(cli, &running, notifier.is_connected());
        let lines = listeners::ready_lines(cli, &running);
        if stdout_is_for_log {
            messages::print_ready(&lines);
            is_starting.store(false, SeqCst);
        } else {
            let stdout = io::stdout();
            // If a full pipe must be waited for, it is here, where a signal still ends the process.
            let _ = poll(&mut [PollFd::new(&stdout, PollFlags::OUT)], None);
            is_starting.store(false, SeqCst);
            // A closed standard output is no reason not to serve.
            let _ = stdout.lock().write_all(lines.as_bytes());
        }
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

/// Raises the soft limit of open files to the hard one, and returns it.
pub(crate) fn max_fds() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
