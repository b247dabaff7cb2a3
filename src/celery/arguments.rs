//! Makes the input of a Rust job of the arguments of a Celery task.

use super::typed::{BadType, to_plain};
use crate::json::{Json, Object};

/// Why arguments do not fit a job. The texts are Python's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArguments {
    /// There are more positional arguments than fields.
    #[error("{function}() takes {} but {given} {} given", positional(*takes), were(*given))]
    TooMany {
        /// The name of the function.
        function: String,
        /// The number of fields.
        takes: usize,
        /// The number of positional arguments.
        given: usize,
    },
    /// A keyword argument is no field.
    #[error("{function}() got an unexpected keyword argument '{name}'")]
    Unexpected {
        /// The name of the function.
        function: String,
        /// The name of the argument.
        name: String,
    },
    /// An argument is given by position and by name.
    #[error("{function}() got multiple values for argument '{name}'")]
    Twice {
        /// The name of the function.
        function: String,
        /// The name of the argument.
        name: String,
    },
    /// A value has a type of Python that JSON has not, and kombu neither.
    #[error(transparent)]
    Type(#[from] BadType),
}

fn positional(takes: usize) -> String {
    let s = if takes == 1 { "" } else { "s" };
    format!("{takes} positional argument{s}")
}

fn were(given: usize) -> &'static str {
    if given == 1 { "was" } else { "were" }
}

/// The input of a job, as JSON: an object with the job's fields.
///
/// `task` is the name of the task; the part after the last dot is the function's in errors. `fields` are
/// the names of the fields of the job's input, in order; empty for a job that takes any object.
///
/// * Keyword arguments alone are the object.
/// * One positional argument that is an object, alone, is the input as it is, unless the job has one field
///   and the object lacks it.
/// * Other positional arguments are the fields in order, and keyword arguments add to them.
///
/// A missing field is left to the job, which knows what is optional. Typed values become plain.
///
/// # Errors
/// For arguments that do not fit, with the text of Python's `TypeError`.
pub fn to_input(
    task: &str,
    fields: &[&str],
    args: Vec<Json>,
    kwargs: Object,
) -> Result<Json, BadArguments> {
    let function = task.rsplit('.').next().unwrap_or_default();
    let mut input = match <[Json; 1]>::try_from(args) {
        Ok([Json::Object(object)]) if kwargs.is_empty() && is_input(&object, fields) => {
            Json::Object(object)
        }
        Ok([one]) => bind(function, fields, vec![one], kwargs)?,
        Err(args) => bind(function, fields, args, kwargs)?,
    };
    to_plain(&mut input)?;
    Ok(input)
}

/// Whether an object is the whole input, and not the value of its first field.
fn is_input(object: &Object, fields: &[&str]) -> bool {
    let is_typed = object.len() == 2 && object.contains_key("__type__");
    match fields {
        _ if is_typed => false,
        [only] => object.contains_key(only),
        _ => true,
    }
}

fn bind(
    function: &str,
    fields: &[&str],
    args: Vec<Json>,
    kwargs: Object,
) -> Result<Json, BadArguments> {
    let function = || function.to_owned();
    if args.len() > fields.len() {
        return Err(BadArguments::TooMany {
            function: function(),
            takes: fields.len(),
            given: args.len(),
        });
    }
    let mut input: Object = fields
        .iter()
        .map(|name| (*name).to_owned())
        .zip(args)
        .collect();
    for (name, value) in kwargs {
        if !fields.is_empty() && !fields.contains(&&*name) {
            let function = function();
            return Err(BadArguments::Unexpected { function, name });
        }
        if input.contains_key(&name) {
            let function = function();
            return Err(BadArguments::Twice { function, name });
        }
        input.insert(name, value);
    }
    Ok(Json::Object(input))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse_str;

    const FIELDS: [&str; 2] = ["x", "y"];

    fn input(fields: &[&str], args: &str, kwargs: &str) -> Result<String, String> {
        let Json::Array(args) = parse_str(args).unwrap() else {
            panic!("args is no list");
        };
        let kwargs = parse_str(kwargs).unwrap().into_object().unwrap();
        let input = to_input("proj.tasks.add", fields, args, kwargs);
        input
            .map(|input| input.to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn arguments_become_fields() {
        let ok = |args, kwargs| input(&FIELDS, args, kwargs).unwrap();
        assert_eq!(ok("[]", r#"{"y": 2, "x": 1}"#), r#"{"y":2,"x":1}"#);
        assert_eq!(ok("[1, 2]", "{}"), r#"{"x":1,"y":2}"#);
        assert_eq!(ok("[1]", r#"{"y": 2}"#), r#"{"x":1,"y":2}"#);
        assert_eq!(ok("[1]", "{}"), r#"{"x":1}"#);
        assert_eq!(ok("[]", "{}"), "{}");
        assert_eq!(ok(r#"[{"x": 1, "z": 3}]"#, "{}"), r#"{"x":1,"z":3}"#);
        assert_eq!(ok(r#"[{"x": 1}]"#, r#"{"y": 2}"#), r#"{"x":{"x":1},"y":2}"#);
        assert_eq!(ok("[null, [1]]", "{}"), r#"{"x":null,"y":[1]}"#);
    }

    #[test]
    fn one_object_for_a_job_of_one_field_may_be_the_field() {
        let ok = |args| input(&["x"], args, "{}").unwrap();
        assert_eq!(ok(r#"[{"x": 1}]"#), r#"{"x":1}"#);
        assert_eq!(ok(r#"[{"a": 1}]"#), r#"{"x":{"a":1}}"#);
    }

    #[test]
    fn a_job_of_any_object_takes_names_alone() {
        assert_eq!(input(&[], "[]", r#"{"a": 1}"#).unwrap(), r#"{"a":1}"#);
        assert_eq!(input(&[], r#"[{"a": 1}]"#, "{}").unwrap(), r#"{"a":1}"#);
        assert!(input(&[], "[1]", "{}").is_err());
    }

    #[test]
    fn typed_values_become_plain() {
        let date = r#"{"__type__": "date", "__value__": "2024-01-02"}"#;
        let args = format!("[{date}]");
        assert_eq!(
            input(&FIELDS, &args, "{}").unwrap(),
            r#"{"x":"2024-01-02"}"#
        );
        assert!(input(&FIELDS, &args.replace("date\"", "set\""), "{}").is_err());
    }

    /// The texts are those of CPython.
    #[test]
    fn errors_are_worded_as_pythons() {
        let error = |args, kwargs| input(&FIELDS, args, kwargs).unwrap_err();
        assert_eq!(
            error("[1, 2, 3]", "{}"),
            "add() takes 2 positional arguments but 3 were given"
        );
        assert_eq!(
            error("[]", r#"{"z": 1}"#),
            "add() got an unexpected keyword argument 'z'"
        );
        assert_eq!(
            error("[1]", r#"{"x": 1}"#),
            "add() got multiple values for argument 'x'"
        );
        assert_eq!(
            input(&[], "[1]", "{}").unwrap_err(),
            "add() takes 0 positional arguments but 1 was given"
        );
        assert_eq!(
            input(&["x"], "[1, 2]", "{}").unwrap_err(),
            "add() takes 1 positional argument but 2 were given"
        );
    }
}
