//! The environment variables that a function reads, according to its source.
//!
//! Only `src/config.rs` names variables, each in its own method. Functions call these methods,
//! directly or through `App`. So the calls in a function's file lead to its variables. The calls
//! are followed through the files in [`FILES`]. If other code reads the configuration, a method of
//! `Config` seems to have no caller, and a test fails.

use std::collections::{BTreeMap, BTreeSet};

use crate::file;

/// The files through which calls are followed, each with the name that calls use for it.
const FILES: [(&str, &str); 9] = [
    ("App", "src/app/mod.rs"),
    ("App", "src/app/celery.rs"),
    ("App", "src/app/serve.rs"),
    ("App", "src/app/tasks.rs"),
    ("Aws", "src/aws.rs"),
    ("Config", "src/config.rs"),
    ("Guard", "src/web/guard.rs"),
    ("emf", "src/emf.rs"),
    ("log", "src/log.rs"),
];

/// The text of each function in [`FILES`], by the name of the file and the name of the function.
pub struct Source(BTreeMap<(&'static str, String), String>);

impl Source {
    pub fn read() -> Source {
        let mut all = BTreeMap::new();
        for (name, path) in FILES {
            for (function, text) in split(&file(path)) {
                all.insert((name, function), text);
            }
        }
        Source(all)
    }

    /// The variables that a text reads, directly or through the functions that it calls.
    pub fn variables(&self, text: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut open = self.called_by("", code(text));
        while let Some(call) = open.pop() {
            if seen.insert(call.clone()) {
                open.extend(self.called_by(call.0, &self.0[&call]));
            }
        }
        let configured = seen.iter().filter(|(name, _)| *name == "Config");
        configured
            .flat_map(|call| literals(&self.0[call]))
            .collect()
    }

    /// All variables of the configuration.
    pub fn all_variables(&self) -> BTreeSet<String> {
        let configured = self.0.iter().filter(|((name, _), _)| *name == "Config");
        configured.flat_map(|(_, text)| literals(text)).collect()
    }

    fn called_by(&self, own: &'static str, text: &str) -> Vec<(&'static str, String)> {
        let mut found = Vec::new();
        for (qualifier, name) in calls(text) {
            for (file, _) in FILES {
                let fits = match qualifier {
                    // A method may belong to any of the files.
                    Qualifier::Method => true,
                    Qualifier::Path(path) => path == file || (path == "Self" && own == file),
                    Qualifier::None => own == file,
                };
                let call = (file, name.to_owned());
                if fits && self.0.contains_key(&call) {
                    found.push(call);
                }
            }
        }
        found
    }
}

/// The qualifier in front of a called name.
#[derive(Clone, Copy)]
enum Qualifier<'a> {
    None,
    Method,
    Path(&'a str),
}

/// A source without its tests.
fn code(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

/// The functions in a source. The text of each ends where the next function starts.
fn split(text: &str) -> Vec<(String, String)> {
    let parts = code(text).split("fn ").skip(1);
    let named = parts.map(|part| {
        let end = part.find(|c: char| !is_word(c)).unwrap_or(part.len());
        let lines = part
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (part[..end].to_owned(), lines.collect::<Vec<_>>().join("\n"))
    });
    named.filter(|(name, _)| !name.is_empty()).collect()
}

fn calls(text: &str) -> Vec<(Qualifier<'_>, &str)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices('(') {
        let name = last_word(&text[..at]);
        let before = &text[..at - name.len()];
        let qualifier = if before.ends_with('.') {
            Qualifier::Method
        } else if let Some(path) = before.strip_suffix("::") {
            Qualifier::Path(last_word(path))
        } else {
            Qualifier::None
        };
        if !name.is_empty() {
            found.push((qualifier, name));
        }
    }
    found
}

fn last_word(text: &str) -> &str {
    let start = text.rfind(|c: char| !is_word(c));
    let start = start.map_or(0, |at| {
        at + text[at..].chars().next().map_or(1, char::len_utf8)
    });
    &text[start..]
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The string literals in a source that look like names of variables.
fn literals(text: &str) -> Vec<String> {
    let upper = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let texts = text.split('"').skip(1).step_by(2);
    texts
        .filter(|text| text.len() > 2 && text.chars().all(upper))
        .map(str::to_owned)
        .collect()
}

#[test]
fn calls_are_followed_to_their_variables() {
    let source = Source(BTreeMap::from([
        (
            ("App", "items".to_owned()),
            "items(&self) { self.config.items_table()? }".to_owned(),
        ),
        (
            ("App", "from_env".to_owned()),
            "from_env() { log::init(&c); own() }".to_owned(),
        ),
        (("App", "own".to_owned()), "own() { c.region() }".to_owned()),
        (
            ("Config", "items_table".to_owned()),
            r#"x { self.required("ITEMS_TABLE") }"#.to_owned(),
        ),
        (
            ("Config", "region".to_owned()),
            r#"x { "REGION" }"#.to_owned(),
        ),
        (
            ("Config", "level".to_owned()),
            r#"x { "LEVEL" "not this" }"#.to_owned(),
        ),
        (
            ("log", "init".to_owned()),
            "init(c) { c.level() }".to_owned(),
        ),
        (
            ("emf", "init".to_owned()),
            r"init(c) { c.items_table() }".to_owned(),
        ),
    ]));
    let of = |text: &str| source.variables(text).into_iter().collect::<Vec<_>>();
    assert_eq!(of("App::from_env()?"), ["LEVEL", "REGION"]);
    assert_eq!(
        of("App::from_env()?.items()?"),
        ["ITEMS_TABLE", "LEVEL", "REGION"]
    );
    assert!(of("items(); own(); #[cfg(test)] App::from_env()").is_empty());
}
