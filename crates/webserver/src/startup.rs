//! From options to a server at work; what can go wrong on the way is one line that says what to do.

use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use webserver::http_core::{FieldName, FieldValue};
use webserver::{Files, Guard, Running, Server, Users};

use crate::options::Options;

pub(crate) fn start(options: &Options) -> Result<Running, String> {
    let (files, users) = (files(options)?, users(options)?);
    let log = options.log().map_err(|error| match &options.log_file {
        Some(file) => format!("cannot open the log's file {file:?}: {error}; name another by --log-file FILE"),
        None => format!("cannot write to standard error: {error}"),
    })?;
    let addresses = options.addresses();
    let bound = if addresses.is_empty() { Server::bind_all(options.port) } else { Server::bind(&*addresses) };
    let server = bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            format!("port {} is in use; choose another by --port PORT, or any free one by --port 0", options.port)
        }
        ErrorKind::PermissionDenied => {
            format!("port {} may not be used without privileges; choose one from 1024 on by --port PORT", options.port)
        }
        ErrorKind::AddrNotAvailable => format!("an address of --bind is none of this machine's: {error}"),
        _ => format!("cannot listen on port {}: {error}", options.port),
    })?;
    let bounds = options.bounds(descriptors());
    let server = match log {
        Some(log) => server.log(log),
        None => server,
    };
    let server =
        server.bounds(bounds).keep_alive(!options.no_keep_alive).trust_proxies(options.trust_proxy.iter().copied());
    let files = files.cache(bounds.cached);
    let running = match users {
        Some(users) => server.start(Guard::new(users, files)),
        None => server.start(files),
    };
    running.map_err(|error| format!("cannot start: {error}"))
}

/// What would become of a request, whose lines may be parted by `\n` as a shell passes it on.
pub(crate) fn explain(options: &Options, request: &str) -> Result<String, String> {
    let lines = request.replace("\\r", "").replace("\\n", "\n");
    let mut octets = lines.trim_end_matches('\n').replace('\n', "\r\n");
    // A Simple-Request ends with its line, any other with an empty one.
    octets.push_str(if octets.contains("HTTP/") { "\r\n\r\n" } else { "\r\n" });
    let files = files(options)?;
    Ok(match users(options)? {
        Some(users) => webserver::explain(Guard::new(users, files), octets.as_bytes()),
        None => webserver::explain(files, octets.as_bytes()),
    })
}

/// The folder, served as the options say.
fn files(options: &Options) -> Result<Files, String> {
    let root = &options.root;
    let mut files = Files::new(root).map_err(|error| match error.kind() {
        ErrorKind::NotFound => format!("there is no folder {root:?}; name the folder to serve: webserver FOLDER"),
        ErrorKind::NotADirectory => format!("{root:?} is no folder; name the folder to serve: webserver FOLDER"),
        _ => format!("cannot open the folder {root:?}: {error}"),
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
        let name = FieldName::new(name.as_bytes()).ok_or("a field has no name")?;
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
fn users(options: &Options) -> Result<Option<Users>, String> {
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
    FieldValue::new(value.as_bytes()).ok_or_else(|| format!("{value:?} is no value of a field"))
}

/// Where a browser finds the server, one address a line: the first that is printed, once connections are accepted.
pub(crate) fn print_ready_lines(options: &Options, running: &Running) {
    let mut lines = String::new();
    for address in running.addresses() {
        if options.addresses().is_empty() {
            lines.push_str(&format!("listening on http://localhost:{}/\n", address.port()));
            for interface in if_addrs::get_if_addrs().unwrap_or_default() {
                let ip = interface.ip();
                let reached = !ip.is_loopback() && (ip.is_ipv4() || address.is_ipv6()) && !is_link_local(ip);
                if reached {
                    lines.push_str(&format!("listening on http://{}/\n", SocketAddr::new(ip, address.port())));
                }
            }
        } else {
            lines.push_str(&format!("listening on http://{address}/\n"));
        }
    }
    // Nobody may be listening to us; that is no reason not to serve.
    let _ = io::stdout().write_all(lines.as_bytes());
}

/// Such an address needs a zone, which no URL of a browser can name.
fn is_link_local(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

/// Raises the soft limit of descriptors to the hard one, and says how many that is.
pub(crate) fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    if raised { maximum } else { current }.unwrap_or(u64::MAX)
}
