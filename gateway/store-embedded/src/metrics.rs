//! What the store counts about itself.
use std::{
    fs, io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of commits' times, in microseconds.
const MICROS: [u64; 11] = [
    100, 300, 900, 2_700, 8_100, 24_300, 72_900, 218_700, 656_100, 1_968_300, 5_904_900,
];
/// Upper bounds of the number of batches in one commit.
const BATCHES: [u64; 13] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmbeddedMetrics {
    /// How long commits took to be written and, where durability asks for it, synced, in microseconds.
    pub commit_micros: Distribution,
    /// How many record batches commits wrote together.
    pub commit_batches: Distribution,
    /// Bytes of all record batches that were written.
    pub written_bytes: u64,
}

/// How often something was how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Upper bounds, and how often it was within each but above the one before; in the end, how often
    /// it was above all bounds.
    pub buckets: Vec<(Option<u64>, u64)>,
    /// All of it together.
    pub sum: u64,
}

/// What is counted while the store is open.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    commit_micros: Buckets<{ MICROS.len() }>,
    commit_batches: Buckets<{ BATCHES.len() }>,
    written_bytes: AtomicU64,
}

#[derive(Debug)]
struct Buckets<const N: usize> {
    within: [AtomicU64; N],
    above: AtomicU64,
    sum: AtomicU64,
}

impl<const N: usize> Default for Buckets<N> {
    fn default() -> Self {
        Self {
            within: std::array::from_fn(|_| AtomicU64::new(0)),
            above: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }
}

impl<const N: usize> Buckets<N> {
    fn add(&self, bounds: &[u64; N], value: u64) {
        let at = bounds.partition_point(|bound| *bound < value);
        let bucket = self.within.get(at).unwrap_or(&self.above);
        bucket.fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self, bounds: &[u64; N]) -> Distribution {
        let count = |bucket: &AtomicU64| bucket.load(Ordering::Relaxed);
        let bounds = bounds.iter().map(|bound| Some(*bound));
        let within = bounds.zip(self.within.iter().map(count));
        Distribution {
            buckets: within.chain([(None, count(&self.above))]).collect(),
            sum: count(&self.sum),
        }
    }
}

impl Counters {
    pub(crate) fn committed(&self, took: Duration, batches: usize, bytes: usize) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.add(&MICROS, micros);
        self.commit_batches.add(&BATCHES, batches as u64);
        self.written_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> EmbeddedMetrics {
        EmbeddedMetrics {
            commit_micros: self.commit_micros.read(&MICROS),
            commit_batches: self.commit_batches.read(&BATCHES),
            written_bytes: self.written_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Bytes that the files below a directory are long. Files that go meanwhile do not count.
pub(crate) fn disk_bytes(directory: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            match entry.metadata() {
                Ok(about) if about.is_dir() => directories.push(entry.path()),
                Ok(about) => bytes += about.len(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_falls_into_the_first_bucket_that_holds_it() {
        let counters = Counters::default();
        for (micros, batches) in [(100, 1), (101, 2), (10_000_000, 5_000)] {
            counters.committed(Duration::from_micros(micros), batches, 10);
        }
        let EmbeddedMetrics {
            commit_micros,
            commit_batches,
            written_bytes,
        } = counters.read();
        assert_eq!(commit_micros.buckets[0], (Some(100), 1));
        assert_eq!(commit_micros.buckets[1], (Some(300), 1));
        assert_eq!(commit_micros.buckets[11], (None, 1));
        assert_eq!(commit_micros.sum, 10_000_201);
        assert_eq!(commit_batches.buckets[1], (Some(2), 1));
        assert_eq!(commit_batches.buckets[13], (None, 1));
        assert_eq!((commit_batches.sum, written_bytes), (5_003, 30));
    }

    #[test]
    fn a_directorys_files_are_counted_at_every_depth() {
        let directory = tempfile::tempdir().unwrap();
        let deep = directory.path().join("a/b");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("one"), [0; 10]).unwrap();
        fs::write(directory.path().join("two"), [0; 7]).unwrap();
        assert_eq!(disk_bytes(directory.path()).unwrap(), 17);
        assert_eq!(disk_bytes(&deep.join("gone")).unwrap(), 0);
    }
}
