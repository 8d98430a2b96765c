//! Which gateway leads a partition: rendezvous hashing over those that are in.
use kop_store::PartitionId;

/// How much each node is wanted for a partition; the one that is wanted most leads it.
///
/// Every gateway of a cluster computes this, of whatever version, so it never changes: FNV-1a over
/// the topic's name, a zero byte, the partition and the node, both big-endian, then the finalizer of
/// splitmix64, because FNV alone spreads short keys badly in its upper bits.
pub(super) fn weights(partition: &PartitionId) -> impl Fn(i32) -> u64 + use<> {
    let begun = fnv(0xcbf2_9ce4_8422_2325, partition.topic.as_str().as_bytes());
    let begun = fnv(fnv(begun, &[0]), &partition.index.to_be_bytes());
    move |node| {
        let hash = fnv(begun, &node.to_be_bytes());
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    }
}

fn fnv(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn partition(topic: &str, index: i32) -> PartitionId {
        PartitionId {
            topic: kop_wire::TopicName::new(topic).unwrap(),
            index,
        }
    }

    #[test]
    fn weights_are_what_they_always_were() {
        let weight = |topic, index, node| weights(&partition(topic, index))(node);
        assert_eq!(weight("orders", 0, 0), 0xbedb_d258_aa39_0390);
        assert_eq!(weight("orders", 0, 1), 0xee0b_090a_3c0f_8da5);
        assert_eq!(weight("orders", 1, 0), 0x63ee_af11_c633_3b4f);
        assert_eq!(
            weight("__consumer_offsets", 49, i32::MAX),
            0x63bd_ec60_1a46_932f
        );
    }

    #[test]
    fn nodes_lead_about_as_many_partitions_each() {
        let mut led = BTreeMap::<i32, u32>::new();
        for topic in 0..30 {
            for index in 0..100 {
                let weight = weights(&partition(&format!("topic-{topic}"), index));
                let leader = (0..5).max_by_key(|node| weight(*node)).unwrap();
                *led.entry(leader).or_default() += 1;
            }
        }
        assert_eq!(led.len(), 5);
        assert!(led.values().all(|n| (500..700).contains(n)), "{led:?}");
    }
}
