use super::*;
use crate::http::Body;

#[test]
fn a_function_without_a_time_out_has_lambda_s_maximum() {
    let timeouts = "fetch=29,worker=300";
    assert_eq!(timeout_of("worker", timeouts), 300);
    assert_eq!(timeout_of("fetch", timeouts), 29);
    assert_eq!(timeout_of("work", timeouts), LONGEST);
    assert_eq!(timeout_of("worker", ""), LONGEST);
}

#[test]
fn a_function_waits_while_the_watcher_has_no_invocation() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let watcher = Server::start(0, move |_: &Request| {
        let mut count = lock(&count);
        *count += 1;
        match *count {
            1 => Response {
                body: Body::Nothing,
                ..Response::new(200, "text/plain", "")
            },
            2 => Response::new(500, "text/plain", "stopping"),
            _ => Response {
                headers: vec![(REQUEST_ID.to_owned(), "7".to_owned())],
                ..Response::new(200, "application/json", "{}")
            },
        }
    })
    .unwrap();
    let mut runtime = Runtime::from_environment(Path::new("worker"));
    runtime.api = format!("http://127.0.0.1:{}", watcher.port());
    let response = runtime.next();
    let id = (REQUEST_ID.to_owned(), "7".to_owned());
    assert!(response.status == 200 && response.headers.contains(&id));
    assert_eq!(*lock(&asked), 3);
}
