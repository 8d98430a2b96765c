//! Which partition of `__consumer_offsets` a group's records live in.

/// The partition of a group or transactional id, among `partitions`, as KoP computes it.
///
/// Java's `String.hashCode` over UTF-16 units, then the non-negative remainder. Kafka itself takes
/// the absolute value first, which gives another partition to every id with a negative hash; what
/// KoP wrote is found only in this way.
#[must_use]
pub fn partition_of(id: &str, partitions: u32) -> i32 {
    let hash = id.encode_utf16().fold(0_i32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(i32::from(unit))
    });
    let count = i32::try_from(partitions.max(1)).unwrap_or(i32::MAX);
    hash.rem_euclid(count)
}

#[cfg(test)]
mod tests {
    use super::partition_of;

    #[test]
    fn a_group_lives_where_kop_put_it() {
        // Hash -1906497762: Kafka's own function would say 12.
        assert_eq!(partition_of("my-group", 50), 38);
        assert_eq!(partition_of("", 50), 0);
        assert_eq!(partition_of("a", 50), 97 % 50);
    }

    #[test]
    fn characters_beyond_the_basic_plane_count_as_two_units() {
        // U+1F600 is D83D DE00 in UTF-16.
        let hash = 0xD83D_i32 * 31 + 0xDE00;
        assert_eq!(partition_of("\u{1F600}", 1_000_003), hash % 1_000_003);
    }

    #[test]
    fn the_smallest_hash_has_a_partition_too() {
        // Java's hash of this text is i32::MIN, whose absolute value overflows.
        let found = partition_of("polygenelubricants", 50);
        assert_eq!(found, i32::MIN.rem_euclid(50));
    }
}
