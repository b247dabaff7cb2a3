//! The OpenAPI document, its pages, and CORS.

use super::client::{Asked, Caller};
use super::{Findings, Service, first};

/// An origin that no service allows.
const STRANGER: &str = "https://smoke.invalid";

const ALLOWED: &str = "access-control-allow-origin";

pub fn document(service: &Service) -> Findings {
    first(|| {
        let served = service
            .client
            .get("/openapi.json", Caller::Known)?
            .expect(200)?
            .json()?;
        match served["paths"] == service.document["paths"] {
            true => Ok(()),
            false => Err(
                "GET /openapi.json: the routes differ from openapi.json here: \
                          the service was built from other code"
                    .to_owned(),
            ),
        }
    })
}

pub fn documentation(service: &Service) -> Findings {
    ["/docs", "/redoc", "/dashboard"]
        .iter()
        .flat_map(|path| page(service, path))
        .collect()
}

fn page(service: &Service, path: &str) -> Findings {
    let page = match service
        .client
        .get(path, Caller::Known)
        .and_then(|page| page.expect(200))
    {
        Ok(page) => page,
        Err(cause) => return vec![cause],
    };
    let text = String::from_utf8_lossy(&page.body);
    let links = links(&text);
    if !page
        .header("content-type")
        .is_some_and(|kind| kind.starts_with("text/html"))
        || links.is_empty()
    {
        return vec![format!("{}: not a page of the documentation", page.told())];
    }
    let prefix = service.client.prefix();
    let file = |link: &str| {
        // A service may not know the prefix of its paths.
        let link = link.strip_prefix(prefix.as_str()).unwrap_or(link);
        let file = service.client.get(link, Caller::Known)?.expect(200)?;
        match file.body.is_empty() {
            true => Err(format!("GET {link}: empty")),
            false => Ok(()),
        }
    };
    links.iter().filter_map(|link| file(link).err()).collect()
}

/// The paths of the service's files that a page loads.
pub(super) fn links(page: &str) -> Vec<&str> {
    let mut links: Vec<&str> = ["href=\"", "src=\"", "data-document=\""]
        .iter()
        .flat_map(|attribute| page.split(attribute).skip(1))
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| link.starts_with('/'))
        .collect();
    links.sort_unstable();
    links.dedup();
    links
}

// One case after the other, each with its own message.
pub fn cross_origin(service: &Service) -> Findings {
    let allowed = |origin: &str, method: &str| -> Asked {
        let headers = [
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization"),
        ];
        let headers = if method == "OPTIONS" {
            &headers[..]
        } else {
            &headers[..1]
        };
        service
            .client
            .send(method, "/items/", Caller::Nobody, headers, None)
    };
    let mut findings = Findings::new();
    for method in ["OPTIONS", "GET"] {
        let configured = service.origin.as_deref();
        let told = configured.map(|origin| (origin, allowed(origin, method)));
        match told {
            Some((origin, Ok(answer))) if !matches!(answer.header(ALLOWED), Some(value) if value == origin || value == "*") =>
            {
                findings.push(format!(
                    "{}: the origin {origin} is not allowed",
                    answer.told()
                ));
            }
            Some((_, Err(cause))) => findings.push(cause),
            _ => {}
        }
        match allowed(STRANGER, method) {
            Ok(answer) if answer.header(ALLOWED) == Some(STRANGER) => {
                findings.push(format!("{}: every origin is allowed", answer.told()));
            }
            Ok(answer) if answer.header(ALLOWED).is_some() && configured.is_none() => {
                findings.push(format!(
                    "{}: an origin is allowed: pass an allowed origin with --origin",
                    answer.told()
                ));
            }
            Ok(_) => {}
            Err(cause) => findings.push(cause),
        }
    }
    findings
}
