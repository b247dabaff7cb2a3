//! What is said of a file beside its bytes.

/// A format of files of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Rows of cells under a header row, separated by commas, semicolons, tabs or bars.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// One JSON value a line, or after each record separator (RFC 7464).
    JsonLines,
}

/// What is said of a file beside its bytes.
#[derive(Debug, Clone, Default)]
pub struct Claims {
    /// The `Content-Type` of the answer.
    pub content_type: Option<String>,
    /// The URL, or a path: how it ends is a hint.
    pub name: String,
    /// The format, by the word of who asks.
    pub format: Option<Format>,
    /// The label of the encoding, by the word of who asks. See [`is_encoding`].
    pub encoding: Option<String>,
    /// What separates cells, by the word of who asks.
    pub delimiter: Option<u8>,
    /// The decimal mark, by the word of who asks.
    pub decimal: Option<u8>,
    /// What stands for a missing value beside an empty cell, in the place of [`NULL_WORDS`](super::NULL_WORDS).
    pub nulls: Option<Vec<String>>,
}

impl Claims {
    /// The value of `charset` in the content type.
    pub(super) fn charset(&self) -> Option<&str> {
        let parameters = self.content_type.as_deref()?.split(';').skip(1);
        let mut named = parameters.filter_map(|parameter| parameter.split_once('='));
        let (_, value) = named.find(|(name, _)| name.trim().eq_ignore_ascii_case("charset"))?;
        let value = value.trim().trim_matches(['"', '\'']);
        (!value.is_empty()).then_some(value)
    }

    /// How the file's name ends, without the ending of a compression.
    fn ending(&self) -> Option<String> {
        let path = self.name.split(['?', '#']).next()?;
        let file = path.rsplit('/').next()?.to_ascii_lowercase();
        let packed = [".gz", ".gzip", ".zst", ".zstd"];
        let bare = packed.iter().find_map(|ending| file.strip_suffix(ending));
        let (_, ending) = bare.unwrap_or(&file).rsplit_once('.')?;
        Some(ending.to_owned())
    }

    pub(super) fn of_name(&self) -> Option<Format> {
        match self.ending()?.as_str() {
            "jsonl" | "ndjson" | "jsonlines" => Some(Format::JsonLines),
            "csv" => Some(Format::Csv),
            "tsv" | "tab" => Some(Format::Tsv),
            _ => None,
        }
    }

    pub(super) fn has_table_name(&self) -> bool {
        let ending = self.ending();
        ending.is_some_and(|ending| ["csv", "tsv", "tab", "psv", "txt"].contains(&&*ending))
    }
}

/// Whether this is a label of an encoding, as the Encoding Standard has them.
#[must_use]
pub fn is_encoding(label: &str) -> bool {
    super::charset::of_label(label).is_some()
}
