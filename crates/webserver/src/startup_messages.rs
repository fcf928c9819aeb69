//! What the operator is told at the start, on standard error: what is served, at which URLs, and how to stop it.

use std::io::{self, Write};

use http_server::RunningServer;

use crate::cli::Cli;
use crate::messages::{is_json, notice, warn};
use crate::system::paths::{full_path, quoted};
use crate::system::process::takes_colours;
use crate::{listeners, qr_code};

/// Says what is served.
pub(crate) fn print_root(cli: &Cli) {
    let path = full_path(&cli.root);
    let path = path.as_deref().unwrap_or(&cli.root);
    notice(&format!("serving the {} {}", if path.is_dir() { "directory" } else { "file" }, quoted(path)));
}

/// Says where others find it, and how to stop the server. `is_service`: a service manager has started it.
pub(crate) fn print_urls(cli: &Cli, running: &RunningServer, is_service: bool) {
    let refused = listeners::refused_urls(cli, running);
    if !refused.is_empty() {
        notice(&format!("--allowed-host refuses requests for: {}", refused.join(" ")));
    }
    let urls = listeners::urls_elsewhere(cli, running);
    if !urls.is_empty() {
        notice(&format!("from other machines: {}", urls.join(" ")));
    }
    if cli.qr {
        print_qr_code(urls.first());
    }
    if !is_service && !is_json() {
        notice("Press Ctrl-C to stop");
    }
}

fn print_qr_code(url: Option<&String>) {
    let Some(url) = url else {
        warn("--qr: no URL works from other machines (serve an address of a network: see --bind and --allowed-host)");
        return;
    };
    let mut stderr = io::stderr();
    if let Some(lines) = qr_code::lines(url, takes_colours(&stderr)) {
        notice(&format!("QR code of {url}"));
        let _ = stderr.write_all(lines.as_bytes());
    }
}
