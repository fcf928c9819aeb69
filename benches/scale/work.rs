//! The work of a request: a count of steps that depend on each other, whose duration depends only on the core.

use std::hint::black_box;

pub(crate) fn work(steps: u64) {
    let mut value = black_box(1_u64);
    for _ in 0..steps {
        value = black_box(value.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
}
