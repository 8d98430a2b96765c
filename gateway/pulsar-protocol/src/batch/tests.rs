use proptest::prelude::*;

use super::*;

fn keyed(key: &'static str) -> SingleMessageMetadata {
    SingleMessageMetadata {
        partition_key: Some(key.into()),
        ..SingleMessageMetadata::default()
    }
}

#[test]
fn messages_come_back_in_order_with_their_metadata() {
    let mut builder = BatchBuilder::new();
    builder.push(keyed("a"), b"first");
    builder.push(
        SingleMessageMetadata {
            null_value: Some(true),
            ..keyed("b")
        },
        b"",
    );
    builder.push(keyed("c"), b"third");
    assert_eq!(builder.count(), 3);
    let messages: Vec<_> = messages(builder.build(), 3)
        .collect::<Result<_, _>>()
        .unwrap();
    let seen: Vec<_> = messages
        .iter()
        .map(|message| {
            let key = message.metadata.partition_key.as_deref().unwrap();
            (key, &message.payload[..], message.metadata.null_value())
        })
        .collect();
    assert_eq!(
        seen,
        [
            (&b"a"[..], &b"first"[..], false),
            (b"b", b"", true),
            (b"c", b"third", false)
        ]
    );
}

#[test]
fn a_batch_with_fewer_messages_than_it_says_ends_with_an_error() {
    let mut builder = BatchBuilder::new();
    builder.push(keyed("a"), b"first");
    let payload = builder.build();
    let mut read = messages(payload.clone(), 3);
    assert!(read.next().unwrap().is_ok());
    assert!(matches!(
        read.next(),
        Some(Err(BatchError::Truncated { index: 1 }))
    ));
    assert!(read.next().is_none());
    let cut = payload.slice(..payload.len() - 1);
    assert!(matches!(
        messages(cut, 1).next(),
        Some(Err(BatchError::Truncated { index: 0 }))
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_messages_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        count: u32,
    ) {
        let length = bytes.len();
        // Each message takes four bytes at least, whatever is said of their number.
        prop_assert!(messages(bytes.into(), count).count() <= length / 4 + 1);
    }
}
