//! The functions with their routes, read from `template.yaml` and the files in `functions/`.

use local_stack::template::Template;
use local_stack::{Error, Result};

/// All functions, in the order of `template.yaml`.
///
/// The order is FastAPI's: where two routes share a path, the first one determines the `Allow`
/// header of a 405.
#[derive(Debug)]
pub struct Service {
    /// The functions.
    pub functions: Vec<Function>,
}

/// One function.
#[derive(Debug)]
pub struct Function {
    /// The name of the function's file and executable.
    pub name: String,
    /// The name of the function's resource in the template.
    pub resource: String,
    /// The routes of the HTTP API that invoke the function. The path of `$default` is empty.
    pub routes: Vec<Route>,
    /// The documented operations in the function's file.
    pub operations: Vec<Operation>,
    /// Who may call the function's routes, but for those in `opened`.
    pub access: Access,
    /// The routes with another access, as `GET /path`.
    pub opened: Vec<(Access, String)>,
    /// Whether the routes are in the OpenAPI document.
    pub is_documented: bool,
}

/// A route of the HTTP API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method, in upper case.
    pub method: String,
    /// The path in API Gateway's form, without a trailing slash.
    pub path: String,
}

/// A handler with `#[utoipa::path]` above it.
#[derive(Debug, PartialEq, Eq)]
pub struct Operation {
    /// The name of the handler.
    pub handler: String,
    /// The method, in upper case.
    pub method: String,
    /// The path in FastAPI's form, which may have a trailing slash.
    pub path: String,
}

/// The call in a function whose routes are not in the OpenAPI document.
const UNDOCUMENTED: &str = ".serve_undocumented(";

/// Who may call a function, according to the function's call of `serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Callers with an API key or token.
    Callers,
    /// Everybody or only callers, depending on the parameter `OpenDocs`.
    Documentation,
    /// Everybody or only callers, depending on the parameter `OpenMetrics`.
    Metrics,
    /// Everybody.
    Everybody,
}

impl Service {
    /// Reads the template, and the name and text of each file in `functions/`.
    ///
    /// # Errors
    /// When the two contradict each other; the message names the file.
    pub fn of(template: &Template, sources: &[(String, String)]) -> Result<Service> {
        let binaries = binaries(template);
        if let Some((name, _)) = sources
            .iter()
            .find(|(name, _)| binaries.iter().all(|(_, binary)| *binary != name))
        {
            return Err(Error::new(format!(
                "functions/{name}.rs has no function in template.yaml: `Binary: {name}` is missing"
            )));
        }
        let mut functions = Vec::new();
        for (resource, name) in binaries {
            let source = sources.iter().find(|(file, _)| file == name);
            let (_, text) = source.ok_or_else(|| {
                let what = "names a function that has no file";
                Error::new(format!("template.yaml {what}: functions/{name}.rs"))
            })?;
            functions.push(function(template, resource, name, text)?);
        }
        Ok(Service { functions })
    }
}

impl Function {
    /// A path of this function's routes in FastAPI's form, which may have a trailing slash.
    pub fn canonical<'a>(&'a self, path: &'a str) -> &'a str {
        let documented = self.operations.iter().map(|operation| &*operation.path);
        let mut same = documented.filter(|documented| without_slash(documented) == path);
        same.next().unwrap_or(path)
    }

    /// Who may call a route of this function.
    pub fn access_of(&self, method: &str, path: &str) -> Access {
        let mut opened = self.opened.iter();
        let found = opened.find(|(_, key)| *key == format!("{method} {path}"));
        found.map_or(self.access, |(access, _)| *access)
    }

    /// Whether the HTTP API has a route with this path to the function.
    fn serves(&self, path: &str) -> bool {
        let mut routes = self.routes.iter();
        routes.any(|route| route.path == without_slash(path))
    }

    /// # Errors
    /// When a route is not documented, or a documented operation has no route.
    fn check(&self) -> Result<()> {
        let file = format!("functions/{}.rs", self.name);
        for Operation { method, path, .. } in &self.operations {
            let mut routes = self.routes.iter();
            if !routes.any(|route| route.method == *method && route.path == without_slash(path)) {
                return Err(Error::new(format!(
                    "{file}: {method} {path} is documented and is not in the function's Events in \
                     template.yaml"
                )));
            }
        }
        for Route { method, path } in &self.routes {
            let mut operations = self.operations.iter();
            let is_documented =
                operations.any(|one| one.method == *method && without_slash(&one.path) == path);
            if self.access == Access::Callers && self.is_documented && !is_documented {
                return Err(Error::new(format!(
                    "{file}: {method} {path} is in template.yaml and in no #[utoipa::path] of the file"
                )));
            }
        }
        let is_route = |key: &str| {
            let mut routes = self.routes.iter();
            routes.any(|route| format!("{} {}", route.method, route.path) == key)
        };
        if let Some((_, key)) = self.opened.iter().find(|(_, key)| !is_route(key)) {
            return Err(Error::new(format!(
                "{file}: {key} is not in the function's Events in template.yaml"
            )));
        }
        Ok(())
    }
}

/// The functions' resources and executables, in the order of the template.
fn binaries(template: &Template) -> Vec<(&str, &str)> {
    let resources = template.root()["Resources"].as_object();
    let resources = resources.into_iter().flatten();
    resources
        .filter_map(|(name, resource)| {
            let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?;
            Some((name.as_str(), binary))
        })
        .collect()
}

fn function(template: &Template, resource: &str, name: &str, text: &str) -> Result<Function> {
    let routes = template.routes().into_iter();
    let routes = routes.filter(|route| route.function == name);
    let operations = text.split("#[utoipa::path(").skip(1);
    let operations: Option<Vec<_>> = operations.map(|rest| operation(text, rest)).collect();
    let is_documented = !text.contains(UNDOCUMENTED);
    let function = Function {
        name: name.to_owned(),
        resource: resource.to_owned(),
        routes: routes
            .map(|route| Route {
                method: route.method,
                path: route.path,
            })
            .collect(),
        operations: operations.ok_or_else(|| {
            Error::new(format!(
                "functions/{name}.rs: #[utoipa::path] has to be `#[utoipa::path(get, path = …` \
                 with a text or a constant of the file as path, and a handler below it"
            ))
        })?,
        access: match is_documented {
            true if text.contains("Access::Documentation") => Access::Documentation,
            true if text.contains("Access::Everybody") => Access::Everybody,
            _ => Access::Callers,
        },
        opened: match is_documented {
            true => Vec::new(),
            false => opened(text),
        },
        is_documented,
    };
    function.check()?;
    if let Some(route) = constant(text, "ROUTE")
        && !function.serves(route)
    {
        return Err(Error::new(format!(
            "functions/{name}.rs: the path of ROUTE, {route}, is not in the function's Events in \
             template.yaml"
        )));
    }
    Ok(function)
}

/// The routes with another access than that of the function: `(Access::Everybody, "GET /path")`.
fn opened(text: &str) -> Vec<(Access, String)> {
    let entries = text.split("(Access::").skip(1);
    let entries = entries.filter_map(|entry| {
        let (name, rest) = entry.split_once(", \"")?;
        let access = match name {
            "Everybody" => Access::Everybody,
            "Metrics" => Access::Metrics,
            _ => return None,
        };
        Some((access, rest.split_once('"')?.0.to_owned()))
    });
    entries.collect()
}

/// Parses a `#[utoipa::path(…)]` attribute; `rest` is the file's text after `#[utoipa::path(`.
fn operation(text: &str, rest: &str) -> Option<Operation> {
    let (method, rest) = rest.split_once(',')?;
    let given = rest.trim_start().strip_prefix("path = ")?;
    let path = match given.strip_prefix('"') {
        Some(literal) => literal.split('"').next()?,
        None => constant(text, given.split(',').next()?)?,
    };
    let (_, rest) = rest.split_once("fn ")?;
    let (handler, _) = rest.split_once('(')?;
    Some(Operation {
        handler: handler.to_owned(),
        method: method.trim().to_uppercase(),
        path: path.to_owned(),
    })
}

/// The value of a string constant.
fn constant<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("const {name}: &str = \""))?;
    Some(rest.split_once('"')?.0)
}

/// A path in API Gateway's form.
fn without_slash(path: &str) -> &str {
    match path.strip_suffix('/') {
        None | Some("") => path,
        Some(shorter) => shorter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = "
Resources:
  ListFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: list}}
    Properties:
      Events:
        Route: {Type: HttpApi, Properties: {Path: /things, Method: GET}}
  PageFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: page}}
    Properties:
      Events:
        Route: {Type: HttpApi, Properties: {Path: /page, Method: GET}}
";
    const LIST: &str = "const ROUTE: &str = \"/things/\";
        #[utoipa::path(get, path = ROUTE, tag = \"x\")] pub async fn list(request: Request) {}";
    const PAGE: &str = "serve_to(Access::Documentation, \"/page\")";

    fn service(sources: &[(&str, &str)]) -> Result<Service> {
        let sources: Vec<_> = sources
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect();
        Service::of(&Template::parse(TEMPLATE).unwrap(), &sources)
    }

    #[test]
    fn functions_are_read_in_the_order_of_the_template() {
        let service = service(&[("page", PAGE), ("list", LIST)]).unwrap();
        let [list, page] = &service.functions[..] else {
            panic!("{service:?}")
        };
        let operation = Operation {
            handler: "list".to_owned(),
            method: "GET".to_owned(),
            path: "/things/".to_owned(),
        };
        assert_eq!(list.operations, [operation]);
        assert_eq!(list.access, Access::Callers);
        assert_eq!(list.canonical("/things"), "/things/");
        assert_eq!(page.access, Access::Documentation);
        assert_eq!(page.canonical("/page"), "/page");
        assert_eq!(page.routes[0].method, "GET");
    }

    #[test]
    fn an_undocumented_function_has_the_access_of_each_route() {
        let page = "app.serve_undocumented([(Access::Metrics, \"GET /page\")], \"/page\")";
        let found = service(&[("page", page), ("list", LIST)]).unwrap();
        let page_function = &found.functions[1];
        assert_eq!(page_function.access_of("GET", "/page"), Access::Metrics);
        assert_eq!(page_function.access_of("POST", "/page"), Access::Callers);
        let other = page.replace("GET /page", "GET /other");
        let error = service(&[("page", &other), ("list", LIST)]).unwrap_err();
        let expected =
            "functions/page.rs: GET /other is not in the function's Events in template.yaml";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_attribute_may_contain_the_path_itself() {
        let list = LIST.replace("path = ROUTE", "path = \"/things/\"");
        let service = service(&[("page", PAGE), ("list", &list)]).unwrap();
        assert_eq!(service.functions[0].operations[0].path, "/things/");
    }

    #[test]
    fn errors_name_the_file() {
        let documented = "functions/list.rs: GET /thing is documented and is not in the function's \
                          Events in template.yaml";
        for (list, error) in [
            (LIST.replace("/things/", "/thing"), documented),
            (
                "const ROUTE: &str = \"/thing\";".to_owned() + PAGE,
                "functions/list.rs: the path of ROUTE, /thing, is not in the function's Events in \
                 template.yaml",
            ),
            (
                LIST.replace("get, ", "put, "),
                "functions/list.rs: PUT /things/ is documented and is not in the function's Events \
                 in template.yaml",
            ),
            (
                "fn list() {}".to_owned(),
                "functions/list.rs: GET /things is in template.yaml and in no #[utoipa::path] of \
                 the file",
            ),
            (
                LIST.replace("path = ROUTE", "path = OTHER"),
                "functions/list.rs: #[utoipa::path] has to be `#[utoipa::path(get, path = …` with a \
                 text or a constant of the file as path, and a handler below it",
            ),
        ] {
            let found = service(&[("list", &list), ("page", PAGE)]).unwrap_err();
            assert_eq!(found.to_string(), error);
        }
        let error = service(&[("list", LIST)]).unwrap_err().to_string();
        assert!(error.ends_with("has no file: functions/page.rs"), "{error}");
        let more = [("list", LIST), ("page", PAGE), ("ping", LIST)];
        let error = service(&more).unwrap_err().to_string();
        assert!(error.ends_with("`Binary: ping` is missing"), "{error}");
    }
}
