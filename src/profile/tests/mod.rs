//! Shapes, bounds and hostile inputs; numbers are compared in the modules below.

mod cells;
mod cuts;
mod differential;
mod files;
mod readers;
mod reference;
mod short_way;
mod sources;
mod tables;

use super::*;
use crate::json::{self, Json};

fn read(text: &str) -> Json {
    json::parse_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn profile(text: &str) -> Profile {
    let mut profiler = Profiler::new();
    profiler.document(&read(text));
    profiler.finish()
}

fn paths(profile: &Profile) -> Vec<&str> {
    profile
        .fields
        .iter()
        .map(|(path, _)| path.as_str())
        .collect()
}

fn field<'p>(profile: &'p Profile, path: &str) -> &'p FieldProfile {
    profile
        .field(path)
        .unwrap_or_else(|| panic!("{path} in {:?}", paths(profile)))
}

fn text(profile: &Profile) -> String {
    serde_json::to_string(profile).expect("a profile is JSON")
}

#[test]
fn the_whole_answer_for_a_few_records() {
    let profile = profile(
        r#"[{"n":1,"s":"a","l":[]},{"n":2.5,"s":"bcd","l":[true]},{"n":null,"s":"a"},{"n":"x"}]"#,
    );
    let expected = concat!(
        r#"{"records":4,"fields":{"#,
        r#""n":{"count":4,"missing":0,"nulls":1,"types":{"integer":1,"number":1,"string":1},"#,
        r#""distinct":3,"distinct_exact":true,"min":1,"max":2.5,"mean":1.75,"stdev":1.0606601717798212,"#,
        r#""zeros":0,"negatives":0,"quantiles":{"p01":1.015,"p05":1.075,"p25":1.375,"p50":1.75,"#,
        r#""p75":2.125,"p95":2.425,"p99":2.485},"quantiles_exact":true,"min_text":"x","max_text":"x","#,
        r#""lengths":{"min":1,"max":1,"mean":1.0},"top":[{"value":1,"count":1},{"value":2.5,"count":1},"#,
        r#"{"value":"x","count":1}],"top_exact":true},"#,
        r#""s":{"count":3,"missing":1,"nulls":0,"types":{"string":3},"distinct":2,"distinct_exact":true,"#,
        r#""min_text":"a","max_text":"bcd","lengths":{"min":1,"max":3,"mean":1.6666666666666667},"#,
        r#""top":[{"value":"a","count":2},{"value":"bcd","count":1}],"top_exact":true},"#,
        r#""l":{"count":2,"missing":2,"nulls":0,"types":{"array":2},"empty":1,"#,
        r#""items":{"min":0,"max":1,"mean":0.5}},"#,
        r#""l[]":{"count":1,"missing":0,"nulls":0,"types":{"boolean":1},"distinct":1,"#,
        r#""distinct_exact":true,"top":[{"value":true,"count":1}],"top_exact":true}},"#,
        r#""fields_omitted":0}"#
    );
    assert_eq!(text(&profile), expected);
}

#[test]
fn paths_follow_the_nesting() {
    let posted = profile(r#"{"values":[1,2,3],"meta":{"a":1},"orders":[{"total":1},{}]}"#);
    let expected = [
        "values",
        "values[]",
        "meta.a",
        "orders",
        "orders[]",
        "orders[].total",
    ];
    assert_eq!(paths(&posted), expected);
    assert_eq!(posted.records, 1);
    assert_eq!(field(&posted, "orders[].total").missing, 1);
    assert_eq!(field(&posted, "orders[]").empty, 1);
    assert_eq!(
        paths(&profile("[[1,{\"a\":2}],3]")),
        ["[]", "[][]", "[][].a"]
    );
    let empty = profile(r#"{"o":{},"a":[],"n":{"o":{}}}"#);
    assert_eq!(paths(&empty), ["o", "a", "n.o"]);
    assert_eq!(
        field(&empty, "a").items,
        Some(Lengths {
            min: 0,
            max: 0,
            mean: 0.0
        })
    );
    assert_eq!(paths(&profile("{}")), ["[]"]);
    assert_eq!(paths(&profile("[]")), [""; 0]);
    assert_eq!(field(&profile("null"), "[]").nulls, 1);
}

#[test]
fn keys_do_not_collide_with_nesting() {
    let odd = profile(
        r#"{"a.b":1,"a":{"b":2,"":3},"c[]":4,"c":[5],"\"a.b\"":6,"a\\":7,"[]":8,"é 日":9}"#,
    );
    let expected = [
        r#""a.b""#,
        "a.b",
        r#"a."""#,
        r#""c[]""#,
        "c",
        "c[]",
        r#""\"a.b\"""#,
        r#""a\\""#,
        r#""[]""#,
        "é 日",
    ];
    assert_eq!(paths(&odd), expected);
}

#[test]
fn objects_that_are_sometimes_absent_are_fields() {
    let profile = profile(r#"[{"a":{"b":1}},{"a":null},{"a":{}},{},{"a":3}]"#);
    let a = field(&profile, "a");
    assert_eq!((a.count, a.missing, a.nulls, a.empty), (4, 1, 1, 1));
    assert_eq!((a.types.object, a.types.integer), (2, 1));
    assert_eq!(field(&profile, "a.b").missing, 1);
}

#[test]
fn equal_numbers_are_one_value() {
    let profile =
        profile(r#"[1,1.0,true,"1",-0.0,0,false,1e300,1e300,9007199254740993,9007199254740992.0]"#);
    assert_eq!(field(&profile, "[]").distinct, Some(8));
    assert_eq!(field(&profile, "[]").top[0].count, 2);
}

#[test]
fn extremes_are_exact() {
    let huge = "9".repeat(400);
    let cases = [
        (
            "[9007199254740993,9007199254740992.0,9007199254740992]",
            "9007199254740992.0",
            "9007199254740993",
        ),
        (
            "[170141183460469231731687303715884105729,170141183460469231731687303715884105728]",
            "170141183460469231731687303715884105728",
            "170141183460469231731687303715884105729",
        ),
        ("[1e308,-1e308,0]", "-1e+308", "1e+308"),
        (
            &format!("[1,{huge},-{huge},{huge}0]"),
            &format!("-{huge}"),
            &format!("{huge}0"),
        ),
        ("[NaN,Infinity,-Infinity,2,true]", "2", "2"),
        ("[-0.5,-1,0.5,1]", "-1", "1"),
    ];
    for (document, min, max) in cases {
        let profile = profile(document);
        let field = field(&profile, "[]");
        let shown = |number: &Option<Json>| number.as_ref().map(Json::to_string);
        assert_eq!(
            (shown(&field.min), shown(&field.max)),
            (Some(min.into()), Some(max.into()))
        );
    }
}

#[test]
fn nothing_is_ever_not_finite() {
    let huge = "9".repeat(400);
    let document = format!("[1e308,1.7e308,1.7e308,-1.7e308,NaN,Infinity,{huge},1e308]");
    let profile = profile(&document);
    let field = field(&profile, "[]");
    assert_eq!((field.not_finite, field.too_large), (2, 1));
    assert!(
        field
            .mean
            .is_some_and(|mean| (mean - 0.74e308).abs() < 1e294)
    );
    let extremes = self::profile("[1.7e308,-1.7e308]");
    assert_eq!(self::field(&extremes, "[]").stdev, None);
    for text in [text(&profile), text(&extremes)] {
        assert!(
            !text.contains(":null") && !text.contains("NaN") && !text.contains(":inf"),
            "{text}"
        );
    }
}

#[test]
fn all_null_and_mixed_fields() {
    let profile = profile(r#"[{"a":null,"b":1},{"a":null,"b":"z"},{"a":null,"b":[{}]}]"#);
    let a = field(&profile, "a");
    assert_eq!((a.count, a.nulls, a.distinct, a.mean), (3, 3, None, None));
    let b = field(&profile, "b");
    assert_eq!(
        (b.mean, b.stdev, b.min_text.as_deref()),
        (Some(1.0), None, Some("z"))
    );
}

#[test]
fn long_texts_are_cut_and_marked() {
    let long = "é".repeat(100_000);
    let profile = profile(&format!(r#"["{long}","{long}","short"]"#));
    let field = field(&profile, "[]");
    assert_eq!(
        field.top[0].value,
        Json::from(format!("{}…", "é".repeat(KEPT_CHARACTERS)))
    );
    assert_eq!((field.top[0].count, field.top[0].truncated), (2, true));
    assert!(!field.top[1].truncated);
    assert_eq!(
        field.lengths,
        Some(Lengths {
            min: 5,
            max: 100_000,
            mean: 200_005.0 / 3.0
        })
    );
    assert!(text(&profile).len() < 1_500);
}

#[test]
fn frequent_values_survive_many_rare_ones() {
    let mut profiler = Profiler::new();
    for n in 0..100_000 {
        let value = if n % 10 == 0 {
            Json::from("often")
        } else {
            Json::from(n)
        };
        profiler.record(&Json::object([("v", value)]));
    }
    let profile = profiler.finish();
    let v = field(&profile, "v");
    assert_eq!((v.top.len(), v.top_exact), (1, Some(false)));
    assert_eq!(v.top[0].value, Json::from("often"));
    assert!(v.top[0].count <= 10_000 && v.top[0].count + v.top_error >= 10_000);
    assert_eq!(v.distinct_exact, Some(false));
    assert!(
        v.distinct
            .is_some_and(|distinct| distinct.abs_diff(90_001) < 90_001 * 4 / 100)
    );
}

/// Skewed values of which most are rare, in an order of no rule: no count is too high, and none is too
/// low by more than is said. What is certain to be more frequent than the others is listed.
#[test]
fn counts_are_within_their_error() {
    let (mut profiler, mut counts) = (Profiler::new(), std::collections::HashMap::new());
    let mut state = 1_u64;
    for n in 1..=60_000_u64 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(n);
        let share = (state >> 40) as f64 / (1_u64 << 24) as f64;
        let value = (3_000.0 * share.powi(5)) as i64;
        *counts.entry(value).or_insert(0_u64) += 1;
        profiler.record(&Json::object([("v", Json::from(value))]));
        if n % 10_000 != 0 {
            continue;
        }
        let profile = profiler.clone().finish();
        let v = field(&profile, "v");
        assert!(v.top_exact == Some(false) && v.top_error > 0 && !v.top.is_empty());
        for top in &v.top {
            let count = counts[&top.value.as_i64().unwrap()];
            assert!(top.count <= count && count <= top.count + v.top_error);
            assert!(top.count > v.top_error);
        }
        let listed: Vec<i64> = v.top.iter().filter_map(|top| top.value.as_i64()).collect();
        let certain = |count: u64| v.top.len() < 10 && count > 2 * v.top_error;
        assert!(
            counts
                .iter()
                .all(|(value, count)| !certain(*count) || listed.contains(value))
        );
    }
}

/// Few fields have all the counters they need, and fields of unique values don't use them up.
#[test]
fn counts_stay_exact_beside_unique_values() {
    let mut profiler = Profiler::new();
    for n in 0..6_000_i64 {
        let ids = (0..60).map(|id| (format!("id{id}"), Json::from(n * 100 + id)));
        let cities = (0..10).map(|city| (format!("city{city}"), Json::from(n * (city + 1) % 450)));
        profiler.record(&Json::object(ids.chain(cities)));
    }
    let profile = profiler.finish();
    for city in 0..10 {
        let city = field(&profile, &format!("city{city}"));
        assert_eq!(
            (city.top_exact, city.top.first().map(|top| top.count > 12)),
            (Some(true), Some(true))
        );
    }
    assert!(field(&profile, "id0").top.is_empty());
}

#[test]
fn the_number_of_fields_is_bounded() {
    let keys = (0..100_000).map(|n| (format!("key{n}"), Json::from(n)));
    let mut profiler = Profiler::new();
    let wide = Json::object(keys);
    for _ in 0..3 {
        profiler.record(&wide);
    }
    let profile = profiler.finish();
    let total = profile.fields.len() as u64 + profile.fields_omitted;
    assert!(total.abs_diff(100_000) < 4_000, "{total}");
    assert!(text(&profile).len() <= MAX_PROFILE_BYTES);
}

/// As large as a profile can be asked to become.
#[test]
fn the_profile_is_bounded() {
    let long = |n: usize| format!("{n}{}", "\u{1}é\"".repeat(400));
    let mut profiler = Profiler::new();
    for round in 0..20 {
        let member = |n| (long(n), Json::from(long(n * 100 + round)));
        profiler.record(&Json::object((0..1_200).map(member)));
        let number = Json::from(json::Int::from_decimal(&format!(
            "{round}{}",
            "7".repeat(4_000)
        )));
        profiler.record(&Json::object((0..1_200).map(|n| (long(n), number.clone()))));
    }
    let profile = profiler.finish();
    assert!(text(&profile).len() <= MAX_PROFILE_BYTES);
    assert!(profile.fields.len() > 100);
    let kept: std::collections::HashSet<&str> = paths(&profile).into_iter().collect();
    assert_eq!(kept.len(), profile.fields.len());
}

#[test]
fn depth_is_no_danger() {
    let deep = |open: &str, close: &str| [&open.repeat(900), "1", &close.repeat(900)].concat();
    let arrays = profile(&deep("[", "]"));
    assert_eq!(arrays.fields.len() as u64 + arrays.fields_omitted, 900);
    let objects = profile(&deep("{\"key\":", "}"));
    assert_eq!(objects.fields.len(), 1);
    assert!(text(&objects).len() < 2_000 && text(&arrays).len() <= MAX_PROFILE_BYTES);
}
