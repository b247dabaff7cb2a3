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
const LOCAL_TYPES: [&str; 4] = [
    "AWS::DynamoDB::Table",
    "AWS::SQS::Queue",
    "AWS::SNS::Topic",
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

/// A function that is subscribed to a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct TopicSubscriber {
    /// The name of the function's binary.
    pub binary: String,
    /// The function's time-out in seconds.
    pub timeout: u64,
    /// The name of the subscription in the template.
    pub name: String,
    /// The topic, as a reference.
    pub topic: Value,
}

/// A function that a rule of `EventBridge` calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimedFunction {
    /// The name of the function's binary.
    pub binary: String,
    /// The function's time-out in seconds.
    pub timeout: u64,
    /// When the rule calls the function, such as `rate(1 minute)`.
    pub expression: String,
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

    /// A CloudFormation template with only the tables, queues, topics and schedule groups, and with
    /// the outputs that [`crate::resources`] needs.
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
        for subscriber in self.topic_subscribers() {
            storage["Outputs"][topic_output(&subscriber)] = json!({"Value": subscriber.topic});
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
        let (binary, timeout) = self.aliased(&mapping["FunctionName"])?;
        let properties = mapping.as_object().filter(has_source)?.iter();
        Some(QueueConsumer {
            binary,
            timeout,
            name: name.to_owned(),
            mapping: properties
                .map(|(key, value)| (key.clone(), self.by_default(value)))
                .collect(),
        })
    }

    /// The functions that are subscribed to a topic.
    #[must_use]
    pub fn topic_subscribers(&self) -> Vec<TopicSubscriber> {
        let subscriptions = self
            .resources()
            .filter(|(_, resource)| resource["Type"] == "AWS::SNS::Subscription");
        subscriptions
            .filter_map(|(name, subscription)| {
                let properties = &subscription["Properties"];
                let (binary, timeout) = self.aliased(&properties["Endpoint"])?;
                Some(TopicSubscriber {
                    binary,
                    timeout,
                    name: name.clone(),
                    topic: properties["TopicArn"].clone(),
                })
            })
            .collect()
    }

    /// The functions that a rule calls.
    #[must_use]
    pub fn timed_functions(&self) -> Vec<TimedFunction> {
        let rules = self
            .resources()
            .filter(|(_, resource)| resource["Type"] == "AWS::Events::Rule");
        rules
            .filter_map(|(_, rule)| {
                let properties = &rule["Properties"];
                let (binary, timeout) = self.aliased(&properties["Targets"][0]["Arn"])?;
                Some(TimedFunction {
                    binary,
                    timeout,
                    expression: properties["ScheduleExpression"].as_str()?.to_owned(),
                })
            })
            .collect()
    }

    /// The binary and the time-out of a function, by a reference to its alias.
    fn aliased(&self, alias: &Value) -> Option<(String, u64)> {
        let (function, _) = alias["Ref"].as_str()?.rsplit_once("Alias")?;
        let function = &self.root["Resources"][function];
        let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str()?;
        Some((binary.to_owned(), self.timeout(&function["Properties"])))
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

/// The name of the output with the topic of a subscription.
#[must_use]
pub fn topic_output(subscriber: &TopicSubscriber) -> String {
    format!("Topic{}", subscriber.name)
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
mod tests;
