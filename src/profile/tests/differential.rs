//! The same numbers through Python's `statistics`.

use fastrand::Rng;

use super::*;
use crate::json::tests::python;

const SCRIPT: &str = r#"
import collections, json, statistics, sys
def attempt(compute, *arguments, **options):
    try:
        return compute(*arguments, **options)
    except (OverflowError, statistics.StatisticsError):
        return None
for line in sys.stdin:
    values = json.loads(line)
    cuts = attempt(statistics.quantiles, values, n=100, method="inclusive")
    print(json.dumps({
        "mean": attempt(statistics.mean, values),
        "stdev": attempt(statistics.stdev, values),
        "quantiles": cuts and [cuts[n - 1] for n in (1, 5, 25, 50, 75, 95, 99)],
        "min": min(values), "max": max(values), "distinct": len(set(values)),
        "most": collections.Counter(values).most_common(1)[0][1],
    }))
"#;

fn data() -> Vec<String> {
    let mut all: Vec<String> = [
        "[3]",
        "[1,2]",
        "[2.5,2.5,2.5]",
        "[0,0,0]",
        "[0,0,1]",
        "[-0.0,0.0]",
        "[0.1,0.1,0.1]",
        "[1000000000000001,1000000000000002,1000000000000003]",
        "[1e15,1000000000000001.0,1000000000000002.0]",
        "[9007199254740993,9007199254740994,9007199254740995]",
        "[9223372036854775807,9223372036854775805,-5]",
        "[100000000000000000001,100000000000000000002,100000000000000000003]",
        "[1e308,1e308,1e308,1e308]",
        "[1.7e308,-1.7e308]",
        "[1.7e308,-1.7e308,1,2]",
        "[1e308,-1e308,5,7]",
        "[1e200,1,2,3]",
        "[1,2,3,1e200]",
        "[5e-324,1e-323,5e-324]",
        "[1e-310,2e-310,4e-310]",
        "[1e-200,3e-200]",
        "[1e-320,1e300]",
        "[1e300,1e-320,0]",
        "[1,1e16,-1e16]",
        "[1e-8,1e8,-1e8]",
        "[123456789.123,123456789.124,123456789.125,123456789.123]",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut random = Rng::with_seed(0x2545_F491_4F6C_DD1D);
    for round in 0..60 {
        let size = 2 + random.u64(..) % 800;
        let mut value = || match round % 6 {
            0 => format!("{:?}", random.f64() * 100.0),
            1 => format!("{}", random.u64(..) % 50),
            2 => format!("{:?}", 1e9 + random.f64()),
            3 => format!("{:?}", (random.f64() * 40.0 - 20.0).exp()),
            4 => format!("{}", 1_000_000_000_000_000_000 + random.u64(..) % 1_000),
            _ => format!(
                "{:?}",
                f64::from_bits((random.u64(..) >> 2) | (random.u64(..) & (1 << 63))) / 8.0
            ),
        };
        let values: Vec<String> = (0..size).map(|_| value()).collect();
        all.push(format!("[{}]", values.join(",")));
    }
    let large: Vec<String> = (0..9_999)
        .map(|_| format!("{:?}", random.f64() - 0.5))
        .collect();
    all.push(format!("[{}]", large.join(",")));
    all
}

fn near(ours: Option<f64>, theirs: &Json, tolerance: f64, what: &str) {
    match (ours, theirs.as_f64().filter(|number| number.is_finite())) {
        (Some(ours), Some(theirs)) => {
            assert!(
                (ours - theirs).abs() <= tolerance * theirs.abs(),
                "{what}: {ours:?} {theirs:?}"
            );
        }
        // Python's quantiles overflow where ours do not.
        (ours, None) => assert!(ours.is_none() || what.contains('p'), "{what}: {ours:?}"),
        (None, theirs) => panic!("{what}: nothing instead of {theirs:?}"),
    }
}

#[test]
fn agrees_with_python() {
    let data = data();
    let Some(output) = python::run(SCRIPT, data.join("\n").into_bytes()) else {
        return;
    };
    let output = String::from_utf8(output).expect("UTF-8");
    assert_eq!(output.lines().count(), data.len());
    for (text, line) in data.iter().zip(output.lines()) {
        let (profile, theirs) = (profile(text), read(line));
        let ours = field(&profile, "[]");
        let shown = &text[..text.len().min(120)];
        let of = |name: &str| theirs.get(name).unwrap_or(&Json::Null);
        // Where numbers cancel out, the largest of them counts.
        let largest = read(text).as_array().map(|all| {
            all.iter()
                .filter_map(Json::as_f64)
                .map(f64::abs)
                .fold(0.0, f64::max)
        });
        let (mean, largest) = (ours.mean.unwrap_or(f64::NAN), largest.unwrap_or(0.0));
        let difference = of("mean")
            .as_f64()
            .map(|theirs| (mean - theirs).abs() - 1e-15 * theirs.abs());
        assert!(
            difference.is_some_and(|d| d <= 1e-30 * largest),
            "mean of {shown}: {mean}, {}",
            of("mean")
        );
        near(ours.stdev, of("stdev"), 1e-14, &format!("stdev of {shown}"));
        assert_eq!(
            ours.distinct,
            of("distinct").as_i64().map(i64::cast_unsigned),
            "{shown}"
        );
        if ours.top_exact == Some(true) {
            let most = ours.top.first().map(|top| top.count.cast_signed());
            assert_eq!(most, of("most").as_i64(), "{shown}");
        }
        let shown_number = |number: Option<&Json>| number.map(|n| n.as_f64());
        assert_eq!(
            shown_number(ours.min.as_ref()),
            shown_number(Some(of("min"))),
            "{shown}"
        );
        assert_eq!(
            shown_number(ours.max.as_ref()),
            shown_number(Some(of("max"))),
            "{shown}"
        );
        let (Some(q), Some(cuts)) = (ours.quantiles, of("quantiles").as_array()) else {
            continue;
        };
        assert_eq!(ours.quantiles_exact, Some(true));
        for (ours, theirs) in [q.p01, q.p05, q.p25, q.p50, q.p75, q.p95, q.p99]
            .into_iter()
            .zip(cuts)
        {
            near(Some(ours), theirs, 1e-12, &format!("quantile p of {shown}"));
        }
    }
}
