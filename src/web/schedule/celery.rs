//! Reads a task of Celery from the definition of a schedule.

use crate::json::{Json, Object};
use crate::schedules::CeleryWork;
use crate::web::checks::pydantic;
use crate::web::error::{FieldError, Loc};
use crate::web::submission::Found;

/// The longest name of a task, in bytes: as of a job.
const MAX_NAME: usize = 255;
/// The members of a task.
const MEMBERS: [&str; 4] = ["task", "args", "kwargs", "options"];
/// Options that the schedule itself sets.
const SET: [&str; 3] = ["task_id", "eta", "countdown"];

/// Reads a task.
pub fn read(given: &Json) -> Found<CeleryWork> {
    let Json::Object(given) = given else {
        let loc = ["body".into(), "celery".into()];
        return Err(vec![pydantic::model(loc, given.clone())]);
    };
    let mut errors = Vec::new();
    let task = match given.get("task") {
        None => Err(pydantic::missing(loc("task"), given.clone())),
        Some(Json::String(name)) if (1..=MAX_NAME).contains(&name.len()) => Ok(name.clone()),
        Some(Json::String(name)) => {
            let reason = "a task's name has 1 to 255 bytes";
            Err(pydantic::value(loc("task"), reason, name.as_str()))
        }
        Some(other) => Err(pydantic::string(loc("task"), other.clone())),
    };
    let task = task.map_err(|error| errors.push(error)).ok();
    let args = match given.get("args") {
        None | Some(Json::Null) => Vec::new(),
        Some(Json::Array(args)) => args.clone(),
        Some(other) => {
            errors.push(pydantic::list(loc("args"), other.clone()));
            Vec::new()
        }
    };
    let kwargs = object(given, "kwargs", &mut errors);
    let options = object(given, "options", &mut errors);
    check_options(&options, &mut errors);
    let unknown = given
        .iter()
        .filter(|(name, _)| !MEMBERS.contains(&name.as_str()));
    errors.extend(unknown.map(|(name, value)| pydantic::extra(loc(name), value.clone())));
    match task {
        Some(task) if errors.is_empty() => Ok(CeleryWork {
            task,
            args,
            kwargs: kwargs.into(),
            options: options.into(),
        }),
        _ => Err(errors),
    }
}

fn object(given: &Object, name: &str, errors: &mut Vec<FieldError>) -> Object {
    match given.get(name) {
        None | Some(Json::Null) => Object::new(),
        Some(Json::Object(object)) => object.clone(),
        Some(other) => {
            errors.push(pydantic::model(loc(name), other.clone()));
            Object::new()
        }
    }
}

fn check_options(options: &Object, errors: &mut Vec<FieldError>) {
    let at = |name: &str| -> [Loc; 4] {
        [
            "body".into(),
            "celery".into(),
            "options".into(),
            name.into(),
        ]
    };
    for name in SET.iter().filter(|name| options.contains_key(name)) {
        let given = options.get(name).cloned().unwrap_or_default();
        errors.push(pydantic::value(
            at(name),
            "the schedule sets this option",
            given,
        ));
    }
    let is_seconds = |value: &Json| {
        value
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0 && seconds.is_finite())
    };
    if let Some(expires) = options.get("expires")
        && !expires.is_null()
        && !is_seconds(expires)
    {
        errors.push(pydantic::number(at("expires"), expires.clone()));
    }
}

fn loc(name: &str) -> [Loc; 3] {
    ["body".into(), "celery".into(), name.into()]
}
