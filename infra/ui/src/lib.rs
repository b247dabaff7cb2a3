//! Swagger UI, Redoc and the operator's page as files to serve. A function that uses none of these constants does not
//! contain their bytes.

/// A file of a page.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// The file's name. It contains a hash of the content, so a name's content never changes.
    pub name: &'static str,
    /// The file's content, compressed with gzip.
    pub gzip: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/assets.rs"));
