//! Creates the template's tables, queues and topics in the local AWS endpoints through CloudFormation,
//! and the worker and its event source mappings through Lambda. All calls are idempotent.

use serde_json::{Value, json};

use crate::aws::{Aws, expect};
use crate::cloudformation::{self, element, output_value};
use crate::error::{Context, Error, Result};
use crate::process;
use crate::template::{
    QueueConsumer, STACK, Template, TopicSubscriber, queue_output, topic_output,
};

/// The name of a rule's only target.
const TARGET: &str = "function";

/// A ZIP archive without files: Lambda requires code, but never runs this archive.
pub(crate) const EMPTY_ZIP: &str = "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Creates the tables and queues, or updates existing ones.
///
/// # Errors
/// When the endpoints refuse the template.
pub fn create_storage(aws: &Aws, template: &Template) -> Result<()> {
    let body = template.storage().to_string();
    let (status, text) = change_stack(aws, "CreateStack", &body)?;
    if text.contains("AlreadyExists") {
        let answer = change_stack(aws, "UpdateStack", &body)?;
        if !answer.1.contains("No updates") {
            expect("the update of tables and queues", answer)?;
        }
    } else {
        expect("the creation of tables and queues", (status, text))?;
    }
    let description = wait_for_stack(aws)?;
    enable_expiry(aws, template, &description)
}

/// Connects each queue and each topic of the template with its function. The function's code calls
/// `functions_url`, the address of `cargo lambda watch`.
///
/// # Errors
/// When the endpoints refuse a call.
pub fn connect(aws: &Aws, template: &Template, functions_url: &str) -> Result<()> {
    let description = cloudformation::describe(aws)?;
    disconnect(aws, template)?;
    let mut created = Vec::new();
    for consumer in template.queue_consumers() {
        let queue = output_value(&description, &queue_output(&consumer)).ok_or_else(|| {
            Error::new(format!("the queue of {} was not created", consumer.binary))
        })?;
        if !created.contains(&consumer.binary) {
            create_function(aws, &consumer.binary, consumer.timeout, functions_url)?;
            created.push(consumer.binary.clone());
        }
        create_mapping(aws, &consumer, queue)?;
    }
    for subscriber in template.topic_subscribers() {
        let topic = output_value(&description, &topic_output(&subscriber)).ok_or_else(|| {
            Error::new(format!(
                "the topic of {} was not created",
                subscriber.binary
            ))
        })?;
        create_function(aws, &subscriber.binary, subscriber.timeout, functions_url)?;
        subscribe(aws, &subscriber, topic)?;
    }
    for timed in template.timed_functions() {
        create_function(aws, &timed.binary, timed.timeout, functions_url)?;
        call_at(aws, &timed.binary, &timed.expression)?;
    }
    Ok(())
}

/// Deletes the event source mappings, so that a queue with kept state does not invoke functions
/// that no longer run.
///
/// # Errors
/// When the endpoints don't answer.
pub fn disconnect(aws: &Aws, template: &Template) -> Result<()> {
    for consumer in template.queue_consumers() {
        disconnect_one(aws, &consumer.binary)?;
    }
    for subscriber in template.topic_subscribers() {
        disconnect_one(aws, &subscriber.binary)?;
    }
    for timed in template.timed_functions() {
        call_no_more(aws, &timed.binary)?;
        disconnect_one(aws, &timed.binary)?;
    }
    Ok(())
}

fn change_stack(aws: &Aws, action: &str, body: &str) -> Result<(u16, String)> {
    let fields = [
        ("Action", action),
        ("Version", "2010-05-15"),
        ("StackName", STACK),
        ("TemplateBody", body),
    ];
    aws.form("cloudformation", &fields)
}

fn wait_for_stack(aws: &Aws) -> Result<String> {
    loop {
        let description = cloudformation::describe(aws)?;
        let status = element(&description, "StackStatus").unwrap_or_default();
        if matches!(status, "CREATE_COMPLETE" | "UPDATE_COMPLETE") {
            return Ok(description);
        }
        if !status.ends_with("IN_PROGRESS") || status.contains("ROLLBACK") {
            let reason = element(&description, "StackStatusReason").unwrap_or("no reason given");
            return Err(Error::new(format!(
                "the tables and queues of template.yaml were not created ({status}): {reason}"
            )));
        }
        process::pause()?;
    }
}

/// The emulator's CloudFormation ignores `TimeToLiveSpecification`, so this function turns on the
/// expiry of rows for each table.
fn enable_expiry(aws: &Aws, template: &Template, description: &str) -> Result<()> {
    for (table, attribute) in template.ttl_attributes() {
        if let Some(name) = output_value(description, &format!("Ttl{table}")) {
            enable_expiry_of(aws, name, attribute)?;
        }
    }
    Ok(())
}

/// Turns on the expiry of rows for one table.
///
/// # Errors
/// When the endpoints refuse the call.
pub fn enable_expiry_of(aws: &Aws, table: &str, attribute: &str) -> Result<()> {
    let body = json!({
        "TableName": table,
        "TimeToLiveSpecification": {"AttributeName": attribute, "Enabled": true},
    });
    let answer = aws.dynamodb("UpdateTimeToLive", &body)?;
    // Expiry is already on in a table with kept state.
    if !answer.1.contains("already enabled") {
        expect("the expiry of rows", answer)?;
    }
    Ok(())
}

fn disconnect_one(aws: &Aws, function: &str) -> Result<()> {
    let listing = aws.lambda_get(&format!(
        "/2015-03-31/event-source-mappings/?FunctionName={function}"
    ))?;
    if listing.0 == 200 {
        let listing: Value = serde_json::from_str(&listing.1).context("mappings")?;
        for mapping in listing["EventSourceMappings"]
            .as_array()
            .into_iter()
            .flatten()
        {
            if let Some(id) = mapping["UUID"].as_str() {
                aws.lambda_delete(&format!("/2015-03-31/event-source-mappings/{id}"))?;
            }
        }
    }
    aws.lambda_delete(&format!("/2015-03-31/functions/{function}"))?;
    Ok(())
}

fn create_function(aws: &Aws, name: &str, timeout: u64, functions_url: &str) -> Result<()> {
    let proxy = format!("{functions_url}/2015-03-31/functions/{name}/invocations");
    let body = json!({
        "FunctionName": name,
        "Runtime": "provided.al2023",
        "Handler": "bootstrap",
        "Role": "arn:aws:iam::000000000000:role/local",
        "Code": {"ZipFile": EMPTY_ZIP},
        "Timeout": timeout,
        "Environment": {"Variables": {"MINISTACK_LAMBDA_PROXY_URL": proxy}},
    });
    let created = aws.lambda_post("/2015-03-31/functions", &body)?;
    expect(&format!("the function {name}"), created)?;
    Ok(())
}

/// Subscribes a function to its topic. A repeated call finds the subscription.
fn subscribe(aws: &Aws, subscriber: &TopicSubscriber, topic: &str) -> Result<()> {
    // The function is in the account and the region of the topic.
    let place = topic.strip_prefix("arn:aws:sns:").unwrap_or(topic);
    let place = place.rsplit_once(':').map_or(place, |(place, _)| place);
    let function = format!("arn:aws:lambda:{place}:function:{}", subscriber.binary);
    let fields = [
        ("Action", "Subscribe"),
        ("Version", "2010-03-31"),
        ("TopicArn", topic),
        ("Protocol", "lambda"),
        ("Endpoint", &function),
    ];
    expect("the subscription to a topic", aws.form("sns", &fields)?)?;
    Ok(())
}

/// Creates the rule that calls a function at the times of an expression, such as `rate(1 minute)`. The rule has
/// the function's name.
pub(crate) fn call_at(aws: &Aws, name: &str, expression: &str) -> Result<()> {
    let rule = json!({"Name": name, "ScheduleExpression": expression});
    let created = expect("the rule of a function", aws.events("PutRule", &rule)?)?;
    let created: Value = serde_json::from_str(&created).context("a rule")?;
    // The function is in the account and the region of the rule.
    let place = created["RuleArn"].as_str().unwrap_or_default();
    let place = place.strip_prefix("arn:aws:events:").unwrap_or(place);
    let place = place
        .rsplit_once(":rule/")
        .map_or(place, |(place, _)| place);
    let function = format!("arn:aws:lambda:{place}:function:{name}");
    let targets = json!({"Rule": name, "Targets": [{"Id": TARGET, "Arn": function}]});
    expect("the target of a rule", aws.events("PutTargets", &targets)?)?;
    Ok(())
}

/// Deletes the rule of [`call_at`]. An absent rule is no error.
pub(crate) fn call_no_more(aws: &Aws, name: &str) -> Result<()> {
    let targets = json!({"Rule": name, "Ids": [TARGET]});
    aws.events("RemoveTargets", &targets)?;
    aws.events("DeleteRule", &json!({"Name": name}))?;
    Ok(())
}

/// Has a function receive from a queue, which is named by its ARN.
pub(crate) fn create_mapping(aws: &Aws, consumer: &QueueConsumer, queue: &str) -> Result<()> {
    let mut body = consumer.mapping.clone();
    body.insert("FunctionName".to_owned(), json!(consumer.binary));
    body.insert("EventSourceArn".to_owned(), json!(queue));
    let answer = aws.lambda_post("/2015-03-31/event-source-mappings/", &body.into())?;
    expect("the event source mapping", answer)?;
    Ok(())
}
