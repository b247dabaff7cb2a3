//! Takes the programs of the pages out of the crate that carries them, and compresses them.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::{env, fs};

use aide::redoc::Redoc;
use aide::swagger::Swagger;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Redoc shows this image, from another host, below its menu.
const FOREIGN_IMAGE: &str = "https://cdn.redoc.ly/redoc/logo-mini.svg";
/// An image of nothing.
const NO_IMAGE: &str = "data:,";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=pages");
    let swagger = Swagger::new("").html();
    let redoc = Redoc::new("").html();
    let redoc = between(&redoc, "<script>", "Redoc.init(");
    assert!(
        redoc.contains(FOREIGN_IMAGE),
        "Redoc's image has another address"
    );
    let files = [
        (
            "SWAGGER_UI_JS",
            "swagger-ui.js",
            between(&swagger, "<script>", "</script>").to_owned(),
        ),
        (
            "SWAGGER_UI_CSS",
            "swagger-ui.css",
            between(&swagger, "<style>", "</style>").to_owned(),
        ),
        ("SWAGGER_UI_START", "start.js", page("swagger-ui.js")),
        (
            "REDOC_JS",
            "redoc.js",
            redoc.replace(FOREIGN_IMAGE, NO_IMAGE),
        ),
        ("REDOC_START", "start.js", page("redoc.js")),
    ];
    let mut code = String::new();
    for (constant, name, text) in files {
        code.push_str(&asset(constant, name, text.trim()));
    }
    fs::write(out().join("assets.rs"), code).expect("the output folder");
}

/// What stands between the first `start` and the last `end`.
fn between<'a>(page: &'a str, start: &str, end: &str) -> &'a str {
    let (_, rest) = page.split_once(start).expect("the page's program");
    let program = match end {
        // The program itself may speak of it; the page's call stands last.
        "Redoc.init(" => rest.rsplit_once(end),
        _ => rest.split_once(end),
    };
    program.expect("the program's end").0
}

fn page(name: &str) -> String {
    fs::read_to_string(format!("pages/{name}")).expect("a page's own script")
}

/// Compresses a file, and gives the code of its constant.
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
