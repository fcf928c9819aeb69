//! The locks and atomics by which connections pass between threads: those of the standard library, or those of loom,
//! which tries every order of steps.

use std::sync::PoisonError;

#[cfg(all(loom, test))]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering::Relaxed},
};
#[cfg(not(all(loom, test)))]
pub(crate) use std::sync::{
    Condvar, Mutex, MutexGuard,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Locks, even if an earlier holder panicked: every change under these locks is one step, so the value is consistent.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
