//! `crds/` is what the types say. `UPDATE=1 cargo test -p kop-operator` writes it anew.

use std::path::Path;

#[test]
fn crds_equal_what_the_types_generate() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds/kafkaonpulsars.yaml");
    let generated = kop_operator::crd_yaml().unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == generated,
        "crds/kafkaonpulsars.yaml is not what the types say: run `UPDATE=1 cargo test -p kop-operator`"
    );
}
