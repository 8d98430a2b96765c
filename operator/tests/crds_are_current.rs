//! `crds/` and the chart's copy of it are what the types say.
//! `UPDATE=1 cargo test -p kop-operator --test crds_are_current` writes them anew.

use std::path::Path;

#[test]
fn the_kept_definitions_are_what_the_types_generate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let generated = kop_operator::crd_yaml().unwrap();
    for kept in [
        "crds/kafkaonpulsars.yaml",
        "charts/kop/files/kafkaonpulsars.yaml",
    ] {
        let path = root.join(kept);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, &generated).unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            text == generated,
            "{kept} is not what the types say: run \
             `UPDATE=1 cargo test -p kop-operator --test crds_are_current`"
        );
    }
}
