//! Reads `template.yaml`, the only definition of tables, queues, time-outs and event source
//! mappings.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use yaml_serde::Value as Yaml;

use crate::error::{Context, Error, Result};
use crate::security::{Parameters, Security};

/// The name of the local CloudFormation stack. In the template, the names of tables and queues
/// start with the stack's name.
pub const STACK: &str = "async-service";

/// The types of resources that the local stack creates from the template.
const LOCAL_TYPES: [&str; 3] = [
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::Scheduler::ScheduleGroup",
];

/// The template, as JSON with CloudFormation's functions in their long form.
#[derive(Debug, Clone)]
pub struct Template {
    root: Value,
}

/// A function with a queue as event source.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueConsumer {
    /// The name of the function's binary.
    pub binary: String,
    /// The function's time-out in seconds.
    pub timeout: u64,
    /// The name of the event source mapping in the template.
    pub name: String,
    /// The mapping's properties, such as `EventSourceArn` and `BatchSize`.
    pub mapping: Map<String, Value>,
}

/// A route of the HTTP API. The path is empty for `$default`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The method in upper case, or `ANY`.
    pub method: String,
    /// The path, with parameters in braces.
    pub path: String,
    /// The name of the function's binary.
    pub function: String,
}

impl Route {
    /// The route key in API Gateway, such as `GET /items`.
    #[must_use]
    pub fn key(&self) -> String {
        match self.path.as_str() {
            "" => "$default".to_owned(),
            path => format!("{} {path}", self.method),
        }
    }
}

impl Template {
    /// Reads the template from a file.
    ///
    /// # Errors
    /// When the file cannot be read or is not a template.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .context(format_args!("cannot read {}", path.display()))?;
        Self::parse(&text).context(path.display())
    }

    /// Reads the template from its text.
    ///
    /// # Errors
    /// When the text is not YAML, or has no resources.
    pub fn parse(text: &str) -> Result<Self> {
        let yaml: Yaml = yaml_serde::from_str(text).context("not valid YAML")?;
        let root = long_form(yaml)?;
        if !root["Resources"].is_object() {
            return Err(Error::new("the template has no Resources"));
        }
        Ok(Self { root })
    }

    /// The whole template.
    #[must_use]
    pub fn root(&self) -> &Value {
        &self.root
    }

    /// A CloudFormation template with only the tables, queues and schedule groups, and with the
    /// outputs that [`crate::resources`] needs.
    #[must_use]
    pub fn storage(&self) -> Value {
        let mut storage = json!({"Resources": {}, "Outputs": {}});
        for key in ["Parameters", "Mappings", "Conditions"] {
            if let Some(section) = self.root.get(key) {
                storage[key] = section.clone();
            }
        }
        for (name, resource) in self.resources() {
            if LOCAL_TYPES.iter().any(|kind| resource["Type"] == *kind) {
                storage["Resources"][name] = resource.clone();
            }
            if resource["Properties"]["TimeToLiveSpecification"]["Enabled"] == true {
                storage["Outputs"][format!("Ttl{name}")] = json!({"Value": {"Ref": name}});
            }
        }
        for consumer in self.queue_consumers() {
            storage["Outputs"][queue_output(&consumer)] =
                json!({"Value": consumer.mapping["EventSourceArn"]});
        }
        storage
    }

    /// The tables with a time to live, each with the attribute that holds a row's expiry.
    #[must_use]
    pub fn ttl_attributes(&self) -> BTreeMap<&str, &str> {
        self.resources()
            .filter_map(|(name, resource)| {
                let expiry = &resource["Properties"]["TimeToLiveSpecification"];
                let attribute = expiry["AttributeName"].as_str()?;
                (expiry["Enabled"] == true).then_some((name.as_str(), attribute))
            })
            .collect()
    }

    /// The binary of each function, by the function's name in the template.
    #[must_use]
    pub fn binaries(&self) -> BTreeMap<&str, &str> {
        self.resources()
            .filter_map(|(name, resource)| {
                let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?;
                Some((name.as_str(), binary))
            })
            .collect()
    }

    /// The binaries of the functions that the function of `$default` invokes, in the order of the
    /// variable `FUNCTIONS` of that function.
    #[must_use]
    pub fn invoked_by_default(&self) -> Vec<&str> {
        let binaries = self.binaries();
        let mut functions = self.functions();
        let names = functions
            .find_map(|(_, properties)| {
                properties["Environment"]["Variables"]["FUNCTIONS"]["Fn::Join"][1].as_array()
            })
            .into_iter()
            .flatten();
        names
            .filter_map(|name| binaries.get(name["Ref"].as_str()?).copied())
            .collect()
    }

    /// The time-out of each function in seconds, by the function's binary.
    #[must_use]
    pub fn timeouts(&self) -> BTreeMap<String, u64> {
        self.functions()
            .map(|(binary, properties)| (binary, self.timeout(properties)))
            .collect()
    }

    /// The functions with a queue as event source.
    #[must_use]
    pub fn queue_consumers(&self) -> Vec<QueueConsumer> {
        let mappings = self
            .resources()
            .filter(|(_, resource)| resource["Type"] == "AWS::Lambda::EventSourceMapping");
        mappings
            .filter_map(|(name, mapping)| self.queue_consumer(name, &mapping["Properties"]))
            .collect()
    }

    /// The function of an event source mapping, which names the alias that SAM makes of the function.
    fn queue_consumer(&self, name: &str, mapping: &Value) -> Option<QueueConsumer> {
        let alias = mapping["FunctionName"]["Ref"].as_str()?;
        let (function, _) = alias.rsplit_once("Alias")?;
        let function = &self.root["Resources"][function];
        let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str()?;
        let properties = mapping.as_object().filter(has_source)?.iter();
        Some(QueueConsumer {
            binary: binary.to_owned(),
            timeout: self.timeout(&function["Properties"]),
            name: name.to_owned(),
            mapping: properties
                .map(|(key, value)| (key.clone(), self.by_default(value)))
                .collect(),
        })
    }

    /// The routes of the HTTP API.
    #[must_use]
    pub fn routes(&self) -> Vec<Route> {
        let mut routes = Vec::new();
        for (function, properties) in self.functions() {
            let events = properties["Events"].as_object().into_iter().flatten();
            for (_, event) in events.filter(|(_, event)| event["Type"] == "HttpApi") {
                let text = |name: &str| event["Properties"][name].as_str();
                routes.push(Route {
                    method: text("Method").unwrap_or("ANY").to_uppercase(),
                    path: text("Path").unwrap_or_default().to_owned(),
                    function: function.clone(),
                });
            }
        }
        routes
    }

    /// The authorizer of the HTTP API, and the routes that have it.
    #[must_use]
    pub fn security(&self, parameters: &Parameters) -> Option<Security> {
        let api = self
            .resources()
            .find(|(_, resource)| resource["Type"] == "AWS::Serverless::HttpApi");
        let body = &api?.1["Properties"]["DefinitionBody"];
        Security::of(&self.root, body, parameters)
    }

    fn resources(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.root["Resources"].as_object().into_iter().flatten()
    }

    fn functions(&self) -> impl Iterator<Item = (String, &Value)> {
        self.resources()
            .filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function")
            .filter_map(|(_, resource)| {
                let binary = resource["Metadata"]["BuildProperties"]["Binary"].as_str()?;
                Some((binary.to_owned(), &resource["Properties"]))
            })
    }

    /// A value in which the defaults of parameters replace references to parameters.
    fn by_default(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                let parameter = fields.get("Ref").and_then(Value::as_str);
                let parameter = parameter.map(|name| &self.root["Parameters"][name]["Default"]);
                match parameter {
                    Some(default) if !default.is_null() => default.clone(),
                    _ => {
                        let fields = fields.iter();
                        let fields =
                            fields.map(|(key, value)| (key.clone(), self.by_default(value)));
                        Value::Object(fields.collect())
                    }
                }
            }
            other => other.clone(),
        }
    }

    fn timeout(&self, properties: &Value) -> u64 {
        let own = properties["Timeout"].as_u64();
        // Lambda's default is three seconds.
        own.or_else(|| self.root["Globals"]["Function"]["Timeout"].as_u64())
            .unwrap_or(3)
    }
}

/// The name of the output with the queue of an event source mapping. Names of outputs may not contain underscores.
#[must_use]
pub fn queue_output(consumer: &QueueConsumer) -> String {
    format!("Queue{}", consumer.name)
}

// `Option::filter` determines the signature.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn has_source(mapping: &&Map<String, Value>) -> bool {
    mapping.contains_key("EventSourceArn")
}

/// Turns YAML into JSON, and `!Ref x` into `{"Ref": "x"}`.
fn long_form(yaml: Yaml) -> Result<Value> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(value) => Value::String(value),
        Yaml::Number(number) => {
            serde_json::to_value(number).context("a number that JSON cannot represent")?
        }
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(long_form).collect::<Result<_>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let Yaml::String(key) = key else {
                    return Err(Error::new("a key that is not a string"));
                };
                object.insert(key, long_form(value)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            function(tag.trim_start_matches('!'), long_form(tagged.value)?)
        }
    })
}

fn function(name: &str, argument: Value) -> Value {
    match (name, &argument) {
        ("Ref" | "Condition", _) => json!({ name: argument }),
        ("GetAtt", Value::String(path)) => {
            let parts: Vec<&str> = path.splitn(2, '.').collect();
            json!({"Fn::GetAtt": parts})
        }
        _ => json!({ format!("Fn::{name}"): argument }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r"
Globals: {Function: {Timeout: 29}}
Parameters: {Workers: {Type: Number, Default: 7}}
Resources:
  Rows:
    Type: AWS::DynamoDB::Table
    Properties:
      TableName: !Sub ${AWS::StackName}-rows
      TimeToLiveSpecification: {AttributeName: expires_at, Enabled: true}
  Work: {Type: AWS::SQS::Queue}
  HomeFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: home_page}}
    Properties: {}
  WorkerFunction:
    Type: AWS::Serverless::Function
    Metadata: {BuildProperties: {Binary: worker}}
    Properties:
      Timeout: 300
  WorkerFunctionTasks:
    Type: AWS::Lambda::EventSourceMapping
    Properties:
      FunctionName: !Ref WorkerFunctionAliaslive
      EventSourceArn: !GetAtt Work.Arn
      BatchSize: 10
      ScalingConfig: {MaximumConcurrency: !Ref Workers}
";

    #[test]
    fn storage_has_only_tables_and_queues() {
        let storage = Template::parse(SMALL).unwrap().storage();
        let names: Vec<&String> = storage["Resources"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["Rows", "Work"]);
        assert_eq!(
            storage["Resources"]["Rows"]["Properties"]["TableName"],
            json!({"Fn::Sub": "${AWS::StackName}-rows"})
        );
        assert_eq!(
            storage["Outputs"]["TtlRows"]["Value"],
            json!({"Ref": "Rows"})
        );
        assert_eq!(
            storage["Outputs"]["QueueWorkerFunctionTasks"]["Value"],
            json!({"Fn::GetAtt": ["Work", "Arn"]})
        );
    }

    #[test]
    fn a_function_without_a_time_out_has_the_global_one() {
        let template = Template::parse(SMALL).unwrap();
        let timeouts: Vec<_> = template.timeouts().into_iter().collect();
        assert_eq!(
            timeouts,
            [("home_page".to_owned(), 29), ("worker".to_owned(), 300)]
        );
        let consumers = template.queue_consumers();
        assert_eq!(consumers.len(), 1);
        assert_eq!(consumers[0].mapping["BatchSize"], 10);
        assert_eq!(
            consumers[0].mapping["ScalingConfig"],
            json!({"MaximumConcurrency": 7})
        );
        assert_eq!(
            consumers[0].mapping["EventSourceArn"],
            json!({"Fn::GetAtt": ["Work", "Arn"]})
        );
        assert_eq!(template.ttl_attributes()["Rows"], "expires_at");
        assert_eq!(template.binaries()["HomeFunction"], "home_page");
    }

    #[test]
    fn the_project_s_template_has_what_the_stack_needs() {
        let path = crate::project::root().join("template.yaml");
        let template = Template::read(&path).unwrap();
        let consumers = template.queue_consumers();
        let binaries: Vec<&str> = consumers.iter().map(|c| c.binary.as_str()).collect();
        assert_eq!(binaries, ["worker", "worker", "dead_letter"]);
        assert!(template.timeouts().len() >= 16);
        let routes = template.routes();
        assert!(
            routes
                .iter()
                .any(|route| route.path == "/items/{item_id}" && route.method == "PUT")
        );
        assert!(
            routes
                .iter()
                .any(|route| route.path.is_empty() && route.function == "fallback")
        );
        assert!(template.storage()["Resources"].as_object().unwrap().len() >= 5);
    }

    #[test]
    fn text_that_is_not_a_template_is_an_error() {
        assert!(Template::parse("a: [").is_err());
        assert_eq!(
            Template::parse("a: 1").unwrap_err().to_string(),
            "the template has no Resources"
        );
    }
}
