//! The metrics of outbound calls.

use std::time::Duration;

use super::FetchError;
use crate::emf::{Set, count, emit, milliseconds};

/// Counts a call to another service: `UpstreamCalls` by its outcome, and `UpstreamTime`. `target` is
/// the kind of service (`url` or `upstream`), not an address.
pub fn called(target: &'static str, answered: Result<u16, &FetchError>, time: Duration) {
    let dimensions = [("Outcome", outcome(answered)), ("Target", target)];
    emit(&[
        Set::of(&dimensions, &[count("UpstreamCalls")]),
        Set::of(&dimensions[1..], &[milliseconds("UpstreamTime", time)]),
    ]);
}

fn outcome(answered: Result<u16, &FetchError>) -> &'static str {
    match answered {
        Ok(500..) => "5xx",
        Ok(400..) => "4xx",
        Ok(_) => "ok",
        Err(FetchError::Timeout) => "timeout",
        // The URL was at fault: no call was made, or none to the end of the redirects.
        Err(error) if error.status() < 500 => "refused",
        Err(_) => "failed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_have_few_outcomes() {
        for (answered, expected) in [
            (Ok(200), "ok"),
            (Ok(304), "ok"),
            (Ok(404), "4xx"),
            (Ok(503), "5xx"),
            (Err(&FetchError::Timeout), "timeout"),
            (Err(&FetchError::ForbiddenAddress), "refused"),
            (Err(&FetchError::Dns), "failed"),
        ] {
            assert_eq!(outcome(answered), expected, "{answered:?}");
        }
    }
}
