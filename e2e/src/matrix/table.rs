//! Tables of the documents, written from what was seen.

use super::{Cell, Column};
use crate::install;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;

const FILE: &str = "docs/clients.md";

/// Compares the table named `target` of `docs/clients.md` with what was seen; with `UPDATE` in the
/// environment, writes it.
///
/// # Errors
/// The file has no such table, or another one.
pub fn check(target: &str, rows: &[&str], columns: &[Column]) -> Result<()> {
    stands(FILE, target, &render(target, rows, columns)?)
}

/// As [`check`], of a table in any file.
///
/// # Errors
/// The file has no such table, or another one.
pub fn stands(file: &str, target: &str, table: &str) -> Result<()> {
    let path = install::checkout().join(file);
    let text = std::fs::read_to_string(&path).with_context(|| file.to_owned())?;
    let seen = put(&text, target, table).with_context(|| file.to_owned())?;
    if std::env::var_os("UPDATE").is_some() {
        return std::fs::write(&path, seen).with_context(|| file.to_owned());
    }
    ensure!(
        text == seen,
        "{file} does not say what was seen; with UPDATE=1 this test writes it. Seen:\n{table}"
    );
    Ok(())
}

/// The text with the part between its two marks replaced.
fn put(text: &str, target: &str, table: &str) -> Result<String> {
    let marks = [
        format!("<!-- {target}: begin -->\n"),
        format!("<!-- {target}: end -->"),
    ];
    let [begin, end] = &marks;
    let (before, rest) = text
        .split_once(begin)
        .with_context(|| format!("no {begin}"))?;
    let (_, after) = rest.split_once(end).with_context(|| format!("no {end}"))?;
    Ok(format!("{before}{begin}{table}{end}{after}"))
}

fn render(target: &str, rows: &[&str], columns: &[Column]) -> Result<String> {
    let mut reasons: Vec<&str> = Vec::new();
    let mut table = String::from("\n|");
    for column in columns {
        write!(table, " | {} {}", column.title, column.version)?;
    }
    writeln!(table, " |\n| ---{} |", " | ---".repeat(columns.len()))?;
    for (number, row) in rows.iter().enumerate() {
        write!(table, "| {row}")?;
        for column in columns {
            let cell = column.cells.get(number).context("a cell for each row")?;
            match cell {
                Cell::Passed => write!(table, " | passed")?,
                Cell::NotApplicable(reason) => {
                    let known = reasons.iter().position(|known| known == reason);
                    let note = known.unwrap_or_else(|| {
                        reasons.push(reason);
                        reasons.len() - 1
                    });
                    write!(table, " | n/a[^{target}-{}]", note + 1)?;
                }
            }
        }
        writeln!(table, " |")?;
    }
    writeln!(table)?;
    for (note, reason) in reasons.iter().enumerate() {
        writeln!(table, "[^{target}-{}]: {reason}", note + 1)?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_stands_between_its_marks() -> Result<()> {
        let column = Column {
            title: "A client",
            version: "1.2".to_owned(),
            cells: vec![Cell::Passed, Cell::NotApplicable("It cannot.")],
        };
        let table = render("here", &["does", "does not"], &[column])?;
        assert!(table.starts_with("\n| | A client 1.2 |\n| --- | --- |\n| does | passed |\n"));
        assert!(table.ends_with("| n/a[^here-1] |\n\n[^here-1]: It cannot.\n"));
        let text = "a\n<!-- here: begin -->\nold\n<!-- here: end -->\nz\n";
        let put = put(text, "here", &table)?;
        assert!(put.starts_with("a\n<!-- here: begin -->\n\n|"));
        assert!(put.ends_with("\n<!-- here: end -->\nz\n"));
        Ok(())
    }
}
