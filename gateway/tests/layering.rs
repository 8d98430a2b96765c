//! THINK BEFORE CHANGING: the only arrows allowed between the crates of this workspace, and what the
//! pure ones may stand on. An engine knows no coordinator, no coordinator knows an engine, nothing
//! above the Pulsar engine knows Pulsar, and a pure crate has no clock, no randomness and no I/O.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a manifest that is not one fails"
)]
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Each crate by its folder, and the crates of ours that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway/wire", &[]),
    ("gateway/coordinator", &[]),
    ("gateway/pulsar-protocol", &[]),
    ("gateway/config", &[]),
    ("operator/api", &[]),
    ("gateway/store", &["kop-wire"]),
    ("gateway/store-embedded", &["kop-store", "kop-wire"]),
    ("gateway/pulsar-client", &["pulsar-protocol"]),
    (
        "gateway/store-pulsar",
        &["kop-store", "kop-wire", "pulsar-client"],
    ),
    (
        "gateway",
        &[
            "kop-wire",
            "kop-coordinator",
            "kop-config",
            "kop-store",
            "kop-store-embedded",
            "kop-store-pulsar",
        ],
    ),
    ("operator", &["kop-api", "kop-config"]),
    // Protocol only for the stub broker that benchmarks stand on: what is claimed of Pulsar is tried on Pulsar.
    ("e2e", &["kop-api", "pulsar-protocol"]),
    (
        "fuzz",
        &[
            "kop-wire",
            "kop-coordinator",
            "kop-config",
            "kop-store",
            "kop-store-embedded",
            "kop-store-pulsar",
            "pulsar-protocol",
            "kop-gateway",
        ],
    ),
];

/// Each pure crate, and all that it may depend on.
const PURE: &[(&str, &[&str])] = &[
    (
        "gateway/wire",
        &[
            "bytes",
            "crc32c",
            "flate2",
            "kafka-protocol",
            "lz4_flex",
            "snap",
            "thiserror",
            "zstd",
        ],
    ),
    ("gateway/coordinator", &["bytes", "thiserror"]),
    (
        "gateway/pulsar-protocol",
        &[
            "bytes",
            "crc32c",
            "flate2",
            "lz4_flex",
            "prost",
            "snap",
            "thiserror",
            "zstd",
        ],
    ),
    ("gateway/config", &["clap", "serde", "thiserror", "toml"]),
    (
        "operator/api",
        &["k8s-openapi", "kube", "schemars", "serde", "serde_json"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn manifest(folder: &str) -> toml::Table {
    let path = root().join(folder).join("Cargo.toml");
    std::fs::read_to_string(&path).unwrap().parse().unwrap()
}

fn name(manifest: &toml::Table) -> String {
    manifest["package"]["name"].as_str().unwrap().to_owned()
}

/// Names of the crates in some of the manifest's dependency tables, those of single targets included.
fn dependencies(manifest: &toml::Table, tables: &[&str]) -> BTreeSet<String> {
    let everywhere = std::iter::once(manifest).chain(
        manifest
            .get("target")
            .and_then(toml::Value::as_table)
            .into_iter()
            .flat_map(toml::Table::values)
            .filter_map(toml::Value::as_table),
    );
    everywhere
        .flat_map(|within| tables.iter().filter_map(|table| within.get(*table)))
        .filter_map(toml::Value::as_table)
        .flat_map(toml::Table::keys)
        .cloned()
        .collect()
}

/// Every crate of the workspace, folder by name.
fn crates() -> BTreeMap<String, String> {
    let members = manifest(".")["workspace"]["members"]
        .as_array()
        .unwrap()
        .clone();
    members
        .iter()
        .map(|folder| folder.as_str().unwrap())
        .map(|folder| (name(&manifest(folder)), folder.to_owned()))
        .collect()
}

#[test]
fn every_crate_has_its_arrows() {
    let known: BTreeSet<&str> = ARROWS.iter().map(|(folder, _)| *folder).collect();
    let crates = crates();
    let there: BTreeSet<&str> = crates.values().map(String::as_str).collect();
    assert_eq!(known, there);
}

#[test]
fn no_crate_depends_on_one_that_it_may_not_know() {
    let crates = crates();
    for (folder, allowed) in ARROWS {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        // Tests may know more than the crate does, but nobody tests with what stands above.
        let found = dependencies(&manifest(folder), &["dependencies", "build-dependencies"]);
        for ours in found.iter().filter(|name| crates.contains_key(*name)) {
            assert!(
                allowed.contains(ours.as_str()),
                "{folder} may not depend on {ours}"
            );
        }
    }
}

#[test]
fn pure_crates_stand_on_pure_ones() {
    for (folder, allowed) in PURE {
        let allowed: BTreeSet<&str> = allowed.iter().copied().collect();
        for found in dependencies(&manifest(folder), &["dependencies", "build-dependencies"]) {
            assert!(
                allowed.contains(found.as_str()),
                "{folder} is pure: no {found}"
            );
        }
    }
}
