//! Records out of a file take a short way; it comes out where the long one does.

use proptest::prelude::*;

use super::super::records::*;
use super::*;

/// The profile of lines, and of the same lines read as values.
fn both(text: &str) -> (String, String) {
    let (mut short, mut long) = (Profiler::new(), Profiler::new());
    let claims = Claims {
        format: Some(Format::JsonLines),
        ..Claims::default()
    };
    let mut records = Records::new(claims);
    let fed = records.feed(text.as_bytes(), |record| short.record(record));
    fed.unwrap();
    let summary = records.finish(|record| short.record(record)).unwrap();
    let parsed = text.split('\n').filter(|line| !line.trim().is_empty());
    // A byte order mark is one of a file, not of its second line.
    let parsed = parsed.map(|line| match line.starts_with('\u{FEFF}') {
        true => Err(json::parse_str(line)),
        false => json::parse_lossy(line.as_bytes()).map_err(Err),
    });
    let failed = parsed.clone().filter(Result::is_err).count() as u64;
    assert_eq!(summary.errors.count, failed, "{text}");
    parsed.flatten().for_each(|(value, _)| long.record(&value));
    (self::text(&short.finish()), self::text(&long.finish()))
}

#[test]
fn what_is_new_twice_or_odd_comes_out_alike() {
    let long_key = "k".repeat(300);
    let records = [
        r#"{"a":1,"b":{"c":[1,2]},"d":[]}"#,
        r#"{"a":1,"b":{"c":[1,2]},"d":[]}"#,
        r#"{"b":{"c":[]},"a":{"x":1},"a":2}"#,
        r#"{"b":{"c":[[3]]},"a":1,"d":[{"e":1,"e":2},{"e":3},{}]}"#,
        r#"{"d":[{"e":"\u00e9\n"},{"e":"\ud83d\ude00"}],"\u0061":12345678901234567890}"#,
        r#"{"a":"\ud800"}"#,
        r#"{"a":NaN,"a":-Infinity,"b":1e999,"d":[true,null,false]}"#,
        r#"{"a":"\ud800","a":1}"#,
        r#"[1,{"a":1}]"#,
        r#"[1,{"a":1},[]]"#,
        "\u{FEFF}1",
        "\"text\"",
        "{",
        &format!(r#"{{"{long_key}":1,"{long_key}":[2]}}"#),
        &format!(r#"{{"{long_key}":1}}"#),
    ];
    let text = [records.join("\n"), records.join("\n")].join("\n");
    let (short, long) = both(&text);
    assert_eq!(short, long);
    assert!(short.contains(r#""d[].e""#), "{short}");
}

#[test]
fn beyond_the_most_fields() {
    let wide = |from: usize| {
        let members = (from..from + 700).map(|n| format!(r#""k{n}":[{n}]"#));
        format!("{{{}}}", members.collect::<Vec<String>>().join(","))
    };
    let text: Vec<String> = [0, 300, 0, 600, 0].map(wide).into();
    let (short, long) = both(&text.join("\n"));
    assert_eq!(short, long);
}

/// Few different keys, so that they come again, and twice in one object.
fn any_line() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        "-?(0|[1-9][0-9]{0,20})",
        "-?[0-9]\\.[0-9]{1,3}(e[0-9])?",
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("NaN".to_owned()),
        "\"([ab]|\\\\n|\\\\u00e9|\\\\ud800|\\\\ude00|é){0,3}\"",
    ];
    scalar.prop_recursive(4, 32, 5, |inner| {
        let member = ("\"([abc]|\\\\u0061)\"", inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..4)
                .prop_map(|values| format!("[{}]", values.join(","))),
            proptest::collection::vec(member, 0..5).prop_map(|members| {
                let members = members.iter().map(|(key, value)| format!("{key}: {value}"));
                format!("{{{}}}", members.collect::<Vec<String>>().join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn both_ways_come_out_alike(lines in proptest::collection::vec(any_line(), 1..12)) {
        let (short, long) = both(&lines.join("\n"));
        prop_assert_eq!(short, long);
    }
}
