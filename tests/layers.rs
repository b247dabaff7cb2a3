//! Reads every `crate::…` path in `src/`, and fails on an import of a higher layer.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The modules of `src/`, from the ground up. Modules of the same layer may import each other.
const LAYERS: &[&[&str]] = &[
    &["clock", "error", "json"],
    &["config"],
    &["log", "emf", "aws"],
    &["dynamodb"],
    &["fetch", "invoke", "profile"],
    &["tasks"],
    &["celery"],
    &["remote"],
    &["schedules"],
    &["stats"],
    &["jobs"],
    &["documents"],
    &["items", "users"],
    &["auth"],
    &["web", "consumer"],
    &["app"],
];

/// The modules of `src/tasks/`, from the ground up.
const ENGINE: &[&[&str]] = &[
    &["id", "state", "viewer"],
    // A message is a serialized task, so `wire` reads a `Task`, and a `Task` has the version of `wire`.
    &["task", "wire"],
    &["record", "counts"],
    &["metrics"],
    &["store", "queue"],
    &["delay", "depths"],
    &["fields", "retry", "job", "context"],
    &["registry"],
    &["format"],
    &["client", "worker"],
];

/// Crates that the engine must not use: HTTP, OpenAPI, and Lambda's events.
const NOT_IN_ENGINE: [&str; 5] = [
    "lambda_http",
    "lambda_runtime",
    "aws_lambda_events",
    "utoipa",
    "http::",
];

struct Import {
    file: String,
    line: usize,
    from: String,
    to: String,
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn first_word(path: &str) -> &str {
    let end = path.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &path[..end.unwrap_or(path.len())]
}

/// The module of a file below `folder`: `web` for `web/mod.rs` and `web/page.rs`.
fn module_of(file: &Path, folder: &Path) -> String {
    let relative = file.strip_prefix(folder).unwrap();
    let first = relative.iter().next().unwrap().to_str().unwrap();
    first.trim_end_matches(".rs").to_owned()
}

/// The lines of a file without comments, each with its number. Includes the tests in the file.
fn code(file: &Path) -> Vec<(usize, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().enumerate();
    let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
    code.map(|(at, line)| (at + 1, line.to_owned())).collect()
}

/// The imports below `folder` whose paths begin with `root`, from module to module.
fn imports(folder: &Path, root: &str) -> Vec<Import> {
    let mut found = Vec::new();
    for file in sources(folder) {
        let from = module_of(&file, folder);
        for (line, text) in code(&file) {
            for (at, _) in text.match_indices(root) {
                let path = &text[at + root.len()..];
                // `use crate::{a::b, c}` names several modules.
                let names = match path.strip_prefix('{') {
                    Some(list) => list.split(", ").map(first_word).collect(),
                    None => vec![first_word(path)],
                };
                let file = file.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap();
                found.extend(names.into_iter().map(|to| Import {
                    file: file.display().to_string(),
                    line,
                    from: from.clone(),
                    to: to.to_owned(),
                }));
            }
        }
    }
    found
}

fn height(layers: &[&[&str]], module: &str) -> Option<usize> {
    layers.iter().position(|layer| layer.contains(&module))
}

/// All imports of a higher layer, one in a line.
fn upward(layers: &[&[&str]], imports: &[Import]) -> String {
    let mut wrong = String::new();
    for import in imports {
        let (from, to) = (height(layers, &import.from), height(layers, &import.to));
        if let (Some(from), Some(to)) = (from, to)
            && from < to
        {
            let Import {
                file,
                line,
                from,
                to,
            } = import;
            writeln!(wrong, "{file}:{line}: {from} imports {to}, a layer above").unwrap();
        }
    }
    wrong
}

#[test]
fn no_module_imports_a_higher_layer() {
    let imports = imports(&src(), "crate::");
    assert!(imports.len() > 150, "{} imports", imports.len());
    let wrong = upward(LAYERS, &imports);
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn no_module_of_the_engine_imports_a_higher_layer() {
    let tasks = src().join("tasks");
    let mut found = imports(&tasks, "crate::tasks::");
    // `super` is the engine only in a file directly in the folder, and in a subfolder's `mod.rs`.
    let of_engine = |import: &Import| {
        let below = import.file.trim_start_matches("src/tasks/");
        !below.contains('/') || (below.ends_with("/mod.rs") && below.matches('/').count() == 1)
    };
    found.extend(imports(&tasks, "super::").into_iter().filter(of_engine));
    assert!(found.len() > 60, "{} imports", found.len());
    let found: Vec<Import> = found
        .into_iter()
        .filter(|import| import.from != "mod")
        .collect();
    let wrong = upward(ENGINE, &found);
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn every_module_has_a_layer() {
    for (folder, layers) in [(src(), LAYERS), (src().join("tasks"), ENGINE)] {
        for file in sources(&folder) {
            let module = module_of(&file, &folder);
            let known = module == "lib" || module == "mod" || height(layers, &module).is_some();
            assert!(known, "{} is in no layer", file.display());
        }
    }
}

#[test]
fn the_engine_uses_no_http_and_no_lambda_events() {
    for file in sources(&src().join("tasks")) {
        if file.iter().any(|part| part == "tests") {
            continue;
        }
        let inside = code(&file);
        let inside = inside
            .iter()
            .take_while(|(_, line)| line.trim() != "#[cfg(test)]");
        for (line, text) in inside {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
            for word in words {
                let foreign = NOT_IN_ENGINE.iter().find(|name| word.starts_with(*name));
                assert!(
                    foreign.is_none(),
                    "{}:{line}: the engine must not use {word}",
                    file.display()
                );
            }
        }
    }
}
