use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1024 * 1024;

fn compressed(codec: Compression, input: &[u8]) -> Bytes {
    Bytes::from(compress(codec, input).unwrap().into_owned())
}

proptest! {
    #[test]
    fn every_codec_gives_back_what_it_was_given(
        input in proptest::collection::vec(any::<u8>(), 0..100_000),
    ) {
        for codec in Compression::ALL {
            let output = decompress(codec, &compressed(codec, &input), LIMIT).unwrap();
            prop_assert_eq!(&*output, &*input);
        }
    }

    #[test]
    fn damaged_input_never_panics(
        input in proptest::collection::vec(any::<u8>(), 0..2_000),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        for codec in Compression::ALL {
            let mut bytes = compressed(codec, &input).to_vec();
            for (at, value) in &damage {
                if !bytes.is_empty() {
                    let at = at.index(bytes.len());
                    bytes[at] = *value;
                }
            }
            bytes.truncate(cut.index(bytes.len() + 1));
            if let Ok(output) = decompress(codec, &bytes.into(), LIMIT) {
                prop_assert!(output.len() <= LIMIT);
            }
        }
    }

    #[test]
    fn noise_never_panics(input in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let input = Bytes::from(input);
        for codec in Compression::ALL {
            let _ = decompress(codec, &input, LIMIT);
        }
    }
}

#[test]
fn a_decompression_bomb_stops_at_the_limit() {
    let zeros = vec![0; 8 * LIMIT];
    for codec in Compression::ALL {
        let bomb = compressed(codec, &zeros);
        assert!(
            matches!(
                decompress(codec, &bomb, LIMIT),
                Err(CompressionError::TooLarge { limit: LIMIT, .. })
            ),
            "{codec:?}"
        );
        assert_eq!(
            decompress(codec, &bomb, zeros.len()).unwrap().len(),
            zeros.len()
        );
    }
}

#[test]
fn snappy_without_javas_framing_is_read_too() {
    let input = b"abcabcabcabcabcabc".repeat(100);
    let bare = snap::raw::Encoder::new().compress_vec(&input).unwrap();
    assert_eq!(
        &*decompress(Compression::Snappy, &bare.into(), LIMIT).unwrap(),
        &*input
    );
}

#[test]
fn a_short_snappy_block_cannot_claim_much_memory() {
    // A varint of 0x0fff_ffff and nothing behind it.
    let claim = Bytes::from_static(&[0xff, 0xff, 0xff, 0x7f]);
    assert!(matches!(
        decompress(Compression::Snappy, &claim, usize::MAX),
        Err(CompressionError::Damaged { .. })
    ));
}

#[test]
fn gzip_members_that_follow_each_other_are_all_read() {
    let mut bytes = compressed(Compression::Gzip, b"one ").to_vec();
    bytes.extend_from_slice(&compressed(Compression::Gzip, b"two"));
    assert_eq!(
        &*decompress(Compression::Gzip, &bytes.into(), LIMIT).unwrap(),
        b"one two"
    );
}

#[test]
fn attribute_bits_name_the_codec() {
    for codec in Compression::ALL {
        assert_eq!(
            Compression::of_attributes(codec.attribute_bits() | 0x30),
            Some(codec)
        );
    }
    assert_eq!(Compression::of_attributes(5), None);
}

#[test]
fn a_zstd_frame_tells_the_size_of_its_content() {
    for size in [0, 1, 300, 1_000_000] {
        let content = vec![b'x'; size];
        let frame = compress(Compression::Zstd, &content).unwrap();
        let told = zstd::zstd_safe::get_frame_content_size(&frame).unwrap();
        assert_eq!(told, u64::try_from(size).ok());
    }
}
