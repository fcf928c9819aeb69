//! What is served, as the options say: the handler of ROOT, and the hosts at which it may be reached.

use std::io::ErrorKind;
use std::sync::Arc;

use http_files::Files;
use http_server::http_core::{FieldName, FieldValue};
use http_server::{AllowedHosts, Handler};

use crate::cli::{CacheRule, Cli, near_misses};
use crate::messages::warn;
use crate::system::os_error::describe;
use crate::system::paths::quoted;

/// The handler that serves the directory or file as the options say.
pub(crate) fn files(cli: &Cli) -> Result<Files, String> {
    let root = &cli.root;
    let mut files = Files::new(root).map_err(|error| {
        let cause = match error.kind() {
            ErrorKind::NotFound => near_misses::missing_root(root),
            ErrorKind::NotADirectory => "neither a directory nor a file (give what to serve: webserver ROOT)".into(),
            ErrorKind::PermissionDenied => "permission denied (let this user read it, or give another ROOT)".into(),
            _ => describe(&error),
        };
        format!("cannot serve {}: {cause}", quoted(root))
    })?;
    files = files
        .listing(!cli.no_listing)
        .archive(!cli.no_archive)
        .pretty_urls(cli.pretty_urls)
        .hidden(cli.hidden)
        .follow_symlinks(cli.follow_symlinks)
        .precompressed(!cli.no_precompressed)
        .mirror_etags(cli.mirror_etags)
        .cors(cli.cors);
    if let Some(charset) = &cli.charset {
        files = files.charset(charset);
    }
    if !cli.index.is_empty() {
        files = files.index_files(cli.index.iter().map(|name| name.as_encoded_bytes()));
    }
    for (name, value) in &cli.types {
        files = files.media_type(name, header_value(value)?);
    }
    for CacheRule { glob, value, .. } in cache_rules(cli) {
        files = files.cache_rule(glob.clone(), header_value(value)?);
    }
    for (name, value) in &cli.header {
        let name = FieldName::new(name.as_bytes()).map_err(|_| "--header: the name is missing")?;
        files = files.header(name, header_value(value)?).map_err(|error| format!("--header {name}: {error}"))?;
    }
    let error_pages = cli.error_page.iter().map(|(_, path)| ("--error-page", path));
    for (option, path) in cli.fallback.iter().map(|path| ("--fallback", path)).chain(error_pages) {
        if !files.contains(path.as_encoded_bytes()) {
            return Err(format!("{option} {path:?}: no such file below {}", quoted(root)));
        }
    }
    if let Some(path) = &cli.fallback {
        files = files.fallback(path.as_encoded_bytes());
    }
    for (status, path) in &cli.error_page {
        files = files.error_file(*status, path.as_encoded_bytes());
    }
    Ok(files)
}

/// The rules of `--cache-control`, in the order in which they apply.
fn cache_rules(cli: &Cli) -> Vec<&CacheRule> {
    let mut rules: Vec<&CacheRule> = cli.cache_control.iter().collect();
    rules.sort_by_key(|rule| rule.is_for_others);
    for (n, CacheRule { glob, value, .. }) in rules.iter().enumerate() {
        if let Some(earlier) = rules[..n].iter().find(|earlier| earlier.glob.covers(glob)) {
            let first = if earlier.is_for_others { format!("{:?}", earlier.value) } else { earlier.glob.to_string() };
            warn(&format!("--cache-control: {value:?} is never used, because {first} comes first"));
        }
    }
    rules
}

/// Refuses requests for other hosts than the options allow, in front of everything else.
pub(crate) fn at_allowed_hosts(cli: &Cli, handler: Arc<dyn Handler>) -> Arc<dyn Handler> {
    match &*cli.allowed_host {
        [] => handler,
        hosts => Arc::new(AllowedHosts::new(hosts.iter().cloned(), handler)),
    }
}

/// The value of a header. The command line has checked it already.
fn header_value(value: &str) -> Result<FieldValue<'_>, String> {
    FieldValue::new(value.as_bytes()).map_err(|_| format!("{value:?} is not a valid header value"))
}
