//! Runs picohttpparser in a program of its own, which measures itself: to call it from here would need unsafe code. The
//! library is the one that Debian builds for h2o.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) struct Picohttpparser(PathBuf);

impl Picohttpparser {
    /// Compiles the program. `None` if that fails, as without the library.
    pub(crate) fn build() -> Option<Picohttpparser> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("parsers/picohttpparser.c");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("picohttpparser");
        let mut cc = Command::new("cc");
        let compiled = cc.arg("-O2").arg("-o").arg(&program).arg(source).arg("-l:libh2o.so.0.13").status();
        if compiled.is_ok_and(|status| status.success()) {
            return Some(Picohttpparser(program));
        }
        println!("picohttpparser is left out: it needs cc and the Debian package libh2o0.13");
        None
    }

    /// The time that it takes to parse this head `n` times.
    pub(crate) fn parse(&self, kind: &str, head: &[u8], n: u64) -> Duration {
        let mut program = Command::new(&self.0);
        program.arg(kind).arg(n.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = program.spawn().unwrap();
        child.stdin.take().unwrap().write_all(head).unwrap();
        let output = child.wait_with_output().unwrap();
        Duration::from_nanos(String::from_utf8(output.stdout).unwrap().trim().parse().unwrap())
    }
}
