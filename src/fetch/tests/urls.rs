//! URLs that are refused before a packet is sent.

use proptest::prelude::*;
use url::Url;

use super::super::{AllowList, FetchError, Fetcher, Limits, MAX_URL};
use super::{Server, error_of, kind, long_timeouts, open_to};
use crate::fetch::target::{parse, uri};
use crate::fetch::tests::server::{Reply, ok};

fn production() -> Fetcher {
    Fetcher::public(Limits::default(), AllowList::none())
}

/// Spellings of forbidden addresses and of `localhost`.
const FORBIDDEN: &[&str] = &[
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1/",
    "http://0177.0.0.1/",
    "http://0x7f000001/",
    "http://017700000001/",
    "http://127.0.0.1./",
    "http://0/",
    "http://0.0.0.0/",
    "http://10.1.2.3:8080/",
    "http://169.254.169.254/latest/",
    "http://0xa9fea9fe/",
    "http://192.168.0.1/",
    "http://255.255.255.255/",
    // Look-alike digits and dots, and percent escapes, of 127.0.0.1.
    "http://１２７.０.０.１/",
    "http://127。0。0。1/",
    "http://①②⑦.0.0.1/",
    "http://%31%32%37.0.0.1/",
    "HTTP://127.0.0.1/",
    "http:127.0.0.1",
    "http:///127.0.0.1/",
    "https://127.0.0.1/",
    " http://127.0.0.1/ ",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[2002:7f00:1::]/",
    "http://[2001::1]/",
    "http://[fe80::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://localhost/",
    "http://LOCALHOST:9001/",
    "http://localhost./",
    "http://localhost../",
    "http://a.localhost/",
    "http://a.b.LocalHost./",
    "http://ｌocalhost/",
];

#[tokio::test]
async fn every_spelling_of_a_forbidden_address_is_refused() {
    for url in FORBIDDEN {
        let error = error_of(&production(), url).await;
        assert_eq!(error, FetchError::ForbiddenAddress, "{url}");
        assert_eq!((error.status(), error.is_transient()), (403, false));
    }
}

/// Texts that are not absolute URLs, or have a host or port that cannot be connected to.
const INVALID: &[&str] = &[
    "",
    " ",
    "/users/1",
    "users/1",
    "//example.com/",
    "example.com",
    "http://",
    "http:",
    "https://",
    "http://./",
    "http://example.com:0/",
    "https://127.0.0.1:0/",
    "http://example.com:65536/",
    "http://example.com:x/",
    "http://256.256.256.256/",
    "http://1.2.3.4.5/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[::1/",
    "http://a b/",
    "http://exa\0mple.com/",
    "ht\ntp://example.com/",
    "http://exam\tple.com/",
    "http://example.com/\tx",
    "\thttp://example.com/",
    "http://example.com/\r\nHost: x",
    "http://example.com/\u{7f}",
    "http://xn--a/",
    "http://a{b}/",
];

#[tokio::test]
async fn an_invalid_url_is_a_400() {
    let long = format!("http://example.com/{}", "a".repeat(MAX_URL));
    // Short as text, too long after escaping.
    let grows = format!("http://example.com/{}", "é".repeat(MAX_URL / 3));
    for url in INVALID.iter().copied().chain([&*long, &*grows]) {
        let error = error_of(&production(), url).await;
        assert_eq!(
            (error.kind(), error.status()),
            ("invalid_url", 400),
            "{url:?}"
        );
    }
}

#[tokio::test]
async fn a_scheme_other_than_http_and_https_is_a_400() {
    for url in [
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "ftp://example.com/",
        "data:text/plain,x",
        "javascript:alert(1)",
        "ws://example.com/",
        "unix:/run/x.sock",
        "blob:http://example.com/1",
        "localhost:80",
    ] {
        let error = error_of(&production(), url).await;
        assert_eq!(
            (error.kind(), error.status()),
            ("unsupported_scheme", 400),
            "{url}"
        );
    }
}

#[tokio::test]
async fn a_url_with_credentials_is_a_400() {
    for url in [
        "http://user@example.com/",
        "http://user:secret@example.com/",
        "http://:secret@example.com/",
        "http://example.com@127.0.0.1/",
        "http://example.com%40x@127.0.0.1/",
    ] {
        let error = error_of(&production(), url).await;
        assert_eq!(
            (error.kind(), error.status()),
            ("credentials_in_url", 400),
            "{url}"
        );
        assert!(!error.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn an_allow_list_entry_permits_one_host_and_port_only() {
    let (open, shut) = (Server::saying(ok("1")).await, Server::saying(ok("2")).await);
    let fetcher = open_to(long_timeouts(), &[&open]);
    assert_eq!(fetcher.get(&open.url("/")).await.unwrap().body, "1");
    assert_eq!(kind(&fetcher, &shut.url("/")).await, "forbidden_address");
    assert_eq!(shut.seen().connections, 0);
    // Another spelling of the same host is permitted too.
    let decimal = format!("http://2130706433:{}/", open.port);
    assert_eq!(fetcher.get(&decimal).await.unwrap().body, "1");
    // Credentials are refused, and a name that begins like the host is not permitted.
    let url = format!("http://a:b@127.0.0.1:{}/", open.port);
    assert_eq!(kind(&fetcher, &url).await, "credentials_in_url");
    let url = format!("http://127.0.0.1.example:{}/", open.port);
    assert_ne!(kind(&fetcher, &url).await, "forbidden_address");
    assert_eq!(open.seen().connections, 2);
}

#[test]
fn allow_list_entries_are_compared_exactly() {
    let allows = |list: &str, url: &str| {
        list.parse::<AllowList>()
            .unwrap()
            .contains(&url.parse().unwrap())
    };
    assert!(allows(
        "Upstream.Internal",
        "http://upstream.internal:9100/x"
    ));
    assert!(allows("upstream.internal.", "https://UPSTREAM.internal/"));
    assert!(allows("upstream.internal", "https://upstream.internal./"));
    assert!(allows("a, b:80\nc:443", "http://b/"));
    assert!(allows("a, b:80 c:443", "https://c/"));
    assert!(allows("[::1]:8080", "http://[0:0::1]:8080/"));
    assert!(allows("[::1]", "http://[::1]:1/"));
    assert!(allows("bücher.example", "http://xn--bcher-kva.example/"));
    assert!(!allows("", "http://a/"));
    assert!(!allows("b:80", "https://b/"));
    assert!(!allows("b:80", "http://b:8080/"));
    assert!(!allows("internal", "http://upstream.internal/"));
    assert!(!allows("upstream.internal", "http://x.upstream.internal/"));
}

#[test]
fn wrong_allow_list_entries_are_refused() {
    for bad in [
        "http://a/",
        "a/b",
        "*",
        "*.a",
        "a:0",
        "a:",
        "a:+1",
        ":80",
        "a:b",
        "a:65536",
        "::1",
        "u@a",
        ".",
        "[::1",
    ] {
        assert!(bad.parse::<AllowList>().is_err(), "{bad}");
    }
}

#[tokio::test]
async fn a_backslash_before_the_path_is_refused() {
    for url in [
        r"http:\\127.0.0.1\",
        r"http:\\example.com/",
        r"http:/\example.com/",
        r"http://\example.com/",
        r"http://127.0.0.1\@example.com/",
        r"http://example.com\@127.0.0.1/",
        r"http://example.com\127.0.0.1/",
        r"http://example.com\.evil.example/",
        r"http://example.com:80\@127.0.0.1:81/",
        r" http://example.com\x",
        r"http://user\@example.com\x/",
    ] {
        let error = error_of(&production(), url).await;
        assert_eq!(
            (error.kind(), error.status()),
            ("invalid_url", 400),
            "{url}"
        );
    }
}

/// The targets are httpx's, except for the backslash, which httpx does not escape.
#[tokio::test]
async fn characters_are_escaped_as_httpx_escapes_them() {
    let server = Server::start(|path| Reply::Send(ok(path))).await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    for (path, sent) in [
        (r#"/"echo\back""#, "/%22echo%5Cback%22"),
        (r"/a\b\..\c/d?e=\f", r"/a%5Cb%5C..%5Cc/d?e=\f"),
        (r"/\/\", "/%5C/%5C"),
        ("/a b", "/a%20b"),
        ("/a|b^c~d'e", "/a|b^c~d'e"),
        ("/`{}<>\"", "/%60%7B%7D%3C%3E%22"),
        ("/%zz%2F%2f%5C%", "/%zz%2F%2f%5C%"),
        ("/\u{e9}\u{1f600}", "/%C3%A9%F0%9F%98%80"),
        ("/a!$&()*+,;=:@[]-._~", "/a!$&()*+,;=:@[]-._~"),
        ("/a//b/./c/../d", "/a//b/d"),
        (
            "/a?b c|^`{}'<>\"\u{e9}%zz?/:@",
            "/a?b%20c|^`{}%27%3C%3E%22%C3%A9%zz?/:@",
        ),
        ("?", "/?"),
        ("", "/"),
        ("/a#b?c", "/a"),
    ] {
        let answer = fetcher.get(&server.url(path)).await.unwrap();
        assert_eq!(std::str::from_utf8(&answer.body), Ok(sent), "{path}");
    }
}

/// The checked URL, and the URI of the client's request.
fn checked_and_sent(text: &str) -> Option<(Url, http::Uri)> {
    let url = parse(text).ok()?;
    let uri = uri(&url).ok()?;
    Some((url, uri))
}

#[test]
fn the_client_requests_the_checked_host() {
    for text in [
        "http://a.example/@b.example/",
        "http://a.example?@b.example/",
        "http://a.example#@b.example/",
        "http://a.example/\\@b.example/",
        "http://a.example;b.example/",
        "http://[2600::1]:8080/x@[::1]",
        "http://B\u{fc}cher.example:81/",
        "https://a.example:443/",
        "http://0x7f.1:80/",
    ] {
        let (url, uri) = checked_and_sent(text).expect(text);
        assert_eq!(
            (uri.host(), uri.port_u16()),
            (url.host_str(), url.port()),
            "{text}"
        );
        assert!(!uri.authority().unwrap().as_str().contains('@'), "{text}");
    }
}

proptest! {
    #[test]
    fn no_text_is_checked_for_one_host_and_sent_to_another(
        text in r"https?:[/\\]{0,3}[a-c.\[\]:@/\\?#%0-9é;,&{}|^ ]{0,40}",
    ) {
        if let Some((url, uri)) = checked_and_sent(&text) {
            prop_assert_eq!(uri.host(), url.host_str());
            prop_assert_eq!(uri.port_u16(), url.port());
            // The authority (RFC 3986) contains no backslash.
            let after = text.split_once(':').unwrap().1.trim_start_matches('/');
            let authority = after.split(['/', '?', '#']).next().unwrap();
            prop_assert!(!authority.contains('\\'));
        }
    }
}
