//! Other protocols that arrive by mistake, told by their first bytes, so that the one line in the log
//! says what to change.

/// What a client speaks whose first bytes are no Kafka frame, if that can be told.
pub(super) fn speaks(first: &[u8]) -> Option<&'static str> {
    match first {
        // A record of type handshake, version SSL 3 to TLS 1.3 (RFC 8446, 5.1).
        [0x16, 3, 0..=4, ..] => Some("it speaks TLS, and this listener does not"),
        [b'P', b'R', b'I', b' ', ..] => Some("it speaks HTTP/2, not Kafka's protocol"),
        [b'S', b'S', b'H', b'-', ..] => Some("it speaks SSH, not Kafka's protocol"),
        _ if is_http(first) => Some("it speaks HTTP, not Kafka's protocol"),
        _ => None,
    }
}

fn is_http(first: &[u8]) -> bool {
    const METHODS: [&[u8; 4]; 8] = [
        b"GET ", b"HEAD", b"POST", b"PUT ", b"DELE", b"CONN", b"OPTI", b"PATC",
    ];
    METHODS.iter().any(|method| first.starts_with(*method))
}

/// Whether a frame, without its length, is what a Pulsar client begins with: the size of a command,
/// and a command whose field 1, its type, is CONNECT.
pub(super) fn is_pulsar(frame: &[u8]) -> bool {
    let Some((size, command)) = frame.split_first_chunk() else {
        return false;
    };
    usize::try_from(u32::from_be_bytes(*size)).is_ok_and(|size| size == command.len())
        && command.starts_with(&[0x08, 0x02])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_told_by_their_first_bytes() {
        let told = |bytes: &[u8]| speaks(bytes).unwrap_or_default();
        assert!(told(b"GET / HTTP/1.1\r\n").contains("HTTP,"));
        assert!(told(b"POST").contains("HTTP,"));
        assert!(told(b"PRI * HTTP/2.0").contains("HTTP/2"));
        assert!(told(b"SSH-2.0-OpenSSH").contains("SSH"));
        assert!(told(&[0x16, 3, 1, 2, 0, 1]).contains("TLS"));
        assert_eq!(told(&[0, 0, 0, 9, 0, 18]), "");
        assert_eq!(told(&[0xff; 8]), "");
        assert_eq!(told(b"GE"), "");
    }

    #[test]
    fn a_pulsar_client_is_told_by_its_first_command() {
        assert!(is_pulsar(&[0, 0, 0, 4, 8, 2, 18, 0]));
        assert!(!is_pulsar(&[0, 0, 0, 5, 8, 2, 18, 0]));
        assert!(!is_pulsar(&[0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff]));
        assert!(!is_pulsar(&[]));
    }
}
