//! Environment variables: what the code reads, and what the template sets.

use std::collections::BTreeSet;

use crate::source::Source;
use crate::{file, functions, property, template};

/// Set by Lambda itself, or for people who look for a fault.
fn comes_otherwise(name: &str) -> bool {
    name.starts_with("AWS_") || name == "RUST_LOG"
}

/// Optional variables that a function could read and does well without.
const LEFT_OUT: [(&str, &str); 1] = [
    // Its tasks have the normal priority, so it has no right to send to the other queue.
    ("process", "TASKS_HIGH_QUEUE_URL"),
];

#[test]
fn a_function_has_just_the_variables_that_it_reads() {
    let (template, source) = (template(), Source::read());
    for (binary, properties) in functions(&template) {
        let text = file(&format!("functions/{binary}.rs"));
        let mut read = source.variables(&text);
        assert!(read.contains("AWS_REGION"), "{binary} builds no App");
        read.retain(|name| !comes_otherwise(name));
        for (_, name) in LEFT_OUT.iter().filter(|(function, _)| *function == binary) {
            assert!(read.remove(*name), "{binary} does not read {name}");
        }
        let globals = &template.root()["Globals"]["Function"]["Environment"]["Variables"];
        let own = &property(&template, properties, "Environment")["Variables"];
        let set = [globals, own].into_iter().filter_map(|set| set.as_object());
        let set: BTreeSet<String> = set.flat_map(|set| set.keys().cloned()).collect();
        assert_eq!(
            set, read,
            "{binary}: set by the template, and read by the code"
        );
    }
}

#[test]
fn every_variable_of_the_configuration_is_read_by_a_function() {
    let (template, source) = (template(), Source::read());
    let mut unread = source.all_variables();
    assert!(unread.len() > 15, "{unread:?}");
    for binary in functions(&template).into_keys() {
        for name in source.variables(&file(&format!("functions/{binary}.rs"))) {
            unread.remove(&name);
        }
    }
    assert!(unread.is_empty(), "{unread:?}");
}
