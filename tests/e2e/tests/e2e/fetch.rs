//! `/fetch/`. The unit tests of `src/fetch` cover hostile servers.

use crate::service::Service;

fn fetch(service: &Service, url: &str) -> crate::service::Answer {
    let url: String = url.bytes().map(|byte| format!("%{byte:02x}")).collect();
    service.get(&format!("/fetch/?url={url}"))
}

pub fn answers_json(service: &Service) {
    let direct = service.get(&service.upstream("/json/7"));
    let fetched = fetch(service, &service.upstream("/json/7"));
    assert_eq!((fetched.status, fetched.json()), (200, direct.json()));
    assert_eq!(fetched.header("content-type"), Some("application/json"));
}

pub fn refuses_private_addresses(service: &Service) {
    let upstream = service.upstream("/json/1");
    let hidden = upstream.replace("127.0.0.1", "127.0.0.2");
    for url in [
        hidden.as_str(),
        "http://127.0.0.1:1/",
        "http://localhost./",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/",
    ] {
        let refused = fetch(service, url);
        assert_eq!(refused.status, 403, "{url}: {refused:?}");
        assert!(refused.json()["detail"].is_string(), "{url}");
    }
    for url in [
        "",
        "x",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http://a:b@127.0.0.1/",
    ] {
        let refused = fetch(service, url);
        assert_eq!(refused.status, 400, "{url}: {refused:?}");
        assert!(refused.json()["detail"].is_string(), "{url}");
    }
}

pub fn explains_failures(service: &Service) {
    let upstream = |path: &str| fetch(service, &service.upstream(path));
    upstream("/status/503").is(502, r#"{"detail":"The URL answered with status 503"}"#);
    upstream("/data/people.csv").is(502, r#"{"detail":"The URL's answer is not JSON"}"#);
}
