//! What people write: the configuration file, addresses and names.
use kop_config::{HostPort, RawConfig};
use kop_store_pulsar::Naming;
use kop_wire::TopicName;

/// The configuration file.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(raw) = RawConfig::from_toml(text) else {
        return;
    };
    let again = RawConfig::from_toml(&raw.to_toml());
    assert_eq!(again.expect("what was written can be read"), raw);
    // What is wrong with it is said, not asked here.
    let _ = raw.validate();
}

/// An address, and a topic's name with the Pulsar topic behind it.
pub fn addresses(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(address) = text.parse::<HostPort>() {
        assert_eq!(address.to_string().parse(), Ok(address));
    }
    let naming = Naming::new("public", "default", "__kafka");
    if let Ok(name) = TopicName::new(text) {
        let topic = naming.topic(&name);
        let shown = naming.kafka_name(topic.as_str());
        let shown = shown.expect("a topic that clients can name has a name");
        assert_eq!(naming.topic(&shown), topic, "{name} is shown as {shown}");
    }
}
