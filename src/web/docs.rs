//! The OpenAPI document, the two pages that show the document, the operator's page, and the files of the
//! pages.
//!
//! Each page's function serves every file itself. The headers of a page forbid loading anything from another
//! host.

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
use ring::digest::{SHA256, digest};

use super::answer::{self, ResponseExt};
use super::error::HttpError;
use super::extract::Extract;

/// The document, written by `cargo xtask generate`.
const DOCUMENT: &str = include_str!("../../openapi.json");
/// The document's server for requests without a prefix in front of the path.
const SERVER: &str = r#""url": "/""#;

const HTML: &str = "text/html; charset=utf-8";
const JSON: &str = "application/json";

/// A page: an HTML skeleton, filled by its scripts.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// The title of the browser tab.
    pub title: &'static str,
    /// The path of the page, such as `/docs`.
    pub path: &'static str,
    /// The id of the element that the script fills.
    pub element: &'static str,
    /// The files in the order in which the page loads them. The last file starts the script. A file whose
    /// name ends in `.mjs` is a module.
    pub files: &'static [Asset],
    /// Further directives of the content security policy, beside those of every page.
    pub policy: &'static str,
}

/// The document. Its server is the prefix in front of this request's path.
pub fn document(request: &Request) -> Response<Body> {
    let prefix = request.prefix();
    let document = match prefix {
        "" => DOCUMENT.to_owned(),
        prefix => {
            let server = format!(r#""url": {}"#, serde_json::Value::from(prefix));
            DOCUMENT.replacen(SERVER, &server, 1)
        }
    };
    for_method(request, with_etag(request, JSON, document))
}

impl Page {
    /// The page or one of its files, by the path of the request.
    ///
    /// # Errors
    /// 404 for an unknown file.
    pub fn serve(&self, request: &Request) -> Result<Response<Body>, HttpError> {
        self.serve_with(request, &[])
    }

    /// As [`Page::serve`]. The element of the page gets `data` as its `data-` attributes: names, and values
    /// that everybody may read.
    ///
    /// # Errors
    /// As [`Page::serve`].
    pub fn serve_with(
        &self,
        request: &Request,
        data: &[(&str, &str)],
    ) -> Result<Response<Body>, HttpError> {
        let path = request.path();
        let path = path.strip_suffix('/').unwrap_or(path);
        let answer = match path.strip_suffix(self.path) {
            Some(prefix) => self.answer(request, prefix, data),
            None => self.file(request, path.rsplit('/').next().unwrap_or_default())?,
        };
        Ok(for_method(request, answer))
    }

    /// The page itself.
    fn answer(&self, request: &Request, prefix: &str, data: &[(&str, &str)]) -> Response<Body> {
        let page = self.html(prefix, data);
        let policy = format!(
            "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'; {}",
            self.policy
        );
        with_etag(request, HTML, page).with_text(CONTENT_SECURITY_POLICY, &policy)
    }

    /// A file of the page.
    fn file(&self, request: &Request, name: &str) -> Result<Response<Body>, HttpError> {
        let file = self.files.iter().find(|file| file.name == name);
        let file = file.ok_or_else(|| HttpError::not_found("Not Found"))?;
        let content_type = match name.rsplit('.').next() {
            Some("css") => "text/css; charset=utf-8",
            _ => "text/javascript; charset=utf-8",
        };
        let answer = match accepts_gzip(request) {
            true => {
                let bytes = answer::bytes(content_type, file.gzip.to_vec());
                bytes.with_text(CONTENT_ENCODING, "gzip")
            }
            false => answer::text(content_type, decompress(file)?),
        };
        // The name of a file contains a hash of its content.
        let forever = "public, max-age=31536000, immutable";
        Ok(with_security_headers(answer)
            .with_text(CACHE_CONTROL, forever)
            .with_text(VARY, "accept-encoding"))
    }

    fn html(&self, prefix: &str, data: &[(&str, &str)]) -> String {
        let prefix = escaped(prefix);
        let (path, element) = (self.path, self.element);
        let mut files = String::new();
        for file in self.files {
            let address = format!("{prefix}{path}/{}", file.name);
            let line = match file.name.rsplit('.').next() {
                Some("css") => format!("<link rel=\"stylesheet\" href=\"{address}\">\n"),
                Some("mjs") => format!("<script type=\"module\" src=\"{address}\"></script>\n"),
                _ => format!(
                    "<script src=\"{address}\" data-document=\"{prefix}/openapi.json\"></script>\n"
                ),
            };
            files.push_str(&line);
        }
        let data = data.iter();
        let data = data.map(|(name, value)| format!(" data-{name}=\"{}\"", escaped(value)));
        let data: String = data.collect();
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>async-service - {}</title>\n<link rel=\"icon\" href=\"data:,\">\n</head>\n\
             <body>\n<div id=\"{element}\"{data}></div>\n{files}</body>\n</html>\n",
            self.title
        )
    }
}

/// The answer without its body for `HEAD`, which these routes accept as in FastAPI.
fn for_method(request: &Request, answer: Response<Body>) -> Response<Body> {
    match *request.method() {
        Method::HEAD => answer.without_body(),
        _ => answer,
    }
}

/// An answer with an `ETag`, or 304 if the client has the same version. The client revalidates each time.
fn with_etag(request: &Request, content_type: &'static str, body: String) -> Response<Body> {
    // Weak, since the tag is of the text and not of its compressed form.
    let digest = digest(&SHA256, body.as_bytes());
    let tag = format!("W/\"{}\"", hex::encode(&digest.as_ref()[..8]));
    let is_current = request
        .header(IF_NONE_MATCH)
        .is_some_and(|tags| tags == "*" || tags.split(',').any(|known| is_same(known, &tag)));
    let answer = match is_current {
        true => answer::empty(StatusCode::NOT_MODIFIED),
        false => compressed(request, content_type, body),
    };
    with_security_headers(answer)
        .with_text(ETAG, &tag)
        .with_text(CACHE_CONTROL, "no-cache")
        .with_text(VARY, "accept-encoding")
}

/// 200 with a text, compressed if the client accepts gzip.
fn compressed(request: &Request, content_type: &'static str, text: String) -> Response<Body> {
    let compressed = accepts_gzip(request).then(|| compress(&text)).flatten();
    match compressed {
        Some(bytes) => answer::bytes(content_type, bytes).with_text(CONTENT_ENCODING, "gzip"),
        None => answer::text(content_type, text),
    }
}

fn compress(text: &str) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).ok()?;
    encoder.finish().ok()
}

/// The weak comparison of two tags (RFC 9110, section 8.8.3.2).
fn is_same(known: &str, tag: &str) -> bool {
    known.trim().trim_start_matches("W/") == tag.trim_start_matches("W/")
}

/// Adds headers that restrict what a browser may do with an answer.
fn with_security_headers(answer: Response<Body>) -> Response<Body> {
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

fn decompress(file: &Asset) -> Result<String, HttpError> {
    let mut plain = String::new();
    GzDecoder::new(file.gzip)
        .read_to_string(&mut plain)
        .map_err(HttpError::unavailable)?;
    Ok(plain)
}

/// A text, escaped for the value of an HTML attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use docs_ui::{
        DASHBOARD_CSS, DASHBOARD_JS, REDOC_JS, REDOC_START, SWAGGER_UI_CSS, SWAGGER_UI_JS,
        SWAGGER_UI_START,
    };
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

    fn parts(answer: &Response<Body>) -> (StatusCode, &HeaderMap, &str) {
        (answer.status(), answer.headers(), text_of(answer))
    }

    fn get(path: &str) -> Request {
        request("GET", path, None)
    }

    fn header(answer: &Response<Body>, name: HeaderName) -> &str {
        answer.headers().get(name).unwrap().to_str().unwrap()
    }

    #[test]
    fn the_files_of_a_page_exist_under_every_prefix() {
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
    fn a_page_loads_nothing_from_other_hosts() {
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
    fn a_file_is_compressed_if_the_client_accepts_gzip() {
        let path = format!("/docs/{}", SWAGGER_UI_JS.name);
        let plain = PAGE.serve(&get(&path)).unwrap();
        assert!(text_of(&plain).contains("SwaggerUIBundle"));
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
        for accepted in ["gzip", "br, gzip;q=0.5", "*"] {
            let request = request("GET", &path, Some((ACCEPT_ENCODING, accepted)));
            let answer = PAGE.serve(&request).unwrap();
            assert_eq!(header(&answer, CONTENT_ENCODING), "gzip", "{accepted}");
            assert_eq!(header(&answer, VARY), "accept-encoding");
            assert_eq!(
                header(&answer, CONTENT_TYPE),
                "text/javascript; charset=utf-8"
            );
        }
        for refused in ["br", "gzip;q=0", "identity"] {
            let request = request("GET", &path, Some((ACCEPT_ENCODING, refused)));
            let answer = PAGE.serve(&request).unwrap();
            assert_eq!(parts(&answer), parts(&plain), "{refused}");
        }
    }

    #[test]
    fn the_document_is_compressed_if_the_client_accepts_gzip() {
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
    fn a_page_has_modules_and_data() {
        let page = Page {
            path: "/dashboard",
            element: "dashboard",
            files: &[DASHBOARD_CSS, DASHBOARD_JS],
            ..PAGE
        };
        let data = [("auth", "key"), ("group", "/a\"><script>")];
        let answer = page.serve_with(&get("/prod/dashboard"), &data).unwrap();
        let text = text_of(&answer);
        let module = format!(
            "<script type=\"module\" src=\"/prod/dashboard/{}\"></script>",
            DASHBOARD_JS.name
        );
        assert!(text.contains(&module), "{text}");
        let element = r#"<div id="dashboard" data-auth="key" data-group="/a&quot;>&lt;script>">"#;
        assert!(text.contains(element), "{text}");
        let file = page.serve(&get(&format!("/dashboard/{}", DASHBOARD_JS.name)));
        let kind = header(&file.unwrap(), CONTENT_TYPE).to_owned();
        assert_eq!(kind, "text/javascript; charset=utf-8");
    }

    #[test]
    fn the_dashboard_is_small() {
        let size = DASHBOARD_CSS.gzip.len() + DASHBOARD_JS.gzip.len();
        assert!(size < 60_000, "{size} bytes");
    }

    #[test]
    fn redoc_loads_no_logo_from_its_own_host() {
        let program = decompress(&REDOC_JS).unwrap();
        assert!(program.contains("Redoc") && !program.contains("cdn.redoc.ly"));
        assert!(decompress(&REDOC_START).unwrap().contains("Redoc.init("));
    }

    #[test]
    fn a_current_etag_is_answered_with_304() {
        let first = document(&get("/openapi.json"));
        let tag = header(&first, ETAG).to_owned();
        let strong = tag.trim_start_matches("W/");
        for known in [&tag, &format!("\"x\", {tag}"), strong, "*"] {
            let request = request("GET", "/openapi.json", Some((IF_NONE_MATCH, known)));
            let again = document(&request);
            assert_eq!(
                (again.status(), text_of(&again)),
                (StatusCode::NOT_MODIFIED, "")
            );
        }
        let other = request("GET", "/openapi.json", Some((IF_NONE_MATCH, "\"x\"")));
        assert_eq!(parts(&document(&other)), parts(&first));
        let head = document(&request("HEAD", "/openapi.json", None));
        assert_eq!((head.status(), text_of(&head)), (StatusCode::OK, ""));
    }

    #[test]
    fn the_server_of_the_document_is_the_prefix_of_the_request() {
        let server = |path: &str| -> serde_json::Value {
            let document = document(&get(path));
            serde_json::from_str::<serde_json::Value>(text_of(&document)).unwrap()["servers"].take()
        };
        assert_eq!(server("/openapi.json"), serde_json::json!([{"url": "/"}]));
        let prefixed = serde_json::json!([{"url": "/prod"}]);
        assert_eq!(server("/prod/openapi.json"), prefixed);
    }
}
