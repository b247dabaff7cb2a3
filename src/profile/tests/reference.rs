//! Properties against plain exact computations.

use proptest::prelude::*;

use super::*;

fn numbers(values: &[f64]) -> FieldProfile {
    let mut profiler = Profiler::new();
    values
        .iter()
        .for_each(|value| profiler.record(&Json::from(*value)));
    profiler.finish().fields.remove(0).1
}

/// The share of values below `value`, as a range when several are equal.
fn rank(sorted: &[f64], value: f64) -> (f64, f64) {
    let count = sorted.len() as f64;
    let below = sorted.partition_point(|other| *other < value) as f64;
    let not_above = sorted.partition_point(|other| *other <= value) as f64;
    (below / count, not_above / count)
}

/// Orders and distributions that are hard on sketches.
#[test]
fn sketched_quantiles_keep_their_error() {
    const N: u32 = 60_000;
    let scramble = |n: u32| f64::from(n.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX);
    let sets: [Vec<f64>; 6] = [
        (0..N).map(f64::from).collect(),
        (0..N).rev().map(f64::from).collect(),
        (0..N).map(scramble).collect(),
        (0..N).map(|n| (scramble(n) * 40.0).exp()).collect(),
        (0..N)
            .map(|n| if n % 3 == 0 { 7.0 } else { scramble(n) * 10.0 })
            .collect(),
        (0..N)
            .map(|n| {
                if n % 2 == 0 {
                    scramble(n) * 1e308
                } else {
                    -scramble(n) * 1e308
                }
            })
            .collect(),
    ];
    for mut values in sets {
        let field = numbers(&values);
        values.sort_by(f64::total_cmp);
        assert_eq!(field.quantiles_exact, Some(false));
        let q = field.quantiles.expect("quantiles");
        let cases = [
            (0.01, q.p01),
            (0.05, q.p05),
            (0.25, q.p25),
            (0.5, q.p50),
            (0.75, q.p75),
            (0.95, q.p95),
            (0.99, q.p99),
        ];
        for (share, value) in cases {
            let (low, high) = rank(&values, value);
            let allowed = std::f64::consts::PI * f64::sqrt(share * (1.0 - share)) / 400.0;
            assert!(
                low - allowed <= share && share <= high + allowed,
                "{share}: {low} to {high}"
            );
        }
    }
}

#[test]
fn estimates_of_distinct_keep_their_error() {
    for count in [10_001_u64, 20_000, 50_000, 150_000] {
        let mut profiler = Profiler::new();
        (0..count * 2).for_each(|n| profiler.record(&Json::from(n % count)));
        let field = profiler.finish().fields.remove(0).1;
        let error = field.distinct.unwrap_or(0) as f64 / count as f64 - 1.0;
        // Four standard errors.
        assert!(error.abs() < 0.046, "{count}: {error}");
    }
}

/// Many large fields share what there is, and each still has all its statistics.
#[test]
fn many_large_fields_share_the_budget() {
    let mut profiler = Profiler::new();
    for record in 0..1_200_u32 {
        let member = |n: u32| (format!("f{n}"), Json::from(i64::from(record * 1_000 + n)));
        profiler.record(&Json::object((0..600).map(member)));
    }
    let profile = profiler.finish();
    assert_eq!(profile.fields.len(), 600);
    assert!(text(&profile).len() <= MAX_PROFILE_BYTES);
    for (path, field) in &profile.fields {
        let distinct = field.distinct.unwrap_or(0).abs_diff(1_200);
        assert!(
            distinct
                <= if field.distinct_exact == Some(true) {
                    0
                } else {
                    60
                },
            "{path}"
        );
        assert_eq!(field.zeros, Some(u64::from(path == "f0")));
    }
}

proptest! {
    #[test]
    fn counts_are_exact(values in proptest::collection::vec(any_scalar(), 1..60)) {
        let mut profiler = Profiler::new();
        values.iter().for_each(|value| profiler.record(&Json::object([("v", value.clone())])));
        let profile = profiler.finish();
        let field = field(&profile, "v");
        let count = |wanted: fn(&Json) -> bool| values.iter().filter(|v| wanted(v)).count() as u64;
        prop_assert_eq!(field.count, values.len() as u64);
        prop_assert_eq!(field.nulls, count(Json::is_null));
        prop_assert_eq!(field.types.boolean, count(|v| matches!(v, Json::Bool(_))));
        prop_assert_eq!(field.types.integer, count(|v| matches!(v, Json::Int(_))));
        prop_assert_eq!(field.types.string, count(|v| matches!(v, Json::String(_))));
        let mut kinds: Vec<&Json> = values.iter().filter(|v| !v.is_null()).collect();
        kinds.sort_by_key(|v| v.to_string());
        kinds.dedup();
        prop_assert_eq!(field.distinct.unwrap_or(0), kinds.len() as u64);
        let texts: Vec<&str> = values.iter().filter_map(Json::as_str).collect();
        prop_assert_eq!(field.min_text.as_deref(), texts.iter().min().copied());
        prop_assert_eq!(field.max_text.as_deref(), texts.iter().max().copied());
        let top: u64 = field.top.iter().map(|top| top.count).sum();
        prop_assert!(top <= field.count - field.nulls);
    }

    #[test]
    fn moments_are_exact_enough(values in proptest::collection::vec(-1_000_000_i64..1_000_000, 2..200), offset in any::<i32>()) {
        let offset = i64::from(offset) * 1_000_000;
        let mut profiler = Profiler::new();
        values.iter().for_each(|value| profiler.record(&Json::from(value + offset)));
        let field = profiler.finish().fields.remove(0).1;
        let n = values.len() as i128;
        let sum: i128 = values.iter().map(|v| i128::from(*v)).sum();
        let squares: i128 = values.iter().map(|v| i128::from(*v) * i128::from(*v)).sum();
        let stdev = ((n * squares - sum * sum) as f64 / (n * (n - 1)) as f64).sqrt();
        let mean = (sum + n * i128::from(offset)) as f64 / n as f64;
        prop_assert!((field.stdev.expect("two values") - stdev).abs() <= 1e-14 * stdev);
        prop_assert!((field.mean.expect("values") - mean).abs() <= 1e-15 * mean.abs());
        let exact = |wanted: Option<&i64>| wanted.map(|v| Json::from(*v + offset));
        prop_assert_eq!(field.min, exact(values.iter().min()));
        prop_assert_eq!(field.max, exact(values.iter().max()));
    }

    /// Whatever is posted: no panic, a bounded answer, and JSON.
    #[test]
    fn any_document_fits(document in any_document()) {
        let mut profiler = Profiler::new();
        profiler.document(&document);
        let text = text(&profiler.finish());
        prop_assert!(text.len() <= MAX_PROFILE_BYTES);
        prop_assert!(json::parse_str(&text).is_ok_and(|value| value.is_finite()));
    }
}

fn any_scalar() -> impl Strategy<Value = Json> {
    prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        (-5_i64..5).prop_map(Json::from),
        any::<i128>().prop_map(Json::from),
        "[a-c.é]{0,2}".prop_map(Json::from),
    ]
}

fn any_document() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![any_scalar(), any::<f64>().prop_map(Json::from)];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Json::Array),
            proptest::collection::vec((any::<String>(), inner), 0..8).prop_map(Json::object),
        ]
    })
}
