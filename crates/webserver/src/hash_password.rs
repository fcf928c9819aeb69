//! `--hash-password`: makes a line for the file of `--auth`. The password is asked for on the terminal, or read from a
//! pipe or a file. It is never an argument, which other users could see.

use std::io::{self, BufRead, BufReader, IsTerminal, Read};

use bcrypt::Version;
use http_server::auth::Users;
use http_server::http_core::auth::Basic;
use terminal_prompt::Terminal;

/// Verifying takes some 50 ms. Each further step doubles that.
const COST: u32 = 10;

/// What bcrypt uses of a password, in bytes.
const MAX_PASSWORD: usize = 72;

/// The line, with its end.
pub(crate) fn line(user: Option<&str>) -> Result<String, String> {
    let (user, password) = if io::stdin().is_terminal() {
        ask(user)?
    } else {
        let user = user.ok_or("whose password is on standard input? (webserver --hash-password USER)")?;
        (checked_user(user.into())?, read()?)
    };
    if password.is_empty() {
        return Err("no password was given".into());
    }
    if Basic::new(user.as_bytes(), &password).is_err() {
        return Err("the password has control characters, which no browser sends".into());
    }
    if password.len() > MAX_PASSWORD {
        return Err(format!(
            "the password has {} bytes, and bcrypt uses only the first {MAX_PASSWORD}",
            password.len()
        ));
    }
    let hash = bcrypt::hash_with_result(&password, COST).map_err(|error| format!("cannot hash: {error}"))?;
    Ok(format!("{user}:{}\n", hash.format_for_version(Version::TwoY)))
}

/// Asks for what is not known yet; for the password twice, because it is not shown.
fn ask(user: Option<&str>) -> Result<(String, Vec<u8>), String> {
    let cannot_ask = |error: io::Error| format!("cannot ask on the terminal: {error}");
    let terminal = Terminal::open().map_err(cannot_ask)?;
    let user = match user {
        Some(user) => user.to_owned(),
        None => String::from_utf8(terminal.ask("User: ").map_err(cannot_ask)?.unwrap_or_default())
            .map_err(|_| "the user name is not UTF-8")?,
    };
    let user = checked_user(user)?;
    let ask = |prompt: &str| terminal.ask_hidden(prompt).map(Option::unwrap_or_default).map_err(cannot_ask);
    let password = ask(&format!("Password of {user}: "))?;
    match password.is_empty() || ask("Once more: ")? == password {
        true => Ok((user, password)),
        false => Err("the two passwords differ".into()),
    }
}

/// The first line of standard input.
fn read() -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let read = BufReader::new(io::stdin().lock().take(1 << 16)).read_until(b'\n', &mut line);
    read.map_err(|error| format!("cannot read the password from standard input: {error}"))?;
    line.pop_if(|last| *last == b'\n');
    line.pop_if(|last| *last == b'\r');
    Ok(line)
}

/// The name, if a line can begin with it.
fn checked_user(user: String) -> Result<String, String> {
    const ANY_HASH: &str = "$2y$04$.....................................................";
    match Users::parse(format!("{user}:{ANY_HASH}").as_bytes()) {
        Ok(_) => Ok(user),
        Err(_) => Err("a user name is not empty, has no colon or control character, and does not begin with #".into()),
    }
}
