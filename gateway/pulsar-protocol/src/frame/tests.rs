use proptest::prelude::*;

use super::*;
use crate::{
    KeyValue,
    command::{Connect, FeatureFlags, Ping, Send},
};

fn connect() -> Command {
    Command::Connect(Connect {
        client_version: "c".to_owned(),
        protocol_version: Some(20),
        feature_flags: Some(FeatureFlags {
            supports_broker_entry_metadata: Some(true),
            ..FeatureFlags::default()
        }),
        ..Connect::default()
    })
}

#[test]
fn a_command_is_framed_as_pulsar_frames_it() {
    let expected = [
        0, 0, 0, 17, 0, 0, 0, 13, // total and command size
        8, 2, // type = CONNECT
        18, 9, // field 2, a message of 9 bytes
        10, 1, b'c', // client_version
        32, 20, // protocol_version
        82, 2, 16, 1, // feature_flags { supports_broker_entry_metadata }
    ];
    assert_eq!(encode(connect()), expected.as_slice());
}

#[test]
fn a_frame_is_taken_once_it_is_complete() {
    let encoded = encode(connect());
    let mut buffer = BytesMut::new();
    for (index, byte) in encoded.iter().enumerate() {
        assert_eq!(
            decode(&mut buffer, 1000).unwrap(),
            None,
            "after {index} bytes"
        );
        let missing = missing(&buffer, 1000).unwrap();
        let expected = if index < 4 {
            4 - index
        } else {
            encoded.len() - index
        };
        assert_eq!(missing, expected, "after {index} bytes");
        buffer.extend_from_slice(&[*byte]);
    }
    buffer.extend_from_slice(b"next");
    assert_eq!(missing(&encoded, 1000).unwrap(), 0);
    let frame = decode(&mut buffer, 1000).unwrap().unwrap();
    assert_eq!(frame.command.command, Some(connect()));
    assert!(frame.trailer.is_empty());
    assert_eq!(buffer, b"next".as_slice());
}

#[test]
fn a_frame_larger_than_the_limit_is_refused_by_its_first_bytes() {
    let mut buffer = BytesMut::from(&[0, 0, 1, 0][..]);
    assert!(matches!(
        missing(&buffer, 255),
        Err(FrameError::TooLarge {
            size: 256,
            limit: 255
        })
    ));
    assert!(matches!(
        decode(&mut buffer, 255),
        Err(FrameError::TooLarge { .. })
    ));
    assert!(matches!(decode(&mut buffer, 256), Ok(None)));
}

#[test]
fn sizes_that_contradict_each_other_are_refused() {
    for bytes in [
        &[0, 0, 0, 3, 0, 0, 0][..],
        &[0, 0, 0, 5, 0, 0, 0, 2, 8],
        &[0, 0, 0, 0],
    ] {
        let decoded = decode(&mut BytesMut::from(bytes), 1000);
        assert!(
            matches!(decoded, Err(FrameError::Inconsistent { .. })),
            "{decoded:?}"
        );
    }
}

#[test]
fn a_command_that_is_not_known_has_no_body() {
    // 66 is a topic list update.
    let bytes = [0, 0, 0, 12, 0, 0, 0, 8, 8, 66, 0x92, 4, 3, 8, 1, 16];
    let decoded = decode(&mut BytesMut::from(&bytes[..]), 1000)
        .unwrap()
        .unwrap();
    assert_eq!((decoded.command.kind, decoded.command.command), (66, None));
}

#[test]
fn every_command_is_framed_under_its_own_number() {
    use crate::command as c;
    let commands = [
        connect(),
        Command::Connected(c::Connected::default()),
        Command::Subscribe(c::Subscribe::default()),
        Command::Producer(c::Producer::default()),
        Command::Send(Send::default()),
        Command::SendReceipt(c::SendReceipt::default()),
        Command::SendError(c::SendError::default()),
        Command::Message(c::Message::default()),
        Command::Flow(c::Flow::default()),
        Command::Success(c::Success::default()),
        Command::Error(c::ErrorResponse::default()),
        Command::CloseProducer(c::CloseProducer::default()),
        Command::CloseConsumer(c::CloseConsumer::default()),
        Command::ProducerSuccess(c::ProducerSuccess::default()),
        Command::Ping(Ping {}),
        Command::Pong(c::Pong {}),
        Command::PartitionMetadata(c::PartitionedTopicMetadata::default()),
        Command::PartitionMetadataResponse(c::PartitionedTopicMetadataResponse::default()),
        Command::LookupTopic(c::LookupTopic::default()),
        Command::LookupTopicResponse(c::LookupTopicResponse::default()),
        Command::ReachedEndOfTopic(c::ReachedEndOfTopic::default()),
        Command::GetLastMessageId(c::GetLastMessageId::default()),
        Command::GetLastMessageIdResponse(c::GetLastMessageIdResponse::default()),
        Command::ActiveConsumerChange(c::ActiveConsumerChange::default()),
        Command::GetTopicsOfNamespace(c::GetTopicsOfNamespace::default()),
        Command::GetTopicsOfNamespaceResponse(c::GetTopicsOfNamespaceResponse::default()),
        Command::AuthChallenge(c::AuthChallenge::default()),
        Command::AuthResponse(c::AuthResponse::default()),
        Command::TopicMigrated(c::TopicMigrated::default()),
    ];
    for command in commands {
        let kind = command.kind();
        let decoded = decode(&mut BytesMut::from(&encode(command.clone())[..]), 1000)
            .unwrap()
            .unwrap();
        assert_eq!(decoded.command.kind, kind);
        assert_eq!(decoded.command.command, Some(command));
    }
}

fn sent(payload: &[Bytes], checksum: bool) -> Bytes {
    let metadata = MessageMetadata {
        producer_name: "p".to_owned(),
        sequence_id: 3,
        properties: vec![KeyValue::new("k", "v")],
        ..MessageMetadata::default()
    };
    let send = Command::Send(Send {
        producer_id: 1,
        sequence_id: 3,
        ..Send::default()
    });
    let head = encode_with_entry(send, &metadata, payload, checksum);
    [&head[..], &payload.concat()].concat().into()
}

proptest! {
    #[test]
    fn an_entry_in_parts_is_framed_as_one(
        payload in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..5),
        checksum: bool,
    ) {
        let payload: Vec<Bytes> = payload.into_iter().map(Bytes::from).collect();
        let mut buffer = BytesMut::from(&sent(&payload, checksum)[..]);
        let frame = decode(&mut buffer, 10_000).unwrap().unwrap();
        prop_assert!(buffer.is_empty());
        let entry = entry::parse(frame.trailer).unwrap();
        prop_assert_eq!(entry.metadata.sequence_id, 3);
        prop_assert_eq!(entry.payload, payload.concat());
    }

    #[test]
    fn damaged_bytes_never_panic_and_stay_within_the_limit(
        at in any::<prop::sample::Index>(),
        byte: u8,
        cut in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut bytes = sent(&[Bytes::from_static(b"payload")], true).to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        bytes.truncate(cut.index(bytes.len() + 1));
        for bytes in [bytes, noise] {
            let mut buffer = BytesMut::from(&bytes[..]);
            let _ = missing(&buffer, 1000).map(|missing| assert!(missing <= 1004));
            if let Ok(Some(frame)) = decode(&mut buffer, 1000) {
                let _ = entry::parse(frame.trailer);
            }
        }
    }
}
