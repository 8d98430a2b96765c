#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| kop_libfuzzer::run("kafka_service", input));
