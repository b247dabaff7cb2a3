//! Builds the OpenAPI document from the routes' descriptions, with FastAPI's names and forms.

use async_service::auth::Scope;
use async_service::jobs::CATALOG;
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// The whole document.
pub fn of(routes: OpenApi) -> Value {
    let mut routes = serde_json::to_value(routes).unwrap();
    for (path, operations) in members(&mut routes["paths"]) {
        for (method, operation) in members(operations) {
            assert!(METHODS.contains(&method.as_str()), "{method}");
            as_fastapi(path, method, operation);
            security(path, method, operation);
        }
    }
    let mut schemas = routes["components"]["schemas"].take();
    jobs(&mut schemas);
    for (name, schema) in members(&mut schemas) {
        schema["title"] = json!(name);
        titles(schema);
    }
    errors(&mut schemas);
    forms(&mut schemas);
    forms(&mut routes["paths"]);
    members(&mut schemas).sort_keys();
    json!({
        "openapi": "3.1.0",
        "info": info(),
        "servers": [{"url": "/"}],
        "tags": tags(),
        "paths": routes["paths"],
        "components": {
            "schemas": schemas,
            "securitySchemes": security_schemes(),
        },
    })
}

/// The two ways to authenticate.
fn security_schemes() -> Value {
    json!({
        "ApiKey": {
            "type": "apiKey",
            "in": "header",
            "name": "x-api-key",
            "description": "An API key. A deployment may take tokens instead, or need no authentication.",
        },
        "Bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or a JSON Web Token where the deployment takes these.",
        },
    })
}

/// The operations that need no key: the greeting, and the report of a body, whose URL has a token.
const OPEN: [&str; 2] = ["/", "/tasks/{task_id}/progress"];

/// The security of an operation: all but a few operations need the method's scope.
fn security(path: &str, method: &str, operation: &mut Value) {
    if OPEN.contains(&path) {
        operation["security"] = json!([]);
        return;
    }
    let method = method.to_uppercase().parse().unwrap();
    let scope = Scope::of(&method).as_str();
    operation["security"] = json!([{"ApiKey": [scope]}, {"Bearer": [scope]}]);
    let refusal = |description: &str, detail: &str| {
        json!({
            "description": description,
            "content": {"application/json": {
                "schema": {"$ref": "#/components/schemas/ErrorDetail"},
                "example": {"detail": detail},
            }},
        })
    };
    let answers = &mut operation["responses"];
    let unknown = "No key or token, or an invalid key or token";
    answers["401"] = refusal(unknown, "Not authenticated");
    answers["401"]["headers"] = json!({"WWW-Authenticate": {
        "description": "The scheme to use", "schema": {"type": "string"}, "example": "Bearer",
    }});
    answers["403"] = refusal("The key or token lacks the scope", "Forbidden");
    members(answers).sort_keys();
}

fn info() -> Value {
    json!({
        "title": "async-service",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Items, users, fetched URLs, and background tasks.",
        "license": {"name": "MIT OR Apache-2.0", "identifier": env!("CARGO_PKG_LICENSE")},
    })
}

fn tags() -> Value {
    json!([
        {"name": "service", "description": "The service itself"},
        {"name": "items", "description": "Any JSON objects"},
        {"name": "users", "description": "Users, read through another service if there is one"},
        {"name": "fetch", "description": "URLs of other services"},
        {"name": "tasks", "description": "Work that is queued, run by a worker, and recorded"},
        {"name": "schedules", "description": "Rules that submit tasks again and again"},
    ])
}

/// Names an operation as FastAPI does, after its function and path.
fn as_fastapi(path: &str, method: &str, operation: &mut Value) {
    let function = text(operation, "operationId");
    let id: String = format!("{function}{path}")
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '_' })
        .collect();
    let texts = [text(operation, "summary"), text(operation, "description")];
    operation["operationId"] = json!(format!("{id}_{method}"));
    operation["summary"] = json!(title(&function));
    operation["description"] = json!(texts.join("\n\n").trim());
    let parameters = operation.get_mut("parameters");
    for parameter in parameters.into_iter().flat_map(items) {
        let name = text(parameter, "name");
        let optional = parameter["required"] == false;
        let schema = &mut parameter["schema"];
        if optional && schema.get("default").is_none() {
            *schema = json!({"anyOf": [schema, {"type": "null"}]});
        }
        schema["title"] = json!(title(&name));
    }
    if operation.get("requestBody").is_some() {
        body(&function, &mut operation["requestBody"]);
    }
}

/// Describes the body of a route. A body of any object has FastAPI's title: the parameter's name.
fn body(function: &str, body: &mut Value) {
    body["required"] = json!(true);
    let schema = &mut body["content"]["application/json"]["schema"];
    if schema.get("$ref").is_none() {
        let name = if function == "process" {
            "Data"
        } else {
            "Item"
        };
        *schema = json!({"additionalProperties": true, "type": "object", "title": name});
    }
}

/// Adds the schemas of the jobs. A completed task's result is the output of one of the jobs.
fn jobs(schemas: &mut Value) {
    let mut outputs = Vec::new();
    for job in CATALOG {
        let of_job = (job.schemas)();
        outputs.push(json!({"$ref": format!("#/components/schemas/{}", of_job.output)}));
        for (name, schema) in of_job.all {
            schemas[name] = serde_json::to_value(schema).unwrap();
        }
    }
    let result = &mut schemas["TaskResult"]["properties"]["result"];
    let description = result["description"].take();
    *result = json!({"anyOf": outputs, "description": description});
}

/// Gives each property its name as title, as in Pydantic's schemas.
fn titles(schema: &mut Value) {
    let Some(properties) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in members(properties) {
        if property.get("$ref").is_none() {
            property["title"] = json!(title(name));
        }
    }
}

/// The two schemas of validation errors, with FastAPI's titles.
fn errors(schemas: &mut Value) {
    let one = &mut schemas["ValidationError"];
    one["required"] = json!(["loc", "msg", "type"]);
    let properties = &mut one["properties"];
    properties["loc"]["items"] = json!({"anyOf": [{"type": "string"}, {"type": "integer"}]});
    for (name, title) in [
        ("loc", "Location"),
        ("msg", "Message"),
        ("type", "Error Type"),
        ("input", "Input"),
        ("ctx", "Context"),
    ] {
        properties[name]["title"] = json!(title);
    }
    properties["ctx"]["type"] = json!("object");
    members(schemas).remove("Loc");
    members(&mut schemas["HTTPValidationError"]).remove("required");
}

/// Rewrites equal forms as FastAPI has them: `anyOf` for `oneOf` and for types with null, and integers
/// without a size.
fn forms(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(forms),
        Value::Object(map) => {
            map.values_mut().for_each(forms);
            let of_size = ["int32", "int64"].map(Value::from);
            if map
                .get("format")
                .is_some_and(|format| of_size.contains(format))
            {
                map.remove("format");
            }
            if let Some(choice) = map.remove("oneOf").or_else(|| nullable(map)) {
                map.insert("anyOf".to_owned(), choice);
            }
        }
        _ => {}
    }
}

/// Takes a type such as `["string", "null"]` and its constraints out of a schema, and returns the members
/// of `anyOf`.
fn nullable(map: &mut Map<String, Value>) -> Option<Value> {
    let types = map.get("type")?.as_array()?.clone();
    let annotations = ["title", "description", "default", "example", "examples"];
    let (kept, constraints): (Map<_, _>, Map<_, _>) = std::mem::take(map)
        .into_iter()
        .partition(|(name, _)| annotations.contains(&name.as_str()));
    *map = kept;
    let choice = types.into_iter().map(|one| match one == "null" {
        true => json!({"type": one}),
        false => {
            let mut schema = constraints.clone();
            schema["type"] = one;
            Value::Object(schema)
        }
    });
    Some(choice.collect())
}

/// FastAPI's title of a name: `item_id` is `Item Id`.
fn title(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect::<Vec<_>>().join(" ")
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn members(value: &mut Value) -> &mut Map<String, Value> {
    value.as_object_mut().expect("an object")
}

fn items(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value.as_array_mut().into_iter().flatten()
}
