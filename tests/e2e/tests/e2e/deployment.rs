//! A second deployment of a deployed service.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::service::Service;

/// A light load: this many concurrent callers, each with a pause between two rounds of requests.
const CALLERS: usize = 3;
const PAUSE: Duration = Duration::from_millis(200);

/// How many rounds each caller makes after the deployment, so that every caller meets the new
/// functions.
const AFTERWARDS: usize = 10;

pub fn an_update_fails_no_request(service: &Service) {
    let done = AtomicBool::new(false);
    let rounds: Vec<usize> = thread::scope(|scope| {
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| scope.spawn(|| call_until(service, &done)))
            .collect();
        // The parameter changes a variable of all functions, and has no effect with API keys.
        let deployed = service.deploy_again("JwtScopePrefix", "tasks/");
        done.store(true, Ordering::Relaxed);
        deployed.expect("a deployment");
        callers
            .into_iter()
            .map(|caller| caller.join().unwrap())
            .collect()
    });
    println!("{rounds:?} rounds of requests, none failed");
    assert!(
        rounds.iter().all(|rounds| *rounds > AFTERWARDS),
        "{rounds:?}"
    );
}

/// Makes rounds of requests until the deployment is done and `AFTERWARDS` more. Every answer must
/// be as before.
fn call_until(service: &Service, done: &AtomicBool) -> usize {
    let (mut rounds, mut left) = (0, AFTERWARDS);
    while left > 0 {
        if done.load(Ordering::Relaxed) {
            left -= 1;
        }
        service
            .get("/")
            .is(200, r#"{"message":"Welcome to the async service"}"#);
        let read = service.get("/items/5");
        assert_eq!(read.status, 200, "{read:?}");
        let task_id = service.process(r#"{"values":[1,2,3]}"#);
        let result = service.get(&format!("/result/{task_id}"));
        assert_eq!(result.status, 200, "{result:?}");
        rounds += 1;
        thread::sleep(PAUSE);
    }
    rounds
}
