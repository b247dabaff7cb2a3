//! The pages of the OpenAPI document, as a browser loads them.

use local_stack::project;

use crate::service::Service;

pub fn the_document_is_the_file(service: &Service) {
    let file = std::fs::read_to_string(project::root().join("openapi.json")).unwrap();
    let answer = service.get("/openapi.json");
    answer.is(200, &file);
    service
        .method("HEAD", "/openapi.json", None, b"")
        .is(200, "");
}

pub fn pages_load_only_their_own_files(service: &Service) {
    for (path, program) in [
        ("/docs", "SwaggerUIBundle"),
        ("/redoc", "Redoc"),
        ("/dashboard", "dashboard"),
    ] {
        let page = service.get(path);
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8")
        );
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
        let mut text = String::new();
        let mut files = 0;
        for attribute in ["src=\"", "href=\""] {
            for link in page.body.split(attribute).skip(1) {
                let link = link.split('"').next().unwrap();
                if link == "data:," {
                    continue;
                }
                assert!(link.starts_with(&format!("{path}/")), "{link}");
                let file = service.get(link);
                assert_eq!(file.status, 200, "{link}");
                let kind = match link.ends_with(".css") {
                    true => "text/css; charset=utf-8",
                    false => "text/javascript; charset=utf-8",
                };
                assert_eq!(file.header("content-type"), Some(kind), "{link}");
                let kept = file.header("cache-control").unwrap();
                assert!(kept.contains("immutable"), "{kept}");
                text.push_str(&file.body);
                files += 1;
            }
        }
        assert!(files >= 2 && text.contains(program), "{path}");
        service
            .get(&format!("{path}/nothing.js"))
            .is(404, r#"{"detail":"Not Found"}"#);
        let post = service.post(path, "{}");
        post.is(405, r#"{"detail":"Method Not Allowed"}"#);
        assert_eq!(post.header("allow"), Some("GET, HEAD"));
    }
}
