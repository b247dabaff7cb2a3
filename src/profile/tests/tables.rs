//! Tables as people's programs write them.

use super::super::records::*;
use super::files::*;
use super::*;

#[test]
fn delimiters_are_found() {
    let cases = [
        ("id,name\n1,a;b\n2,c|d\n", ','),
        ("id;name\n1;a,b\n2;c\n", ';'),
        (
            "artikel;preis;menge\nSchraube;0,25;100\nMutter;0,10;250\n",
            ';',
        ),
        ("preis, netto;menge\n0,25;100\n0,10;250\n", ';'),
        ("id|name|amount\n1|a|10\n2|b|20\n", '|'),
        ("id\tname\n1\ta,b,c\n2\td,e\n", '\t'),
        ("\"a;b\",c\n\"1;2;3\",4\n\"5\",6\n", ','),
        ("\"a,\nb\"|c\n1|\"x|y\"\n", '|'),
        ("sep=;\r\nid;amount\r\n1;10\r\n", ';'),
        ("\u{feff}sep=,\r\nid,a;b;c\r\n1,10\r\n", ','),
        ("\"sep=|\"\nid|x\n1|2\n", '|'),
        ("SEP=^\nid^x\n1^2\n", '^'),
        ("plate\n1E5\n3D4\n", ','),
        ("id,name\r1,a\r2,b\r", ','),
        ("\n\nid;x\n\n1;2\n", ';'),
    ];
    for (text, delimiter) in cases {
        for claims in [csv(), named("x.csv"), named("x.txt")] {
            let (records, summary) = read_file(claims, text).unwrap();
            assert_eq!(summary.delimiter, Some(delimiter), "{text}");
            assert!(!records.is_empty() && summary.errors.count == 0, "{text}");
        }
    }
    let tabs = sent_as("text/tab-separated-values");
    assert_eq!(
        records(tabs, "a\tb,c\n1\t2,3\n"),
        [r#"{"a":1,"b,c":"2,3"}"#]
    );
    let told = Claims {
        delimiter: Some(b' '),
        ..csv()
    };
    assert_eq!(records(told, "a b,c\n1 2\n"), [r#"{"a":1,"b,c":2}"#]);
}

/// A header that is longer than what is looked at first.
#[test]
fn delimiters_of_wide_tables_are_found() {
    for delimiter in [",", ";", "\t", "|"] {
        let names: Vec<String> = (0..MAX_COLUMNS).map(|n| format!("column {n}")).collect();
        let text = [
            names.join(delimiter),
            vec!["1"; MAX_COLUMNS].join(delimiter),
        ]
        .join("\n");
        assert!(text.len() > HEAD_BYTES);
        let (_, summary) = read_file(named("x.csv"), text).unwrap();
        let found = (summary.columns.len(), summary.records);
        assert_eq!(found, (MAX_COLUMNS, 1), "{delimiter:?}");
    }
}

#[test]
fn decimal_marks() {
    let of = |text: &str| {
        let (records, summary) = read_file(csv(), text).unwrap();
        (records, summary.notes.concat())
    };
    let (read, notes) = of("artikel;preis\nSchraube;0,25\nMutter;-1,5\nBolzen;1.234\n");
    assert_eq!(read[1], r#"{"artikel":"Mutter","preis":-1.5}"#);
    // A point may separate thousands there.
    assert_eq!(read[2], r#"{"artikel":"Bolzen","preis":"1.234"}"#);
    assert!(notes.contains("decimal commas"), "{notes}");
    for text in [
        // One mark for a file; and a thousand is no decimal.
        "a;b\n0,25;0.25\n",
        "a;b\n1,234;x\n",
        "a,b\n\"0,25\",x\n",
        "a\tb\n0,25\tx\n",
    ] {
        let (read, notes) = of(text);
        assert!(read[0].contains(r#""a":""#), "{read:?}");
        assert_eq!(notes, "");
    }
    let told = Claims {
        decimal: Some(b','),
        ..csv()
    };
    assert_eq!(records(told, "a\tb\n1,234\t5\n"), [r#"{"a":1.234,"b":5}"#]);
}

#[test]
fn cells_at_the_end_may_be_empty_or_absent() {
    let read = records(
        csv(),
        "id,amount,date\n1,10,2021-01-01,\n2,20,2021-01-02,,,\n",
    );
    assert_eq!(read[1], r#"{"id":2,"amount":20,"date":"2021-01-02"}"#);
    let read = records(
        csv(),
        "id,amount,date,\n1,10,2021-01-01\n2,20,2021-01-02,\n",
    );
    assert_eq!(read[0], r#"{"id":1,"amount":10,"date":"2021-01-01"}"#);
    let text = "id,amount,note,checked\n1,10,first,yes\n2,20\n3,30,third\n4,40,,no\n,,,\n";
    let (read, summary) = read_file(csv(), text).unwrap();
    assert_eq!(
        read[1],
        r#"{"id":2,"amount":20,"note":null,"checked":null}"#
    );
    assert_eq!(
        read[4],
        r#"{"id":null,"amount":null,"note":null,"checked":null}"#
    );
    let note = "rows with fewer cells than the header: 2, the first in line 3; the cells that they lack are nulls";
    assert_eq!(summary.notes, [note]);
    // A column without a name is one from the row on that has a cell in it.
    let text = "id,,\n1,x\n2,,\n3,y,z\n";
    let read = records(csv(), text);
    assert_eq!(read[1], r#"{"id":2,"column_2":null}"#);
    assert_eq!(read[2], r#"{"id":3,"column_2":"y","column_3":"z"}"#);
    let profile = profile_of(csv(), text);
    assert_eq!(paths(&profile), ["id", "column_2", "column_3"]);
    assert_eq!(field(&profile, "column_3").missing, 2);
}

#[test]
fn too_many_cells_are_an_error() {
    let (_, summary) = read_file(csv(), "a,b\n1,2,3\n4,5\n6,7,8\n9,\n").unwrap();
    assert_eq!(lines(&summary.errors), [2, 4]);
    // As programs write row names: a name less than cells.
    let text = "a,b\nr1,1,2\nr2,3,4\n";
    fails(
        csv(),
        text,
        "BadTable",
        "2 of 2 records cannot be read; line 2: 3 cells under 2 names",
    );
    fails(
        csv(),
        "Report 2021\n\nid,name\n1,a\n2,b\n",
        "BadTable",
        "line 3: 2 cells under 1 names",
    );
}

#[test]
fn a_header_alone_is_a_table() {
    for text in [
        "id,name\n",
        "id,name",
        "\u{feff}id,name\r\n",
        "id,name\n\n \n",
    ] {
        for claims in [csv(), named("x.csv")] {
            let profile = profile_of(claims, text);
            assert_eq!((profile.records, paths(&profile)), (0, vec!["id", "name"]));
            assert_eq!(field(&profile, "name").count, 0);
        }
    }
    fails(csv(), "", "BadTable", "empty");
    fails(named("x.csv"), "\r\n\n", "BadTable", "empty");
    fails(
        csv(),
        ",,\n1,2,3\n",
        "BadTable",
        "the header row (line 1) has no names",
    );
    fails(named("x"), "", "UnknownFormat", "empty");
    assert_eq!(records(jsonl(), ""), [""; 0]);
    assert_eq!(records(named("x.jsonl"), "\n"), [""; 0]);
}

/// A first row that cannot be taken does not make the next one the header.
#[test]
fn a_header_that_cannot_be_read_is_an_error() {
    let long = format!("{},b\n1,2\n3,4\n", "x".repeat(200));
    let chunks: Vec<&[u8]> = long.as_bytes().chunks(7).collect();
    let error = read_chunks(csv(), 100, &chunks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the header row (line 1): larger than 100 bytes"
    );
    let bytes = b"nr,Gr\xF6\xDFe\n1,2\n";
    fails(
        sent_as("text/csv; charset=utf-8"),
        bytes,
        "BadEncoding",
        "the header row (line 1) is not UTF-8",
    );
    fails(
        csv(),
        "\"a\" x,b\n1,2\n",
        "BadTable",
        "the header row (line 1): text behind",
    );
    let many = |count: usize| {
        format!(
            "{}\n{}\n",
            vec!["c"; count].join(","),
            vec!["1"; count].join(",")
        )
    };
    fails(
        csv(),
        many(MAX_COLUMNS + 1),
        "BadTable",
        "more than 10000 columns",
    );
    assert_eq!(records(csv(), many(MAX_COLUMNS)).len(), 1);
    let rows = format!("a,b\n{}", vec!["1"; MAX_COLUMNS + 5].join(","));
    fails(csv(), rows, "BadTable", "line 2: 10001 cells under 2 names");
}

#[test]
fn comments_before_the_header_are_skipped() {
    let text = "# station 7, exported 2021-01-01\n# unit: mm\nid,rain\n1,0.5\n2,1.5\nx,1,2\n";
    let (read, summary) = read_file(csv(), text).unwrap();
    assert_eq!(read[0], r#"{"id":1,"rain":0.5}"#);
    assert_eq!(
        summary.notes,
        ["lines of comments (#) before the header: 2; they are skipped"]
    );
    assert_eq!(lines(&summary.errors), [6]);
    // Those that are the header, and those that may be.
    let text = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\n1\t100\trs1\n2\t200\trs2\n";
    let (read, summary) = read_file(named("x.tsv"), text).unwrap();
    assert_eq!(read[0], r##"{"#CHROM":1,"POS":100,"ID":"rs1"}"##);
    assert_eq!(
        summary.notes,
        ["lines of comments (#) before the header: 1; they are skipped"]
    );
    fails(
        csv(),
        "#name,city\nAda,London\nBob,Rome\n",
        "BadTable",
        "line 1 begins with #",
    );
    fails(csv(), "# a\n# b\n", "BadTable", "only lines of comments");
    let (_, summary) = read_file(csv(), "1,2\n3,4\n").unwrap();
    assert!(summary.notes[0].contains("only numbers"), "{summary:?}");
}
