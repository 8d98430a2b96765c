/// Quotes list items and values that YAML 1.1, which Kubernetes' own tools read, takes for
/// booleans: without it the enum value `Off` becomes `false`.
pub(crate) fn quote_ambiguous(yaml: &str) -> String {
    let quoted = |line: &str| {
        let at = line.rfind(' ').map_or(0, |at| at + 1);
        let (before, word) = line.split_at(at);
        let starts_value = before.ends_with("- ") || before.ends_with(": ");
        match word.to_ascii_lowercase().as_str() {
            "on" | "off" | "yes" | "no" | "y" | "n" if starts_value => {
                format!("{before}'{word}'\n")
            }
            _ => format!("{line}\n"),
        }
    };
    yaml.lines().map(quoted).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_old_yaml_takes_for_booleans_are_quoted() {
        assert_eq!(
            quote_ambiguous("- Off\nkey: yes\n"),
            "- 'Off'\nkey: 'yes'\n"
        );
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        let yaml = "a: true\nb: turn it off\n- Patch\n";
        assert_eq!(quote_ambiguous(yaml), yaml);
    }
}
