use proptest::prelude::*;

use super::*;

const CODECS: [CompressionType; 5] = [
    CompressionType::None,
    CompressionType::Lz4,
    CompressionType::Zlib,
    CompressionType::Zstd,
    CompressionType::Snappy,
];

#[test]
fn a_payload_said_to_be_larger_than_the_limit_is_not_touched() {
    for codec in CODECS {
        let refused = decompress(codec, &Bytes::from_static(b"x"), 101, 100);
        assert!(matches!(
            refused,
            Err(CompressionError::TooLarge {
                size: 101,
                limit: 100
            })
        ));
    }
}

#[test]
fn a_payload_of_another_size_than_said_is_refused() {
    let payload = Bytes::from(vec![7; 1000]);
    for codec in CODECS.into_iter().skip(1) {
        let compressed = compress(codec, &payload);
        for size in [0, 999, 1001] {
            let refused = decompress(codec, &compressed, size, 1 << 20);
            assert!(refused.is_err(), "{codec:?} as {size}");
        }
    }
}

#[test]
fn a_bomb_gives_no_more_than_it_says() {
    let bomb = Bytes::from(vec![0; 10_000_000]);
    for codec in CODECS.into_iter().skip(1) {
        let compressed = compress(codec, &bomb);
        assert!(
            decompress(codec, &compressed, 1000, 1000).is_err(),
            "{codec:?}"
        );
    }
}

proptest! {
    #[test]
    fn what_was_compressed_comes_back(payload in prop::collection::vec(0..4_u8, 0..2000)) {
        let payload = Bytes::from(payload);
        for codec in CODECS {
            let compressed = compress(codec, &payload);
            let back = decompress(codec, &compressed, payload.len(), 2000);
            prop_assert_eq!(back.unwrap(), payload.clone(), "{:?}", codec);
        }
    }

    #[test]
    fn any_bytes_are_a_payload_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        size in 0..3000_usize,
    ) {
        let bytes = Bytes::from(bytes);
        for codec in CODECS.into_iter().skip(1) {
            if let Ok(payload) = decompress(codec, &bytes, size, 2000) {
                prop_assert_eq!(payload.len(), size);
            }
        }
    }
}
