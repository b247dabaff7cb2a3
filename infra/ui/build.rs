//! Extracts Swagger UI and Redoc from the crates that contain them, joins the modules of the operator's
//! page, and compresses the files.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{Cursor, Read, Write};
use std::path::PathBuf;
use std::{env, fs};

use aide::redoc::Redoc;
use flate2::Compression;
use flate2::write::GzEncoder;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

/// Redoc shows this image from another host below its menu.
const FOREIGN_IMAGE: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
/// An empty image.
const NO_IMAGE: &str = "data:,";

/// The style sheets of the operator's page, in the order of their precedence.
const STYLES: [&str; 3] = ["base.css", "parts.css", "views.css"];

/// The modules of the operator's page. A module imports only modules listed before it.
const MODULES: [&str; 22] = [
    "dom.js",
    "format.js",
    "json.js",
    "api.js",
    "parts.js",
    "dialog.js",
    "live.js",
    "charts.js",
    "filters.js",
    "overview.js",
    "actions.js",
    "bulk.js",
    "tasks.js",
    "timeline.js",
    "graph.js",
    "task.js",
    "fields.js",
    "jobs.js",
    "rule.js",
    "schedules.js",
    "letters.js",
    "app.js",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=pages");
    let mut swagger_ui = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("an archive");
    let mut swagger_ui = |name| unpacked(&mut swagger_ui, name);
    let files = [
        (
            "SWAGGER_UI_JS",
            "swagger-ui.js",
            swagger_ui("swagger-ui-bundle.js"),
        ),
        (
            "SWAGGER_UI_CSS",
            "swagger-ui.css",
            swagger_ui("swagger-ui.css"),
        ),
        ("SWAGGER_UI_START", "start.js", page("swagger-ui.js")),
        ("REDOC_JS", "redoc.js", redoc()),
        ("REDOC_START", "start.js", page("redoc.js")),
        ("PAGE_CSS", "page.css", page("page.css")),
        ("DASHBOARD_CSS", "dashboard.css", joined(&STYLES)),
        ("DASHBOARD_JS", "dashboard.mjs", module()),
    ];
    let mut code = String::new();
    for (constant, name, text) in files {
        code.push_str(&asset(constant, name, text.trim()));
    }
    fs::write(out().join("assets.rs"), code).expect("the output folder");
}

/// A file of Swagger UI's release.
fn unpacked(release: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> String {
    let end = format!("/dist/{name}");
    let paths = release.file_names().flatten();
    let path = { paths }
        .find(|path| path.ends_with(&end))
        .map(String::from);
    let mut file = release
        .by_name(&path.expect("a file of Swagger UI"))
        .expect("a file");
    let mut text = String::new();
    file.read_to_string(&mut text).expect("a text");
    text
}

/// Redoc's program, from the page in its crate: the text between the first `<script>` and the last
/// `Redoc.init(`. The program itself may contain both texts.
fn redoc() -> String {
    let page = Redoc::new("").html();
    let (_, program) = page.split_once("<script>").expect("the page's program");
    let (program, _) = program.rsplit_once("Redoc.init(").expect("its call");
    assert!(
        program.contains(FOREIGN_IMAGE),
        "Redoc's image has another address"
    );
    program.replace(FOREIGN_IMAGE, NO_IMAGE)
}

/// The operator's page as one module. Each file costs an invocation of a function, so the page loads one
/// file in place of all modules. A module becomes a function that returns what the module exports.
fn module() -> String {
    let mut joined = String::new();
    for (at, name) in MODULES.iter().enumerate() {
        let mut exports = Vec::new();
        let stem = name.trim_end_matches(".js");
        joined.push_str(&format!("const ${stem} = (() => {{\n"));
        let text = page(&format!("dashboard/{name}"));
        for line in text.lines() {
            if let Some((names, from)) = import(line) {
                let file = format!("{from}.js");
                assert!(
                    MODULES[..at].contains(&&*file),
                    "{name} imports {file}, which is not listed before"
                );
                joined.push_str(&format!("const {names} = ${from};\n"));
                continue;
            }
            // A comment has lines of its own.
            let start = line.trim_start();
            if ["//", "/*", "*"].iter().any(|mark| start.starts_with(mark)) {
                continue;
            }
            let line = match line.strip_prefix("export ") {
                Some(line) => {
                    exports.push(declared(line));
                    line
                }
                None => line,
            };
            joined.push_str(line);
            joined.push('\n');
        }
        joined.push_str(&format!("return {{ {} }};\n}})();\n", exports.join(", ")));
    }
    joined
}

/// The names in braces and the module of an import, which has a line of its own.
fn import(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("import ")?;
    let parts = line.strip_suffix(".js\";")?.split_once(" from \"./");
    Some(parts.expect("an import of names from a module of the page"))
}

/// The name that an exported declaration declares.
fn declared(line: &str) -> &str {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (_, rest) = line.split_once(' ').expect("a declaration");
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    &rest[..end.unwrap_or(rest.len())]
}

fn joined(names: &[&str]) -> String {
    let texts = names.iter().map(|name| page(&format!("dashboard/{name}")));
    texts.collect()
}

fn page(name: &str) -> String {
    fs::read_to_string(format!("pages/{name}")).expect("a file of the project's own")
}

/// Compresses a file, and returns the source code of its constant.
fn asset(constant: &str, name: &str, text: &str) -> String {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    let path = out().join(format!("{constant}.gz"));
    fs::write(&path, encoder.finish().expect("memory")).expect("the output folder");
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let hash = hasher.finish();
    let (stem, kind) = name.split_once('.').expect("a file's name");
    format!(
        "/// `{name}`.\n\
         pub const {constant}: Asset = Asset {{\n\
         name: \"{stem}.{hash:016x}.{kind}\",\n\
         gzip: include_bytes!({path:?}),\n\
         }};\n"
    )
}

fn out() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"))
}
