use super::*;

mod kop;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn group_id(text: &str) -> GroupId {
    GroupId::new(text).unwrap()
}

fn offset_record() -> Record {
    Record::Offset {
        group: group_id("g"),
        topic: name("persistent://public/default/t"),
        partition: 3,
        value: Some(CommittedOffset {
            offset: 42,
            leader_epoch: -1,
            metadata: name("m"),
            commit_timestamp: 1_000,
            expire_timestamp: Some(2_000),
        }),
    }
}

fn group_record(instance: Option<&str>) -> Record {
    Record::Group {
        group: group_id("g"),
        value: Some(GroupMetadata {
            protocol_type: name("consumer"),
            generation: 7,
            protocol: Some(name("range")),
            leader: Some(MemberId::new("m1").unwrap()),
            state_timestamp: instance.map(|_| 5),
            members: vec![MemberMetadata {
                member: MemberId::new("m1").unwrap(),
                instance: instance.map(|id| InstanceId::new(id).unwrap()),
                client_id: name("c"),
                client_host: name("/127.0.0.1"),
                rebalance_timeout_ms: 300_000,
                session_timeout_ms: 45_000,
                subscription: Bytes::from_static(b"sub"),
                assignment: Bytes::from_static(b"asg"),
            }],
        }),
    }
}

fn reread(record: &Record) -> Option<Record> {
    let (key, value) = record.encode();
    Record::decode(&key, value.as_deref()).unwrap()
}

#[test]
fn what_is_written_reads_back_the_same() {
    for record in [offset_record(), group_record(None), group_record(Some("i"))] {
        assert_eq!(reread(&record), Some(record));
    }
}

#[test]
fn a_tombstone_reads_back_as_one() {
    let tombstone = Record::Group {
        group: group_id("g"),
        value: None,
    };
    assert_eq!(reread(&tombstone), Some(tombstone));
}

#[test]
fn an_offset_is_written_as_kop_reads_it() {
    let (key, value) = offset_record().encode();
    let mut expected = vec![0, 1, 0, 1, b'g', 0, 29];
    expected.extend_from_slice(b"persistent://public/default/t");
    expected.extend_from_slice(&[0, 0, 0, 3]);
    assert_eq!(key, expected);
    let mut expected = vec![0, 1, 0, 0, 0, 0, 0, 0, 0, 42, 0, 1, b'm'];
    expected.extend_from_slice(&1_000_i64.to_be_bytes());
    expected.extend_from_slice(&2_000_i64.to_be_bytes());
    assert_eq!(value.unwrap(), expected);
}

#[test]
fn a_group_of_dynamic_members_is_written_as_kop_reads_it() {
    let (key, value) = group_record(None).encode();
    assert_eq!(key, [0, 2, 0, 1, b'g'].as_slice());
    let mut expected = vec![0, 1, 0, 8];
    expected.extend_from_slice(b"consumer");
    expected.extend_from_slice(&[0, 0, 0, 7, 0, 5]);
    expected.extend_from_slice(b"range");
    expected.extend_from_slice(&[0, 2, b'm', b'1', 0, 0, 0, 1, 0, 2, b'm', b'1', 0, 1, b'c']);
    expected.extend_from_slice(&[0, 10]);
    expected.extend_from_slice(b"/127.0.0.1");
    expected.extend_from_slice(&300_000_i32.to_be_bytes());
    expected.extend_from_slice(&45_000_i32.to_be_bytes());
    expected.extend_from_slice(b"\0\0\0\x03sub\0\0\0\x03asg");
    assert_eq!(value.unwrap(), expected);
}

#[test]
fn offsets_of_every_version_are_read() {
    let key = [0, 0, 0, 1, b'g', 0, 1, b't', 0, 0, 0, 0];
    let at = 9_i64.to_be_bytes();
    let offset = 5_i64.to_be_bytes();
    let fixed = |version: u8, epoch: &[u8], tail: &[u8]| {
        [
            &[0, version],
            &offset[..],
            epoch,
            &[0, 1, b'm'],
            &at[..],
            tail,
        ]
        .concat()
    };
    let epoch = 2_i32.to_be_bytes();
    let values = [
        (fixed(0, &[], &[]), -1, None),
        (fixed(1, &[], &[0xff; 8]), -1, None),
        (fixed(1, &[], &11_i64.to_be_bytes()), -1, Some(11)),
        (fixed(2, &[], &[]), -1, None),
        (fixed(3, &epoch, &[]), 2, None),
        // Version 4, with one tagged field that means nothing here.
        (
            [&[0, 4], &offset[..], &epoch, &[2, b'm'], &at, &[1, 0, 1, 7]].concat(),
            2,
            None,
        ),
    ];
    for (value, leader_epoch, expire_timestamp) in values {
        let read = Record::decode(&key, Some(&value)).unwrap().unwrap();
        let Record::Offset { value, .. } = read else {
            panic!("not an offset: {read:?}");
        };
        let expected = CommittedOffset {
            offset: 5,
            leader_epoch,
            metadata: name("m"),
            commit_timestamp: 9,
            expire_timestamp,
        };
        assert_eq!(value, Some(expected));
    }
}

#[test]
fn groups_of_every_version_are_read() {
    let key = [0, 2, 0, 1, b'g'];
    let head = [0, 1, b'c', 0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff];
    let session = 10_i32.to_be_bytes();
    let rebalance = 20_i32.to_be_bytes();
    let ids = [0, 1, b'm'];
    let names = [0, 1, b'c', 0, 1, b'h'];
    let blobs = [0, 0, 0, 0, 0, 0, 0, 0];
    let one = [0, 0, 0, 1];
    let since = 3_i64.to_be_bytes();
    let values: [Vec<u8>; 5] = [
        [&[0, 0], &head[..], &one, &ids, &names, &session, &blobs].concat(),
        [
            &[0, 1],
            &head[..],
            &one,
            &ids,
            &names,
            &rebalance,
            &session,
            &blobs,
        ]
        .concat(),
        [
            &[0, 2],
            &head[..],
            &since,
            &one,
            &ids,
            &names,
            &rebalance,
            &session,
            &blobs,
        ]
        .concat(),
        [
            &[0, 3],
            &head[..],
            &since,
            &one,
            &ids,
            &[0, 1, b'i'],
            &names,
            &rebalance,
            &session,
            &blobs,
        ]
        .concat(),
        [
            &[0, 4, 2, b'c', 0, 0, 0, 7, 0, 0],
            &since[..],
            &[2, 2, b'm', 2, b'i', 2, b'c', 2, b'h'],
            &rebalance,
            &session,
            &[1, 1, 0, 0],
        ]
        .concat(),
    ];
    for (version, value) in values.iter().enumerate() {
        let read = Record::decode(&key, Some(value)).unwrap().unwrap();
        let Record::Group {
            value: Some(group), ..
        } = read
        else {
            panic!("not a group: {read:?}");
        };
        let [member] = group.members.as_slice() else {
            panic!("not one member: {group:?}");
        };
        assert_eq!(group.generation, 7);
        assert_eq!(group.state_timestamp, (version >= 2).then_some(3));
        assert_eq!(member.session_timeout_ms, 10);
        assert_eq!(
            member.rebalance_timeout_ms,
            if version == 0 { 10 } else { 20 }
        );
        assert_eq!(member.instance.is_some(), version >= 3);
    }
}

#[test]
fn a_record_of_another_kind_is_left_alone() {
    assert_eq!(Record::decode(&[0, 3, 0, 1, b'g'], Some(&[0, 0])), Ok(None));
}

#[test]
fn a_value_newer_than_known_is_refused() {
    let (key, _) = offset_record().encode();
    assert_eq!(
        Record::decode(&key, Some(&[0, 5])),
        Err(RecordError::Version(5))
    );
}

proptest::proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(key: Vec<u8>, value: Vec<u8>, kind in 0_u8..4, version in 0_u8..6) {
        let key = [&[0, kind], key.as_slice()].concat();
        let value = [&[0, version], value.as_slice()].concat();
        let _ = Record::decode(&key, Some(&value));
        let _ = Record::decode(&[0, 2, 0, 1, b'g'], Some(&value));
    }

    #[test]
    fn a_record_cut_short_is_refused(cut in 0_usize..100) {
        let (key, value) = group_record(Some("i")).encode();
        let value = value.unwrap();
        let cut = cut % value.len();
        proptest::prop_assert!(Record::decode(&key, Some(&value[..cut])).is_err());
    }
}
