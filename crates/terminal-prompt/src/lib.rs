//! Asks for a line or a password on the terminal, and leaves the terminal as it was; on Unix also if it is interrupted.
//!
//! ```no_run
//! use terminal_prompt::Terminal;
//!
//! let terminal = Terminal::open()?;
//! let user = terminal.ask("User: ")?;
//! let password = terminal.ask_hidden("Password: ")?;
//! # Ok::<(), std::io::Error>(())
//! ```

#[cfg_attr(windows, path = "windows.rs")]
#[cfg_attr(not(windows), path = "unix.rs")]
mod system;

pub use system::Terminal;
