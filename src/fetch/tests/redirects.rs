use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::{Reply, Server, answer, ok, redirect};
use super::{error_of, kind, long_timeouts, network, open_to, text};
use crate::fetch::{FetchError, Fetcher};

#[tokio::test]
async fn the_target_of_each_redirect_is_checked() {
    let secret = Server::saying(ok("secret")).await;
    let targets = [
        (secret.url("/"), "forbidden_address"),
        (format!("//127.0.0.1:{}/", secret.port), "forbidden_address"),
        (
            format!("http://2130706433:{}/", secret.port),
            "forbidden_address",
        ),
        (
            "http://169.254.169.254/latest/meta-data/".into(),
            "forbidden_address",
        ),
        (
            "http://[::ffff:169.254.169.254]/".into(),
            "forbidden_address",
        ),
        ("http://localhost/".into(), "forbidden_address"),
        ("https://10.0.0.1/".into(), "forbidden_address"),
        ("file:///etc/passwd".into(), "bad_redirect"),
        ("gopher://127.0.0.1:6379/_INFO".into(), "bad_redirect"),
        ("http://user:pw@example.com/".into(), "bad_redirect"),
        ("http://example.com:0/".into(), "bad_redirect"),
        ("http://".into(), "bad_redirect"),
        ("http://a{b}/".into(), "bad_redirect"),
        (r"http://example.com\@127.0.0.1/".into(), "bad_redirect"),
        (format!("/{}", "a".repeat(9_000)), "bad_redirect"),
    ];
    for (to, expected) in targets {
        let server = Server::saying(redirect(&to)).await;
        let error = error_of(&open_to(long_timeouts(), &[&server]), &server.url("/")).await;
        assert_eq!(error.kind(), expected, "{to}");
        assert!(!error.is_transient());
    }
    assert_eq!(secret.seen().connections, 0);
}

#[tokio::test]
async fn every_redirect_status_is_followed_relative_to_the_current_url() {
    let server = Server::start(|path| {
        let found = |status, to| answer(status, &format!("location: {to}\r\n"), "ignored");
        Reply::Send(match path {
            "/a/1" => found("301 Moved Permanently", "2?x=1#part"),
            "/a/2?x=1" => found("302 Found", "../b/3"),
            "/b/3" => found("303 See Other", "/c/4"),
            "/c/4" => found("307 Temporary Redirect", "/d é"),
            "/d%20%C3%A9" => found("308 Permanent Redirect", "./end"),
            "/end" => ok("end"),
            other => panic!("{other}"),
        })
    })
    .await;
    let answer = open_to(long_timeouts(), &[&server])
        .get(&server.url("/a/1#top"))
        .await
        .unwrap();
    assert_eq!((text(&answer), answer.status), ("end", 200));
    assert_eq!(answer.url, server.url("/end"));
}

#[tokio::test]
async fn an_allowed_host_may_be_the_target_of_a_redirect() {
    let end = Server::saying(ok("end")).await;
    let to = end.url("/");
    let start = Server::start(move |_| Reply::Send(redirect(&to))).await;
    let answer = open_to(long_timeouts(), &[&start, &end])
        .get(&start.url("/"))
        .await
        .unwrap();
    assert_eq!((text(&answer), &answer.url), ("end", &end.url("/")));
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_more() {
    let server = Server::start(|path| {
        Reply::Send(match path[1..].parse().unwrap() {
            0 => ok("end"),
            remaining => redirect(&format!("/{}", remaining - 1)),
        })
    })
    .await;
    let fetcher = open_to(long_timeouts(), &[&server]);
    assert!(fetcher.get(&server.url("/5")).await.is_ok());
    let before = server.seen().requests.len();
    for url in ["/6", "/20"] {
        let error = error_of(&fetcher, &server.url(url)).await;
        assert_eq!(error, FetchError::TooManyRedirects(5));
        assert_eq!((error.status(), error.is_transient()), (502, false));
    }
    assert_eq!(server.seen().requests.len() - before, 12);
}

#[tokio::test]
async fn a_redirect_loop_ends() {
    for to in ["/", "", "/other", "?again"] {
        let server = Server::start(move |_| Reply::Send(redirect(to))).await;
        let fetcher = open_to(long_timeouts(), &[&server]);
        assert_eq!(
            kind(&fetcher, &server.url("/")).await,
            "too_many_redirects",
            "{to:?}"
        );
        assert_eq!(server.seen().requests.len(), 6);
    }
}

#[tokio::test]
async fn a_status_without_a_redirect_is_an_answer() {
    for (status, headers) in [
        ("302 Found", ""),
        ("304 Not Modified", "location: http://127.0.0.1/\r\n"),
        ("300 Multiple Choices", "location: /x\r\n"),
        ("201 Created", "location: /x\r\n"),
    ] {
        let server = Server::saying(answer(status, headers, "")).await;
        let answer = open_to(long_timeouts(), &[&server])
            .get(&server.url("/"))
            .await
            .unwrap();
        assert_eq!(answer.status.to_string(), status[..3]);
    }
}

#[tokio::test]
async fn a_location_that_is_not_utf8_is_read_as_latin1() {
    let server = Server::start(|path| {
        Reply::Send(match path {
            "/" => b"HTTP/1.1 302 F\r\nlocation: /caf\xe9\r\ncontent-length: 0\r\n\r\n".into(),
            _ => ok(path),
        })
    })
    .await;
    let answer = open_to(long_timeouts(), &[&server])
        .get(&server.url("/"))
        .await;
    assert_eq!(text(&answer.unwrap()), "/caf%C3%A9");
}

#[tokio::test]
async fn odd_locations_are_resolved_as_httpx_resolves_them() {
    for (location, path) in [
        ("", "/a/b"),
        ("#part", "/a/b"),
        ("?x=1", "/a/b?x=1"),
        ("c", "/a/c"),
        ("./c", "/a/c"),
        ("../../c", "/c"),
        (" /c ", "/c"),
        ("/c d", "/c%20d"),
        ("/\u{e9}", "/%C3%A9"),
        ("/c?a=|{}^`\"<>", "/c?a=|{}^`%22%3C%3E"),
        ("/c/|{}^`\"<>", "/c/|%7B%7D^%60%22%3C%3E"),
        ("/%zz%2F", "/%zz%2F"),
        ("c, d", "/a/c,%20d"),
        // A backslash is not a slash, and names no host. httpx does not escape a backslash.
        ("\\c", "/a/%5Cc"),
        ("/\\c", "/%5Cc"),
        ("\\\\127.0.0.1\\c", "/a/%5C%5C127.0.0.1%5Cc"),
    ] {
        let to = location.to_owned();
        let visits = AtomicUsize::new(0);
        let server = Server::start(move |path| {
            Reply::Send(match visits.fetch_add(1, Ordering::Relaxed) {
                0 => redirect(&to),
                _ => ok(path),
            })
        })
        .await;
        let answer = open_to(long_timeouts(), &[&server])
            .get(&server.url("/a/b"))
            .await;
        assert_eq!(text(&answer.unwrap()), path, "{location:?}");
    }
}

#[tokio::test]
async fn a_trusted_fetcher_stays_at_its_origin() {
    let other = Server::saying(ok("other")).await;
    let away = other.url("/");
    let server = Server::start(move |path| {
        Reply::Send(match path {
            "/away" => redirect(&away),
            "/near" => redirect("/users/1"),
            _ => ok("user"),
        })
    })
    .await;
    let fetcher = Fetcher::trusted_in(long_timeouts(), &server.url("/users"), network()).unwrap();
    // The address is private, which is allowed for the operator's own URL.
    assert_eq!(
        text(&fetcher.get(&server.url("/users/1")).await.unwrap()),
        "user"
    );
    assert_eq!(
        text(&fetcher.get(&server.url("/near")).await.unwrap()),
        "user"
    );
    assert_eq!(kind(&fetcher, &server.url("/away")).await, "bad_redirect");
    assert_eq!(kind(&fetcher, &other.url("/")).await, "foreign_origin");
    assert_eq!(
        kind(&fetcher, "http://example.com/").await,
        "foreign_origin"
    );
    let https = server.url("/").replace("http:", "https:");
    assert_eq!(error_of(&fetcher, &https).await.status(), 403);
    assert_eq!(other.seen().connections, 0);
}

#[test]
fn a_trusted_base_must_be_fetchable() {
    for base in [
        "",
        "users",
        "ftp://a/",
        "http://u:p@a/",
        "http://a:0/",
        "data:,x",
    ] {
        assert!(Fetcher::trusted(long_timeouts(), base).is_err(), "{base}");
    }
    assert!(Fetcher::trusted(long_timeouts(), "http://127.0.0.1:9100").is_ok());
}
