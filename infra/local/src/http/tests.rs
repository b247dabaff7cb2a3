use super::*;

#[test]
fn bodies_arrive_whole_and_pieces_are_joined() {
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
fn chunked_requests_are_read() {
    let text = b"POST /a?b=c&d= HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    let request = read_request(&mut &text[..], &mut Vec::new())
        .unwrap()
        .unwrap();
    assert_eq!(
        (request.method.as_str(), request.path.as_str()),
        ("POST", "/a")
    );
    assert_eq!(
        (request.parameter("b"), request.parameter("e")),
        (Some("c"), None)
    );
    assert_eq!(request.body, b"abcde");
}

#[test]
fn nonsense_is_refused_and_silence_is_an_end() {
    assert!(read_request(&mut &b"\x01\x02\r\n\r\n"[..], &mut Vec::new()).is_err());
    assert!(read_request(&mut &b"GET / HT"[..], &mut Vec::new()).is_err());
    assert!(
        read_request(&mut &b""[..], &mut Vec::new())
            .unwrap()
            .is_none()
    );
}

#[test]
fn a_dropped_server_frees_its_port() {
    let server = Server::start(0, |_: &Request| Response::new(200, "text/plain", "")).unwrap();
    let port = server.port();
    drop(server);
    assert!(
        ureq::get(format!("http://127.0.0.1:{port}/"))
            .call()
            .is_err()
    );
}

#[test]
fn no_answer_is_the_end_of_the_connection() {
    let server = Server::start(0, |_: &Request| Response {
        status: 200,
        headers: Vec::new(),
        body: Body::Nothing,
    })
    .unwrap();
    let url = format!("http://127.0.0.1:{}/", server.port());
    assert!(ureq::post(&url).send("x").is_err());
}
