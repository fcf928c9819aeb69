//! Startup, in the order that security needs: open files and sockets, give up rights, start threads, report readiness.
//! A failure is one line that says what to do.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use http_files::{Containment, Files};
use http_server::auth::{BasicAuth, Users};
use http_server::{RunningServer, Server};

use crate::cli::Cli;
use crate::log_file::{Destination, LogFile};
use crate::messages::{Level, notice, warn};
use crate::site::{at_allowed_hosts, files};
use crate::system::os_error::describe;
use crate::system::process::{self, max_fds};
use crate::system::sandbox::Sandbox;
use crate::system::signals::{CaughtSignals, run_interruptibly};
use crate::system::systemd::{Inherited, Notifier};
use crate::system::unix_socket::SocketFile;
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
    users: Option<(Users, UsersFile)>,
    server: Server,
    /// The sockets come from systemd.
    is_inherited: bool,
    socket_file: Option<SocketFile>,
    metrics: Option<Server>,
    notifier: Notifier,
    log: Option<LogFile>,
    sandbox: Sandbox,
}

impl Opened {
    /// Opens everything. A disk may make that wait for ever.
    fn open(cli: &Cli, max_fds: u64, inherited: Inherited) -> Result<Opened, String> {
        let files = files(cli)?.cache_size(cli.cache_size()).cached_descriptors(cli.cached_descriptors(max_fds));
        let files = Arc::new(files);
        let users = UsersFile::of(cli).map(|file| file.read().map(|users| (users, file))).transpose()?;
        let is_inherited = !inherited.is_empty();
        let (server, socket_file) = listeners::bind(cli, inherited)?;
        let metrics = cli.metrics.as_ref().map(metrics::bind).transpose()?;
        let notifier = Notifier::from_env();
        let log = LogFile::open(cli)?;
        let users_file = users.as_ref().map(|(_, file)| file);
        let sandbox = Sandbox::open(cli, &files, users_file, log.as_ref(), socket_file.as_ref())?;
        Ok(Opened { files, users, server, is_inherited, socket_file, metrics, notifier, log, sandbox })
    }
}

impl App {
    /// Starts everything. Until the end of the start, a signal ends the process.
    pub(crate) fn start(cli: &Cli, inherited: Inherited, signals: CaughtSignals) -> Result<App, String> {
        let cannot_start = |error| format!("cannot start: {}", describe(&error));
        let max_fds = max_fds();
        if max_fds < MIN_FDS {
            return Err(format!(
                "cannot start: at least {MIN_FDS} open files are needed, and the limit is {max_fds} ({})",
                process::RAISE_MAX_FDS
            ));
        }
        let config = cli.config(max_fds);
        if config.max_connections < cli.max_connections() {
            let connections = config.max_connections;
            notice(&format!(
                "at most {connections} connections, because the limit of open files (ulimit -Hn) is {max_fds}"
            ));
        }
        let opened = run_interruptibly(|| Opened::open(cli, max_fds, inherited)).map_err(cannot_start)??;
        let Opened { files, users, server, is_inherited, socket_file, metrics, notifier, log, sandbox } = opened;
        let sandbox = sandbox.restrict_process();
        let containment = match files.containment() {
            Containment::Openat2 | Containment::ComponentWalk if files.is_one_file() => "requests reach no other file",
            Containment::Openat2 => "requests cannot leave the directory (openat2)",
            Containment::ComponentWalk if cfg!(target_os = "linux") => {
                "requests cannot leave the directory (no openat2 here)"
            }
            Containment::ComponentWalk => "requests cannot leave the directory",
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
        if process::is_root() {
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
        notice(&[Some(containment), sandbox.as_deref()].into_iter().flatten().collect::<Vec<_>>().join("; "));
        startup_messages::print_urls(cli, &running, notifier.is_connected());
        let lines = listeners::ready_lines(cli, &running);
        // If a full pipe must be waited for, it is here, where a signal still ends the process.
        if stdout_is_for_log {
            process::wait_until_writable(&io::stderr());
        } else {
            process::wait_until_writable(&io::stdout());
        }
        is_starting.store(false, SeqCst);
        if stdout_is_for_log {
            messages::print_ready(&lines);
        } else {
            let _ = io::stdout().write_all(lines.as_bytes()); // a closed one is no reason not to serve
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
            let who = if cfg!(windows) { "a client or a disk" } else { "a disk" }; // a write there cannot be interrupted
            let held = format!("still held by {who} that does not answer: \"{first}\"{more}");
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
