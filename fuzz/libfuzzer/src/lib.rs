//! What every program here does with an input.

/// Runs the target of that name.
///
/// # Panics
/// Where the target does, or holds more memory than it may.
pub fn run(name: &str, input: &[u8]) {
    let target = kop_fuzz::TARGETS.iter().find(|target| target.name == name);
    let target = target.expect("a program for each target");
    let held = allocation_counter::measure(|| (target.run)(input)).bytes_max;
    let allowed = target.memory + target.memory_per_byte * input.len();
    assert!(
        held <= allowed as u64,
        "held {held} bytes, and may hold {allowed}"
    );
}
