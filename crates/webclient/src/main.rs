//! The program: reads its options, fetches the URL, writes the response and reports the outcome.
#![forbid(unsafe_code)]

mod cli;
mod outcome;
mod terminal;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use cli::Options;
use outcome::Outcome;
use terminal::EscapingWriter;
use webclient::{Error, Head, fetch};

fn main() -> ExitCode {
    let outcome = match Options::read() {
        Ok(options) => run(&options),
        Err(error) => Outcome { exit_status: 2, message: Some(error.to_string()) },
    };
    if let Some(message) = outcome.message {
        let _ = writeln!(io::stderr(), "webclient: {message}"); // if that fails, the exit status remains
    }
    outcome.exit_status.into()
}

fn run(options: &Options) -> Outcome {
    let stdout = io::stdout().lock();
    let result = if stdout.is_terminal() {
        let mut terminal = EscapingWriter::new(stdout);
        let result = write_response(options, &mut terminal);
        terminal.finish().map_err(Error::Write).and(result)
    } else {
        write_response(options, stdout)
    };
    match result {
        Ok(head) => Outcome::of_response(&head, &options.url),
        Err(error) => Outcome::of_error(&error, &options.url),
    }
}

fn write_response(options: &Options, mut out: impl Write) -> Result<Head, Error> {
    let mut response = fetch(&options.url, &options.timeouts)?;
    if options.shows_head {
        out.write_all(&response.head.bytes).and_then(|()| out.flush()).map_err(Error::Write)?;
    }
    response.copy_to(&mut out)?;
    Ok(response.head)
}
