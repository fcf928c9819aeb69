//! Setup that the servers need: their programs, built by cargo, and a high limit of descriptors.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::BoxError;

/// The target directory that this program was built in.
pub(crate) struct CargoTarget {
    directory: PathBuf,
}

impl CargoTarget {
    pub(crate) fn new() -> Result<Self, BoxError> {
        let this = env::current_exe()?; // target/release/deps/peers-…
        Ok(Self { directory: this.ancestors().nth(3).ok_or("not in a target directory of cargo")?.to_owned() })
    }

    /// Builds one program. Each has its own call of cargo, because one build would unify the features of dependencies.
    pub(crate) fn build(&self, program: &str, arguments: &[&str]) -> Result<PathBuf, BoxError> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--release", "--target-dir"]).arg(&self.directory).args(arguments);
        if !cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status()?.success() {
            return Err(format!("{program} does not compile").into());
        }
        Ok(self.directory.join("release").join(program))
    }
}

/// Raises the soft limit of descriptors to the hard one, and returns it. Child processes inherit it.
pub(crate) fn raise_descriptor_limit() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).is_ok();
    // lighttpd does not start if its configuration asks for more than the limit.
    if raised { maximum } else { current }.unwrap_or(1 << 16).min(1 << 16)
}
