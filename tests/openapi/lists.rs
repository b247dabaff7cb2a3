//! A function stands in several lists: each must have it.

use std::collections::BTreeSet;
use std::path::Path;

use utoipa::OpenApi;

use crate::Routes;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// What stands behind `before` and in front of the next `after`, wherever that is.
fn found(text: &str, before: &str, after: &str) -> BTreeSet<String> {
    let parts = text.split(before).skip(1);
    parts
        .filter_map(|part| part.split(after).next())
        .map(str::to_owned)
        .collect()
}

/// The functions by their files.
fn functions() -> BTreeSet<String> {
    let files = std::fs::read_dir(Path::new(ROOT).join("functions")).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

/// Functions that queues invoke.
const CONSUMERS: [&str; 2] = ["worker", "dead_letter"];

/// Functions that answer no documented route: as in FastAPI, the document and its pages are not in
/// the document.
fn undocumented(function: &str) -> bool {
    let names = ["authorizer", "fallback", "openapi", "docs", "redoc"];
    names.contains(&function) || CONSUMERS.contains(&function)
}

#[test]
fn each_function_is_a_program_and_is_deployed() {
    let manifest = read("Cargo.toml");
    assert_eq!(
        found(&manifest, "path = \"functions/", ".rs\""),
        functions()
    );
    let template = read("template.yaml");
    assert_eq!(found(&template, "Binary: ", "\n"), functions());
}

#[test]
fn each_route_is_routed_locally_and_documented() {
    let router = found(&read("Cargo.toml"), "function = \"", "\"");
    let modules = found(&read("tests/openapi/main.rs"), "functions/", ".rs");
    for function in functions() {
        let documented = modules.contains(&function);
        assert_ne!(
            documented,
            undocumented(&function),
            "{function} and the document"
        );
        let routed = router.contains(&function);
        assert!(
            routed || function == "authorizer" || CONSUMERS.contains(&function.as_str()),
            "{function} has no route in Cargo.toml"
        );
    }
}

#[test]
fn each_documented_route_is_known_to_the_fallback() {
    let routes = read("src/web/routes.rs");
    let document = crate::document::of(Routes::openapi());
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let without_slash = if path == "/" {
                path
            } else {
                path.trim_end_matches('/')
            };
            let known = [path.as_str(), without_slash]
                .iter()
                .any(|path| routes.contains(&format!("(\"{path}\", \"{method}\")")));
            assert!(known, "{method} {path} is not in src/web/routes.rs");
        }
    }
}

#[test]
fn each_deployed_route_is_known_to_the_fallback() {
    let (template, routes) = (read("template.yaml"), read("src/web/routes.rs"));
    let known: Vec<(&str, &str)> = routes
        .lines()
        .filter_map(|line| line.trim().strip_prefix("(\"")?.strip_suffix("\"),"))
        .filter_map(|route| route.split_once("\", \""))
        .collect();
    let lines = template.lines().map(str::trim);
    let deployed = lines
        .clone()
        .zip(lines.skip(1))
        .filter_map(|(path, method)| {
            Some((
                path.strip_prefix("Path: ")?,
                method.strip_prefix("Method: ")?,
            ))
        });
    let mut count = 0;
    // FastAPI has no routes for the files of its pages.
    for (path, method) in deployed.filter(|(path, _)| !path.ends_with("/{file}")) {
        let is_known = known.iter().any(|(known, methods)| {
            let same = known.trim_end_matches('/') == path.trim_end_matches('/');
            same && methods.split(", ").any(|known| known == method)
        });
        assert!(is_known, "{method} {path} is not in src/web/routes.rs");
        count += 1;
    }
    assert!(count > 14, "{count}");
}

#[test]
fn only_these_functions_answer_whom_they_do_not_know() {
    for function in functions() {
        let text = read(&format!("functions/{function}.rs"));
        let access = match &*function {
            "root" | "docs" | "redoc" | "openapi" => "Access::Documentation,",
            "fallback" => "Access::Everybody,",
            "authorizer" | "worker" | "dead_letter" => {
                assert!(!text.contains(".serve"), "{function} is asked by AWS alone");
                continue;
            }
            _ => {
                // The guard's own default is to let in callers alone.
                assert!(text.contains("app.serve("), "{function}");
                assert!(!text.contains("serve_to"), "{function} is open");
                continue;
            }
        };
        assert!(
            text.contains(&format!("app.serve_to({access}")),
            "{function}"
        );
    }
}
