//! Every client on every supported Pulsar, in both entry formats, with one gateway and with three. About
//! two minutes for each: `./test matrix`.

use kop_e2e::install::{PULSAR_LONG_TERM, PULSAR_NEWEST, PULSAR_OLDEST};
use kop_e2e::matrix::on_pulsar;
use kop_e2e::scratch::tell;

macro_rules! clients {
    ($($name:ident: $version:expr, $format:literal, $gateways:literal;)*) => { $(
        #[test]
        fn $name() {
            tell(concat!("matrix-", stringify!($name)), |scratch| {
                on_pulsar(scratch, $version, $format, $gateways)
            });
        }
    )* };
}

clients! {
    newest_pulsar_1: PULSAR_NEWEST, "pulsar", 1;
    newest_pulsar_3: PULSAR_NEWEST, "pulsar", 3;
    newest_kafka_1: PULSAR_NEWEST, "kafka", 1;
    newest_kafka_3: PULSAR_NEWEST, "kafka", 3;
    long_term_pulsar_1: PULSAR_LONG_TERM, "pulsar", 1;
    long_term_pulsar_3: PULSAR_LONG_TERM, "pulsar", 3;
    long_term_kafka_1: PULSAR_LONG_TERM, "kafka", 1;
    long_term_kafka_3: PULSAR_LONG_TERM, "kafka", 3;
    oldest_pulsar_1: PULSAR_OLDEST, "pulsar", 1;
    oldest_pulsar_3: PULSAR_OLDEST, "pulsar", 3;
    oldest_kafka_1: PULSAR_OLDEST, "kafka", 1;
    oldest_kafka_3: PULSAR_OLDEST, "kafka", 3;
}
