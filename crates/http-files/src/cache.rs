//! Cached files, and the check before each use that they are still what their paths lead to.
//!
//! A response is never older than its request: after the request was received, the path is looked up again and must
//! lead to the same file with the same stamp. Only settled files are cached, because two changes within one tick of a
//! file system's clock leave the same timestamp.

use std::cell::{Cell, RefCell};
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use http_core::{Date, Fields};
use http_server::freshness::ReceivedAt;
use http_server::{Blocking, Later, Request, Upkeep};
use quick_cache::{DefaultHashBuilder, Lifecycle, Weighter};

use crate::admission::Admission;
use crate::footprint::heap;
use crate::representation::SMALL;
use crate::resource::Resource;

/// Bytes that the table takes for an entry: its slot in a list and in a hash table, twice as many as are in use.
const SLOT: usize = 128;

/// One name that was missed is remembered for this many bytes of the cache: about half as many as it has small files.
const BYTES_PER_MISS: u64 = 4096;

/// The most memory in bytes that a cache of this size uses. The heap cannot reuse every gap that files of other sizes
/// leave: 64 MiB of files of 1 KiB, and then of 0 to 16 KiB, grew it to 85 MiB and no further.
pub(crate) fn memory_bound(size: u64) -> u64 {
    size.saturating_add(size / 2)
}

/// What a request wants of a file.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// The headers that choose a representation. Without them it is the plain file.
    pub(crate) fields: Option<&'a Fields<'a>>,
    /// The time of the request, or an earlier one.
    pub(crate) now: Date,
    pub(crate) blocking: Blocking<'a>,
}

impl<'a> From<&'a Request<'_>> for Wanted<'a> {
    fn from(request: &'a Request<'_>) -> Wanted<'a> {
        Wanted { fields: Some(&request.head().fields), now: request.date(), blocking: request.blocking() }
    }
}

#[derive(Debug)]
pub(crate) struct Cache {
    /// Bytes.
    size: u64,
    /// The most files that are kept open.
    descriptors: u64,
    /// By the decoded path of the request, with a slash at the end of a directory's path.
    entries: Option<Entries<Arc<Resource>, Weight>>,
    admission: Admission,
    hasher: DefaultHashBuilder,
    /// It may have something that the next upkeep drops.
    needs_upkeep: AtomicBool,
    hits: Hits,
}

/// In cache lines of their own: each request writes them, and reads the data beside them.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Hits(AtomicU64);

impl Cache {
    /// A cache of files that take this many bytes of memory in all, and hold at most this many descriptors. A size of 0
    /// disables it.
    pub(crate) fn new(size: u64, descriptors: u64) -> Cache {
        // One limit of the weight bounds both, because the more scarce descriptors are, the more one weighs.
        let descriptor = match descriptors {
            0 => size.saturating_add(1), // too heavy for the cache
            descriptors => size.div_ceil(descriptors).max(SMALL),
        };
        // Each shard has space for at least 32 open files, and so for any file with its precompressed ones.
        let items = (size / descriptor) as usize;
        let (weight, hasher) = (Weight { descriptor }, DefaultHashBuilder::default());
        let entries = || Entries::with(items, size, weight, hasher.clone(), DropUnlocked);
        let entries = (size > 0).then(entries);
        let admission = Admission::new((size / BYTES_PER_MISS) as usize);
        Cache {
            size,
            descriptors,
            entries,
            admission,
            hasher,
            needs_upkeep: AtomicBool::new(false),
            hits: Hits::default(),
        }
    }

    pub(crate) fn with_size(&self, size: u64) -> Cache {
        Cache::new(size, self.descriptors)
    }

    pub(crate) fn with_descriptors(&self, descriptors: u64) -> Cache {
        Cache::new(self.size, descriptors)
    }

    /// The resource with this name beneath this root, if the name still leads to it in the representation that is wanted.
    /// `received_at` is the time of the request.
    ///
    /// # Errors
    /// [`Later`], if the check could hang, or has to look the name up again, and no worker is free for that.
    pub(crate) fn get(
        &self,
        name: &[u8],
        generation: u64,
        Wanted { fields, now, blocking }: Wanted<'_>,
        received_at: ReceivedAt,
    ) -> Result<Option<Arc<Resource>>, Later> {
        let Some(cache) = &self.entries else { return Ok(None) };
        let Some(resource) = cache.get(name) else { return Ok(None) };
        if resource.root.generation != generation {
            return Ok(None); // it is read again, and then replaced
        }
        let chosen = match fields {
            Some(fields) if resource.needs_lookup(fields) => return Ok(None), // likewise
            Some(fields) => resource.choose(fields),
            None => resource.plain(),
        };
        if resource.is_elsewhere() {
            blocking.may_hang()?;
        }
        if resource.is_settled(now) && resource.is_current(chosen, now, received_at, blocking)? {
            self.hits.0.fetch_add(1, Relaxed);
            return Ok(Some(resource));
        }
        cache.remove(name);
        Ok(None)
    }

    /// How many times [`get`](Self::get) has found a resource.
    pub(crate) fn hits(&self) -> u64 {
        self.hits.0.load(Relaxed)
    }

    /// Adds a resource if it is settled, and if there is space for it or it was missed before. `now` is a time before it
    /// was read.
    pub(crate) fn insert(&self, name: &[u8], resource: &Arc<Resource>, now: Date) {
        if let Some(entries) = &self.entries
            && resource.is_settled(now)
            && self.admission.admits(self.hasher.hash_one(name))
        {
            self.needs_upkeep.fetch_or(resource.descriptors() > 0, Relaxed);
            let mut evicted = Vec::new();
            entries.insert_with_lifecycle(name.into(), resource.clone(), &mut evicted);
            self.admission.record(!evicted.is_empty());
        }
    }

    /// The next upkeep drops what is beneath the old root.
    pub(crate) fn root_changed(&self) {
        self.needs_upkeep.store(true, Relaxed);
    }

    /// Drops what is beneath another root than this one, and what has kept a descriptor without being used, so that a
    /// deleted file's space is freed and its file system can be unmounted.
    pub(crate) fn upkeep(&self, generation: u64, upkeep: &Upkeep<'_>) {
        let Some(entries) = &self.entries else { return };
        if !self.needs_upkeep.swap(false, Relaxed) {
            return;
        }
        let now = upkeep.date();
        let (is_left, is_elsewhere) = (Cell::new(false), Cell::new(false));
        let is_unwanted = |resource: &Arc<Resource>| {
            let (keeps_open, is_old) = (resource.descriptors() > 0, resource.root.generation != generation);
            is_left.set(is_left.get() || keeps_open || is_old);
            is_old || keeps_open && resource.is_unused(now)
        };
        drop_where(entries, |resource| {
            let unwanted = is_unwanted(resource);
            is_elsewhere.set(is_elsewhere.get() || unwanted && resource.is_elsewhere());
            unwanted && !resource.is_elsewhere()
        });
        if is_elsewhere.get() && upkeep.may_hang() {
            drop_where(entries, is_unwanted);
        }
        self.needs_upkeep.fetch_or(is_left.get(), Relaxed);
    }

    /// Drops every resource with a descriptor. Descriptors in use by responses stay open until these are sent.
    pub(crate) fn close_files(&self) {
        if let Some(entries) = &self.entries {
            drop_where(entries, |resource| resource.descriptors() > 0);
        }
    }
}

#[derive(Clone, Debug)]
struct Weight {
    /// The weight of a descriptor.
    descriptor: u64,
}

impl Weighter<Box<[u8]>, Arc<Resource>> for Weight {
    fn weight(&self, name: &Box<[u8]>, resource: &Arc<Resource>) -> u64 {
        let bytes = SLOT + heap(name.len()) + resource.footprint;
        bytes as u64 + resource.descriptors() as u64 * self.descriptor
    }
}

type Entries<V, W> = quick_cache::sync::Cache<Box<[u8]>, V, W, DefaultHashBuilder, DropUnlocked>;

/// Keeps what a call evicts until the call has released its lock: closing a file may wait for a disk or a file server,
/// and then no other worker could use the cache.
#[derive(Clone, Debug)]
struct DropUnlocked;

impl<V> Lifecycle<Box<[u8]>, V> for DropUnlocked {
    type RequestState = Vec<V>;

    fn on_evict(&self, evicted: &mut Vec<V>, _: Box<[u8]>, value: V) {
        evicted.push(value);
    }
}

/// Removes these values, and drops them when no lock is held.
fn drop_where<V: Clone, W>(entries: &Entries<V, W>, is_unwanted: impl Fn(&V) -> bool)
where
    W: Weighter<Box<[u8]>, V> + Clone,
{
    let removed = RefCell::new(Vec::new());
    entries.retain(|_, value| {
        let removes = is_unwanted(value);
        if removes {
            removed.borrow_mut().push(value.clone());
        }
        !removes
    });
}

#[cfg(test)]
#[cfg(unix)]
mod tests;
