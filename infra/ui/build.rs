//! Extracts Swagger UI and Redoc from the crates that contain them, and compresses the files.

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
