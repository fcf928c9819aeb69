//! What a server needs before it can start: a build of it, and descriptors.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::Why;

/// What cargo builds, beside this program.
pub(crate) struct Built {
    target: PathBuf,
}

impl Built {
    pub(crate) fn new() -> Result<Self, Why> {
        let this = env::current_exe()?; // target/release/deps/peers-…
        Ok(Self { target: this.ancestors().nth(3).ok_or("not in a directory of cargo's")?.to_owned() })
    }

    /// A call of cargo for each: built together, one package would switch on features of another's dependencies.
    pub(crate) fn program(&self, name: &str, which: &[&str]) -> Result<PathBuf, Why> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--target-dir"]).arg(&self.target).args(which);
        if !cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            return Err(format!("{name} does not compile").into());
        }
        Ok(self.target.join("release").join(name))
    }
}

/// Raises the soft limit of descriptors to the hard one, which the servers inherit.
pub(crate) fn descriptors() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    // lighttpd does not start with more than it can have.
    if raised { maximum } else { current }.unwrap_or(1 << 16).min(1 << 16)
}
