//! Encodings, compressions, and what is refused.

use super::super::records::*;
use super::files::*;
use super::*;

const CITIES: &str = "nr,stadt\n1,Köln\n2,Bonn\n3,Lübeck\n";
const LATIN: &[u8] = b"nr,stadt\n1,K\xF6ln\n2,Bonn\n3,L\xFCbeck\n";

fn cities() -> Vec<String> {
    records(csv(), CITIES)
}

#[test]
fn declared_encodings_are_honoured() {
    for label in [
        "iso-8859-1",
        "\"ISO-8859-15\"",
        "windows-1252",
        "Latin1",
        "cp1250",
    ] {
        let (read, summary) = read_file(
            sent_as(&format!("text/csv; header=present; charset={label}")),
            LATIN,
        )
        .unwrap();
        assert_eq!(
            (read, summary.errors.count, summary.notes.len()),
            (cities(), 0, 0),
            "{label}"
        );
    }
    let cyrillic = b"id,name\n1,\xCC\xEE\xF1\xEA\xE2\xE0\n";
    assert_eq!(
        records(sent_as("text/csv;charset=windows-1251"), cyrillic),
        [r#"{"id":1,"name":"Москва"}"#]
    );
    let japanese = b"id,name\n1,\x93\x8C\x8B\x9E\n";
    assert_eq!(
        records(sent_as("text/csv; charset=Shift_JIS"), japanese),
        [r#"{"id":1,"name":"東京"}"#]
    );
    let told = Claims {
        encoding: Some("latin1".to_owned()),
        ..sent_as("text/csv; charset=utf-8")
    };
    assert_eq!(records(told, LATIN), cities());
    fails(
        sent_as("text/csv; charset=klingon"),
        LATIN,
        "BadEncoding",
        "\"klingon\" is not known",
    );
    // A mark is stronger than a word.
    let marked = format!("\u{feff}{CITIES}");
    assert_eq!(
        records(sent_as("text/csv; charset=iso-8859-1"), marked),
        cities()
    );
    let (_, summary) = read_file(sent_as("text/csv; charset=iso-8859-1"), CITIES).unwrap();
    assert!(
        summary.notes[0].contains("the start is valid UTF-8"),
        "{summary:?}"
    );
}

#[test]
fn utf_16() {
    let le = [b"\xFF\xFE", &utf_16_le(CITIES)[..]].concat();
    let be = [b"\xFE\xFF", &utf_16_be(CITIES)[..]].concat();
    for (file, encoding, notes) in [
        (le, "UTF-16LE", 0),
        (be, "UTF-16BE", 0),
        (utf_16_le(CITIES), "UTF-16LE", 1),
        (utf_16_be(CITIES), "UTF-16BE", 1),
    ] {
        let (read, summary) = read_file(named("x.csv"), file).unwrap();
        assert_eq!(
            (read, summary.encoding, summary.notes.len()),
            (cities(), encoding, notes)
        );
    }
    assert_eq!(
        records(sent_as("text/csv; charset=utf-16"), utf_16_be(CITIES)),
        cities()
    );
    assert_eq!(
        records(sent_as("text/csv; charset=utf-16le"), utf_16_le(CITIES)),
        cities()
    );
    let lines = utf_16_le("{\"a\":1}\n{\"a\":2}\n");
    assert_eq!(records(jsonl(), lines), [r#"{"a":1}"#, r#"{"a":2}"#]);
    // Half a pair, and half a unit at the end.
    let mut odd = utf_16_le("a,b\n1,2\n3,4\n5,");
    odd.extend([0x3D, 0xD8, 0x0A, 0, 0x37]);
    let (read, summary) = read_file(csv(), odd).unwrap();
    assert_eq!((read.len(), lines_of(&summary)), (2, vec![4, 5]));
    assert_eq!(summary.errors.first[0].error, "not UTF-16LE");
    let utf_32: Vec<u8> = "\u{feff}a,b\n"
        .chars()
        .flat_map(|c| u32::from(c).to_le_bytes())
        .collect();
    fails(csv(), utf_32, "BadEncoding", "UTF-32");
}

fn lines_of(summary: &Summary) -> Vec<u64> {
    lines(&summary.errors)
}

/// Without a word, what is not UTF-8 is Windows-1252, unless something speaks against it.
#[test]
fn undeclared_encodings() {
    let (read, summary) = read_file(csv(), LATIN).unwrap();
    assert_eq!((read, summary.encoding), (cities(), "windows-1252"));
    let note = "no charset is declared, and line 2 is not UTF-8: read as windows-1252";
    assert_eq!(summary.notes, [note]);
    let header = b"nr,Gr\xF6\xDFe,ort\n1,172,Ulm\n";
    let (read, summary) = read_file(named("x.csv"), header).unwrap();
    assert_eq!(read, [r#"{"nr":1,"Größe":172,"ort":"Ulm"}"#]);
    assert!(summary.notes[0].contains("line 1 "), "{summary:?}");
    // Far behind what is looked at first.
    let late = ["a,b\n", &"1,2\n".repeat(40_000)].concat();
    let late = [
        late.as_bytes(),
        b"3,\x80\n",
        "5,6\r\n".repeat(10).as_bytes(),
    ]
    .concat();
    let (read, summary) = read_file(csv(), &late).unwrap();
    assert_eq!(
        (read.len(), read[40_000].as_str()),
        (40_011, r#"{"a":3,"b":"€"}"#)
    );
    assert!(summary.notes[0].contains("line 40002 "), "{summary:?}");
    // At the very end of the file, a character that is cut off.
    let (_, summary) = read_file(csv(), b"a,b\n1,x\xC3").unwrap();
    assert_eq!(summary.encoding, "windows-1252");
    // Some of it is UTF-8, or bytes have no character: nobody knows what it is.
    let mixed = [LATIN, CITIES.as_bytes()].concat();
    fails(
        csv(),
        &mixed,
        "BadEncoding",
        "line 6: no charset is declared",
    );
    fails(
        csv(),
        b"a,b\n1,2\n3,\x93\x8C\x81\x41\n",
        "BadEncoding",
        "line 3: ",
    );
    // UTF-8 with a few bytes that are not.
    let few = [CITIES.as_bytes(), b"4,\xFF\n5,\xC3\n6,x\n"].concat();
    let (read, summary) = read_file(csv(), few).unwrap();
    assert_eq!(
        (read.len(), lines_of(&summary), summary.encoding),
        (4, vec![5, 6], "UTF-8")
    );
    let many = [b"nr,stadt\n0,\xC3\xA4\n", &LATIN[9..]].concat();
    let (read, _) = read_file(csv(), &many).unwrap();
    assert_eq!(read.len(), 2);
    fails(
        csv(),
        [&many[..], &LATIN[9..]].concat(),
        "BadEncoding",
        "4 of 7 records",
    );
}

type Pack = fn(&str) -> Vec<u8>;

#[test]
fn compressed_files() {
    let log = "{\"a\":1}\n{\"a\":2}\n";
    let packers: [(Pack, &str); 2] = [(|text| gzip(text), "gzip"), (|text| zstd(text), "zstd")];
    for (pack, name) in packers {
        for claims in [
            named("orders.csv.gz"),
            named("orders.csv"),
            csv(),
            sent_as("application/gzip"),
        ] {
            let (read, summary) = read_file(claims, pack(CITIES)).unwrap();
            assert_eq!((read, summary.compression), (cities(), Some(name)));
        }
        // Members in a row, cut in the middle of a record, and padded with zeros.
        let members = [pack("{\"a\":1}\n{\"a\""), pack(":2}\n"), vec![0; 700]].concat();
        assert_eq!(
            records(named("x.jsonl.gz"), &members),
            records(jsonl(), log)
        );
        let whole = pack(CITIES);
        for cut in [whole.len() - 1, whole.len() - 9, whole.len() / 2, 5] {
            fails(csv(), &whole[..cut], "BadEncoding", "it was cut off");
        }
        let followed = [&whole[..], b"hello"].concat();
        fails(csv(), followed, "BadEncoding", "is followed by other bytes");
        fails(
            csv(),
            [&whole[..], b"x"].concat(),
            "BadEncoding",
            "is followed by other bytes",
        );
        let mut broken = pack(&"1,2\n".repeat(10_000));
        let middle = broken.len() / 2;
        broken[middle..].iter_mut().for_each(|byte| *byte ^= 0x55);
        assert_eq!(failure(csv(), broken).0, "BadEncoding");
    }
    fails(
        csv(),
        gzip(gzip(CITIES)),
        "UnknownFormat",
        "compressed twice",
    );
    fails(
        csv(),
        zstd(gzip(CITIES)),
        "UnknownFormat",
        "compressed twice",
    );
}

/// What comes out is bounded, and so is what is held of it.
#[test]
fn a_bomb_is_stopped() {
    let bomb = gzip(vec![b'x'; 20_000_000]);
    let mut records = Records::with_limits(csv(), 1_000, 10_000_000);
    let fed = records.feed(&bomb, |_| panic!("a record"));
    assert_eq!(fed, Err(SourceError::TooLarge(10_000_000)));
    // A window of 2 GiB.
    let window = b"\x28\xB5\x2F\xFD\x00\xA8\x01\x00\x00";
    assert_eq!(failure(csv(), window).0, "BadEncoding");
}

#[test]
fn what_is_neither_a_table_nor_lines_is_refused() {
    let pretty = "{\n  \"a\": 1,\n  \"b\": [1, 2]\n}\n";
    let tar = [&[b'x'; 257][..], b"ustar\x0000"].concat();
    let cases: [(&[u8], &str); 20] = [
        (
            b"<!DOCTYPE html>\n<html lang=\"en\">\n<body>a,b</body>\n",
            "HTML",
        ),
        (b"\n  <HTML>\n", "HTML"),
        (
            b"<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code></Error>",
            "XML",
        ),
        (b"<rows>\n<row a=\"1\"/>\n</rows>\n", "XML"),
        (b"[{\"a\":1},{\"a\":2}]\n", "one JSON array"),
        (
            b"[\n  {\"a\":1},\n  {\"a\":2}\n]\n",
            "JSON, but not one record a line",
        ),
        (pretty.as_bytes(), "JSON, but not one record a line"),
        (
            b"PK\x03\x04\x14\x00\x06\x00",
            "ZIP archive, as Excel workbooks are",
        ),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "Excel"),
        (b"BZh91AY&SY\x00", "bzip2"),
        (b"\xFD7zXZ\x00\x00", "xz"),
        (b"%PDF-1.7\n", "PDF"),
        (b"SQLite format 3\x00", "SQLite"),
        (b"\x89PNG\r\n\x1a\n", "image"),
        (&tar, "tar archive"),
        (b"a\x00b,c\n1,2\n", "control characters"),
        (b"\x01\x02\x03,\x04\n", "control characters"),
        (b"Too many requests", "neither"),
        (b"", "empty"),
    ];
    for (file, words) in cases {
        for claims in [
            named("export"),
            sent_as("text/html"),
            sent_as("application/json"),
        ] {
            fails(claims, file, "UnknownFormat", words);
        }
    }
    for claims in [
        named("x.csv"),
        csv(),
        named("x.jsonl"),
        sent_as("text/html"),
    ] {
        fails(claims, cases[0].0, "UnknownFormat", "HTML");
        fails(named("x.csv"), cases[7].0, "UnknownFormat", "ZIP");
    }
    fails(named("x.csv"), "Please sign in", "UnknownFormat", "neither");
    fails(
        sent_as("text/html"),
        "Sign in, please.\n",
        "UnknownFormat",
        "neither",
    );
    fails(
        jsonl(),
        "id,name\n1,a\n",
        "UnknownFormat",
        "the file is not JSON Lines: line 1",
    );
    fails(
        jsonl(),
        "[\n{\"a\":1},\n{\"a\":2},\n{\"a\":3}\n]\n",
        "UnknownFormat",
        "the file is not JSON Lines: line 1",
    );
    fails(
        jsonl(),
        "{\"a\":1}\n{\"a\":\n{\"a\":\n",
        "UnknownFormat",
        "2 of 3 records",
    );
}

#[test]
fn content_and_content_type_both_have_a_say() {
    // A server's mistake, and a program's habit.
    let objects = "{\"a\":1}\n{\"a\":2}\n";
    for claims in [
        csv(),
        named("x.csv"),
        named("x"),
        sent_as("text/html"),
        sent_as("application/json"),
    ] {
        let (read, summary) = read_file(claims, objects).unwrap();
        assert_eq!((read.len(), summary.format), (2, "jsonl"));
    }
    for claims in [
        sent_as("text/html"),
        named("x"),
        named("x.jsonl"),
        sent_as("text/plain"),
    ] {
        let (read, summary) = read_file(claims, CITIES).unwrap();
        assert_eq!((read, summary.format), (cities(), "csv"));
    }
    assert_eq!(records(named("x.jsonl"), "1\n\"x\"\n"), ["1", "\"x\""]);
    assert_eq!(records(named("x.jsonl"), "[1]\n[2]\n"), ["[1]", "[2]"]);
    assert_eq!(records(jsonl(), "[1,2]\n"), ["[1,2]"]);
    let first_is_broken = read_file(named("x.jsonl"), "{\"a\":\n{\"a\":2}\n{\"a\":3}\n").unwrap();
    assert_eq!(lines_of(&first_is_broken.1), [1]);
    // Headers that look like something else.
    assert_eq!(
        records(named("x.csv"), "[id],[name]\n1,a\n"),
        [r#"{"[id]":1,"[name]":"a"}"#]
    );
    let ticks = "<TICKER>,<PER>,<DATE>\nSBER,D,20210101\n";
    assert_eq!(
        records(named("x.txt"), ticks),
        [r#"{"<TICKER>":"SBER","<PER>":"D","<DATE>":20210101}"#]
    );
    let told = |format| Claims {
        format: Some(format),
        ..named("x")
    };
    assert_eq!(
        records(told(Format::Csv), "Please\nsign in\n"),
        [r#"{"Please":"sign in"}"#]
    );
    assert_eq!(
        records(told(Format::Tsv), "a,b\n1,2\n"),
        [r#"{"a,b":"1,2"}"#]
    );
    assert_eq!(records(told(Format::JsonLines), "1\n2\n"), ["1", "2"]);
}

#[test]
fn profiles_of_tables_and_values_agree() {
    let mut profiler = Profiler::new();
    for line in records(csv(), CITIES) {
        profiler.record(&json::parse_str(&line).unwrap());
    }
    assert_eq!(text(&profiler.finish()), text(&profile_of(csv(), CITIES)));
}
