//! Why a request is answered as it is: what the code that answers notes on its way, where somebody wants to know.

use std::sync::{Mutex, PoisonError};

/// A decision: the rule or option behind it, and what was decided.
pub(crate) type Note = (String, String);

/// A place for notes, or none, which costs a request nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notes<'a>(pub(crate) Option<&'a Mutex<Vec<Note>>>);

impl Notes<'_> {
    pub(crate) fn add(self, because: &str, what: impl FnOnce() -> String) {
        if let Some(notes) = self.0 {
            let what = what();
            notes.lock().unwrap_or_else(PoisonError::into_inner).push((because.to_owned(), what));
        }
    }
}
