use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use super::server::MAX_HEAD;
use super::*;

/// A server whose answer contains the request.
fn echo() -> Server {
    Server::start(0, |request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        let text = format!("{} {} {body}", request.method, request.path);
        Response::new(200, "text/plain", text)
    })
    .unwrap()
}

/// A server that always gives the same answer.
fn server(status: u16, headers: &[(&str, &str)], body: fn() -> Body) -> Server {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Server::start(0, move |_: &Request| Response {
        status,
        headers: headers.clone(),
        body: body(),
    })
    .unwrap()
}

/// Everything that the server sends until it closes the connection; an error when the connection is
/// still open after two seconds.
fn exchange(server: &Server, sent: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port()))?;
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    stream.write_all(sent.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Like `exchange`, after the client has closed its sending side.
fn last_exchange(server: &Server, sent: &str) -> String {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port())).unwrap();
    stream.write_all(sent.as_bytes()).unwrap();
    // A server that refuses the request may have closed the connection already.
    match stream.shutdown(Shutdown::Write) {
        Err(error) if error.kind() != ErrorKind::NotConnected => panic!("{error}"),
        _ => {}
    }
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

#[test]
fn bodies_are_complete_and_pieces_are_joined() {
    let server = Server::start(0, |request: &Request| {
        let size = request.body.len();
        let pieces = (0..3).map(move |n| format!("{n}:{size} ").into_bytes());
        Response {
            status: 200,
            headers: Vec::new(),
            body: Body::Pieces(Box::new(pieces)),
        }
    })
    .unwrap();
    let url = format!("http://127.0.0.1:{}/x?a=1", server.port());
    let mut answer = ureq::post(&url).send(&[7; 70_000][..]).unwrap();
    assert_eq!(
        answer.body_mut().read_to_string().unwrap(),
        "0:70000 1:70000 2:70000 "
    );
}

#[test]
fn targets_and_headers_are_parsed() {
    let server = Server::start(0, |request: &Request| {
        let told = serde_json::json!([
            request.path,
            request.query,
            request.parameter("b"),
            request.parameter("e"),
            request.header("x-a"),
        ]);
        Response::json(200, &told)
    })
    .unwrap();
    let sent = "GET /a%20b?b=c&d= HTTP/1.1\r\nHost: x\r\nX-A: 1\r\nConnection: close\r\n\r\n";
    let answer = exchange(&server, sent).unwrap();
    assert!(
        answer.ends_with(r#"["/a%20b","b=c&d=","c",null,"1"]"#),
        "{answer}"
    );
}

#[test]
fn targets_are_preserved_as_sent() {
    let server = Server::start(0, |request: &Request| {
        let (path, query) = (&request.path, &request.query);
        let size = request.body.len();
        Response::new(200, "text/plain", format!("<{path}><{query}><{size}>"))
    })
    .unwrap();
    let port = server.port();
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let targets = [
        ("/a?q={}|^`\"<>", "</a><q={}|^`\"<>>"),
        ("/a`<>\"{|}?q=1#x", "</a`<>\"{|}><q=1#x>"),
        ("/a#b?c", "</a#b><c>"),
        ("/a\\b%22?%23", "</a\\b%22><%23>"),
        ("/\u{e4}?\u{e4}\u{1F600}", "</\u{e4}><\u{e4}\u{1F600}>"),
    ];
    // In sequence on one connection, with bodies of both framings in between.
    for (target, expected) in targets.into_iter().cycle().take(15) {
        for (framing, body) in [
            ("", ""),
            ("Content-Length: 9\r\n", "GET /x\"\r\n"),
            (
                "Transfer-Encoding: chunked\r\n",
                "9\r\nGET /x\"\r\n\r\n0\r\n\r\n",
            ),
        ] {
            let size = if body.is_empty() { 0 } else { 9 };
            let expected = format!("{expected}<{size}>");
            let sent = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{framing}\r\n{body}");
            // In two writes, so that the server reads a target in more than one part.
            let (one, two) = sent.as_bytes().split_at(7);
            stream.write_all(one).unwrap();
            std::thread::sleep(Duration::from_millis(2));
            stream.write_all(two).unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(expected.as_bytes()) {
                let mut more = [0; 1000];
                let count = stream.read(&mut more).unwrap();
                assert!(count > 0, "{target}: {}", String::from_utf8_lossy(&answer));
                answer.extend_from_slice(&more[..count]);
                assert!(
                    answer.len() < 900,
                    "{target}: {}",
                    String::from_utf8_lossy(&answer)
                );
                if answer.windows(8).any(|part| part == b" 400 Bad") {
                    panic!("{target} was refused");
                }
            }
        }
    }
}

#[test]
fn transfer_encoding_chunked_is_case_insensitive() {
    let server = echo();
    for word in ["chunked", "Chunked", "CHUNKED"] {
        let sent = format!(
            "POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {word}\r\nConnection: close\r\n\r\n\
             3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
        );
        let answer = exchange(&server, &sent).unwrap();
        assert!(answer.ends_with("POST /a abcde"), "{word}: {answer}");
    }
}

#[test]
fn a_connection_is_closed_when_the_client_asks_for_it() {
    let server = echo();
    for (version, headers) in [
        ("1.0", ""),
        ("1.0", "Connection: close\r\n"),
        ("1.1", "Connection: close\r\n"),
        ("1.1", "Connection: Close\r\n"),
        ("1.1", "Connection: keep-alive, close\r\n"),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n"),
    ] {
        let sent = format!("GET /a HTTP/{version}\r\nHost: x\r\n{headers}\r\n");
        let answer = exchange(&server, &sent);
        let answer = answer.unwrap_or_else(|_| panic!("{version} {headers}: not closed"));
        assert!(answer.ends_with("GET /a "), "{answer}");
    }
    for (version, headers) in [("1.1", ""), ("1.0", "Connection: keep-alive\r\n")] {
        let sent = format!("GET /a HTTP/{version}\r\nHost: x\r\n{headers}\r\n");
        assert!(
            exchange(&server, &sent).is_err(),
            "{version} {headers}: closed"
        );
        assert_eq!(
            last_exchange(&server, &sent.repeat(3))
                .matches("GET /a ")
                .count(),
            3
        );
    }
}

#[test]
fn requests_with_contradictory_lengths_are_refused() {
    let server = echo();
    let post = |lengths: &str| {
        let sent =
            format!("POST /a HTTP/1.1\r\nHost: x\r\n{lengths}Connection: close\r\n\r\nabcde");
        exchange(&server, &sent).unwrap()
    };
    for lengths in [
        "Content-Length: 3\r\nContent-Length: 5\r\n",
        "Content-Length: 5, 3\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: five\r\n",
    ] {
        assert_eq!(status(&post(lengths)), "400", "{lengths}");
    }
    assert!(post("Content-Length: 5\r\n").ends_with("POST /a abcde"));
}

#[test]
fn empty_lines_before_a_request_are_ignored() {
    let sent = "\r\nGET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    assert_eq!(status(&exchange(&echo(), sent).unwrap()), "200");
}

#[test]
fn invalid_requests_are_refused_and_incomplete_ones_are_closed() {
    let server = echo();
    assert_eq!(status(&last_exchange(&server, "\x01\x02\r\n\r\n")), "400");
    assert_eq!(last_exchange(&server, "GET / HT"), "");
    assert_eq!(last_exchange(&server, ""), "");
    let large = format!("GET /a HTTP/1.1\r\nX-A: {}\r\n\r\n", "a".repeat(MAX_HEAD));
    assert_eq!(status(&last_exchange(&server, &large)), "431");
}

#[test]
fn requests_are_forwarded_unchanged() {
    let server = Server::start(0, |request: &Request| {
        let body = String::from_utf8_lossy(&request.body);
        let (method, path, query) = (&request.method, &request.path, &request.query);
        let told = format!("{method} {path} {query} {:?} {body}", request.header("x-a"));
        let mut answer = Response::new(418, "text/plain", told);
        answer.headers.push(("x-b".to_owned(), "2".to_owned()));
        answer
    })
    .unwrap();
    let forwarder = Forwarder::new(&format!("http://127.0.0.1:{}/", server.port()));
    for (method, query, sent) in [
        ("POST", "", "body"),
        ("PUT", "a=b", "body"),
        ("PATCH", "a", "body"),
        ("GET", "groupName=a%20b&x=", ""),
        ("DELETE", "groupName=a", ""),
        ("POST", "", ""),
    ] {
        let request = Request {
            method: method.to_owned(),
            path: "/a%2Fb".to_owned(),
            query: query.to_owned(),
            headers: vec![
                ("x-a".to_owned(), "1".to_owned()),
                ("host".to_owned(), "elsewhere".to_owned()),
                ("content-length".to_owned(), sent.len().to_string()),
            ],
            body: sent.into(),
        };
        let answer = forwarder.forward(&request).unwrap();
        assert_eq!(answer.status, 418);
        assert!(answer.headers.contains(&("x-b".to_owned(), "2".to_owned())));
        let expected = format!("{method} /a%2Fb {query} Some(\"1\") {sent}");
        assert!(matches!(&answer.body, Body::Whole(body) if *body == expected.as_bytes()));
    }
    drop(server);
    assert!(
        forwarder
            .forward(&Request {
                method: "GET".to_owned(),
                ..Request::default()
            })
            .is_err()
    );
}

#[test]
fn the_answer_to_head_has_a_length_and_no_body() {
    let sent = "HEAD /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let answer = exchange(&echo(), sent).unwrap();
    assert!(answer.contains("content-length: 8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn answers_without_a_body_have_no_length() {
    for code in [204, 304] {
        let server = server(code, &[], || Body::Whole(Vec::new()));
        let answer = exchange(&server, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
        assert_eq!(status(&answer), code.to_string());
        assert!(!answer.contains("content-length"), "{answer}");
    }
}

#[test]
fn an_invalid_answer_is_a_500() {
    let sent = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    let whole = || Body::Whole(b"x".to_vec());
    for server in [
        server(200, &[("a b", "c")], whole),
        server(200, &[("a", "b\u{1}")], whole),
        server(99, &[], whole),
    ] {
        assert_eq!(status(&exchange(&server, sent).unwrap()), "500");
    }
}

#[test]
fn a_cut_off_answer_is_shorter_than_its_length() {
    let server = server(200, &[("content-type", "text/plain")], || Body::Broken);
    let answer = exchange(&server, "GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(answer.contains("content-length: 1000\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nbroken"), "{answer}");
}

#[test]
fn without_an_answer_the_connection_is_closed() {
    let server = server(200, &[], || Body::Nothing);
    let answer = exchange(&server, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx").unwrap();
    assert_eq!(answer, "");
}

#[test]
fn a_dropped_server_frees_its_port_and_closes_its_connections() {
    let server = Server::start(0, |request: &Request| {
        if request.path == "/slow" {
            std::thread::sleep(Duration::from_secs(3));
        }
        Response::new(200, "text/plain", "")
    })
    .unwrap();
    let port = server.port();
    let open = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let (mut idle, mut busy) = (open(), open());
    busy.write_all(b"GET /slow HTTP/1.1\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let started = std::time::Instant::now();
    drop(server);
    let mut left = Vec::new();
    let _ = idle.read_to_end(&mut left);
    let _ = busy.read_to_end(&mut left);
    assert!(left.is_empty() && started.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    Server::start(port, |_: &Request| Response::new(200, "text/plain", "")).unwrap();
}
