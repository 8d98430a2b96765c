use super::*;

fn naming() -> Naming {
    Naming::new("public", "default", "__kafka")
}

fn name(text: &str) -> TopicName {
    TopicName::new(text).unwrap()
}

#[test]
fn a_bare_name_stands_in_the_default_namespace() {
    assert_eq!(
        naming().topic(&name("orders")).as_str(),
        "persistent://public/default/orders"
    );
}

#[test]
fn kafkas_own_topics_stand_in_the_metadata_namespace() {
    assert_eq!(
        naming()
            .topic(&name("__consumer_offsets"))
            .partition(Some(12))
            .as_str(),
        "persistent://public/__kafka/__consumer_offsets-partition-12"
    );
}

#[test]
fn full_names_stand_for_themselves() {
    for text in ["a/b/c", "persistent://a/b/c"] {
        assert_eq!(naming().topic(&name(text)).as_str(), "persistent://a/b/c");
    }
}

#[test]
fn kafka_sees_bare_names_of_the_default_namespace_and_full_names_of_others() {
    let naming = naming();
    assert_eq!(
        naming
            .kafka_name("persistent://public/default/a")
            .unwrap()
            .as_str(),
        "a"
    );
    assert_eq!(
        naming
            .kafka_name("persistent://other/default/a")
            .unwrap()
            .as_str(),
        "persistent://other/default/a"
    );
    assert_eq!(
        naming
            .kafka_name("persistent://public/__kafka/__consumer_offsets")
            .unwrap()
            .as_str(),
        "__consumer_offsets"
    );
}

#[test]
fn every_name_comes_back_from_its_stored_form() {
    let naming = naming();
    // The last one is in the default namespace, but has no bare name: Kafka allows no `=` there.
    for text in [
        "orders",
        "__consumer_offsets",
        "persistent://a/b/c",
        "persistent://public/default/a=b",
    ] {
        let stored = naming.stored_name(&name(text));
        assert_eq!(naming.kafka_name(&stored).unwrap().as_str(), text);
    }
}

#[test]
fn only_canonical_partition_endings_are_split() {
    assert_eq!(split_partition("t/n/a-partition-3"), Some(("t/n/a", 3)));
    assert_eq!(split_partition("t/n/a-partition-03"), None);
    assert_eq!(split_partition("t/n/a-partition-"), None);
    assert_eq!(split_partition("t/n/a-partition-+3"), None);
    assert_eq!(split_partition("t/n/a"), None);
}

#[test]
fn rest_paths_and_namespaces_are_cut_from_the_full_name() {
    let topic = naming().topic(&name("orders"));
    assert_eq!(topic.path(), "public/default/orders");
    assert_eq!(topic.namespace(), "public/default");
}
