//! What cells stand for. The numbers are those of pandas 3.1.

use super::super::records::*;
use super::files::*;
use super::*;

/// The value of a cell as JSON.
fn value(cell: &str) -> String {
    let file = format!("a;b\n{cell};\n");
    let read = records(csv(), file).remove(0);
    let value = read
        .strip_prefix(r#"{"a":"#)
        .and_then(|rest| rest.strip_suffix(r#","b":null}"#));
    value.unwrap().to_owned()
}

#[test]
fn numbers() {
    let cases = [
        ("5", "5"),
        ("-5", "-5"),
        ("+5", "5"),
        ("0", "0"),
        ("-0", "0"),
        (" 5 ", "5"),
        ("6\t", "6"),
        (".25", "0.25"),
        ("-.5", "-0.5"),
        ("+.5", "0.5"),
        ("1.", "1.0"),
        ("5.", "5.0"),
        ("+60.0", "60.0"),
        ("1e5", "100000.0"),
        ("1E+5", "100000.0"),
        ("1.e3", "1000.0"),
        (".5e-3", "0.0005"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("123456789.123456789", "123456789.12345679"),
        ("1e999", "Infinity"),
        ("-1e999", "-Infinity"),
        ("1e-999", "0.0"),
        ("inf", "Infinity"),
        ("-Infinity", "-Infinity"),
        ("+iNf", "Infinity"),
        ("18446744073709551615", "18446744073709551615"),
        ("+99999999999999999999999", "99999999999999999999999"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1000000000000000000", "1000000000000000000"),
    ];
    for (cell, number) in cases {
        assert_eq!(value(cell), number, "{cell}");
    }
}

#[test]
fn texts() {
    let digits = "9".repeat(5_000);
    let texts = [
        // Codes, which pandas makes numbers of.
        "007",
        "00",
        "-01",
        "00.5",
        "+007",
        "0123.4",
        "00e5", //
        ".",
        "-",
        "+",
        ".e5",
        "1e",
        "1e+",
        "--1",
        "+-1",
        "1.2.3",
        "0x1F",
        "1_000",
        "1d5",
        "1f",
        "5%",
        "$5",
        "1 000",
        "1,234.5",
        "2021-01-01",
        "12:30",
        "\u{a0}5",
        "\u{2212}5",
        "٣",
        "infinit",
        "i",
        "e5",
        "True",
        "na",
        "none",
        "Null",
        "NAN",
        "?",
        &digits,
    ];
    for cell in texts {
        assert_eq!(value(cell), Json::from(cell).to_string());
    }
}

#[test]
fn missing_values() {
    for word in NULL_WORDS {
        assert_eq!(value(word), "null", "{word}");
        assert_eq!(value(&format!("\"{word}\"")), "null", "{word}");
    }
    assert_eq!(
        (value("\"\"").as_str(), value(" NA").as_str()),
        ("null", "\" NA\"")
    );
    let file = "id,score\n1,10\n2,NA\n3,30\n4,N/A\n5,null\n6,\n7,NaN\n8,-\n";
    let profile = profile_of(csv(), file.replace("8,-\n", ""));
    let score = field(&profile, "score");
    assert_eq!(
        (score.nulls, score.types.integer, score.mean),
        (5, 2, Some(20.0))
    );
    let told = |words: &[&str]| Claims {
        nulls: Some(words.iter().map(|word| (*word).to_owned()).collect()),
        ..csv()
    };
    let profile = profile_of(told(&[]), file);
    assert_eq!(field(&profile, "score").nulls, 1);
    let profile = profile_of(told(&["-", ""]), file);
    assert_eq!(field(&profile, "score").nulls, 2);
}

/// A column with a text is one of texts as a whole.
#[test]
fn a_column_is_of_numbers_or_of_texts() {
    let zip = profile_of(
        csv(),
        "name,zip\nA,02116\nB,10001\nC,94110\nD,07307\nE,10001\n",
    );
    let zip = field(&zip, "zip");
    assert_eq!(
        (zip.types.string, zip.types.integer, zip.numeric),
        (5, 0, 3)
    );
    assert_eq!(
        (zip.mean, zip.min.as_ref(), zip.quantiles),
        (None, None, None)
    );
    assert_eq!(
        (zip.min_text.as_deref(), zip.max_text.as_deref()),
        (Some("02116"), Some("94110"))
    );
    assert_eq!(
        (zip.distinct, zip.lengths.map(|l| l.mean)),
        (Some(4), Some(5.0))
    );
    assert_eq!(
        (zip.top[0].value.to_string().as_str(), zip.top[0].count),
        ("\"10001\"", 2)
    );
    let plates = profile_of(
        csv(),
        "plate\n1E5\n100000\n2E10\n3D4\n12E300\n1E999\n1.1\n1.10\n1.5\n",
    );
    let plates = field(&plates, "plate");
    assert_eq!(
        (plates.types.string, plates.numeric, plates.distinct),
        (9, 8, Some(9))
    );
    let listed: Vec<String> = plates.top.iter().map(|top| top.value.to_string()).collect();
    let expected = [
        "1E5", "100000", "2E10", "3D4", "12E300", "1E999", "1.1", "1.10", "1.5",
    ];
    assert_eq!(listed, expected.map(|text| format!("\"{text}\"")));
    // And one of numbers has nothing of texts.
    let numbers = profile_of(csv(), "x\n1\n1.0\n+2.50\n\n-3\n");
    let numbers = field(&numbers, "x");
    assert_eq!(
        (numbers.distinct, numbers.mean, numbers.numeric),
        (Some(3), Some(0.375), 0)
    );
    assert_eq!((numbers.min_text.as_ref(), numbers.lengths), (None, None));
    assert_eq!(numbers.top[1].value, Json::Float(2.5));
}

/// JSON cannot tell them, so they stand in `top` as they are written.
#[test]
fn infinite_values_are_texts_in_the_answer() {
    let profile = profile_of(csv(), "x\n1\ninf\n-1e999\ninf\n");
    let x = field(&profile, "x");
    assert_eq!((x.not_finite, x.mean, x.distinct), (3, Some(1.0), Some(3)));
    assert_eq!((&x.top[0].value, x.top[0].count), (&Json::from("inf"), 2));
    let text = text(&profile);
    assert!(
        json::parse_str(&text).is_ok_and(|value| value.is_finite()),
        "{text}"
    );
}

/// Values with one spelling only are told apart by their number; which that is, printing tells.
#[test]
fn plain_numbers_print_as_they_are_written() {
    for cell in [
        "0.5",
        "0.0",
        "-0.5",
        "12.25",
        "0.0001",
        "123456789.5",
        "1.0",
    ] {
        let file = format!("x\n{cell}\ntext\n");
        let profile = profile_of(csv(), file);
        assert_eq!(field(&profile, "x").top[0].value, Json::from(cell));
    }
    for cell in [
        "0.50",
        "-0",
        "-0.0",
        "0.00001",
        "1e5",
        "+1",
        " 1",
        "1.",
        ".5",
        "12345678901234567.5",
    ] {
        let file = format!("x\n{cell}\ntext\n");
        let profile = profile_of(csv(), file);
        assert_eq!(field(&profile, "x").top[0].value, Json::from(cell));
    }
}
