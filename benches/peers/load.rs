//! The load: `wrk` with one thread, told by a script what to ask for and how to say what it saw.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::Why;
use crate::servers::installed;
use crate::works::Work;

pub(crate) struct Wrk {
    program: PathBuf,
    pub(crate) version: String,
}

/// What `wrk` saw; times in microseconds.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) duration: u64,
    pub(crate) bytes: u64,
    /// 50, 99 and 99.9 percent of all answers came within these.
    pub(crate) latencies: [u64; 3],
    pub(crate) errors: [u64; 5],
}

/// In the order of `Figures::errors`.
pub(crate) const ERRORS: [&str; 5] = ["not connected", "reading", "writing", "status", "too late"];

const REPORT: &str = r#"
done = function(summary, latency)
    local s, e = summary, summary.errors
    local figures = {s.requests, s.duration, s.bytes, latency:percentile(50), latency:percentile(99),
        latency:percentile(99.9), e.connect, e.read, e.write, e.status, e.timeout}
    for i, n in ipairs(figures) do figures[i] = string.format("%.0f", n) end
    io.write("figures ", table.concat(figures, " "), "\n")
end
"#;

/// The seed is the same each time, so all servers are asked for the same files.
pub(crate) fn script(work: &Work) -> String {
    if work.files == 0 {
        return REPORT.into();
    }
    format!(
        "{REPORT}
request = function()
    local i = math.random(0, {} - 1)
    return wrk.format('GET', '/files/' .. math.floor(i / 1000) .. '/' .. i .. '.txt')
end\n",
        work.files
    )
}

impl Wrk {
    pub(crate) fn find() -> Result<Self, Why> {
        let (program, version) = installed("wrk", "-v");
        let program = program.ok_or("this needs wrk; Debian has it in a package of that name")?;
        Ok(Self { program, version: version.split(" Copyright").next().unwrap_or_default().trim().into() })
    }

    fn command(&self, script: &Path, port: u16, work: &Work, seconds: u32) -> Command {
        let mut command = Command::new(&self.program);
        // A file of 1 GiB takes longer than the two seconds that are its default.
        command.args(["--threads", "1", "--latency", "--timeout", if work.size < 1 << 30 { "2s" } else { "60s" }]);
        command.args(["--connections", &work.connections.to_string(), "--duration", &format!("{seconds}s")]);
        command.arg("--script").arg(script);
        if !work.kept {
            command.args(["--header", "Connection: close"]);
        }
        command.arg(format!("http://127.0.0.1:{port}/{}", work.file));
        command
    }

    pub(crate) fn warm_up(&self, script: &Path, port: u16, work: &Work) -> Result<(), Why> {
        // It knows whole seconds alone.
        let mut child = self.command(script, port, work, 10).stdout(Stdio::null()).spawn()?;
        thread::sleep(Duration::from_millis(500));
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    pub(crate) fn run(&self, script: &Path, port: u16, work: &Work, seconds: u32) -> Result<Figures, Why> {
        let output = self.command(script, port, work, seconds).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let figures = said.lines().find_map(|line| line.strip_prefix("figures ")).and_then(Figures::parse);
        figures.ok_or_else(|| format!("wrk failed: {}", String::from_utf8_lossy(&output.stderr).trim()).into())
    }
}

impl Figures {
    pub(crate) fn with_error_status(&self) -> u64 {
        self.errors[3]
    }

    fn parse(line: &str) -> Option<Self> {
        let numbers: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>().ok()?;
        let [requests, duration, bytes, p50, p99, p999, errors @ ..] = numbers.as_slice() else { return None };
        let (latencies, errors) = ([*p50, *p99, *p999], errors.try_into().ok()?);
        Some(Self { requests: *requests, duration: *duration, bytes: *bytes, latencies, errors })
    }
}
