//! Random rules against Celery's crontab and against croniter.
//!
//! `tests/celery/rules.py` writes what Celery and croniter compute. The stored files are from one seed.
//! `RULES` names a folder with files of another seed; `cargo xtask test` writes one.

use std::path::PathBuf;

use super::*;
use crate::json::{Json, parse_str};

/// The cases of a file: one JSON object on each line.
fn cases(file: &str) -> Vec<Json> {
    let stored = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/celery/vectors");
    let folder = std::env::var_os("RULES").map_or(stored, PathBuf::from);
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    text.lines().map(|line| parse_str(line).unwrap()).collect()
}

/// The difference between a rule and a case. `None` if they agree.
fn difference(case: &Json, rule: &Result<Rule, RuleError>) -> Option<String> {
    let rule = match (rule, case.get("refused").and_then(Json::as_str)) {
        (Err(_), Some(_)) => return None,
        (Err(error), None) => return Some(format!("refused here: {error}")),
        (Ok(_), Some(reason)) => return Some(format!("refused there: {reason}")),
        (Ok(rule), None) => rule,
    };
    let pairs = case.get("times").and_then(Json::as_array).unwrap();
    assert!(!pairs.is_empty());
    pairs.iter().find_map(|pair| {
        let time = |at: usize| pair.as_array().unwrap()[at].as_i64().unwrap() as u64;
        let (after, theirs) = (time(0), time(1));
        let ours = rule.next(after);
        (ours != Some(theirs)).then(|| format!("after {after}: {ours:?} here, {theirs} there"))
    })
}

/// Fails with all differences. Both kinds of cases must be there in numbers.
fn compare(file: &str, parse: impl Fn(&Json) -> Result<Rule, RuleError>) {
    let cases = cases(file);
    let refused = cases.iter().filter(|case| case.get("refused").is_some());
    let refused = refused.count();
    assert!(
        refused > 50 && cases.len() > 3 * refused / 2,
        "{refused} refused"
    );
    let different = cases.iter().filter_map(|case| {
        let what = difference(case, &parse(case))?;
        let name = case.get("fields").or_else(|| case.get("line"));
        Some(format!("{:?}: {what}", name.unwrap()))
    });
    let different: Vec<_> = different.collect();
    let count = different.len();
    assert_eq!(count, 0, "of {}:\n{}", cases.len(), different.join("\n"));
}

#[test]
fn crontabs_agree_with_celery() {
    compare("crontabs.jsonl", |case| {
        let texts = case.get("fields").and_then(Json::as_array).unwrap();
        let texts: Vec<_> = texts.iter().map(|text| text.as_str().unwrap()).collect();
        Rule::parse(&Spec::Crontab(fields(texts.try_into().unwrap())), "UTC")
    });
}

#[test]
fn lines_agree_with_croniter() {
    compare("lines.jsonl", |case| {
        let line = case.get("line").and_then(Json::as_str).unwrap();
        Rule::parse(&Spec::Cron(line.to_owned()), "UTC")
    });
}
