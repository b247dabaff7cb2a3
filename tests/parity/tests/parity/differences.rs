//! Where this service differs from FastAPI on purpose. `docs/FASTAPI.md` lists the same.

use crate::services::Exchange;

/// One deliberate difference.
pub struct Difference {
    /// The beginning of its entry in the list of `docs/FASTAPI.md`.
    pub told: &'static str,
    /// Whether it explains all in which two answers differ.
    pub explains: fn(&Exchange) -> bool,
}

/// All of them; the test fails when one is never met.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        told: "An id that was never issued is 404",
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
        told: "A failed task is 200",
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
        told: "`/fetch/` and the users' upstream fail with",
        explains: |exchange| {
            exchange.request.path().starts_with("/fetch")
                && fails(exchange)
                && [400, 403, 502, 504].contains(&exchange.ours.status)
                && is_detail(exchange)
        },
    },
    Difference {
        told: "`GET /items/{item_id}` has an `item`",
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
        told: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            let detail = r#"{"detail":"Out of range float values are not JSON compliant"}"#;
            let said = exchange.ours.text();
            cannot_write(exchange)
                && exchange.ours.status == 422
                && (said == detail || said.contains(r#""input":null"#))
                && may_be_not_finite(&exchange.request.body)
        },
    },
    Difference {
        told: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            let detail = r#"{"detail":"A text has a surrogate without its other half"}"#;
            cannot_write(exchange)
                && exchange.ours.status == 422
                && (exchange.ours.text() == detail || may_have_surrogates(&exchange.request.body))
        },
    },
    Difference {
        told: "A body that FastAPI reads and cannot write again",
        explains: |exchange| {
            fails(exchange)
                && exchange.ours.status == 422
                && exchange.ours.text().contains('\u{fffd}')
                && std::str::from_utf8(&exchange.request.body).is_err()
        },
    },
    Difference {
        told: "An object over 390 KB",
        explains: |exchange| {
            exchange.ours.status == 413
                && exchange.theirs.status == 200
                && exchange.request.body.len() > 390 * 1024
                && is_detail(exchange)
        },
    },
    Difference {
        told: "A path is read as API Gateway hands it over",
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

/// The one for requests that FastAPI redirects first.
pub const DIRECT: &str = "`/users` and `/users/` are both answered directly";

/// Whether FastAPI failed without a word.
fn fails(exchange: &Exchange) -> bool {
    exchange.theirs.status == 500 && exchange.theirs.text() == "Internal Server Error"
}

/// Whether FastAPI failed to write what it was given, or would have, had it found the row to replace.
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

/// Whether there may be half a character in a body: escaped, or in an encoding that can hold it.
fn may_have_surrogates(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body).to_ascii_lowercase();
    text.contains("\\ud") || body.contains(&0) || body.contains(&0xED)
}

/// Whether there may be a number in a body that is `NaN` or infinite, perhaps for its size.
fn may_be_not_finite(body: &[u8]) -> bool {
    let text: Vec<u8> = body.iter().copied().filter(|byte| *byte != 0).collect();
    let has = |word: &[u8]| text.windows(word.len()).any(|window| window == word);
    let large = text
        .windows(2)
        .any(|pair| pair[0].is_ascii_digit() && b"eE".contains(&pair[1]));
    has(b"NaN") || has(b"Infinity") || large
}
