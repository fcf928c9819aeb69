//! What the program prints when it is asked for something else than to serve.

use std::io;

use clap::CommandFactory;
use webserver::Guard;

use crate::options::Options;
use crate::{metrics, startup};

/// The text asked for, if one is.
pub(crate) fn text(options: &Options) -> Result<Option<Vec<u8>>, String> {
    Ok(Some(if options.print_limits {
        limits(options).into_bytes()
    } else if let Some(request) = &options.explain {
        explain(options, request)?.into_bytes()
    } else if let Some(shell) = options.completions {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Options::command(), "webserver", &mut script);
        script
    } else if options.man {
        manual().map_err(|error| format!("cannot write the manual: {error}"))?
    } else {
        return Ok(None);
    }))
}

fn limits(options: &Options) -> String {
    let mut text = format!("{}\n", options.bounds(startup::descriptors()));
    if options.metrics.is_some() {
        text.push_str(&format!("--metrics: {} MiB more\n", metrics::MEMORY >> 20));
    }
    text
}

/// What would become of a request, whose lines may be parted by `\n` as a shell passes it on, or by what that stands for.
fn explain(options: &Options, request: &str) -> Result<String, String> {
    let lines = request.replace("\\r", "").replace("\\n", "\n").replace("\r\n", "\n");
    let mut bytes = lines.trim_end_matches('\n').replace('\n', "\r\n");
    // A Simple-Request ends with its line, any other with an empty one.
    bytes.push_str(if bytes.contains("HTTP/") { "\r\n\r\n" } else { "\r\n" });
    let files = startup::files(options)?;
    let keeps = !options.no_keep_alive;
    Ok(match startup::users(options)? {
        Some(users) => webserver::explain(Guard::new(users, files), keeps, bytes.as_bytes()),
        None => webserver::explain(files, keeps, bytes.as_bytes()),
    })
}

/// The manual page of section 1.
fn manual() -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Options::command()).render(&mut page)?;
    Ok(page)
}
