//! The messages of Celery's clients as functions get them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::celery::generation::behind;
use crate::celery::letter::Letter;
use crate::celery::message::{Opened, open};
use crate::celery::origin::{Source, task_of, task_of_sealed};
use crate::celery::remote::request;
use crate::celery::testing::{message, messages, text};
use crate::celery::{Headers, decode};
use crate::json::{Json, Object, parse_str};
use crate::tasks::task::Task;

const NOW: u64 = 1_900_000_000_000;

fn part(task: &Task) -> Json {
    let part = request(task, task.input().unwrap(), task.trace.as_ref(), false).unwrap();
    // What is no JSON cannot be sent.
    serde_json::from_str::<Value>(part.get()).unwrap();
    parse_str(part.get()).unwrap()
}

fn remote(body: &str) -> Task {
    task_of(decode(body).unwrap(), NOW, true).unwrap()
}

/// A message in the envelope of kombu.
fn envelope(headers: &str, content_type: &str, encoding: &str, body: &[u8]) -> String {
    format!(
        r#"{{"body": "{}", "content-type": "{content_type}", "content-encoding": "{encoding}",
            "headers": {headers}, "properties": {{"body_encoding": "base64", "reply_to": "r"}}}}"#,
        STANDARD.encode(body)
    )
}

#[test]
fn a_function_gets_all_headers_and_the_body_as_they_came() {
    let (mut count, mut small) = (0, 0);
    for one in messages() {
        let case = text(one, "case");
        let task = remote(text(one, "message"));
        let part = part(&task);
        let sent = one.get("headers").and_then(Json::as_object).unwrap();
        let is_2 = !sent.is_empty();
        let headers = part.get("headers").and_then(Json::as_object).unwrap();
        for (name, value) in sent.iter().filter(|(name, _)| *name != "compression") {
            assert_eq!(headers.get(name), Some(value), "{case}: {name}");
        }
        assert!(!headers.contains_key("compression"), "{case}");
        assert!(headers.len() >= 19, "{case}: {headers:?}");
        let body = parse_str(text(&part, "body")).unwrap();
        let expected = one.get("body").unwrap();
        if is_2 {
            let embed = |value: &Json| value.as_array().unwrap()[2].clone();
            assert_eq!(
                body.as_array().unwrap()[..2],
                expected.as_array().unwrap()[..2]
            );
            assert_eq!(
                of_embed(&embed(&body)),
                of_embed(&embed(expected)),
                "{case}"
            );
        } else {
            let [args, kwargs] = ["args", "kwargs"].map(|name| expected.get(name).unwrap());
            assert_eq!(
                body.as_array().unwrap()[..2],
                [args.clone(), kwargs.clone()]
            );
        }
        let mut properties = one.get("properties").unwrap().as_object().unwrap().clone();
        properties.remove("body_encoding");
        assert_eq!(part.get("properties"), Some(&properties.into()), "{case}");
        count += 1;
        small += u32::from(task.origin.unwrap().data().unwrap().get().len() <= 1024);
    }
    // An origin of at most 1024 bytes is stored in the record.
    assert!(count > 80 && small > count / 2, "{small} of {count}");
}

/// The parts of an embed that are set.
fn of_embed(embed: &Json) -> Object {
    let is_set = |value: &Json| !value.is_null() && value.as_array() != Some(&[]);
    let all = embed.as_object().unwrap().iter();
    let all = all.filter(|(_, value)| is_set(value));
    all.map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[test]
fn numbers_and_typed_values_pass_unchanged() {
    let body = r#"[[NaN,-Infinity,123456789012345678901234567890,1.0,1e+16,{"__type__":"decimal","__value__":"1.50"}],{"k":"\u00e9\ud83d\ude00"},{}]"#;
    let headers = r#"{"task": "t", "id": "i", "mine": {"a": [1.0, null]}}"#;
    let task = remote(&envelope(
        headers,
        "application/json",
        "utf-8",
        body.as_bytes(),
    ));
    let part = part(&task);
    let [args, kwargs, _] = parse_str(body)
        .unwrap()
        .as_array()
        .unwrap()
        .to_vec()
        .try_into()
        .unwrap();
    let embed = r#"{"callbacks":null,"errbacks":null,"chain":null,"chord":null}"#;
    assert_eq!(text(&part, "body"), format!("[{args},{kwargs},{embed}]"));
    let mine = part.get("headers").unwrap().get("mine").unwrap();
    assert_eq!(mine.to_string(), r#"{"a":[1.0,null]}"#);
}

#[test]
fn the_task_of_a_rust_job_keeps_what_its_end_needs_alone() {
    let body = message("apply_async_message_group_id");
    let is_remote = |is_remote| task_of(decode(body).unwrap(), NOW, is_remote).unwrap();
    let size = |task: &Task| task.origin.as_ref().unwrap().data().unwrap().get().len();
    let [rust, remote] = [false, true].map(is_remote);
    assert!(size(&rust) < size(&remote));
    let [rust, remote] = [&rust, &remote].map(|task| Source::of(task).unwrap());
    // That of the task itself is left out.
    let root_id = Some("08c04833-0a20-4d6f-82a7-f6f01f54b768".to_owned());
    let headers = Headers {
        root_id,
        ..remote.headers.clone()
    };
    assert_eq!((&rust.headers, &remote.headers.root_id), (&headers, &None));
    assert_eq!(rust.properties.queue(), remote.properties.queue());
    assert!(remote.properties.text("MessageGroupId").is_some());
    assert!(rust.properties.text("MessageGroupId").is_none());
    assert!(!rust.is_remote && remote.is_remote);
}

#[test]
fn a_function_keeps_the_time_limits_itself() {
    let headers = r#"{"task": "t", "id": "i", "timelimit": [10, 2.5]}"#;
    let body = envelope(headers, "application/json", "utf-8", b"[[],{},{}]");
    let limit = |is_remote| {
        let task = task_of(decode(&body).unwrap(), NOW, is_remote).unwrap();
        task.options.time_limit
    };
    assert_eq!([limit(false), limit(true)], [Some(3), Some(12)]);
}

#[test]
fn each_retry_and_each_replacement_is_a_later_generation() {
    let generation = |more: &str| {
        let headers = format!(r#"{{"task": "t", "id": "i"{more}}}"#);
        remote(&envelope(
            &headers,
            "application/json",
            "utf-8",
            b"[[],{},{}]",
        ))
        .generation
    };
    let of = [
        "",
        r#", "retries": 1"#,
        r#", "retries": 99999"#,
        r#", "replaced_task_nesting": 1"#,
        r#", "replaced_task_nesting": 1, "retries": 1"#,
        r#", "retries": 1, "async_service_generation": 65538"#,
    ];
    let generations = of.map(generation);
    assert!(generations.is_sorted(), "{generations:?}");
    assert_eq!(generations[..2], [0, 1]);
    assert_eq!(generations[4..], [65_537, 65_538]);
    let wrong = [r#""2""#, "-1", "4294967296", "null", "[1]"];
    let wrong = wrong.map(|value| generation(&format!(r#", "async_service_generation": {value}"#)));
    assert_eq!(wrong, [0; 5]);
}

#[test]
fn a_message_in_which_a_task_goes_on_is_behind_the_present_one() {
    let message = |id: &str, more: &str| {
        let headers = format!(r#"{{"task": "t", "id": "{id}"{more}}}"#);
        envelope(&headers, "application/json", "utf-8", b"[[],{},{}]")
    };
    let letter = |body: &str| Letter {
        body: body.to_owned(),
        ..Letter::default()
    };
    let mut task = remote(&message("i", r#", "retries": 1"#));
    for more in ["", r#", "retries": 1"#] {
        let plain = message("i", more);
        for body in [STANDARD.encode(&plain), plain] {
            let sent = behind(letter(&body), &task);
            assert_eq!(sent.body.starts_with('{'), body.starts_with('{'));
            assert_eq!(remote(&sent.body).generation, 2, "{more}");
        }
    }
    let others = [
        message("i", r#", "retries": 2"#),
        message("i", r#", "replaced_task_nesting": 1"#),
        message("other", ""),
        "text of another program".to_owned(),
    ];
    for body in others {
        assert_eq!(behind(letter(&body), &task), letter(&body));
    }
    // Celery's `retry` repeats the headers of the message.
    task.generation = 7;
    let sent = behind(
        letter(&message("i", r#", "async_service_generation": 7"#)),
        &task,
    );
    assert_eq!(remote(&sent.body).generation, 8);
}

#[test]
fn a_content_that_the_function_decodes_passes_as_it_came() {
    let headers =
        r#"{"task": "app.t", "id": "i", "compression": "application/x-gzip", "argsrepr": "(1,)"}"#;
    let kind = "application/x-python-serialize";
    let body = envelope(headers, kind, "binary", b"\x80\x04\xff");
    let is_sealed = |task: &str, found: &str| task == "app.t" && found == kind;
    let Opened::Sealed(sealed) = open(&body, is_sealed).unwrap() else {
        panic!("it was read");
    };
    let task = task_of_sealed(*sealed, NOW).unwrap();
    assert_eq!(task.job, "app.t");
    assert_eq!(task.origin.as_ref().unwrap().effects, ["result"]);
    let part = part(&task);
    assert_eq!(text(&part, "body"), STANDARD.encode(b"\x80\x04\xff"));
    assert_eq!(text(&part, "body_encoding"), "base64");
    assert_eq!(text(&part, "content_type"), kind);
    assert_eq!(text(&part, "content_encoding"), "binary");
    let found = part.get("headers").unwrap();
    assert_eq!(text(found, "compression"), "application/x-gzip");
    assert_eq!(text(found, "argsrepr"), "(1,)");
    assert_eq!(text(part.get("properties").unwrap(), "reply_to"), "r");
    let source = Source::of(&task).unwrap();
    assert!(source.is_sealed && source.is_remote);
    // Elsewhere the content is refused as before.
    let refused = open(&body.replace("app.t", "other"), is_sealed).unwrap_err();
    assert_eq!(refused.kind.as_str(), "ContentDisallowed");
}

#[test]
fn long_properties_are_left_out() {
    let long = "x".repeat(2_000);
    let some = (0..20).map(|n| format!(r#""p{n}": "{}""#, &long[..900]));
    let some = some.collect::<Vec<String>>().join(",");
    let body = format!(
        r#"{{"body": "[[],{{}},{{}}]", "headers": {{"task": "t", "id": "i"}},
            "properties": {{"correlation_id": "i", "long": "{long}", {some}}}}}"#
    );
    let part = part(&remote(&body));
    let properties = part.get("properties").unwrap();
    assert!(properties.get("long").is_none());
    assert_eq!(text(properties, "correlation_id"), "i");
    assert!(properties.to_string().len() < 10_000);
}

#[test]
fn a_function_gets_the_trace_of_its_attempt() {
    let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = format!(
        r#"{{"task": "t", "id": "i", "traceparent": "{parent}", "tracestate": "a=1", "x": "y"}}"#
    );
    let body = envelope(&headers, "application/json", "utf-8", b"[[], {}, {}]");
    let task = remote(&body);
    let kept = task.origin.as_ref().unwrap().data().unwrap().get();
    assert!(!kept.contains("trace"), "the task has it: {kept}");
    let trace = task.trace_in(2).unwrap();
    let part = request(&task, task.input().unwrap(), Some(&trace), false).unwrap();
    let part = parse_str(part.get()).unwrap();
    let header = |name: &str| text(part.get("headers").unwrap(), name).to_owned();
    assert_eq!(header("traceparent"), trace.traceparent());
    assert_ne!(header("traceparent"), parent);
    assert_eq!(
        (header("tracestate"), header("x")),
        ("a=1".to_owned(), "y".to_owned())
    );
}
