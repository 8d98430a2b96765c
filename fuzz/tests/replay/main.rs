//! Every file of every corpus through its target, and mutations of each: nothing panics, takes longer
//! than a deadline, or holds more memory than its target may.
//!
//! An input that fails is written to `target/fuzz/failed`; once mended it belongs into the corpus.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "an input or a folder that is not there fails the test"
)]
mod mutation;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use kop_fuzz::{TARGETS, Target};
use mutation::Mutator;

/// What one input may take on a busy machine. An input that does not end takes for ever.
const DEADLINE: Duration = Duration::from_secs(20);
fn corpus(target: &Target) -> BTreeMap<String, Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    fs::read_dir(folder.join(target.name))
        .unwrap_or_else(|error| panic!("corpus/{}: {error}", target.name))
        .map(|file| file.unwrap().path())
        .map(|path| (name_of(&path), fs::read(&path).unwrap()))
        .collect()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

/// Where inputs that fail are kept.
fn failed(target: &Target, input: &[u8]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../fuzz/failed");
    fs::create_dir_all(&folder).unwrap();
    let crc = crc32c::crc32c(input);
    let path = folder.join(format!("{}-{crc:08x}", target.name));
    fs::write(&path, input).unwrap();
    path
}

/// Runs one input; says what is wrong.
fn run(target: &Target, input: &[u8]) -> Result<(), String> {
    let mut panicked = None;
    let held = allocation_counter::measure(|| {
        panicked = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).err();
    });
    if panicked.is_some() {
        return Err("panicked".to_owned());
    }
    let allowed = target.memory + target.memory_per_byte * input.len();
    let held = usize::try_from(held.bytes_max).unwrap();
    if held > allowed {
        return Err(format!("held {held} bytes, and may hold {allowed}"));
    }
    Ok(())
}

/// Replays a corpus and its mutations.
fn replay(name: &str) {
    let target = *TARGETS.iter().find(|target| target.name == name).unwrap();
    let corpus = corpus(&target);
    assert!(!corpus.is_empty(), "no corpus for {name}");
    let (begun, beginnings) = mpsc::channel::<(String, Vec<u8>)>();
    let worker = thread::spawn(move || {
        let mut wrong = Vec::new();
        let mut check = |label: String, input: Vec<u8>| {
            begun.send((label.clone(), input.clone())).unwrap();
            if let Err(why) = run(&target, &input) {
                wrong.push(format!(
                    "{label}: {why}: {}",
                    failed(&target, &input).display()
                ));
            }
        };
        for (file, input) in &corpus {
            check(file.clone(), input.clone());
        }
        // The same mutations every time: a change fails for its own sake.
        let mut mutator = Mutator::new(0, corpus.values().cloned().collect());
        let each = target.mutations.div_ceil(corpus.len());
        for (file, input) in &corpus {
            for number in 0..each {
                check(format!("{file} mutation {number}"), mutator.mutate(input));
            }
        }
        wrong
    });
    let mut running = (String::new(), Vec::new());
    loop {
        match beginnings.recv_timeout(DEADLINE) {
            Ok(begun) => running = begun,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => panic!(
                "{} takes longer than {DEADLINE:?}: {}",
                running.0,
                failed(&target, &running.1).display()
            ),
        }
    }
    let wrong = worker.join().unwrap();
    assert!(wrong.is_empty(), "{name}:\n{}", wrong.join("\n"));
}

macro_rules! replayed {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        const REPLAYED: &[&str] = &[$(stringify!($target)),*];
    };
}

replayed! {
    kafka_connection
    kafka_request
    kafka_service
    record_batch
    compression
    batch_to_pulsar
    group_log
    subscription
    pulsar_connection
    pulsar_entry
    pulsar_compression
    stored_value
    producer_state
    producer_snapshot
    config
    addresses
}

/// What stands in a folder.
fn names_in(folder: &str) -> BTreeSet<String> {
    fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder))
        .unwrap()
        .map(|entry| name_of(&entry.unwrap().path()))
        .collect()
}

#[test]
fn every_target_is_replayed_has_a_corpus_and_a_fuzzer() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    let replayed: BTreeSet<String> = REPLAYED.iter().map(|&name| name.to_owned()).collect();
    assert_eq!(replayed, targets);
    assert_eq!(names_in("corpus"), targets);
    let fuzzers: BTreeSet<String> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names_in("libfuzzer/fuzz_targets"), fuzzers);
}

#[test]
fn a_target_that_panics_or_hoards_is_found_out() {
    fn panics(input: &[u8]) {
        assert!(input.len() < 4, "four bytes");
    }
    fn hoards(input: &[u8]) {
        drop(std::hint::black_box(vec![0_u8; input.len() * 100]));
    }
    let target = |run| Target {
        name: "none",
        run,
        memory: 1024,
        memory_per_byte: 10,
        mutations: 0,
    };
    assert_eq!(run(&target(panics), b"one"), Ok(()));
    assert_eq!(run(&target(panics), b"four"), Err("panicked".to_owned()));
    assert_eq!(run(&target(hoards), b"small"), Ok(()));
    assert!(
        run(&target(hoards), &[0; 100])
            .unwrap_err()
            .contains("held 10000")
    );
}
