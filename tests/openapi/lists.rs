//! Rules for all functions.

use std::collections::BTreeSet;
use std::path::Path;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(file: &str) -> String {
    std::fs::read_to_string(Path::new(ROOT).join(file)).unwrap()
}

/// The names of the functions, from their files.
fn functions() -> BTreeSet<String> {
    let files = std::fs::read_dir(Path::new(ROOT).join("functions")).unwrap();
    files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn each_function_has_an_executable_in_the_manifest() {
    let manifest = read("Cargo.toml");
    let executables = manifest.split("path = \"functions/").skip(1);
    let executables: BTreeSet<String> = executables
        .filter_map(|rest| Some(rest.split_once(".rs\"")?.0.to_owned()))
        .collect();
    assert_eq!(
        executables,
        functions(),
        "Cargo.toml is stale; `cargo xtask generate` writes it anew"
    );
}

#[test]
fn only_these_functions_answer_unknown_callers() {
    for function in functions() {
        let text = read(&format!("functions/{function}.rs"));
        let access = match &*function {
            "root" | "docs" | "redoc" | "openapi" => "Access::Documentation,",
            // The dashboard is files, and a report has the token of its attempt.
            "dashboard" | "fallback" | "report_progress" => "Access::Everybody,",
            "authorizer" | "celery_control" | "dead_letter" | "ticker" | "worker" => {
                assert!(!text.contains(".serve"), "only AWS invokes {function}");
                continue;
            }
            "flower" => {
                let open: Vec<&str> = text.split("(Access::").skip(1).collect();
                assert!(text.contains(".serve_undocumented(&OPEN,") && open.len() == 2);
                assert!(open[0].starts_with(r#"Everybody, "GET /healthcheck""#));
                assert!(open[1].starts_with(r#"Metrics, "GET /metrics""#));
                continue;
            }
            _ => {
                // `serve` admits authenticated callers only.
                assert!(text.contains("app.serve("), "{function}");
                assert!(
                    !text.contains("serve_to"),
                    "{function} admits unknown callers"
                );
                continue;
            }
        };
        assert!(
            text.contains(&format!("app.serve_to({access}")),
            "{function}"
        );
    }
}
