//! Arguments of a request, in the query or in a form, read as Flower reads them.

use lambda_http::Request;

use super::failure::Failure;
use crate::web::{Extract, checks};

/// The text of an argument without spaces around it; of several the last, and the form comes after the query.
pub(super) fn text(request: &Request, name: &str) -> Option<String> {
    let content_type = request.header("content-type").unwrap_or_default();
    let is_form = content_type.starts_with("application/x-www-form-urlencoded");
    let form = if is_form {
        request.body().as_ref()
    } else {
        &[]
    };
    let of_form = url::form_urlencoded::parse(form).filter(|(given, _)| given == name);
    let of_form = of_form.last().map(|(_, value)| value.into_owned());
    let given = of_form.or_else(|| request.query_text(name).map(str::to_owned));
    given.map(|text| text.trim().to_owned())
}

/// An argument that must not be empty.
pub(super) fn required(request: &Request, name: &str) -> Result<String, Failure> {
    let given = text(request, name).filter(|text| !text.is_empty());
    given.ok_or_else(|| Failure::bad(format!("Missing argument {name}")))
}

/// An argument that is `All` or empty for every value.
pub(super) fn filter(request: &Request, name: &str) -> Option<String> {
    text(request, name).filter(|text| !text.is_empty() && text != "All")
}

/// A whole number. What is beyond a number of this type is its bound.
pub(super) fn int(request: &Request, name: &str) -> Result<Option<i64>, Failure> {
    let Some(text) = text(request, name) else {
        return Ok(None);
    };
    let number = text.parse::<i128>();
    let number = number.map_err(|_| Failure::argument(&text, "int"))?;
    let bound = if number < 0 { i64::MIN } else { i64::MAX };
    Ok(Some(i64::try_from(number).unwrap_or(bound)))
}

/// A number.
pub(super) fn float(request: &Request, name: &str) -> Result<Option<f64>, Failure> {
    let Some(text) = text(request, name) else {
        return Ok(None);
    };
    let number = text.parse();
    number
        .map(Some)
        .map_err(|_| Failure::argument(&text, "float"))
}

/// A truth value; false if the argument is missing.
pub(super) fn flag(request: &Request, name: &str) -> Result<bool, Failure> {
    let Some(text) = text(request, name) else {
        return Ok(false);
    };
    checks::flag(&text).ok_or_else(|| Failure::argument(&text, "bool"))
}

#[cfg(test)]
mod tests {
    use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequest;

    use super::*;
    use crate::web::request::from_event;

    fn request(query: &str, form: &str) -> Request {
        let mut event = ApiGatewayV2httpRequest::default();
        event.raw_query_string = Some(query.to_owned());
        let kind = http::HeaderValue::from_static("application/x-www-form-urlencoded");
        event.headers.insert(http::header::CONTENT_TYPE, kind);
        event.body = Some(form.to_owned());
        from_event(event, "/api/{area}")
    }

    #[test]
    fn arguments_are_read_as_in_python() {
        let request = request(
            "a=1&a=%202%20&b=No&c=&d=99999999999999999999&e=inf&f=All",
            "g=x%20y&b=on",
        );
        assert_eq!(int(&request, "a").unwrap(), Some(2));
        assert!(flag(&request, "b").unwrap() && !flag(&request, "missing").unwrap());
        assert_eq!(int(&request, "d").unwrap(), Some(i64::MAX));
        assert_eq!(float(&request, "e").unwrap(), Some(f64::INFINITY));
        assert_eq!(filter(&request, "f"), None);
        assert_eq!(text(&request, "g").as_deref(), Some("x y"));
        for wrong in [int(&request, "c"), int(&request, "g"), int(&request, "e")] {
            assert!(wrong.is_err());
        }
        assert!(required(&request, "c").is_err() && flag(&request, "c").is_err());
    }
}
