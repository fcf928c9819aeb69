//! What the program says about itself: the end of the help, the man page, and shell completions. The rest of the help
//! stands beside the options.

use std::io::{self, IsTerminal as _, Write as _};

use clap::CommandFactory as _;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;
use crate::outcome::Outcome;
use crate::stdio::Stdout;

const EXAMPLES: [(&str, &str); 6] = [
    ("webclient localhost 6789 HelloWorld.html", "show the response: its head, then its body"),
    ("webclient http://localhost:6789/style.css", "show the body alone"),
    ("webclient -v http://localhost:6789/", "show also what is sent, and why"),
    ("webclient -C -O --retry 5 http://localhost:6789/large.iso", "download a file over a bad line"),
    ("webclient -d @order.json http://localhost:8080/orders", "send a file"),
    ("webclient -u mary http://localhost:6789/private", "ask for the password, and log in"),
];

const EXIT_STATUSES: [(u8, &str); 12] = [
    (0, "every response was complete, and its status 2xx"),
    (2, "wrong usage, or a file to send that cannot be read"),
    (3, "a 3xx response: a redirect that was not followed, or one that cannot be, as to https"),
    (4, "a 4xx response, such as 404 Not Found"),
    (5, "a 5xx response, such as 503 Service Unavailable"),
    (6, "the name of the host has no address"),
    (7, "no connection to the host"),
    (8, "the response is malformed, not HTTP, or a part (206) that was not asked for"),
    (18, "the response was cut short"),
    (23, "the output cannot be written, or a binary body was not shown on a terminal"),
    (28, "a timeout"),
    (47, "more than 5 redirects in a row"),
];

/// The end of `--help`.
pub(crate) fn end() -> String {
    let mut text = "Examples:\n".to_owned();
    for (command, meaning) in EXAMPLES {
        text += &format!("  {command}\n          {meaning}\n");
    }
    text += "\nExit status, of the first URL that failed:\n";
    for (status, meaning) in EXIT_STATUSES {
        text += &format!("  {status:>3}  {meaning}\n");
    }
    text
}

/// Prints what clap has to say: the help that was asked for, or what is wrong with the command line.
pub(crate) fn answer(said: &clap::Error) -> Outcome {
    if said.use_stderr() || io::stdout().is_terminal() {
        let _ = said.print(); // in colours
        return Outcome { exit_status: said.exit_code() as u8, message: None };
    }
    Outcome::of_text(Stdout::until(None).write_all(said.render().to_string().as_bytes()))
}

/// The text that an option asks for instead of a request.
pub(crate) fn requested(cli: &Cli) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(shell) = cli.completions {
        clap_complete::generate(shell, &mut Cli::command(), "webclient", &mut text);
    } else if cli.man {
        man_page(&mut text).ok()?; // a Vec takes everything
    } else {
        return None;
    }
    Some(text)
}

/// The man page, in section 1. It has no date, so that builds are reproducible.
fn man_page(out: &mut Vec<u8>) -> io::Result<()> {
    let man = Man::new(Cli::command());
    man.render_title(out)?;
    man.render_name_section(out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for arguments in ["URL...", "HOST PORT FILE"] {
        roff.text([bold("webclient"), roman(format!(" [OPTIONS] {arguments}"))]).control("br", []);
    }
    roff.to_writer(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]).text([roman("That of the first URL that failed:")]);
    for (status, meaning) in EXIT_STATUSES {
        roff.control("TP", ["6"]).text([bold(status.to_string())]).text([roman(meaning)]);
    }
    roff.control("SH", ["EXAMPLES"]);
    for (command, meaning) in EXAMPLES {
        roff.control("TP", []).text([bold(command)]).text([roman(meaning)]);
    }
    roff.to_writer(out)?;
    man.render_version_section(out)
}
