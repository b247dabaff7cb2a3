//! `cargo xtask generate`: writes the files and regions that repeat the routes of `functions/` and
//! the events in `template.yaml`.

use std::path::Path;

use local_stack::template::Template;
use local_stack::{Context, Error, Result, functions, process, project};

mod files;
mod region;
mod service;

use files::File;
use service::Service;

/// Writes each stale generated file, then `openapi.json`.
///
/// # Errors
/// When `functions/` and `template.yaml` contradict each other, when a function does not compile,
/// or when a file cannot be read or written.
pub fn run() -> Result<()> {
    let root = project::root();
    for file in generated(root)? {
        if read(root, file.path)? == file.text {
            println!("{} is up to date", file.path);
            continue;
        }
        std::fs::write(root.join(file.path), file.text)
            .context(format_args!("cannot write {}", file.path))?;
        println!("wrote {}", file.path);
    }
    write_openapi(root)
}

/// The generated files with their current content.
fn generated(root: &Path) -> Result<Vec<File>> {
    let template = read(root, files::TEMPLATE)?;
    let parsed = Template::parse(&template).context(files::TEMPLATE)?;
    let service = Service::of(&parsed, &sources(root)?)?;
    files::of(&service, &read(root, files::MANIFEST)?, &template)
}

/// The name and the text of each file in `functions/`.
fn sources(root: &Path) -> Result<Vec<(String, String)>> {
    let folder = root.join("functions");
    let entries = std::fs::read_dir(&folder).context("cannot read functions/")?;
    let mut sources = Vec::new();
    for entry in entries {
        let path = entry.context("cannot read functions/")?.path();
        let name = path.file_stem().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| path.extension().is_some_and(|end| end == "rs")) {
            let text = std::fs::read_to_string(&path);
            let text = text.context(format_args!("cannot read {}", path.display()))?;
            sources.push((name.to_owned(), text));
        }
    }
    sources.sort();
    Ok(sources)
}

/// A file's text; empty when the file does not exist.
fn read(root: &Path, path: &str) -> Result<String> {
    match std::fs::read_to_string(root.join(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        read => read.context(format_args!("cannot read {path}")),
    }
}

/// The test that writes `openapi.json`.
const WRITER: &str = "the_file_equals_the_document_of_the_code";

/// Writes `openapi.json`. The test of `openapi.json` builds the document from the code, and writes
/// the file when `UPDATE_OPENAPI` is set.
fn write_openapi(root: &Path) -> Result<()> {
    let mut command = functions::cargo();
    command
        .args([
            "test", "--quiet", "--test", "openapi", "--", "--exact", WRITER,
        ])
        .current_dir(root)
        .env("UPDATE_OPENAPI", "1");
    if process::run("the OpenAPI document", command)?.success() {
        println!("openapi.json is up to date");
        return Ok(());
    }
    Err(Error::new(
        "openapi.json was not written: see the messages above",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no test has would select no test, and cargo would succeed.
    #[test]
    fn the_writer_of_the_document_exists() {
        let tests = read(project::root(), "tests/openapi/main.rs").unwrap();
        assert!(tests.contains(&format!("#[test]\nfn {WRITER}() {{")));
    }

    #[test]
    fn no_generated_file_is_stale() {
        let root = project::root();
        let files = generated(root).unwrap().into_iter();
        let stale: Vec<_> = files
            .filter(|file| read(root, file.path).unwrap() != file.text)
            .map(|file| file.path)
            .collect();
        assert!(
            stale.is_empty(),
            "stale: {}; run `cargo xtask generate`",
            stale.join(", ")
        );
    }
}
