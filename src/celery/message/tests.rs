use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

use super::*;
use crate::celery::testing::{message, messages, text};
use crate::celery::time;
use crate::json::parse_str;

fn refused(body: &str) -> Refused {
    decode(body).expect_err(body)
}

/// An envelope with these headers and this body, which is JSON text.
fn envelope(headers: &str, body: &str) -> String {
    let body = Json::from(body).to_string();
    format!(
        r#"{{"body": {body}, "content-type": "application/json", "content-encoding": "utf-8",
            "headers": {headers}, "properties": {{"delivery_tag": "x"}}}}"#
    )
}

fn with_headers(more: &str) -> String {
    let headers = format!(r#"{{"task": "t", "id": "i"{more}}}"#);
    envelope(&headers, "[[], {}, {}]")
}

fn member(value: &Json, name: &str) -> Json {
    value.get(name).cloned().unwrap_or_default()
}

fn listed(value: &Json, name: &str) -> Vec<Json> {
    signatures(member(value, name)).unwrap()
}

#[test]
fn every_message_of_celery_is_read() {
    assert!(messages().len() > 80);
    for one in messages() {
        let case = text(one, "case");
        let Message {
            headers,
            all_headers,
            args,
            kwargs,
            embed,
            properties,
        } = decode(text(one, "message")).expect(case);
        let (envelope, body) = (one.get("headers").unwrap(), one.get("body").unwrap());
        let is_2 = body.as_array().is_some();
        // In protocol 1 the body is the headers and the embed too.
        let [expected_args, expected_kwargs, tail] = match body.as_array() {
            Some(parts) => <[Json; 3]>::try_from(parts.to_vec()).unwrap(),
            None => [member(body, "args"), member(body, "kwargs"), body.clone()],
        };
        let says = if is_2 { envelope } else { body };
        assert_eq!(Json::Array(args), expected_args, "{case}");
        assert_eq!(Json::Object(kwargs), expected_kwargs, "{case}");
        assert_eq!(embed.callbacks, listed(&tail, "callbacks"), "{case}");
        assert_eq!(embed.errbacks, listed(&tail, "errbacks"), "{case}");
        assert_eq!(embed.chain, listed(&tail, "chain"), "{case}");
        assert_eq!(
            embed.chord.unwrap_or_default(),
            member(&tail, "chord"),
            "{case}"
        );
        assert_eq!(
            properties.all,
            *one.get("properties").unwrap().as_object().unwrap()
        );
        assert_headers(&headers, says, case);
        let expected = if is_2 { envelope.as_object() } else { None };
        assert_eq!(all_headers, expected.cloned().unwrap_or_default(), "{case}");
    }
}

fn assert_headers(headers: &Headers, says: &Json, case: &str) {
    assert_eq!(headers.task, text(says, "task"), "{case}");
    assert_eq!(headers.id, text(says, "id"), "{case}");
    for (mine, name) in [
        (&headers.group, "group"),
        (&headers.root_id, "root_id"),
        (&headers.parent_id, "parent_id"),
        (&headers.shadow, "shadow"),
    ] {
        let theirs = member(says, name);
        assert_eq!(mine.as_deref(), theirs.as_str(), "{case}: {name}");
    }
    for (mine, name) in [(headers.eta, "eta"), (headers.expires, "expires")] {
        let theirs = member(says, name)
            .as_str()
            .map(|text| time::parse(text).unwrap());
        assert_eq!(mine, theirs, "{case}: {name}");
    }
    let ignore = member(says, "ignore_result").as_bool();
    assert_eq!(headers.ignore_result, ignore, "{case}");
    let index = member(says, "group_index").as_i64();
    assert_eq!(
        headers.group_index,
        index.map(|index| index as u64),
        "{case}"
    );
    let retries = member(says, "retries").as_i64();
    assert_eq!(Some(i64::from(headers.retries)), retries, "{case}");
}

#[test]
fn what_few_messages_have_is_read() {
    let limits = decode(message("apply_async_time_limits")).unwrap().headers;
    assert!(limits.time_limit.is_some() && limits.soft_time_limit < limits.time_limit);
    let stamped = decode(message("apply_async_stamps")).unwrap().headers;
    assert_eq!(stamped.stamped_headers, ["tenant"]);
    assert_eq!(stamped.stamps.get("tenant"), Some(&"acme".into()));
    let custom = decode(message("apply_async_headers")).unwrap().headers;
    assert!(!custom.custom.is_empty());
    let fair = decode(message("apply_async_message_group_id")).unwrap();
    assert!(fair.properties.text("MessageGroupId").is_some());
    let routed = decode(message("transport_predefined_queues")).unwrap();
    assert_eq!(routed.properties.queue(), Some("jobs"));
    assert_eq!(routed.properties.priority(), Some(0));
}

#[test]
fn the_least_message_is_read() {
    let read = decode(&with_headers("")).unwrap();
    assert_eq!((&*read.headers.task, &*read.headers.id), ("t", "i"));
    assert!(read.args.is_empty() && read.kwargs.is_empty());
    assert_eq!(read.embed, Embed::default());
    // All envelopes may be in base64 as well.
    assert_eq!(decode(&STANDARD.encode(with_headers(""))).unwrap(), read);
}

#[test]
fn numbers_keep_every_digit() {
    let body = "[[123456789012345678901234567890, 1.0, NaN, 1e400, -0.0], {}, {}]";
    let read = decode(&envelope(r#"{"task": "t", "id": "i"}"#, body)).unwrap();
    let args = Json::Array(read.args).to_string();
    assert_eq!(
        args,
        "[123456789012345678901234567890,1.0,NaN,Infinity,-0.0]"
    );
}

#[test]
fn other_contents_than_json_are_refused_with_the_headers() {
    let kinds = [
        "application/x-python-serialize",
        "application/x-yaml",
        "application/x-msgpack",
        "a\u{0}b",
    ];
    for kind in kinds {
        let body = with_headers(r#", "group": "g", "ignore_result": true"#);
        let body = body.replace("application/json", &kind.replace('\0', "\\u0000"));
        let refused = refused(&body);
        assert_eq!(refused.kind, Kind::ContentDisallowed);
        let quoted: String = kind.escape_debug().collect();
        assert!(refused.reason.contains(&quoted), "{}", refused.reason);
        let headers = refused.headers.unwrap();
        assert_eq!(headers.group.as_deref(), Some("g"));
        assert_eq!(
            (headers.ignore_result, refused.id),
            (Some(true), Some("i".to_owned()))
        );
    }
}

#[test]
fn undecodable_arguments_are_refused_with_the_headers() {
    let headers = r#"{"task": "t", "id": "i"}"#;
    let compressed = r#"{"task": "t", "id": "i", "compression": "application/x-gzip"}"#;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bad_base64 = envelope(headers, "*").replace("\"x\"", r#""x", "body_encoding": "base64""#);
    let bodies = [
        envelope(headers, "[[], {}"),
        envelope(headers, &deep),
        envelope(headers, r#"[["\ud800"], {}, {}]"#),
        envelope(compressed, "no zlib"),
        envelope(&compressed.replace("x-gzip", "x-lz4"), ""),
        with_headers("").replace("utf-8", "utf-16"),
        bad_base64,
    ];
    for body in bodies {
        let refused = refused(&body);
        assert_eq!(refused.kind, Kind::DecodeError, "{}", refused.reason);
        assert!(refused.headers.is_some());
    }
}

#[test]
fn fields_out_of_bounds_are_refused() {
    let long = "i".repeat(256);
    for more in [
        r#", "eta": "soon""#,
        r#", "eta": 5"#,
        r#", "expires": true"#,
        r#", "retries": -1"#,
        r#", "retries": 4294967296"#,
        r#", "group_index": -1"#,
        r#", "timelimit": [1]"#,
        r#", "timelimit": [-1, null]"#,
        r#", "timelimit": [NaN, null]"#,
        r#", "ignore_result": "yes""#,
        r#", "stamped_headers": "tenant""#,
        r#", "stamps": []"#,
        r#", "group": 5"#,
        &format!(r#", "group": "{long}""#),
        &format!(r#", "parent_id": "{long}""#),
        &format!(r#", "root_id": "{long}""#),
        r#", "task": """#,
    ] {
        let refused = refused(&with_headers(more));
        assert_eq!(refused.kind, Kind::Malformed, "{more}");
        assert_eq!(refused.id.as_deref(), Some("i"), "{more}");
    }
    for id in ["\"\"", "5", &format!("\"{long}\"")] {
        let refused = refused(&with_headers(&format!(r#", "id": {id}"#)));
        assert!(
            refused.id.is_none() && refused.reason.contains("id"),
            "{id}"
        );
    }
    let ok = with_headers(&format!(r#", "id": "{}""#, "i".repeat(255)));
    assert!(decode(&ok).is_ok());
}

#[test]
fn a_body_of_another_shape_is_refused() {
    let headers = r#"{"task": "t", "id": "i"}"#;
    for body in [
        "{}",
        "[[], {}]",
        "[{}, {}, {}]",
        "[[], [], {}]",
        "[[], {}, []]",
        r#"[[], {}, {"chain": [1]}]"#,
        r#"[[], {}, {"callbacks": "x"}]"#,
        r#"[[], {}, {"chord": []}]"#,
    ] {
        assert_eq!(
            refused(&envelope(headers, body)).kind,
            Kind::Malformed,
            "{body}"
        );
    }
}

#[test]
fn what_is_no_envelope_is_not_of_celery() {
    let own = r#"{"v":1,"id":"x","job":"j","submitted_at":5,"input":1}"#;
    for body in [
        "",
        "{}",
        "[]",
        own,
        "{",
        "====",
        "eyJ9",
        r#"{"body": 5, "headers": {}}"#,
    ] {
        assert_eq!(refused(body).kind, Kind::NotCelery, "{body}");
    }
    let no_task = envelope("{}", r#"{"id": "x"}"#);
    assert_eq!(refused(&no_task).kind, Kind::NotCelery);
}

/// The cases of a property test; `CELERY_CASES` sets another number.
fn cases() -> ProptestConfig {
    let cases = std::env::var("CELERY_CASES").ok();
    ProptestConfig::with_cases(cases.and_then(|cases| cases.parse().ok()).unwrap_or(1_000))
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn no_text_panics(body in ".{0,300}", wrapped in any::<bool>()) {
        let body = if wrapped { with_headers(&body) } else { body };
        let _ = decode(&body);
    }

    #[test]
    fn no_changed_message_panics(
        nth in any::<prop::sample::Index>(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        layer in 0..3,
    ) {
        let one = nth.get(messages());
        let plain = STANDARD.decode(text(one, "message"));
        let plain = plain.unwrap_or_else(|_| text(one, "message").as_bytes().to_vec());
        let mut bytes = match layer {
            // The inner body, the envelope, or the text of the message.
            0 => one.get("body").unwrap().to_string().into_bytes(),
            1 => plain,
            _ => text(one, "message").as_bytes().to_vec(),
        };
        for (place, byte) in places {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        let changed = String::from_utf8_lossy(&bytes).into_owned();
        let body = match layer {
            0 => envelope(r#"{"task": "t", "id": "i"}"#, &changed),
            1 => STANDARD.encode(&changed),
            _ => changed,
        };
        let _ = decode(&body);
    }
}

#[test]
fn a_nested_value_is_dropped_without_a_deep_stack() {
    let deep = format!("[[{}{}], {{}}, {{}}]", "[".repeat(950), "]".repeat(950));
    let read = decode(&envelope(r#"{"task": "t", "id": "i"}"#, &deep)).unwrap();
    let mut value = Json::Array(read.args);
    crate::celery::typed::to_plain(&mut value).unwrap();
    assert_eq!(parse_str(&value.to_string()).unwrap(), value);
}
