//! `GET /jobs/`: the jobs, with the JSON Schema of their input and output.

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use crate::jobs::{JobInfo, JobSchemas};
use crate::remote::bodies::Body;

/// The path of a schema in the OpenAPI document, and in a self-contained schema.
const COMPONENTS: &str = "#/components/schemas/";
const DEFINITIONS: &str = "#/$defs/";

/// The dialect of the schemas.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A job.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobView {
    /// The name that submissions use.
    #[schema(example = "process_data")]
    name: String,
    /// The JSON Schema (2020-12) of the input of a task.
    #[schema(value_type = Object)]
    input_schema: Value,
    /// The JSON Schema (2020-12) of the result of a task.
    #[schema(value_type = Object)]
    output_schema: Value,
    /// Where the body of a remote job runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<BodyView>,
}

/// Where the body of a remote job runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct BodyView {
    /// `function` or `url`.
    #[schema(example = "function")]
    kind: &'static str,
    /// The name of the Lambda function, or the URL without its query.
    #[schema(example = "reports:live")]
    place: String,
}

impl From<&Body> for JobView {
    /// A remote job: nothing is known of its input and output.
    fn from(body: &Body) -> JobView {
        let any = json!({"$schema": DIALECT});
        JobView {
            name: body.pattern.clone(),
            input_schema: any.clone(),
            output_schema: any,
            body: Some(BodyView {
                kind: body.target.kind(),
                place: body.target.place(),
            }),
        }
    }
}

impl From<&JobInfo> for JobView {
    fn from(job: &JobInfo) -> JobView {
        let schemas = (job.schemas)();
        JobView {
            name: job.name.to_owned(),
            input_schema: self_contained(&schemas, &schemas.input),
            output_schema: self_contained(&schemas, &schemas.output),
            body: None,
        }
    }
}

/// A schema that contains every schema it refers to.
fn self_contained(schemas: &JobSchemas, name: &str) -> Value {
    let mut definitions = Map::new();
    collect(schemas, name, &mut definitions);
    json!({
        "$schema": DIALECT,
        "$ref": format!("{DEFINITIONS}{name}"),
        "$defs": definitions,
    })
}

fn collect(schemas: &JobSchemas, name: &str, definitions: &mut Map<String, Value>) {
    if definitions.contains_key(name) {
        return;
    }
    let schema = schemas.all.get(name).map(serde_json::to_value);
    let mut schema = schema.and_then(Result::ok).unwrap_or_default();
    let mut references = Vec::new();
    as_json_schema(&mut schema, &mut references);
    definitions.insert(name.to_owned(), schema);
    for name in references {
        collect(schemas, &name, definitions);
    }
}

/// Rewrites references to `$defs`, and adds their names to `references`. `oneOf` becomes `anyOf`, since the
/// alternatives may overlap.
fn as_json_schema(value: &mut Value, references: &mut Vec<String>) {
    match value {
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| as_json_schema(value, references)),
        Value::Object(map) => {
            if let Some(choice) = map.remove("oneOf") {
                map.insert("anyOf".to_owned(), choice);
            }
            let name = map.get("$ref").and_then(Value::as_str);
            if let Some(name) = name.and_then(|name| name.strip_prefix(COMPONENTS)) {
                references.push(name.to_owned());
                let reference = format!("{DEFINITIONS}{name}");
                map.insert("$ref".to_owned(), reference.into());
            }
            map.values_mut()
                .for_each(|value| as_json_schema(value, references));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::CATALOG;

    #[test]
    fn a_schema_contains_every_schema_it_refers_to() {
        for job in CATALOG {
            let view = JobView::from(job);
            for schema in [view.input_schema, view.output_schema] {
                let text = schema.to_string();
                assert!(
                    !text.contains(COMPONENTS) && !text.contains("oneOf"),
                    "{text}"
                );
                for part in text.split(DEFINITIONS).skip(1) {
                    let name = part.split('"').next().unwrap();
                    assert!(schema["$defs"][name].is_object(), "{name} in {text}");
                }
            }
        }
    }
}
