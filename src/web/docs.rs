//! The pages that show the OpenAPI document, and the files that they are made of.
//!
//! All of it comes from the function itself: a page loads nothing from any other host, and its
//! headers forbid it to.

use std::io::{Read, Write};

use docs_ui::Asset;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderName,
    IF_NONE_MATCH, REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Method, StatusCode};
use lambda_http::{Body, Request, Response};

use super::answer::{self, ResponseExt};
use super::error::HttpError;
use super::extract::Extract;

/// The document, as `cargo xtask openapi` writes it.
const DOCUMENT: &str = include_str!("../../openapi.json");
/// The document's server, when nothing stands in front of its paths.
const SERVER: &str = r#""url": "/""#;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// A page: a skeleton that its files fill.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// What its tab is named after.
    pub title: &'static str,
    /// Where it is, such as `/docs`.
    pub path: &'static str,
    /// The element that its program fills.
    pub element: &'static str,
    /// Its files, in the order in which they are loaded; the last one starts it.
    pub files: &'static [Asset],
    /// What it needs beside its own scripts, styles and images, as a part of its content security
    /// policy.
    pub policy: &'static str,
}

/// The document, its paths beginning with what stands in front of this request's.
pub fn document(request: &Request) -> Response<Body> {
    let prefix = request.prefix();
    let document = match prefix {
        "" => DOCUMENT.to_owned(),
        prefix => {
            let server = format!(r#""url": {}"#, serde_json::Value::from(prefix));
            DOCUMENT.replacen(SERVER, &server, 1)
        }
    };
    for_method(request, revalidated(request, JSON, document))
}

impl Page {
    /// The page or one of its files, whichever the request is for.
    ///
    /// # Errors
    /// 404 for a file that it does not have.
    pub fn serve(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        let path = request.path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let answer = match path.strip_suffix(self.path) {
            Some(prefix) => self.answer(request, prefix),
            None => self.file(request, path.rsplit('/').next().unwrap_or_default())?,
        };
        Ok(for_method(request, answer))
    }

    /// The page itself.
    fn answer(&self, request: &Request, prefix: &str) -> Response<Body> {
        let page = self.html(prefix);
        let policy = format!(
            "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; {}",
            self.policy
        );
        revalidated(request, HTML, page).with_text(CONTENT_SECURITY_POLICY, &policy)
    }

    /// One of its files.
    fn file(&self, request: &Request, name: &str) -> Result<Response<Body>, HttpError> {
        let file = self.files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| HttpError::not_found("Not Found"))?;
        let kind = match name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        let answer = match accepts_gzip(request) {
            true => answer::bytes(kind, file.gzip.to_vec()).with_text(CONTENT_ENCODING, "gzip"),
            false => answer::text(kind, unzipped(file)?),
        };
        // Its name has a hash of its content.
        let forever = "public, max-age=31536000, immutable";
        Ok(guarded(answer)
            .with_text(CACHE_CONTROL, forever)
            .with_text(VARY, "accept-encoding"))
    }

    fn html(&self, prefix: &str) -> String {
        let prefix = escaped(prefix);
        let (path, element) = (self.path, self.element);
        let mut files = String::new();
        for file in self.files {
            let address = format!("{prefix}{path}/{}", file.name);
            let line = match file.name.ends_with(".css") {
                true => format!("<link rel=\"stylesheet\" href=\"{address}\">\n"),
                false => format!(
                    "<script src=\"{address}\" data-document=\"{prefix}/openapi.json\"></script>\n"
                ),
            };
            files.push_str(&line);
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>async-service - {}</title>\n<link rel=\"icon\" href=\"data:,\">\n</head>\n\
             <body>\n<div id=\"{element}\"></div>\n{files}</body>\n</html>\n",
            self.title
        )
    }
}

/// As FastAPI, these routes answer `HEAD` too.
fn for_method(request: &Request, answer: Response<Body>) -> Response<Body> {
    match *request.method() {
        Method::HEAD => answer.without_body(),
        _ => answer,
    }
}

/// An answer that a client may keep, and asks each time whether it is still the same.
fn revalidated(request: &Request, kind: &'static str, body: String) -> Response<Body> {
    let digest = ring::digest::digest(&ring::digest::SHA256, body.as_bytes());
    let tag: String = digest.as_ref()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    // Weak, as it is of the text and not of its compressed form.
    let tag = format!("W/\"{tag}\"");
    let known = request
        .header(IF_NONE_MATCH)
        .is_some_and(|tags| tags == "*" || tags.split(',').any(|known| is_same(known, &tag)));
    let answer = match known {
        true => answer::empty(StatusCode::NOT_MODIFIED),
        false => small(request, kind, body),
    };
    guarded(answer)
        .with_text(ETAG, &tag)
        .with_text(CACHE_CONTROL, "no-cache")
        .with_text(VARY, "accept-encoding")
}

/// A text, compressed where the client takes it.
fn small(request: &Request, kind: &'static str, text: String) -> Response<Body> {
    let zipped = accepts_gzip(request).then(|| zipped(&text)).flatten();
    match zipped {
        Some(bytes) => answer::bytes(kind, bytes).with_text(CONTENT_ENCODING, "gzip"),
        None => answer::text(kind, text),
    }
}

fn zipped(text: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// Whether a tag is weak makes no difference here.
fn is_same(known: &str, tag: &str) -> bool {
    known.trim().trim_start_matches("W/") == tag.trim_start_matches("W/")
}

/// Headers that keep a browser from doing more with an answer than it is meant for.
fn guarded(answer: Response<Body>) -> Response<Body> {
    const PERMISSIONS: HeaderName = HeaderName::from_static("permissions-policy");
    const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
    const RESOURCE: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
    const NOTHING: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";
    answer
        .with(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"))
        .with(REFERRER_POLICY, HeaderValue::from_static("no-referrer"))
        .with(PERMISSIONS, HeaderValue::from_static(NOTHING))
        .with(OPENER, HeaderValue::from_static("same-origin"))
        .with(RESOURCE, HeaderValue::from_static("same-origin"))
}

fn accepts_gzip(request: &Request) -> bool {
    let accepted = request.header(ACCEPT_ENCODING).unwrap_or_default();
    accepted.split(',').any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = matches!(parts.next(), Some("gzip" | "*"));
        named && !parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

fn unzipped(file: &Asset) -> Result<String, HttpError> {
    let mut plain = String::new();
    GzDecoder::new(file.gzip)
        .read_to_string(&mut plain)
        .map_err(HttpError::unavailable)?;
    Ok(plain)
}

/// A text as the value of an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use docs_ui::{REDOC_JS, REDOC_START, SWAGGER_UI_CSS, SWAGGER_UI_JS, SWAGGER_UI_START};
    use http::header::{CONTENT_TYPE, HeaderMap};
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use super::*;
    use crate::web::answer::text_of;
    use crate::web::request::from_event;

    const PAGE: Page = Page {
        title: "Swagger UI",
        path: "/docs",
        element: "swagger-ui",
        files: &[SWAGGER_UI_CSS, SWAGGER_UI_JS, SWAGGER_UI_START],
        policy: "style-src 'self'",
    };

    fn request(method: &str, path: &str, header: Option<(HeaderName, &str)>) -> Request {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_path = Some(path.to_owned());
        event.request_context.http.method = method.parse().unwrap();
        let value = |(name, value): (HeaderName, &str)| (name, value.parse().unwrap());
        event.headers = header.map(value).into_iter().collect::<HeaderMap>();
        from_event(event, "/openapi.json")
    }

    fn seen(answer: &Response<Body>) -> (StatusCode, &HeaderMap, &str) {
        (answer.status(), answer.headers(), text_of(answer))
    }

    fn get(path: &str) -> Request {
        request("GET", path, None)
    }

    fn header(answer: &Response<Body>, name: HeaderName) -> &str {
        answer.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn a_page_names_files_that_it_has_behind_any_prefix() {
        for prefix in ["", "/prod", "/v1/api"] {
            for slash in ["", "/"] {
                let page = PAGE.serve(&get(&format!("{prefix}/docs{slash}"))).unwrap();
                let document = format!("data-document=\"{prefix}/openapi.json\"");
                assert!(text_of(&page).contains(&document), "{}", text_of(&page));
                for file in PAGE.files {
                    let address = format!("{prefix}/docs/{}", file.name);
                    assert!(
                        text_of(&page).contains(&format!("\"{address}\"")),
                        "{address}"
                    );
                    assert_eq!(PAGE.serve(&get(&address)).unwrap().status(), 200);
                }
            }
        }
        let unknown = PAGE.serve(&get("/docs/swagger-ui.js")).unwrap_err();
        assert_eq!(unknown.status(), 404);
    }

    #[test]
    fn a_page_is_kept_to_itself() {
        let page = PAGE.serve(&get("/docs")).unwrap();
        let policy = header(&page, CONTENT_SECURITY_POLICY);
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(policy.ends_with("style-src 'self'") && !policy.contains("script-src 'self' '"));
        for address in ["http:", "https:", "//"] {
            assert!(!text_of(&page).contains(address), "{address}");
        }
        let hostile = PAGE.serve(&get("/\"><script>/docs")).unwrap();
        assert!(
            !text_of(&hostile).contains("<script>"),
            "{}",
            text_of(&hostile)
        );
    }

    #[test]
    fn a_file_is_the_same_compressed_and_plain() {
        let path = format!("/docs/{}", SWAGGER_UI_JS.name);
        let plain = PAGE.serve(&get(&path)).unwrap();
        assert!(text_of(&plain).contains("SwaggerUIBundle"));
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        for accepted in ["gzip", "br, gzip;q=0.5", "*"] {
            let asked = request("GET", &path, Some((ACCEPT_ENCODING, accepted)));
            let answer = PAGE.serve(&asked).unwrap();
            assert_eq!(header(&answer, CONTENT_ENCODING), "gzip", "{accepted}");
            assert_eq!(header(&answer, VARY), "accept-encoding");
            assert_eq!(
                header(&answer, CONTENT_TYPE),
                "text/javascript; charset=utf-8"
            );
        }
        for refused in ["br", "gzip;q=0", "identity"] {
            let asked = request("GET", &path, Some((ACCEPT_ENCODING, refused)));
            let answer = PAGE.serve(&asked).unwrap();
            assert_eq!(seen(&answer), seen(&plain), "{refused}");
        }
    }

    #[test]
    fn the_document_is_compressed_for_who_takes_that() {
        let answer = document(&request(
            "GET",
            "/openapi.json",
            Some((ACCEPT_ENCODING, "gzip")),
        ));
        assert_eq!(header(&answer, CONTENT_ENCODING), "gzip");
        assert_eq!(header(&answer, VARY), "accept-encoding");
        let Body::Binary(bytes) = answer.body() else {
            panic!("no bytes")
        };
        assert!(bytes.len() < DOCUMENT.len() / 4);
        let mut text = String::new();
        GzDecoder::new(&**bytes).read_to_string(&mut text).unwrap();
        assert_eq!(text, DOCUMENT);
    }

    #[test]
    fn redoc_loads_nothing_from_elsewhere() {
        let program = unzipped(&REDOC_JS).unwrap();
        assert!(program.contains("Redoc") && !program.contains("cdn.redoc.ly"));
        assert!(unzipped(&REDOC_START).unwrap().contains("Redoc.init("));
    }

    #[test]
    fn what_a_client_has_is_not_sent_again() {
        let first = document(&get("/openapi.json"));
        let tag = header(&first, ETAG).to_owned();
        let strong = tag.trim_start_matches("W/");
        for known in [&tag, &format!("\"x\", {tag}"), strong, "*"] {
            let asked = request("GET", "/openapi.json", Some((IF_NONE_MATCH, known)));
            let again = document(&asked);
            assert_eq!(
                (again.status(), text_of(&again)),
                (StatusCode::NOT_MODIFIED, "")
            );
        }
        let other = request("GET", "/openapi.json", Some((IF_NONE_MATCH, "\"x\"")));
        assert_eq!(seen(&document(&other)), seen(&first));
        let head = document(&request("HEAD", "/openapi.json", None));
        assert_eq!((head.status(), text_of(&head)), (StatusCode::OK, ""));
    }

    #[test]
    fn the_document_s_paths_begin_with_what_is_in_front_of_them() {
        let server = |path: &str| -> serde_json::Value {
            let document = document(&get(path));
            serde_json::from_str::<serde_json::Value>(text_of(&document)).unwrap()["servers"].take()
        };
        assert_eq!(server("/openapi.json"), serde_json::json!([{"url": "/"}]));
        let prefixed = serde_json::json!([{"url": "/prod"}]);
        assert_eq!(server("/prod/openapi.json"), prefixed);
    }
}
