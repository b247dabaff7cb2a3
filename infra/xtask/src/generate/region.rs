//! Generated regions in files that people edit.

use local_stack::{Error, Result};

/// Replaces the lines between `# begin generated: NAME` and `# end generated: NAME` by `lines`,
/// with the indentation of the first marker. The rest of the text stays the same.
///
/// # Errors
/// When a marker is missing.
pub fn replace(text: &str, name: &str, lines: &[String]) -> Result<String> {
    let (begin, end) = (
        format!("# begin generated: {name}"),
        format!("# end generated: {name}"),
    );
    let missing = |marker| Error::new(format!("the line `{marker}` is missing"));
    let all: Vec<&str> = text.split_inclusive('\n').collect();
    let at = |marker: &str| all.iter().position(|line| line.trim() == marker);
    let first = at(&begin).ok_or_else(|| missing(&begin))?;
    let last = at(&end).filter(|last| *last > first);
    let last = last.ok_or_else(|| missing(&end))?;
    let indent = &all[first][..all[first].len() - all[first].trim_start().len()];
    let mut written = all[..=first].concat();
    for line in lines {
        if !line.is_empty() {
            written.push_str(indent);
        }
        written.push_str(line);
        written.push('\n');
    }
    Ok(written + &all[last..].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_between_the_markers_are_replaced() {
        let text = "a:\n  # begin generated: b\n  old\n  # end generated: b\nc: # begin\n";
        let lines = ["x:".to_owned(), String::new(), "  y: 1".to_owned()];
        let written = replace(text, "b", &lines).unwrap();
        let expected = "a:\n  # begin generated: b\n  x:\n\n    y: 1\n  # end generated: b\n\
                        c: # begin\n";
        assert_eq!(written, expected);
        assert_eq!(replace(&written, "b", &lines).unwrap(), expected);
    }

    #[test]
    fn the_error_names_a_missing_marker() {
        for (text, missing) in [
            ("", "# begin generated: b"),
            (
                "# begin generated: b\n# end generated: c\n",
                "# end generated: b",
            ),
            (
                "# end generated: b\n# begin generated: b\n",
                "# end generated: b",
            ),
        ] {
            let error = replace(text, "b", &[]).unwrap_err().to_string();
            assert_eq!(error, format!("the line `{missing}` is missing"));
        }
    }
}
