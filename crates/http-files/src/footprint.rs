//! How much memory a cached file takes, which is more than its content. It knows nothing about files.

/// Bytes that the heap takes for an allocation of this many: glibc adds 8 and rounds up to 16, from 32 on.
pub(crate) const fn heap(bytes: usize) -> usize {
    match bytes {
        0 => 0,
        bytes if bytes <= 24 => 32,
        bytes => (bytes + 8).next_multiple_of(16),
    }
}

/// The same for a value in an `Arc`, which counts its references in two numbers.
pub(crate) const fn heap_in_arc(bytes: usize) -> usize {
    heap(bytes + 2 * size_of::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_are_rounded_up() {
        for (bytes, expected) in [(0, 0), (1, 32), (24, 32), (25, 48), (40, 48), (41, 64), (1024, 1040)] {
            assert_eq!(heap(bytes), expected, "{bytes}");
        }
        assert_eq!(heap_in_arc(0), 32);
        assert_eq!(heap_in_arc(1024), 1056);
    }
}
