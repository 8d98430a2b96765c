//! Versions of Pulsar, as its brokers tell them.

/// Major, minor and patch.
pub(crate) type Version = (u32, u32, u32);

/// The numbers of a version, whatever follows them; `None` where there are none.
pub(crate) fn parse(version: &str) -> Option<Version> {
    let mut parts = version.splitn(3, '.');
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next()?.parse().ok()?;
    let patch = parts.next().unwrap_or("0");
    let digits = patch
        .split_once(|c: char| !c.is_ascii_digit())
        .map_or(patch, |(digits, _)| digits);
    Some((major, minor, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(parse("3.0.7"), Some((3, 0, 7)));
        assert_eq!(parse("4.2.4-SNAPSHOT"), Some((4, 2, 4)));
        assert_eq!(parse("3.1.1.1"), Some((3, 1, 1)));
        assert_eq!(parse("4.1"), Some((4, 1, 0)));
        assert!(parse("3.0.10") > parse("3.0.7") && parse("2.11.4") < parse("3.0.7"));
        assert_eq!(parse("dev"), None);
    }
}
