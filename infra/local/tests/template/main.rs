//! Rules for `template.yaml` that linters do not check: how its values depend on each other, and on
//! the code.

use std::collections::{BTreeMap, BTreeSet};

use local_stack::project;
use local_stack::template::Template;
use serde_json::Value;

mod data;
mod environment;
mod functions;
mod monitoring;
mod source;

/// A file of the project.
fn file(path: &str) -> String {
    std::fs::read_to_string(project::root().join(path)).expect(path)
}

fn template() -> Template {
    Template::parse(&file("template.yaml")).expect("template.yaml")
}

/// The resources of a type, by name.
fn resources<'a>(template: &'a Template, kind: &str) -> BTreeMap<&'a str, &'a Value> {
    let all = template.root()["Resources"]
        .as_object()
        .into_iter()
        .flatten();
    let all = all.map(|(name, resource)| (name.as_str(), resource));
    all.filter(|(_, resource)| resource["Type"] == kind)
        .collect()
}

/// The functions' properties, by binary.
fn functions(template: &Template) -> BTreeMap<&str, &Value> {
    let functions = resources(template, "AWS::Serverless::Function");
    let binary = |function: &'_ Value| {
        function["Metadata"]["BuildProperties"]["Binary"]
            .as_str()
            .map(str::len)
    };
    assert!(
        functions
            .values()
            .all(|function| binary(function).is_some())
    );
    let pairs = functions.into_values().filter_map(|function| {
        let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str()?;
        Some((binary, &function["Properties"]))
    });
    pairs.collect()
}

/// A property of a function, or of all functions.
fn property<'a>(template: &'a Template, properties: &'a Value, name: &str) -> &'a Value {
    match &properties[name] {
        Value::Null => &template.root()["Globals"]["Function"][name],
        own => own,
    }
}

/// A statement of a function's policies, and the template condition of the statement, if any.
struct Statement<'a> {
    condition: Option<&'a str>,
    actions: BTreeSet<&'a str>,
    resources: Vec<&'a Value>,
}

/// The statements of a function's own policies, and of the template's managed policies that the function
/// names.
fn statements<'a>(template: &'a Template, properties: &'a Value) -> Vec<Statement<'a>> {
    let policies = properties["Policies"].as_array().into_iter().flatten();
    let documents = policies.map(|policy| {
        let named = match policy["Fn::If"].as_array() {
            Some(branches) => &branches[1],
            None => policy,
        };
        match named["Ref"].as_str() {
            Some(name) => &template.root()["Resources"][name]["Properties"]["PolicyDocument"],
            None => policy,
        }
    });
    let statements =
        documents.flat_map(|document| document["Statement"].as_array().into_iter().flatten());
    statements
        .map(|statement| match statement["Fn::If"].as_array() {
            Some(branches) => {
                assert_eq!(branches[2]["Ref"], "AWS::NoValue", "{statement}");
                read_statement(branches[0].as_str(), &branches[1])
            }
            None => read_statement(None, statement),
        })
        .collect()
}

fn read_statement<'a>(condition: Option<&'a str>, statement: &'a Value) -> Statement<'a> {
    assert_eq!(statement["Effect"], "Allow", "{statement}");
    Statement {
        condition,
        actions: list(&statement["Action"])
            .filter_map(Value::as_str)
            .collect(),
        resources: list(&statement["Resource"]).collect(),
    }
}

/// A list's values; a single value counts as a list of one.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    let (many, one) = match value {
        Value::Array(many) => (many.as_slice(), None),
        Value::Null => (&[][..], None),
        one => (&[][..], Some(one)),
    };
    many.iter().chain(one)
}

/// The resource of a reference such as `{"Fn::GetAtt": ["Name", "Arn"]}`. For an ARN from
/// `Fn::Sub`, the first resource in the ARN.
fn target(reference: &Value) -> Option<&str> {
    // A part of the template that a condition leaves out.
    if let Some(branches) = reference["Fn::If"].as_array() {
        return branches.get(1).and_then(target);
    }
    if let Some(name) = reference["Ref"].as_str() {
        return Some(name);
    }
    if let Some(text) = reference["Fn::Sub"].as_str() {
        let names = text.split("${").skip(1);
        let mut names = names.filter_map(|rest| rest.split(['.', '}']).next());
        return names.find(|name| !name.starts_with("AWS::"));
    }
    reference["Fn::GetAtt"][0].as_str()
}
