//! Enumerates sequences of tokens on all cores. It knows nothing about what the tokens mean.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// How many tokens the longest sequences have: in a usual run, or before a release (`fuzz/README.md`).
pub(crate) fn length([usual, before_release]: [usize; 2]) -> usize {
    match std::env::var("WORLDS").as_deref() {
        Err(_) => usual,
        Ok("all") => before_release,
        Ok(other) => panic!("WORLDS is {other:?}: expected \"all\" or none"),
    }
}

/// Visits `beginning` followed by each sequence of up to `length` tokens, and returns how many there were.
///
/// A visit gets the text and where its last token begins. It returns whether longer sequences that begin with this one
/// are visited. Each thread has a visitor of its own, with its own memory.
pub(crate) fn each_sequence<V: FnMut(&[u8], usize) -> bool>(
    beginning: &[u8],
    tokens: &[&[u8]],
    length: usize,
    visitor: impl Fn() -> V + Sync,
) -> u64 {
    // A job is the first two tokens; those that begin with the same token visit it again to see whether they go on.
    let next_job = AtomicUsize::new(0);
    let work = || {
        let (mut text, mut visit, mut count) = (beginning.to_vec(), visitor(), 0);
        loop {
            let job = next_job.fetch_add(1, Ordering::Relaxed);
            let (first, second) = (job / tokens.len(), job % tokens.len());
            let Some(first) = tokens.get(first).filter(|_| length > 0) else { return count };
            text.extend_from_slice(first);
            count += u64::from(second == 0);
            if visit(&text, beginning.len()) && length > 1 {
                descend(&mut text, &tokens[second..=second], tokens, length - 1, &mut visit, &mut count);
            }
            text.truncate(beginning.len());
        }
    };
    let whole = visitor()(beginning, 0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let counts = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a sequence fails; see above")).sum::<u64>()
    });
    if whole { 1 + counts } else { 1 }
}

/// Adds one of `next`, and then any of `tokens`, until `left` tokens are added.
fn descend(
    text: &mut Vec<u8>,
    next: &[&[u8]],
    tokens: &[&[u8]],
    left: usize,
    visit: &mut impl FnMut(&[u8], usize) -> bool,
    count: &mut u64,
) {
    for token in next {
        let from = text.len();
        text.extend_from_slice(token);
        *count += 1;
        if visit(text, from) && left > 1 {
            descend(text, tokens, tokens, left - 1, visit, count);
        }
        text.truncate(from);
    }
}

#[test]
fn each_sequence_is_visited_once() {
    let seen = std::sync::Mutex::new(Vec::new());
    let tokens: [&[u8]; 3] = [b"a", b"b", b"cc"];
    let count = each_sequence(b"<", &tokens, 3, || {
        |text: &[u8], last: usize| {
            seen.lock().unwrap().push((str::from_utf8(text).unwrap().to_owned(), last));
            !text.ends_with(b"b")
        }
    });
    let mut seen = seen.into_inner().unwrap();
    seen.sort();
    seen.dedup();
    // 1 + 3 + 2·3 + 2·2·3: nothing follows a `b`.
    assert_eq!((count, seen.len()), (22, 22));
    assert!(seen.contains(&("<acca".into(), 4)) && !seen.iter().any(|(text, _)| text.contains("ba")));
}
