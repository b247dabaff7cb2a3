//! Reads users and their ids from requests.

use lambda_http::Request;

use super::checks::{Checked, Rejection, pydantic};
use super::error::{FieldError, Loc};
use super::extract::Extract;
use crate::json::{Int, Json, Object};
use crate::users::{FIELDS, NewUser};

/// The most ids of one request: a hundred rows are one `BatchGetItem`.
const MAX_IDS: usize = 100;

/// The ids of `?ids=1,2,3`; `None` if the parameter is absent. No user has an id beyond 64 bits.
pub fn ids(request: &Request) -> Checked<Option<Vec<i64>>> {
    let Some(ids) = request.query_ints("ids")? else {
        return Ok(None);
    };
    if ids.len() > MAX_IDS {
        let loc = ["query".into(), "ids".into()];
        let given = Json::array(request.query_texts("ids"));
        return Err(pydantic::too_long(loc, MAX_IDS, ids.len(), given).into());
    }
    Ok(Some(ids.iter().filter_map(Int::as_i64).collect()))
}

/// The user in a request's body, or every error of the body.
pub fn new_user(request: &Request) -> Checked<NewUser> {
    request.body_as(check)
}

fn check(value: Json) -> Checked<NewUser> {
    let object = value.into_object();
    let object = object.map_err(|other| pydantic::model(["body".into()], other))?;
    let errors = FIELDS.into_iter();
    let errors: Vec<FieldError> = errors
        .filter_map(|name| text_error(&object, name))
        .collect();
    NewUser::new(object).ok_or(Rejection::Fields(errors))
}

fn text_error(user: &Object, name: &str) -> Option<FieldError> {
    let loc: [Loc; 2] = ["body".into(), name.into()];
    match user.get(name) {
        None => Some(pydantic::missing(loc, Json::Object(user.clone()))),
        Some(Json::String(_)) => None,
        Some(other) => Some(pydantic::string(loc, other.clone())),
    }
}
