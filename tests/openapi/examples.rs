//! The examples of the document equal the service's real answers.

use async_service::profile::Profiler;
use serde_json::json;
use utoipa::OpenApi;

use crate::Routes;

#[test]
fn the_example_result_is_the_result_of_the_example_input() {
    let document = crate::document::of(Routes::openapi());
    let input = &document["paths"]["/process/"]["post"]["requestBody"]["content"];
    let input = input["application/json"]["example"].to_string();
    let answer = &document["paths"]["/result/{task_id}"]["get"]["responses"]["200"]["content"];
    let completed = &answer["application/json"]["examples"]["completed"]["value"];
    let mut profiler = Profiler::new();
    profiler.document(&async_service::json::parse(input.as_bytes()).unwrap());
    let result = serde_json::to_value(profiler.finish()).unwrap();
    assert_eq!(*completed, json!({"status": "completed", "result": result}));
}
