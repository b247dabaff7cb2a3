//! The authorizer of the HTTP API and the routes that have it, read from the API's OpenAPI body for
//! given values of the template's parameters.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// The values of the template's parameters, by parameter name.
pub type Parameters = BTreeMap<String, String>;

/// The authorizer of an HTTP API, and the routes that have it.
#[derive(Debug, Clone, PartialEq)]
pub struct Security {
    /// The authorizer's name in the OpenAPI body.
    pub name: String,
    /// The kind and the settings of the authorizer.
    pub authorizer: Authorizer,
    /// The keys of the routes with the authorizer, such as `GET /items`.
    pub routes: BTreeSet<String>,
}

/// What authenticates requests.
#[derive(Debug, Clone, PartialEq)]
pub enum Authorizer {
    /// A Lambda function.
    Function {
        /// The function's name in the template.
        function: String,
        /// The required header, in lower case, which is also the key of cached answers. `None` when
        /// no header is required and nothing is cached.
        header: Option<String>,
        /// How long the gateway caches an answer, in seconds.
        keep: u64,
    },
    /// The gateway itself, which checks JSON Web Tokens.
    Tokens {
        /// The issuer of accepted tokens.
        issuer: String,
        /// The accepted audiences of tokens.
        audience: Vec<String>,
    },
}

impl Security {
    /// Reads the OpenAPI body `body` of `template`. `None` when no route has an authorizer.
    #[must_use]
    pub fn of(template: &Value, body: &Value, parameters: &Parameters) -> Option<Self> {
        let resolver = Resolver {
            template,
            parameters,
        };
        let body = resolver.resolve(body)?;
        let mut routes = BTreeSet::new();
        let mut name = None;
        for (path, methods) in body["paths"].as_object()? {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let asked = operation["security"][0].as_object();
                if let Some(asked) = asked.and_then(|asked| asked.keys().next()) {
                    routes.insert(format!("{} {path}", method.to_uppercase()));
                    name = Some(asked.clone());
                }
            }
        }
        let name = name?;
        let scheme = &body["components"]["securitySchemes"][&name];
        let authorizer = authorizer(&scheme["x-amazon-apigateway-authorizer"])?;
        Some(Self {
            name,
            authorizer,
            routes,
        })
    }
}

fn authorizer(definition: &Value) -> Option<Authorizer> {
    if definition["type"] == "jwt" {
        let jwt = &definition["jwtConfiguration"];
        let audience = jwt["audience"].as_array()?.iter();
        return Some(Authorizer::Tokens {
            issuer: jwt["issuer"].as_str()?.to_owned(),
            audience: audience
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
        });
    }
    let source = definition["identitySource"].as_str();
    let header = source.and_then(|source| source.strip_prefix("$request.header."));
    let keep = &definition["authorizerResultTtlInSeconds"];
    let keep = keep
        .as_u64()
        .or_else(|| keep.as_str().and_then(|text| text.parse().ok()));
    Some(Authorizer::Function {
        function: invoked(&definition["authorizerUri"])?,
        header: header.map(str::to_ascii_lowercase),
        keep: keep.unwrap_or(0),
    })
}

/// The function or its alias in `arn:…:function path…/${Name}/invocations`.
#[must_use]
pub fn invoked(uri: &Value) -> Option<String> {
    let (_, rest) = uri["Fn::Sub"].as_str()?.split_once("/functions/${")?;
    let name = rest.split_once('}')?.0;
    Some(name.strip_suffix(".Arn").unwrap_or(name).to_owned())
}

/// Replaces references to parameters by their values, and chooses between branches by the
/// conditions.
struct Resolver<'a> {
    template: &'a Value,
    parameters: &'a Parameters,
}

impl Resolver<'_> {
    /// `None` for `AWS::NoValue`. Values that only a deployed stack has stay unresolved.
    fn resolve(&self, value: &Value) -> Option<Value> {
        match value {
            Value::Array(items) => {
                Some(items.iter().filter_map(|item| self.resolve(item)).collect())
            }
            Value::Object(map) => match single(map) {
                Some(("Ref", Value::String(name))) if name == "AWS::NoValue" => None,
                Some(("Ref", Value::String(name))) => Some(
                    self.parameter(name)
                        .map_or_else(|| value.clone(), Value::from),
                ),
                Some(("Fn::If", Value::Array(parts))) if parts.len() == 3 => {
                    let holds = self.condition(parts[0].as_str().unwrap_or_default());
                    self.resolve(&parts[if holds { 1 } else { 2 }])
                }
                _ => {
                    let kept = map.iter().filter_map(|(name, value)| {
                        self.resolve(value).map(|value| (name.clone(), value))
                    });
                    Some(Value::Object(kept.collect()))
                }
            },
            other => Some(other.clone()),
        }
    }

    fn parameter(&self, name: &str) -> Option<String> {
        let default = &self.template["Parameters"][name]["Default"];
        let default = match default {
            Value::String(text) => Some(text.clone()),
            Value::Null => None,
            other => Some(other.to_string()),
        };
        self.parameters.get(name).cloned().or(default)
    }

    fn condition(&self, name: &str) -> bool {
        self.holds(&self.template["Conditions"][name])
    }

    fn holds(&self, condition: &Value) -> bool {
        let Some((function, argument)) = condition.as_object().and_then(single) else {
            return false;
        };
        let mut arguments = argument.as_array().into_iter().flatten();
        match function {
            "Condition" => self.condition(argument.as_str().unwrap_or_default()),
            "Fn::Not" => arguments.all(|one| !self.holds(one)),
            "Fn::And" => arguments.all(|one| self.holds(one)),
            "Fn::Or" => arguments.any(|one| self.holds(one)),
            "Fn::Equals" => {
                let texts: Vec<_> = arguments.filter_map(|one| self.resolve(one)).collect();
                matches!(&texts[..], [one, other] if one == other)
            }
            _ => false,
        }
    }
}

fn single(map: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = map.iter();
    let (name, value) = entries.next()?;
    entries.next().is_none().then_some((name.as_str(), value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::project;
    use crate::template::Template;

    /// The project's own template with these parameters.
    fn security<const N: usize>(parameters: [(&str, &str); N]) -> Option<Security> {
        let template = Template::read(&project::root().join("template.yaml")).unwrap();
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        template.security(&parameters.into())
    }

    /// The documentation, which `OpenDocs` opens and closes.
    fn is_documentation(path: &str) -> bool {
        let starts = ["/docs", "/redoc", "/openapi.json"];
        path == "/" || starts.iter().any(|start| path.starts_with(start))
    }

    /// The routes without an authorizer: the files of the operator's page, the route whose requests have a token of
    /// their own, and the check of health.
    fn needs_no_key(path: &str) -> bool {
        path.starts_with("/dashboard")
            || path == "/tasks/{task_id}/progress"
            || path == "/healthcheck"
    }

    /// The keys of all routes except `$default`, which answers 404 to everybody.
    fn routes() -> BTreeSet<String> {
        let template = Template::read(&project::root().join("template.yaml")).unwrap();
        let routes = template.routes().into_iter();
        let named = routes.filter(|route| !route.path.is_empty());
        named.map(|route| route.key()).collect()
    }

    #[test]
    fn every_route_except_the_documentation_has_the_authorizer() {
        let found = security([]).unwrap();
        let path = |key: &str| key.split_once(' ').unwrap().1.to_owned();
        let mut routes = routes();
        routes.retain(|key| !needs_no_key(&path(key)));
        let (open, expected): (Vec<_>, Vec<_>) = routes
            .iter()
            .cloned()
            .partition(|key| is_documentation(&path(key)));
        assert_eq!(found.routes, expected.into_iter().collect());
        assert_eq!(open.len(), 11, "{open:?}");
        let closed = security([("OpenDocs", "false")]).unwrap();
        assert_eq!(closed.routes, routes);
        let metrics = security([("OpenDocs", "false"), ("OpenMetrics", "true")]).unwrap();
        let opened: Vec<_> = routes.difference(&metrics.routes).collect();
        assert_eq!(opened, ["GET /metrics"]);
    }

    #[test]
    fn auth_mode_determines_the_authorizer() {
        let of_function = |header: Option<&str>, keep| Authorizer::Function {
            function: "AuthorizerFunctionAliaslive".to_owned(),
            header: header.map(str::to_owned),
            keep,
        };
        let authorizer = |mode, more| {
            let parameters = [("AuthMode", mode), ("KeyCacheSeconds", "30"), more];
            security(parameters).map(|found| found.authorizer)
        };
        let issuer = ("JwtIssuer", "https://issuer.example");
        assert_eq!(authorizer("none", issuer), None);
        assert_eq!(authorizer("none", ("OpenDocs", "false")), None);
        assert_eq!(authorizer("api-key", issuer), Some(of_function(None, 0)));
        assert_eq!(
            authorizer("api-key-cached", issuer),
            Some(of_function(Some("authorization"), 30))
        );
        let tokens = Authorizer::Tokens {
            issuer: issuer.1.to_owned(),
            audience: vec!["async-service".to_owned()],
        };
        assert_eq!(authorizer("jwt", issuer), Some(tokens));
        let default = security([]).unwrap().authorizer;
        assert_eq!(default, of_function(None, 0));
    }
}
