//! Tests without Python; `differential` compares with Python.

mod differential;
pub(crate) mod python;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;

fn read(text: &str) -> Json {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn same(text: &str) {
    assert_eq!(read(text).to_text().as_deref(), Ok(text));
}

#[test]
fn numbers_keep_their_form() {
    for text in [
        "0",
        "-1",
        "1.0",
        "-0.0",
        "1e+16",
        "1e-05",
        "100000.0",
        "9223372036854775808",
    ] {
        same(text);
    }
    assert_eq!(read("-0").to_string(), "0");
    assert_eq!(read("1e5").to_string(), "100000.0");
    assert_eq!(read("123456789012345678901234567890").as_i64(), None);
    assert_eq!(read("-9223372036854775808").as_i64(), Some(i64::MIN));
    assert_ne!(read("1"), read("1.0"));
}

#[test]
fn a_repeated_key_keeps_its_place() {
    assert_eq!(
        read(r#"{"a":1,"b":2,"a":3}"#).to_string(),
        r#"{"a":3,"b":2}"#
    );
}

#[test]
fn numbers_that_are_not_finite_are_read_and_not_written() {
    for text in ["[NaN]", "{\"a\":-Infinity}", "1e999"] {
        let value = read(text);
        assert_eq!(value.to_text(), Err(NotFinite));
        assert!(!value.is_finite());
        assert!(serde_json::to_string(&value).is_err());
    }
    assert_eq!(read("[NaN,-Infinity]").to_string(), "[NaN,-Infinity]");
}

#[test]
fn lone_surrogates_have_their_own_error() {
    for text in [
        &br#"["\ud800"]"#[..],
        br#"{"\udc00x":1}"#,
        b"\"\xED\xA0\x80\"",
    ] {
        assert_eq!(parse(text), Err(ParseError::LoneSurrogate));
    }
    // A later syntax error takes precedence. An escaped and an encoded surrogate are one character.
    let fault = |position| {
        Err(ParseError::Syntax {
            message: "Expecting ',' delimiter",
            position,
        })
    };
    assert_eq!(parse(br#"["\ud800" 1]"#), fault(10));
    assert_eq!(parse(b"[\"\xED\xA0\x80\" 1]"), fault(5));
}

#[test]
fn ints_are_ordered() {
    let texts = [
        "-1e",
        "-100000000000000000000",
        "-99999999999999999999",
        "-9223372036854775809",
    ];
    let ints = texts[1..]
        .iter()
        .chain(&["-9223372036854775808", "-1", "0", "9223372036854775807"]);
    let ints = ints.chain(&[
        "9223372036854775808",
        "18446744073709551615",
        "100000000000000000000",
    ]);
    let ints: Vec<Int> = ints
        .map(|text| Int::from_decimal(text).expect("an integer"))
        .collect();
    assert!(ints.is_sorted_by(|a, b| a < b));
    assert_eq!(Int::from_decimal(texts[0]), None);
    assert_eq!(Int::from_decimal("-000"), Some(Int::from(0)));
    assert_eq!(
        Int::from_decimal("-00018446744073709551616"),
        Some(Int::from(-(1_i128 << 64)))
    );
    assert_eq!(Int::from(u64::MAX).as_u64(), Some(u64::MAX));
    assert!(Int::from_decimal(&"9".repeat(400)).is_some_and(|int| int.as_f64().is_infinite()));
}

/// Everything that walks a value, at the greatest depth, on half the stack of a test's thread.
#[test]
fn depth_does_not_exhaust_the_stack() {
    let work = || {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let deep = |n| [open.repeat(n), "[]".to_owned(), close.repeat(n)].concat();
            let text = deep(MAX_DEPTH - 1);
            let value = read(&text);
            assert_eq!(value.clone(), value);
            assert_eq!(value.to_text().as_ref(), Ok(&text));
            let again: Json = serde_json::from_str(&text).expect("through serde_json");
            assert_eq!(serde_json::to_string(&again).expect("and back"), text);
            for n in [MAX_DEPTH, 1_000_000] {
                let result = parse(deep(n).as_bytes());
                assert!(matches!(result, Err(ParseError::Unreadable { .. })));
            }
        }
    };
    let thread = std::thread::Builder::new()
        .stack_size(1024 * 1024)
        .spawn(work);
    thread.expect("a thread").join().expect("no overflow");
}

#[test]
fn travels_inside_other_types() {
    #[derive(Serialize, Deserialize)]
    struct Item {
        item_id: u64,
        item: Json,
        other: Option<Json>,
    }
    let text =
        r#"{"item_id":1,"item":{"z":1.0,"a":1e+16,"n":-12345678901234567890123},"other":null}"#;
    let item: Item = serde_json::from_str(text).expect("read");
    assert_eq!(item.item.get("a").and_then(Json::as_f64), Some(1e16));
    assert_eq!(serde_json::to_string(&item).expect("written"), text);
    let tree: serde_json::Value = serde_json::json!({"a": [1, 2.5, "x"]});
    let value: Json = serde_json::from_value(tree).expect("from a tree");
    assert_eq!(
        value,
        Json::object([("a", Json::array([1.into(), 2.5.into(), Json::from("x")]))])
    );
}

#[test]
fn a_large_object_is_not_quadratic() {
    let pairs: Vec<String> = (0..200_000).map(|n| format!("\"key{n}\":{n}")).collect();
    let text = format!("{{{}}}", pairs.join(","));
    let value = read(&text);
    assert_eq!(value.get("key199999").and_then(Json::as_i64), Some(199_999));
    assert_eq!(value.to_string(), text);
}

#[test]
fn parse_lossy_replaces_lone_surrogates() {
    for (text, expected, replaced) in [
        (r#"{"a":"\ud800x"}"#, "{\"a\":\"\u{fffd}x\"}", true),
        (r#"{"\udfff":[]}"#, "{\"\u{fffd}\":[]}", true),
        (r#"{"a":"\ud800","a":1}"#, r#"{"a":1}"#, false),
        (r#"["\ud83d\ude00"]"#, "[\"😀\"]", false),
    ] {
        let (value, was_replaced) = parse_lossy(text.as_bytes()).expect(text);
        assert_eq!(
            (value.to_string().as_str(), was_replaced),
            (expected, replaced)
        );
        assert_eq!(parse(text.as_bytes()).is_err(), replaced);
    }
}

fn any_json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i128>().prop_map(Json::from),
        proptest::num::f64::NORMAL.prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    leaf.prop_recursive(5, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            proptest::collection::vec((any::<String>(), inner), 0..8).prop_map(Json::object),
        ]
    })
}

#[test]
fn a_flat_document_equals_the_parsed_value() {
    let mut flat = Flat::default();
    for text in [
        r#" {"a":[1,{"a":"\u00e9"},[]],"b":-0.5,"a":{"":{}},"c":123456789012345678901234} "#,
        r#"[null,true,false,NaN,-Infinity,"x\n\"y"]"#,
        "\"é\"",
        "7",
    ] {
        assert_eq!(flat.read(text), Ok(()), "{text}");
        // Texts are compared, because NaN does not equal itself.
        let value = parse_str(text).unwrap();
        assert_eq!(flat.to_json(text).to_string(), value.to_string());
    }
    for text in ["", "[1", "\u{FEFF}1", "1 2", "{\"a\"}"] {
        assert_eq!(flat.read(text).err(), parse_str(text).err(), "{text}");
    }
    let half = r#"["\ud800"]"#;
    assert_eq!(flat.read(half), Ok(()));
    assert!(flat.has_lone_surrogates());
    let (value, _) = parse_lossy(half.as_bytes()).unwrap();
    assert_eq!(flat.to_json(half).to_string(), value.to_string());
    assert_eq!(
        (flat.read("1"), flat.has_lone_surrogates()),
        (Ok(()), false)
    );
}

proptest! {
    #[test]
    fn a_written_value_parses_to_the_same_value(value in any_json()) {
        let text = value.to_text().expect("finite");
        prop_assert_eq!(&read(&text), &value);
        prop_assert_eq!(&serde_json::to_string(&value).expect("finite"), &text);
        // Another JSON reader accepts the text, and every encoding gives the same value.
        prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        let utf16: Vec<u8> = "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_be_bytes).collect();
        prop_assert_eq!(parse(&utf16), Ok(value.clone()));
        let utf32: Vec<u8> = text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        prop_assert_eq!(parse(&utf32), Ok(value));
    }

    #[test]
    fn no_bytes_panic(bytes in any::<Vec<u8>>()) {
        let _ = parse(&bytes);
    }

    #[test]
    fn flat_and_parse_str_accept_the_same_texts(text in "[\\[\\]{}:,\"0a\\\\ -]{0,12}") {
        let mut flat = Flat::default();
        let read = flat.read(&text).map(|()| flat.to_json(&text));
        prop_assert_eq!(read.ok(), parse_str(&text).ok());
    }
}
