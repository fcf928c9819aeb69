//! The progress bar on standard error, which is shown on a terminal only.

#[cfg(feature = "progress")]
pub(crate) use with_indicatif::Progress;
#[cfg(not(feature = "progress"))]
pub(crate) use without::Progress;

#[cfg(feature = "progress")]
mod with_indicatif {
    use std::io::{self, IsTerminal as _, Write as _};

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    /// One download's bar. It stays on the terminal when the download ends.
    pub(crate) struct Progress(Option<ProgressBar>);

    impl Progress {
        /// A bar that has come to `position` of `total` bytes already.
        pub(crate) fn new(name: &str, position: u64, total: Option<u64>) -> Progress {
            if !io::stderr().is_terminal() {
                return Progress(None);
            }
            let template = match total {
                Some(_) => "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                None => "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}",
            };
            let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
            bar.set_style(style);
            bar.set_message(name.to_owned());
            bar.set_position(position);
            bar.reset_eta();
            Progress(Some(bar))
        }

        pub(crate) fn advance(&self, bytes: u64) {
            if let Some(bar) = &self.0 {
                bar.inc(bytes);
            }
        }
    }

    impl Drop for Progress {
        fn drop(&mut self) {
            if let Some(bar) = &self.0 {
                bar.abandon();
                let _ = writeln!(io::stderr()); // the next message or prompt is not part of it
            }
        }
    }
}

#[cfg(not(feature = "progress"))]
mod without {
    /// Shows nothing.
    pub(crate) struct Progress;

    impl Progress {
        pub(crate) fn new(_: &str, _: u64, _: Option<u64>) -> Progress {
            Progress
        }

        pub(crate) fn advance(&self, _: u64) {}
    }
}
