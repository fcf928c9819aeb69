//! The load generator: `wrk` with one thread. A Lua script chooses the files and prints the figures.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::BoxError;
use crate::servers::find_installed;
use crate::workloads::Workload;

pub(crate) struct Wrk {
    program: PathBuf,
    pub(crate) version: String,
}

/// The figures of one run of `wrk`. Times are in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) duration: u64,
    pub(crate) bytes: u64,
    /// The percentiles 50, 99 and 99.9.
    pub(crate) latencies: [u64; 3],
    pub(crate) errors: [u64; 5],
}

/// In the order of `Figures::errors`.
pub(crate) const ERRORS: [&str; 5] =
    ["failed connections", "failed reads", "failed writes", "error statuses", "timeouts"];

const REPORT: &str = r#"
done = function(summary, latency)
    local s, e = summary, summary.errors
    local figures = {s.requests, s.duration, s.bytes, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), e.connect, e.read, e.write, e.status, e.timeout}
    for i, n in ipairs(figures) do figures[i] = string.format("%.0f", n) end
    io.write("figures ", table.concat(figures, " "), "\n")
end
"#;

/// The seed is always the same, so every server receives the same requests.
pub(crate) fn script(workload: &Workload) -> String {
    if workload.files == 0 {
        return REPORT.into();
    }
    format!(
        "{REPORT}
request = function()
    local i = math.random(0, {} - 1)
    return wrk.format('GET', '/files/' .. math.floor(i / 1000) .. '/' .. i .. '.txt')
end\n",
        workload.files
    )
}

impl Wrk {
    pub(crate) fn find() -> Result<Self, BoxError> {
        let (program, version) = find_installed("wrk", "-v");
        let program = program.ok_or("wrk is not installed (Debian package: wrk)")?;
        Ok(Self { program, version: version.split(" Copyright").next().unwrap_or_default().trim().into() })
    }

    fn command(&self, script: &Path, port: u16, workload: &Workload, seconds: u32) -> Command {
        let mut command = Command::new(&self.program);
        // 1 GiB takes longer than 2 s, the default of wrk.
        command.args(["--threads", "1", "--latency", "--timeout", if workload.size < 1 << 30 { "2s" } else { "60s" }]);
        command.args(["--connections", &workload.connections.to_string(), "--duration", &format!("{seconds}s")]);
        command.arg("--script").arg(script);
        if !workload.keep_alive {
            command.args(["--header", "Connection: close"]);
        }
        command.arg(format!("http://127.0.0.1:{port}/{}", workload.file));
        command
    }

    pub(crate) fn warm_up(&self, script: &Path, port: u16, workload: &Workload) -> Result<(), BoxError> {
        // wrk takes whole seconds only.
        let mut child = self.command(script, port, workload, 10).stdout(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(500));
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    pub(crate) fn run(&self, script: &Path, port: u16, workload: &Workload, seconds: u32) -> Result<Figures, BoxError> {
        let output = self.command(script, port, workload, seconds).output()?;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let figures = stdout.lines().find_map(|line| line.strip_prefix("figures ")).and_then(Figures::parse);
        figures.ok_or_else(|| format!("wrk failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

impl Figures {
    pub(crate) fn error_statuses(&self) -> u64 {
        self.errors[3]
    }

    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [requests, duration, bytes, p50, p99, p999, errors @ ..] = numbers.as_slice() else { return None };
        let (latencies, errors) = ([*p50, *p99, *p999], errors.try_into().ok()?);
        Some(Self { requests: *requests, duration: *duration, bytes: *bytes, latencies, errors })
    }
}
