//! The deliberate differences from FastAPI. `docs/FASTAPI.md` has the same list for users.

use crate::services::Exchange;

/// One deliberate difference.
pub struct Difference {
    /// The beginning of the difference's entry in `docs/FASTAPI.md`.
    pub entry: &'static str,
    /// Whether this difference explains every difference between two answers.
    pub explains: fn(&Exchange) -> bool,
}

/// All deliberate differences. The test fails if a difference never occurs.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        entry: "An id that was never issued is 404",
        explains: |exchange| {
            let pending = r#"{"status":"pending"}"#;
            exchange.request.path().starts_with("/result/")
                && answers(
                    exchange,
                    (404, r#"{"detail":"Task not found"}"#),
                    (200, pending),
                )
        },
    },
    Difference {
        entry: "A failed task is 200",
        explains: |exchange| {
            exchange.request.path().starts_with("/result/")
                && fails(exchange)
                && exchange.ours.status == 200
                && exchange
                    .ours
                    .text()
                    .starts_with(r#"{"status":"failed","error":{"type":"#)
        },
    },
    Difference {
        entry: "`/fetch/` and the users' upstream fail with",
        explains: |exchange| {
            exchange.request.path().starts_with("/fetch")
                && fails(exchange)
                && [400, 403, 502, 504].contains(&exchange.ours.status)
                && is_detail(exchange)
        },
    },
    Difference {
        entry: "`GET /items/{item_id}` has an `item`",
        explains: |exchange| {
            let (ours, theirs) = (exchange.ours.text(), exchange.theirs.text());
            let Some(added) = theirs
                .strip_suffix('}')
                .and_then(|theirs| ours.strip_prefix(theirs)?.strip_suffix('}'))
            else {
                return false;
            };
            let place = match exchange.request.method.as_str() {
                "GET" => added.starts_with(r#","item":"#) && exchange.ours.location.is_none(),
                "POST" => {
                    let id = added.strip_prefix(r#","item_id":"#);
                    id.is_some_and(|id| exchange.ours.location == Some(format!("/items/{id}")))
                }
                _ => false,
            };
            place && exchange.request.path().starts_with("/items") && both(exchange, 200)
        },
    },
    Difference {
        entry: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            let detail = r#"{"detail":"Out of range float values are not JSON compliant"}"#;
            let answer = exchange.ours.text();
            cannot_write(exchange)
                && exchange.ours.status == 422
                && (answer == detail || answer.contains(r#""input":null"#))
                && may_be_not_finite(&exchange.request.body)
        },
    },
    Difference {
        entry: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            let detail = r#"{"detail":"A text has a surrogate without its other half"}"#;
            cannot_write(exchange)
                && exchange.ours.status == 422
                && (exchange.ours.text() == detail || may_have_surrogates(&exchange.request.body))
        },
    },
    Difference {
        entry: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            fails(exchange)
                && exchange.ours.status == 422
                && exchange.ours.text().contains('\u{fffd}')
                && std::str::from_utf8(&exchange.request.body).is_err()
        },
    },
    Difference {
        entry: "An object over 390 KB",
        explains: |exchange| {
            exchange.ours.status == 413
                && exchange.theirs.status == 200
                && exchange.request.body.len() > 390 * 1024
                && is_detail(exchange)
        },
    },
    Difference {
        entry: "A path is read as API Gateway hands it over",
        explains: |exchange| {
            let path = exchange.request.path();
            let mut escapes = path.split('%').skip(1);
            let odd = |escape: &str| {
                let digits = escape.get(..2).unwrap_or_default();
                let digits = u8::from_str_radix(digits, 16);
                matches!(digits, Ok(b'%' | b'?') | Err(_))
            };
            escapes.any(odd) || path.to_ascii_lowercase().ends_with("%0a")
        },
    },
];

/// The entry for requests that FastAPI redirects and this service answers directly.
pub const DIRECT: &str = "`/users` and `/users/` are both answered directly";

/// Whether FastAPI answered 500 without a reason.
fn fails(exchange: &Exchange) -> bool {
    exchange.theirs.status == 500 && exchange.theirs.text() == "Internal Server Error"
}

/// Whether FastAPI failed to write an answer that echoes the body, or would have failed if the row to
/// replace existed.
fn cannot_write(exchange: &Exchange) -> bool {
    let none = exchange.theirs.status == 404 && exchange.theirs.text().ends_with(" not found\"}");
    fails(exchange) || (none && exchange.request.method == "PUT")
}

fn both(exchange: &Exchange, status: u16) -> bool {
    let json = Some("application/json");
    exchange.ours.status == status
        && exchange.theirs.status == status
        && exchange.ours.content_type.as_deref() == json
}

fn answers(exchange: &Exchange, ours: (u16, &str), theirs: (u16, &str)) -> bool {
    (exchange.ours.status, exchange.ours.text().as_ref()) == ours
        && (exchange.theirs.status, exchange.theirs.text().as_ref()) == theirs
}

fn is_detail(exchange: &Exchange) -> bool {
    exchange.ours.text().starts_with(r#"{"detail":""#)
}

/// Whether a body may contain half of a surrogate pair: as an escape, or in an encoding with surrogates.
fn may_have_surrogates(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("\\ud") || body.contains(&0) || body.contains(&0xED)
}

/// Whether a body may contain `NaN`, infinity, or a number too large to be finite.
fn may_be_not_finite(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    let large = text
        .windows(2)
        .any(|pair| pair[0].is_ascii_digit() && b"eE".contains(&pair[1]));
    has(b"NaN") || has(b"Infinity") || large
}
