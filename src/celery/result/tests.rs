use super::*;
use crate::celery::compression::DecompressError;
use crate::celery::testing::{items, messages, read as vectors, state, text};
use crate::celery::{Kind, Refused, decode};
use crate::json::{Object, parse, parse_str};

#[test]
fn keys_are_as_celery_makes_them() {
    let keys = Keys::default();
    for one in vectors("keys.json").as_array().unwrap() {
        let key = match text(one, "prefix") {
            "task" => keys.task(text(one, "id")),
            "group" => keys.group(text(one, "id")),
            _ => keys.chord(text(one, "id")),
        };
        assert_eq!(key, text(one, "key"));
    }
    assert_eq!(Keys::new("myapp").task("i"), "b'myapp_celery-task-meta-i'");
    assert_eq!(Keys::new("a:").group("i"), "b'a:celery-taskset-meta-i'");
}

fn member<'o>(object: &'o Object, name: &str) -> Option<&'o str> {
    object.get(name)?.as_str()
}

/// The JSON of a stored item. Its time is cut to milliseconds: this service has no microseconds.
fn stored(bytes: &[u8]) -> (Object, Option<u64>) {
    let mut object = parse(bytes).unwrap().into_object().unwrap();
    let done = member(&object, "date_done").map(|done| time::parse(done).unwrap());
    if let Some(done) = done {
        object.insert("date_done", time::format(done));
    }
    (object, done)
}

/// What this service writes for the outcome that an item tells.
fn rewritten(item: &Object, bytes: &[u8], done: Option<u64>) -> String {
    let read = read(bytes).unwrap();
    let value = item.get("result").unwrap().to_string();
    let exception = read.exception();
    let traceback = read.traceback.as_deref();
    let outcome = match (&*read.status, &exception) {
        ("SUCCESS", _) => Outcome::Success(&value),
        ("FAILURE", Some(exception)) => Outcome::Failure(exception, traceback),
        ("RETRY", Some(exception)) => Outcome::Retry(exception, traceback),
        ("REVOKED", Some(exception)) => match exception.exc_message[0].as_str() {
            Some("expired") => Outcome::Revoked(Revoked::Expired),
            _ => Outcome::Revoked(Revoked::Terminated),
        },
        ("STARTED", _) => Outcome::Started {
            pid: read.result.get("pid").unwrap().as_i64().unwrap() as u32,
            hostname: text(&read.result, "hostname"),
        },
        (state, _) => Outcome::Custom {
            state,
            meta: &value,
        },
    };
    assert_eq!(outcome.is_end(), read.is_end());
    let none = Object::new();
    let extended = member(item, "name").map(|name| Extended {
        name,
        args: item.get("args").unwrap().as_array().unwrap(),
        kwargs: item.get("kwargs").unwrap().as_object().unwrap(),
        worker: member(item, "worker").unwrap(),
        retries: item.get("retries").unwrap().as_i64().unwrap() as u32,
        queue: member(item, "queue"),
        stamped_headers: &[],
        stamps: &none,
    });
    let facts = Facts {
        id: member(item, "task_id").unwrap(),
        group: member(item, "group_id"),
        parent_id: member(item, "parent_id"),
        children: item.get("children").unwrap().as_array().unwrap_or_default(),
        extended,
    };
    task_result(&facts, &outcome, done.unwrap_or_default())
}

#[test]
fn a_result_is_written_as_celery_writes_it() {
    let (mut tasks, mut groups) = (0, 0);
    for (key, bytes) in items() {
        if bytes.starts_with(b"\0") {
            assert_eq!(read(&bytes).unwrap().status.len(), 7);
            continue;
        }
        let (item, done) = stored(&bytes);
        if key.contains("taskset") {
            let group = read_group(&bytes).unwrap();
            assert_eq!(Keys::default().group(&group.id), key);
            let tuple = item.get("result").unwrap().as_array().unwrap();
            let mine = group_result(&group.id, tuple[1].as_array().unwrap());
            assert_eq!(mine, Json::Object(item).to_string());
            groups += 1;
            continue;
        }
        let id = member(&item, "task_id").unwrap();
        assert_eq!(Keys::default().task(id), key);
        let mine = rewritten(&item, &bytes, done);
        // Compared as texts, so the order counts.
        assert_eq!(
            parse_str(&mine).unwrap().to_string(),
            Json::Object(item).to_string()
        );
        tasks += 1;
    }
    assert!(tasks > 80 && groups > 5, "{tasks} tasks, {groups} groups");
}

#[test]
fn each_failure_is_the_exception_that_a_worker_stores() {
    let of = |name| read(&state(name).1).unwrap().exception().unwrap();
    let mine = Exception::not_registered("no.such.task");
    assert_eq!(mine, of("FAILURE_not_registered"));
    assert_eq!(Exception::time_limit(1.0), of("FAILURE_time_limit"));
    assert_eq!(Exception::revoked(Revoked::Expired), of("REVOKED_expired"));
    assert_eq!(
        Exception::revoked(Revoked::Terminated),
        of("REVOKED_terminated")
    );
    assert_eq!(
        Exception::of_error("t", "ValueError", "boom"),
        of("FAILURE")
    );
    let own = Exception::of_error("t", "SourceFailed", "no answer");
    assert_eq!(own.repr(), "RuntimeError('SourceFailed: no answer')");
    let input = Exception::of_error("t", "InvalidInput", "f() got x");
    assert_eq!(input.repr(), "TypeError('f() got x')");
    let unknown = Exception::of_error("no.such.task", "UnknownJob", "no job has this name");
    assert_eq!(unknown, of("FAILURE_not_registered"));
    let late = Exception::of_error("t", "TimeLimitExceeded", "10 s");
    assert_eq!(late.exc_module, of("FAILURE_time_limit").exc_module);
    let refused = Refused::new(Kind::ContentDisallowed, "pickle");
    assert_eq!(
        Exception::of_refusal(refused.kind.as_str(), &refused.reason)
            .unwrap()
            .exc_type,
        "ContentDisallowed"
    );
    let chord = Exception::chord("a-b", &of("FAILURE_custom_exception"));
    let expected = r#"ChordError("Dependency a-b raised AppError('bad thing', 42)")"#;
    assert_eq!(chord.repr(), expected);
    assert_eq!(Exception::time_limit(0.5).repr(), "TimeLimitExceeded(0.5)");
}

#[test]
fn a_traceback_has_the_form_of_python() {
    let own = Exception::of_error("t", "Boom", "two\nlines");
    assert_eq!(
        own.traceback("tasks.\"add\"\n"),
        "Traceback (most recent call last):\n  File \"tasks.?add??\", line 1, in run\n\
         RuntimeError: Boom: two\nlines\n"
    );
    let limit = Exception::time_limit(3.0).traceback("t");
    assert!(limit.ends_with("\nbilliard.exceptions.TimeLimitExceeded: 3\n"));
}

#[test]
fn stamps_are_part_of_an_extended_result() {
    let stamps = parse_str(r#"{"tenant": "acme", "other": 1}"#).unwrap();
    let none = Object::new();
    let names = ["tenant".to_owned()];
    let facts = Facts {
        id: "i",
        extended: Some(Extended {
            name: "t",
            args: &[],
            kwargs: &none,
            worker: "w",
            retries: 0,
            queue: None,
            stamped_headers: &names,
            stamps: stamps.as_object().unwrap(),
        }),
        ..Facts::default()
    };
    let written = task_result(&facts, &Outcome::Success("1"), 0);
    assert!(written.ends_with(
        r#""retries":0,"queue":null,"stamped_headers":["tenant"],"tenant":"acme","task_id":"i"}"#
    ));
}

#[test]
fn what_is_no_result_is_refused() {
    let packed = |name: &str| [b"\0celery-compressed\0", name.as_bytes()].concat();
    for bytes in [
        &b""[..],
        b"[]",
        b"{}",
        br#"{"status":"SUCCESS"}"#,
        &packed("zlib"),
    ] {
        assert_eq!(read(bytes), Err(Unreadable::NotAResult));
    }
    let unknown = read(&packed("lz4\0x"));
    assert_eq!(
        unknown,
        Err(Unreadable::Compressed(DecompressError::Unknown))
    );
    for bytes in [
        &b""[..],
        b"{}",
        br#"{"result":[["i"]]}"#,
        br#"{"result":[[],[]]}"#,
    ] {
        assert_eq!(read_group(bytes), Err(Unreadable::NotAResult));
    }
}

/// The message of a chord by a client before 5.4.
#[test]
fn the_members_of_an_old_chord_are_read() {
    let is_unlock = |one: &&Json| {
        let message = decode(text(one, "message")).unwrap();
        message.headers.task == "celery.chord_unlock"
    };
    let old: Vec<&Json> = messages().iter().filter(is_unlock).collect();
    assert_eq!(old.len(), 2);
    for one in old {
        let kwargs = decode(text(one, "message")).unwrap().kwargs;
        let tuples = kwargs.get("result").unwrap().as_array().unwrap();
        assert_eq!(members(tuples).unwrap().len(), 2);
    }
}

/// Items with bytes exchanged: an error or a result, but no panic.
#[test]
fn no_changed_item_panics() {
    let mut random = fastrand::Rng::with_seed(9);
    let items = items();
    for _ in 0..3_000 {
        let (_, mut bytes) = random.choice(&items).unwrap().clone();
        for _ in 0..random.usize(1..5) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        bytes.truncate(random.usize(..bytes.len() * 3));
        if let Ok(stored) = read(&bytes)
            && let Some(exception) = stored.exception()
        {
            let _ = (exception.repr(), exception.traceback("t"));
        }
        let _ = read_group(&bytes);
    }
}
