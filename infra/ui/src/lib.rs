//! Swagger UI and Redoc as files to serve. A function that names none of these constants does not
//! contain their bytes.

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its name, with a hash of its content: what has this name never changes.
    pub name: &'static str,
    /// Its content, compressed with gzip.
    pub gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));
