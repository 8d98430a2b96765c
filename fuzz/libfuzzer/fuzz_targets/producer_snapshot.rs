#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| kop_libfuzzer::run("producer_snapshot", input));
