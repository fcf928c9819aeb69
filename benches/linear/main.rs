//! Runs each family of worst inputs at sizes n, 2n, 4n and 8n, without a clock, so that callgrind can count the
//! instructions of each run. `scripts/linear` does that, and fails if they grow faster than the input.
//!
//! The output is a line for each run, in order: the size, in bytes or in lines, and the name of the family.
//!
//!     linear [FACTOR [FAMILY]]
//!
//! FACTOR raises the limits on bytes. FAMILY selects the families with this in their name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout)] // a benchmark stops at the first failure

mod receiving;
mod semantics;

/// Inputs that differ only in their size, and what is done with them.
struct Family {
    name: String,
    /// The size up to the limits.
    largest: usize,
    /// Whether the limits can be raised.
    scales: bool,
    /// Makes the input of a size and does the work, within one call of [`counted`].
    run: Box<dyn Fn(usize)>,
}

/// Makes the input of a size.
type Input = fn(usize) -> String;

impl Family {
    /// `largest` is what the default limits allow, in bytes.
    fn new(name: impl Into<String>, largest: usize, run: impl Fn(usize) + 'static) -> Family {
        Family { name: name.into(), largest, scales: true, run: Box::new(run) }
    }

    /// A family whose limit does not depend on the length of a head.
    fn fixed(name: impl Into<String>, largest: usize, run: impl Fn(usize) + 'static) -> Family {
        Family { scales: false, ..Family::new(name, largest, run) }
    }
}

/// The bytes that may be repeated within a head and within a line; the rest of each is for what is around them.
const HEAD: usize = 16_384 - 160;
const LINE: usize = 8_192 - 96;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let factor: usize = arguments.next().map_or(1, |factor| factor.parse().unwrap());
    let only = arguments.next().unwrap_or_default();
    let families = receiving::families(factor).into_iter().chain(semantics::families(factor));
    for family in families.filter(|family| family.name.contains(&only)) {
        let largest = if family.scales { family.largest * factor } else { family.largest };
        for size in [largest / 8, largest / 4, largest / 2, largest] {
            println!("{size}\t{}", family.name);
            (family.run)(size);
        }
    }
}

/// Callgrind counts only what happens in here, and writes the sum after each call.
#[inline(never)]
fn counted(work: &mut dyn FnMut()) {
    work();
}

/// As many units as fit into this many bytes.
fn fill(bytes: usize, unit: &str) -> String {
    unit.repeat(bytes / unit.len())
}
