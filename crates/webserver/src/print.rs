//! What the program prints when it is asked for something else than to serve.

use std::io;

use clap::CommandFactory;
use http_files::Files;
use http_server::auth::BasicAuth;

use crate::cli::Cli;
use crate::{explain, metrics, run};

/// The text asked for, if one is.
pub(crate) fn text(options: &Cli) -> Result<Option<Vec<u8>>, String> {
    Ok(Some(if options.print_limits {
        limits(options).into_bytes()
    } else if let Some(request) = &options.explain {
        explain(options, request)?.into_bytes()
    } else if let Some(shell) = options.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "webserver", &mut script);
        script
    } else if options.man {
        manual().map_err(|error| format!("cannot write the manual: {error}"))?
    } else {
        return Ok(None);
    }))
}

fn limits(options: &Cli) -> String {
    let descriptors = run::descriptors();
    let config = options.config(descriptors);
    let files = Files::memory_bound(options.cache_entries(descriptors), config.threads);
    let entries = options.cache_entries(descriptors);
    let mut text = format!("{config}\n");
    let mut row = |name: &str, limit: String, meaning: &str| {
        text.push_str(&format!("{name:32} {limit:>14}   {meaning}\n"));
    };
    row("cached files", entries.to_string(), "of 16 KiB; or a 16th as many descriptors of larger ones");
    text.push_str("\nmemory, at most\n");
    let parts = config.memory_bounds().into_iter().chain([("cached files and listings", files)]);
    let mut total = 0;
    for (name, bytes) in parts {
        text.push_str(&format!("{name:32} {:>10.1} MiB\n", mib(bytes)));
        total += bytes;
    }
    text.push_str(&format!("{:32} {:>10.1} MiB\n", "in all", mib(total)));
    if options.metrics.is_some() {
        text.push_str(&format!("--metrics: {} MiB more\n", metrics::MEMORY >> 20));
    }
    text
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// What would become of a request, whose lines may be parted by `\n` as a shell passes it on, or by what that stands for.
fn explain(options: &Cli, request: &str) -> Result<String, String> {
    let lines = request.replace("\\r", "").replace("\\n", "\n").replace("\r\n", "\n");
    let mut bytes = lines.trim_end_matches('\n').replace('\n', "\r\n");
    // A Simple-Request ends with its line, any other with an empty one.
    bytes.push_str(if bytes.contains("HTTP/") { "\r\n\r\n" } else { "\r\n" });
    let files = run::files(options)?;
    let keeps = !options.no_keep_alive;
    Ok(match run::users(options)? {
        Some(users) => explain::explain(BasicAuth::new(users, files), keeps, bytes.as_bytes()),
        None => explain::explain(files, keeps, bytes.as_bytes()),
    })
}

/// The manual page of section 1.
fn manual() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    Ok(page)
}
