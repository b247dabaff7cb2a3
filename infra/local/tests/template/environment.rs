//! Environment variables: the code reads exactly the variables that the template sets.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::source::Source;
use crate::{file, functions, template};

/// Variables that Lambda sets, and variables for debugging.
fn comes_otherwise(name: &str) -> bool {
    name.starts_with("AWS_") || name == "RUST_LOG"
}

/// Optional variables that a function reads but that its template entry does not set.
const LEFT_OUT: [(&str, &str); 1] = [
    // Tasks of /process/ have normal priority, so `process` has no permission to send to the other
    // queue.
    ("process", "TASKS_HIGH_QUEUE_URL"),
];

#[test]
fn a_function_has_exactly_the_variables_that_it_reads() {
    let (template, source) = (template(), Source::read());
    let routes = template.routes();
    for (binary, properties) in functions(&template) {
        let text = file(&format!("functions/{binary}.rs"));
        let mut read = source.variables(&text);
        assert!(read.contains("RUST_LOG"), "{binary} builds no App");
        read.retain(|name| !comes_otherwise(name));
        for (_, name) in LEFT_OUT.iter().filter(|(function, _)| *function == binary) {
            assert!(read.remove(*name), "{binary} does not read {name}");
        }
        let names = |set: &Value| -> BTreeSet<String> {
            let set = set["Variables"].as_object().into_iter().flatten();
            set.map(|(name, _)| name.clone()).collect()
        };
        let mut set = names(&properties["Environment"]);
        // The variables of all functions are about authentication, and only functions with a route
        // read them.
        let for_all = names(&template.root()["Globals"]["Function"]["Environment"]);
        let has_route = routes.iter().any(|route| route.function == binary);
        // A function that is open to everybody checks no keys.
        let of_keys = |name: &str| name == "API_KEYS_TABLE" || name == "KEY_CACHE_SECONDS";
        let is_read = |name: &String| read.contains(name) || (has_route && !of_keys(name));
        set.extend(for_all.into_iter().filter(is_read));
        assert_eq!(
            set, read,
            "{binary}: variables of the template, and variables that the code reads"
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
