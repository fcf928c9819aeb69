//! The decisions behind a response, recorded if a caller asks for them (`testing`). Otherwise recording costs nothing.

use std::sync::{Mutex, PoisonError};

/// One decision about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Decision {
    /// The rule or option behind it, such as `R9110-13.2.2` or `--index`.
    pub rule: String,
    /// What was decided, in one sentence without a full stop.
    pub text: String,
}

/// Where decisions are recorded, if they are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecisionTrace<'a>(pub(crate) Option<&'a Mutex<Vec<Decision>>>);

impl DecisionTrace<'_> {
    pub(crate) fn add(self, rule: &str, text: impl FnOnce() -> String) {
        if let Some(decisions) = self.0 {
            let decision = Decision { rule: rule.to_owned(), text: text() };
            decisions.lock().unwrap_or_else(PoisonError::into_inner).push(decision);
        }
    }
}
