//! Records of JSON Lines and tables, in pieces of any size.

use super::super::records::*;
use super::files::*;
use super::*;

#[test]
fn json_lines() {
    let text =
        b"\xEF\xBB\xBF{\"a\":1}\r\n\n  \n{bad}\n[1]\n\"x\xFF\"\n{\"a\": 12345678901234567890}";
    let (read, summary) = read_file(jsonl(), text).unwrap();
    assert_eq!(read, [r#"{"a":1}"#, "[1]", r#"{"a":12345678901234567890}"#]);
    let errors = summary.errors;
    assert_eq!((errors.count, lines(&errors)), (2, vec![4, 6]));
    assert!(
        errors.first[0].error.contains("property name"),
        "{errors:?}"
    );
    assert_eq!(errors.first[1].error, "not UTF-8");
}

#[test]
fn lines_end_in_any_way() {
    for end in ["\n", "\r\n", "\r"] {
        let text = ["{\"a\":1}", "", "{bad}", "{\"a\":2}", "{\"a\":3}"].join(end);
        let (read, summary) = read_file(jsonl(), text).unwrap();
        assert_eq!(read.len(), 3, "{end:?}");
        assert_eq!(lines(&summary.errors), [3], "{end:?}");
        let text = ["a,b", "1,2", "", "\"x", "y\",3", "1,2,3", "4,5"].join(end);
        let (_, summary) = read_file(csv(), text).unwrap();
        assert_eq!(summary.records, 3, "{end:?}");
        assert_eq!(lines(&summary.errors), [6], "{end:?}");
    }
}

#[test]
fn too_long_lines_are_passed_over() {
    let long = format!("\"{}\"", "x".repeat(98));
    let longer = format!("\"{}\"", "x".repeat(99));
    let huge = longer.repeat(500);
    let text = [&long, &longer, &huge, "1", &longer, "2", "3"].join("\n");
    for size in [1, 7, 100, 101, text.len()] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let (read, summary) = read_chunks(jsonl(), 100, &chunks).unwrap();
        assert_eq!(read, [long.as_str(), "1", "2", "3"]);
        assert_eq!(
            (summary.errors.count, lines(&summary.errors)),
            (3, vec![2, 3, 5])
        );
    }
}

#[test]
fn only_the_first_errors_are_kept() {
    let (_, summary) = read_file(
        jsonl(),
        [&b"1\n".repeat(1_000)[..], &b"x\n".repeat(1_000)].concat(),
    )
    .unwrap();
    assert_eq!(
        (summary.errors.count, summary.errors.first.len()),
        (1_000, KEPT_ERRORS)
    );
}

/// RFC 7464.
#[test]
fn text_sequences() {
    let text = "\u{1E}{\"id\":1}\n\u{1E}{\n \"id\":2\r\n}\n\u{1E}{\"id\":\n\u{1E}\u{1E}[3]\n\u{1E}4\n\u{1E}5";
    let (read, summary) = read_file(named("x.jsonl"), text).unwrap();
    assert_eq!(read, [r#"{"id":1}"#, r#"{"id":2}"#, "[3]", "4"]);
    assert_eq!(summary.format, "json-seq");
    // The third is cut off, and so may be the number at the end.
    assert_eq!(lines(&summary.errors), [5, 8]);
}

#[test]
fn half_of_a_surrogate_pair_is_replaced() {
    let text = "{\"id\":1,\"t\":\"ok\"}\n{\"id\":2,\"t\":\"cut \\ud83d\"}\n{\"id\":3,\"\\ude00\":\"\\ud83d\\ude00\"}\n";
    let (read, summary) = read_file(named("x.jsonl"), text).unwrap();
    assert_eq!(read[1], r#"{"id":2,"t":"cut �"}"#);
    assert_eq!(read[2], r#"{"id":3,"�":"😀"}"#);
    assert_eq!(summary.errors.count, 0);
    let note = "records with half of a surrogate pair: 2; U+FFFD stands in its place";
    assert_eq!(summary.notes, [note]);
}

#[test]
fn a_table() {
    let text = "\u{feff}id,name,,id\r\n1,\"a \"\"b\"\"\nc\",x,2\r\n\r\n007,, 1.5 ,-1e3\r\n1,2\r\n+5,1e999,é,-\n1,2,3,4,5\n";
    let (read, summary) = read_file(csv(), text).unwrap();
    assert_eq!(
        read[..3],
        [
            r#"{"id":1,"name":"a \"b\"\nc","column_3":"x","id_4":2}"#,
            r#"{"id":"007","name":null,"column_3":1.5,"id_4":-1000.0}"#,
            r#"{"id":1,"name":2,"column_3":null,"id_4":null}"#,
        ]
    );
    assert!(
        read[3].contains(r#""name":Infinity,"column_3":"é","id_4":"-""#),
        "{}",
        read[3]
    );
    assert_eq!(lines(&summary.errors), [8]);
    assert_eq!(summary.errors.first[0].error, "5 cells under 4 names");
    assert_eq!(summary.columns, ["id", "name", "column_3", "id_4"]);
}

#[test]
fn names_are_different() {
    let read = records(csv(), "a,a,a_2,A,a\n1,2,3,4,5\n");
    assert_eq!(read, [r#"{"a":1,"a_2":2,"a_2_3":3,"A":4,"a_5":5}"#]);
}

#[test]
fn quotes() {
    let read = records(
        csv(),
        "a,b\n\"\",\"\"\"\"\n\"x,\ny\",z\"z\"\n\"1\", \"q\"\n",
    );
    let expected = [
        r#"{"a":null,"b":"\""}"#,
        r#"{"a":"x,\ny","b":"z\"z\""}"#,
        r#"{"a":1,"b":" \"q\""}"#,
    ];
    assert_eq!(read, expected);
    // pandas goes on in the cell, polars gives up.
    let text = "a,b\n\"He said \"hi, you\" to me\",1\n\"x\\\"y\",2\n3,4\n5,6\n7,\"8\" \n9,\"10\"\n";
    let (read, summary) = read_file(csv(), text).unwrap();
    assert_eq!(
        read,
        [r#"{"a":3,"b":4}"#, r#"{"a":5,"b":6}"#, r#"{"a":9,"b":10}"#]
    );
    assert_eq!(lines(&summary.errors), [2, 3, 6]);
    assert!(summary.errors.first[0].error.contains("closing quote"));
}

/// A quote that is never closed hides all rows after it.
#[test]
fn a_quote_too_many() {
    let rows = |from: u32| {
        (from..from + 50_000)
            .map(|n| format!("{n},x\n"))
            .collect::<String>()
    };
    let open = format!("a,b\n1,x\n2,\"y\n{}", rows(3));
    fails(
        csv(),
        &open,
        "BadTable",
        "the quote that opens in line 3 is never closed",
    );
    fails(csv(), "a,\"b\n1,2\n", "BadTable", "line 1");
    fails(csv(), "a,b\n1,\"x\ny\",\"z\n", "BadTable", "line 3");
    // It meets the opening quote of another cell.
    let closed = format!("{open}7,\"z\"\n{}", rows(8));
    fails(csv(), closed, "BadTable", "line 3 is closed lines later");
    // It makes a row of many lines, which is counted as so many.
    let closed = format!("{open}7,\",z,z\"\n8,9\n");
    fails(csv(), closed, "BadTable", "1 of 3 records");
}

#[test]
fn too_large_rows_are_passed_over() {
    let wide = "6,".repeat(20_000);
    let text = format!(
        "a,b\n1,2\n\"{}\",3\n{wide}\n4,5\n{}",
        "x\n".repeat(100),
        "7,8\n".repeat(200)
    );
    for size in [1, 7, 1_000, text.len()] {
        let chunks: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let (read, summary) = read_chunks(csv(), 100, &chunks).unwrap();
        assert_eq!(read[..2], [r#"{"a":1,"b":2}"#, r#"{"a":4,"b":5}"#]);
        assert_eq!(lines(&summary.errors), [3, 104]);
    }
}

/// A hundred thousand rows, one chunk each.
#[test]
fn a_long_stream() {
    let mut profiler = Profiler::new();
    let mut records = Records::new(csv());
    records.feed(b"id,amount,city\n", |_| {}).unwrap();
    for n in 0..100_000_u32 {
        let row = format!("{n},{}.25,city {}\n", n % 1_000, n % 7);
        let fed = records.feed(row.as_bytes(), |record| profiler.record(record));
        fed.unwrap();
    }
    let summary = records.finish(|record| profiler.record(record)).unwrap();
    let profile = profiler.finish();
    assert_eq!((profile.records, summary.errors.count), (100_000, 0));
    let amount = field(&profile, "amount");
    assert_eq!((amount.distinct, amount.mean), (Some(1_000), Some(499.75)));
    let city = field(&profile, "city");
    assert_eq!(
        (city.top.len(), city.top[0].count, city.top_exact),
        (7, 14_286, Some(true))
    );
    assert!(text(&profile).len() < 6_000);
}
