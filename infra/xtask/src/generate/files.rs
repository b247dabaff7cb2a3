//! The generated files.

use std::fmt::Write as _;

use local_stack::{Context, Result};

use super::region;
use super::service::{Access, Function, Service};

/// The manifest of the workspace and of the service, which has generated regions.
pub const MANIFEST: &str = "Cargo.toml";
/// The template, which has a generated region.
pub const TEMPLATE: &str = "template.yaml";

/// The first line of files that are generated as a whole.
const HEADER: &str = "// `cargo xtask generate` writes this file.\n";

/// All HTTP methods.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT",
];

/// A generated file, or a file with a generated region.
#[derive(Debug)]
pub struct File {
    /// The path, relative to the project's folder.
    pub path: &'static str,
    /// The whole text of the file.
    pub text: String,
}

/// The generated files for these functions. `manifest` and `template` are the current texts of the
/// files with generated regions.
///
/// # Errors
/// When a text has no markers of a generated region.
pub fn of(service: &Service, manifest: &str, template: &str) -> Result<Vec<File>> {
    let manifest = region::replace(manifest, "executables", &executables(service))
        .and_then(|text| region::replace(&text, "router", &router(service)));
    let template = region::replace(template, "paths", &paths(service))
        .and_then(|text| region::replace(&text, "names", &references(service, "")))
        .and_then(|text| region::replace(&text, "aliases", &references(service, "Aliaslive")));
    Ok(vec![
        File {
            path: MANIFEST,
            text: manifest.context(MANIFEST)?,
        },
        File {
            path: TEMPLATE,
            text: template.context(TEMPLATE)?,
        },
        File {
            path: "src/web/routes/table.rs",
            text: table(service),
        },
        File {
            path: "tests/openapi/routes.rs",
            text: document(service),
        },
    ])
}

/// The `[[bin]]` entry of each function in the manifest.
fn executables(service: &Service) -> Vec<String> {
    let mut lines = Vec::new();
    for Function { name, .. } in &service.functions {
        lines.extend([
            "[[bin]]".to_owned(),
            format!("name = \"{name}\""),
            format!("path = \"functions/{name}.rs\""),
            "test = false".to_owned(),
            String::new(),
        ]);
    }
    lines.pop();
    lines
}

/// The routes of `cargo lambda watch`. Its router matches the path before the method. So each path
/// also sends the methods without a function to the function of `$default`.
fn router(service: &Service) -> Vec<String> {
    let routes = by_path(service);
    let fallback = service.functions.iter().find(|function| {
        let mut routes = function.routes.iter();
        routes.any(|route| route.path.is_empty())
    });
    let mut lines = Vec::new();
    for (path, routes) in routes.iter().filter(|(path, _)| !path.is_empty()) {
        let with_slash = format!("{path}/");
        for path in [*path, &with_slash].iter().filter(|path| **path != "//") {
            for (methods, function) in by_function(routes) {
                lines.push(watch(path, &methods, &function.name));
            }
            let rest = METHODS.iter().filter(|method| {
                let mut taken = routes.iter();
                taken.all(|(taken, _)| taken != *method)
            });
            if let Some(fallback) = fallback {
                lines.push(watch(
                    path,
                    &rest.copied().collect::<Vec<_>>(),
                    &fallback.name,
                ));
            }
        }
    }
    if let Some(Function { name, .. }) = fallback {
        lines.push(format!(
            "{{ path = \"/{{*path}}\", function = \"{name}\" }},"
        ));
    }
    lines
}

fn watch(path: &str, methods: &[&str], function: &str) -> String {
    let methods = methods.join("\", \"");
    format!("{{ path = \"{path}\", methods = [\"{methods}\"], function = \"{function}\" }},")
}

/// The paths of the OpenAPI body, with the authorizer of each route.
fn paths(service: &Service) -> Vec<String> {
    let mut lines = Vec::new();
    for (path, routes) in by_path(service) {
        let known: Vec<_> = routes
            .iter()
            .filter_map(
                |(method, function)| match function.access_of(method, path) {
                    Access::Callers => Some((method, "KnowsCallers")),
                    Access::Documentation => Some((method, "DocsKnowCallers")),
                    Access::Metrics => Some((method, "MetricsKnowCallers")),
                    Access::Everybody => None,
                },
            )
            .collect();
        if !known.is_empty() {
            lines.push(format!("{path}:"));
        }
        for (method, condition) in known {
            let method = method.to_lowercase();
            let security = format!("!If [{condition}, [callers: []], []]");
            lines.push(format!("  {method}: {{security: {security}}}"));
        }
    }
    lines
}

/// The table of routes for requests that the gateway does not match.
fn table(service: &Service) -> String {
    let mut text = HEADER.to_owned();
    text.push_str(
        "\n/// The functions that answer for a route in place of the gateway, in the order of the variable\n\
         /// `FUNCTIONS` in the template.\npub(super) const FUNCTIONS: &[&str] = &[\n",
    );
    for Function { name, .. } in invoked(service) {
        let _ = writeln!(text, "    \"{name}\",");
    }
    text.push_str(
        "];\n\n\
         /// The path, the methods and the function of each route. The paths are FastAPI's: a slash at the\n\
         /// end included. The routes of a path are in their order.\n\
         pub(super) const ROUTES: &[(&str, &str, &str)] = &[\n",
    );
    for (path, routes) in by_path(service) {
        // FastAPI has no routes for its documentation's files.
        if path.is_empty() || path.ends_with("/{file}") {
            continue;
        }
        let path = routes[0].1.canonical(path);
        for (methods, Function { name, .. }) in by_function(&routes) {
            let methods = methods.join(", ");
            let _ = writeln!(text, "    (\"{path}\", \"{methods}\", \"{name}\"),");
        }
    }
    text + "];\n"
}

/// The functions that answer for a route in place of the gateway: all but those of the documentation, whose
/// requests are redirected as in FastAPI.
fn invoked(service: &Service) -> impl Iterator<Item = &Function> {
    let functions = service.functions.iter();
    functions.filter(|function| {
        let mut routes = function.routes.iter();
        function.access != Access::Documentation && routes.any(|route| !route.path.is_empty())
    })
}

/// References to what belongs to these functions: the functions themselves, or with the end `Aliaslive` of a
/// resource's name their aliases.
fn references(service: &Service, end: &str) -> Vec<String> {
    let functions = invoked(service);
    functions
        .map(|function| format!("- !Ref {}{end}", function.resource))
        .collect()
}

/// The list of functions for the OpenAPI document.
fn document(service: &Service) -> String {
    let functions = service.functions.iter();
    let documented: Vec<_> = functions
        .filter(|function| !function.operations.is_empty())
        .collect();
    let mut text = HEADER.to_owned() + "\n";
    let mut names: Vec<_> = documented.iter().map(|function| &function.name).collect();
    names.sort();
    for name in names {
        let _ = writeln!(text, "#[path = \"../../functions/{name}.rs\"]\nmod {name};");
    }
    text.push_str(
        "\nuse utoipa::OpenApi;\n\n\
         /// All routes, in the order in which FastAPI would have them.\n\
         #[derive(OpenApi)]\n#[openapi(\n    paths(\n",
    );
    for Function {
        name, operations, ..
    } in documented
    {
        for operation in operations {
            let _ = writeln!(text, "        {name}::{},", operation.handler);
        }
    }
    text + "    ),\n    components(schemas(crate::HTTPValidationError))\n)]\npub struct Routes;\n"
}

/// The routes of each path in order, as method and function.
fn by_path(service: &Service) -> Vec<(&str, Vec<(&str, &Function)>)> {
    let mut paths: Vec<(&str, Vec<(&str, &Function)>)> = Vec::new();
    for function in &service.functions {
        for route in &function.routes {
            let entry = (&*route.method, function);
            match paths.iter_mut().find(|(path, _)| *path == route.path) {
                Some((_, routes)) => routes.push(entry),
                None => paths.push((&route.path, vec![entry])),
            }
        }
    }
    paths
}

/// The methods of one path, grouped by function.
fn by_function<'a>(routes: &[(&'a str, &'a Function)]) -> Vec<(Vec<&'a str>, &'a Function)> {
    let mut functions: Vec<(Vec<&str>, &Function)> = Vec::new();
    for (method, function) in routes {
        match functions
            .iter_mut()
            .find(|(_, one)| one.name == function.name)
        {
            Some((methods, _)) => methods.push(method),
            None => functions.push((vec![method], function)),
        }
    }
    functions
}
