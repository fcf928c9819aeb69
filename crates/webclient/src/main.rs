//! The program: reads its options, fetches, shows what comes, and says how it ended.
#![forbid(unsafe_code)]

mod options;

use std::io::{self, IsTerminal as _, Write};
use std::process::ExitCode;

use options::Options;
use webclient::{Answer, Error, Escaped, Part, fetch};

fn main() -> ExitCode {
    let ended = Options::read().and_then(|options| Ok((run(&options)?, options)));
    let (status, line) = match ended {
        Ok((answer, options)) => (answer.exit_status(), answer.complaint(&options.url)),
        Err(error) => (error.exit_status(), (!error.is_quiet()).then(|| error.to_string())),
    };
    if let Some(line) = line {
        let _ = writeln!(io::stderr(), "webclient: {line}"); // with nobody to tell, the status tells
    }
    status.into()
}

fn run(options: &Options) -> Result<Answer, Error> {
    let stdout = io::stdout().lock();
    if !stdout.is_terminal() {
        return show(options, stdout);
    }
    let mut terminal = Escaped::new(stdout);
    let result = show(options, &mut terminal);
    terminal.finish().map_err(Error::Write)?;
    result
}

fn show(options: &Options, mut out: impl Write) -> Result<Answer, Error> {
    fetch(&options.url, &options.timeouts, |part| {
        match part {
            Part::Head(head) if options.head => out.write_all(head.bytes)?,
            Part::Body(bytes) => out.write_all(bytes)?,
            _ => {}
        }
        out.flush() // as it comes: the next bytes may be long in coming
    })
}
