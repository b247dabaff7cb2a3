//! Chunked reading of JSON Lines and CSV.

use proptest::prelude::*;

use super::super::records::*;
use super::*;

fn read_all(format: Format, limit: usize, chunks: &[&[u8]]) -> (Vec<String>, RecordErrors) {
    let mut read = Vec::new();
    let mut records = Records::with_limit(format, limit);
    for chunk in chunks {
        records.feed(chunk, |record| read.push(record.to_string()));
    }
    let errors = records.finish(|record| read.push(record.to_string()));
    (read, errors)
}

fn lines(errors: &RecordErrors) -> Vec<u64> {
    errors.first.iter().map(|error| error.line).collect()
}

#[test]
fn json_lines() {
    let text =
        b"\xEF\xBB\xBF{\"a\":1}\r\n\n  \n{bad}\n[1]\n\"\xFF\"\n{\"a\": 12345678901234567890}";
    let (read, errors) = read_all(Format::JsonLines, 100, &[text]);
    assert_eq!(read, [r#"{"a":1}"#, "[1]", r#"{"a":12345678901234567890}"#]);
    assert_eq!((errors.count, lines(&errors)), (2, vec![4, 6]));
    assert!(
        errors.first[0].error.contains("property name"),
        "{errors:?}"
    );
}

#[test]
fn too_long_lines_are_passed_over() {
    let long = format!("\"{}\"", "x".repeat(98));
    let longer = format!("\"{}\"", "x".repeat(99));
    let text = [
        &long,
        "\n",
        &longer,
        "\n",
        &longer.repeat(500),
        "\n1\n",
        &longer,
    ]
    .concat();
    for size in [1, 7, 100, 101, text.len()] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let (read, errors) = read_all(Format::JsonLines, 100, &chunks);
        assert_eq!(read, [long.as_str(), "1"]);
        assert_eq!((errors.count, lines(&errors)), (3, vec![2, 3, 5]));
    }
}

#[test]
fn only_the_first_errors_are_kept() {
    let (_, errors) = read_all(Format::JsonLines, 100, &[&b"x\n".repeat(1_000)]);
    assert_eq!((errors.count, errors.first.len()), (1_000, KEPT_ERRORS));
}

#[test]
fn csv() {
    let text = "\u{feff}id,name,,id\r\n1,\"a \"\"b\"\"\nc\",x,2\r\n\r\n007,, 1.5 ,-1e3\r\n1,2\r\n+5,1e999,é,-\n";
    let (read, errors) = read_all(Format::CSV, 1_000, &[text.as_bytes()]);
    assert_eq!(
        read,
        [
            r#"{"id":1,"name":"a \"b\"\nc","column_3":"x","id_4":2}"#,
            r#"{"id":"007","name":null,"column_3":1.5,"id_4":-1000.0}"#,
            r#"{"id":"+5","name":"1e999","column_3":"é","id_4":"-"}"#,
        ]
    );
    assert_eq!((errors.count, lines(&errors)), (1, vec![6]));
}

#[test]
fn odd_tables() {
    let (read, errors) = read_all(Format::CSV, 100, &[b"a,b\n\xFF,1\n2,\"unclosed\n3,4"]);
    assert_eq!(read, [r#"{"a":2,"b":"unclosed\n3,4"}"#]);
    assert_eq!((errors.count, lines(&errors)), (1, vec![2]));
    for text in [
        &b""[..],
        b"a,b",
        b"a,b\n",
        b"\n\n",
        b"\xEF\xBB",
        b"\xEF\xBB\xBF",
    ] {
        assert_eq!(read_all(Format::CSV, 100, &[text]).0, [""; 0]);
    }
    let (read, errors) = read_all(Format::TSV, 100, &[b"a\tb\n1\tx,y\n"]);
    assert_eq!(
        (read, errors.count),
        (vec![r#"{"a":1,"b":"x,y"}"#.to_owned()], 0)
    );
    // Both halves of a character in two cells are no text in either.
    assert_eq!(
        read_all(Format::CSV, 100, &[b"a,b\n\xC3,\xA9\n"]).1.count,
        1
    );
}

#[test]
fn too_large_rows_are_passed_over() {
    let text = format!(
        "a,b\n1,2\n\"{}\",3\n{}\n4,5\n",
        "x\n".repeat(100),
        "6,".repeat(20_000)
    );
    for size in [1, 7, 1_000, text.len()] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let (read, errors) = read_all(Format::CSV, 100, &chunks);
        assert_eq!(read, [r#"{"a":1,"b":2}"#, r#"{"a":4,"b":5}"#]);
        assert_eq!(errors.count, 2);
    }
}

#[test]
fn formats() {
    let detect =
        |content_type, path, start: &str| Format::detect(content_type, path, start.as_bytes());
    let table = [
        (
            Some("text/csv; charset=utf-8"),
            "/x.jsonl",
            "{",
            Some(Format::CSV),
        ),
        (
            Some("application/x-ndjson"),
            "/x.csv",
            "a,b",
            Some(Format::JsonLines),
        ),
        (
            Some("application/octet-stream"),
            "/data.JSONL?x=y.csv",
            "",
            Some(Format::JsonLines),
        ),
        (
            None,
            "https://example.com/a.b/data.tsv#c",
            "",
            Some(Format::TSV),
        ),
        (
            None,
            "https://example.com/data",
            "\u{feff} {\"a\":1}",
            Some(Format::JsonLines),
        ),
        (Some("application/json"), "/data", "[1]", None),
        (Some("text/plain"), "/data", "a\tb\n", Some(Format::TSV)),
        (Some("text/plain"), "/data", "a,b\n", Some(Format::CSV)),
        (Some("text/html"), "/", "<html>", None),
        (None, "/", "\0\u{1}", None),
        (None, "", "", None),
    ];
    for (content_type, path, start, format) in table {
        assert_eq!(
            detect(content_type, path, start),
            format,
            "{content_type:?} {path} {start}"
        );
    }
}

/// A hundred thousand rows, one chunk each.
#[test]
fn a_long_stream() {
    let mut profiler = Profiler::new();
    let mut records = Records::new(Format::CSV);
    records.feed(b"id,amount,city\n", |_| {});
    for n in 0..100_000_u32 {
        let row = format!("{n},{}.25,city {}\n", n % 1_000, n % 7);
        records.feed(row.as_bytes(), |record| profiler.record(record));
    }
    let errors = records.finish(|record| profiler.record(record));
    let profile = profiler.finish();
    assert_eq!((profile.records, errors.count), (100_000, 0));
    let amount = field(&profile, "amount");
    assert_eq!((amount.distinct, amount.mean), (Some(1_000), Some(499.75)));
    let city = field(&profile, "city");
    assert_eq!(
        (city.top.len(), city.top[0].count, city.top_exact),
        (7, 14_286, Some(true))
    );
    assert!(text(&profile).len() < 6_000);
}

proptest! {
    /// The size of the chunks makes no difference.
    #[test]
    fn chunks_do_not_matter(text in "[a\"{}:,1 \r\n\\\\é\t]{0,120}", size in 1_usize..9, limit in 1_usize..60) {
        for format in [Format::JsonLines, Format::CSV, Format::TSV] {
            let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            prop_assert_eq!(
                read_all(format, limit, &chunks),
                read_all(format, limit, &[text.as_bytes()])
            );
        }
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>(), size in 1_usize..9) {
        for format in [Format::JsonLines, Format::CSV] {
            let chunks: Vec<&[u8]> = bytes.chunks(size).collect();
            let _ = read_all(format, 50, &chunks);
        }
    }
}
