//! Tables and queues: retention, and dependent settings of queues.

use serde_json::{Value, json};

use crate::{file, list, resources, target, template};

/// SQS' maximum retention of messages, in seconds.
const LONGEST_RETENTION: u64 = 1_209_600;

fn keep_in_production() -> Value {
    json!({"Fn::If": ["IsProd", "Retain", "Delete"]})
}

#[test]
fn tables_are_on_demand_encrypted_and_have_point_in_time_recovery() {
    let template = template();
    let tables = resources(&template, "AWS::DynamoDB::Table");
    assert!(tables.len() >= 3);
    for (name, table) in tables {
        let properties = &table["Properties"];
        assert_eq!(properties["BillingMode"], "PAY_PER_REQUEST", "{name}");
        assert_eq!(properties["SSESpecification"]["SSEEnabled"], true, "{name}");
        let recovery = &properties["PointInTimeRecoverySpecification"];
        assert_eq!(recovery["PointInTimeRecoveryEnabled"], true, "{name}");
        // A schedule stays until its owner deletes the schedule.
        let expires = properties["TimeToLiveSpecification"]["Enabled"] == true;
        assert_eq!(expires, name != "SchedulesTable", "{name}");
        let protected = json!({"Fn::If": ["IsProd", true, false]});
        assert_eq!(properties["DeletionProtectionEnabled"], protected, "{name}");
    }
}

#[test]
fn tables_queues_and_logs_are_retained_in_production_and_have_the_stack_in_their_name() {
    let template = template();
    let mut kept = 0;
    for (kind, named) in [
        ("AWS::DynamoDB::Table", "TableName"),
        ("AWS::SQS::Queue", "QueueName"),
        ("AWS::Logs::LogGroup", "LogGroupName"),
    ] {
        for (name, resource) in resources(&template, kind) {
            assert_eq!(resource["DeletionPolicy"], keep_in_production(), "{name}");
            assert_eq!(
                resource["UpdateReplacePolicy"],
                keep_in_production(),
                "{name}"
            );
            let text = resource["Properties"][named]["Fn::Sub"].as_str();
            assert!(
                text.is_some_and(|text| text.contains("${AWS::StackName}")),
                "{name}"
            );
            kept += 1;
        }
    }
    assert!(kept >= 8, "{kept}");
}

#[test]
fn the_visibility_timeout_is_longer_than_the_function_s_time_out() {
    let template = template();
    let queues = resources(&template, "AWS::SQS::Queue");
    let consumers = template.queue_consumers();
    assert!(!consumers.is_empty());
    for consumer in consumers {
        let queue = &queues[target(&consumer.mapping["EventSourceArn"]).unwrap()]["Properties"];
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap();
        let window = consumer.mapping.get("MaximumBatchingWindowInSeconds");
        let window = window.and_then(Value::as_u64).unwrap_or(0);
        // SQS refuses an event source mapping whose queue has a visibility timeout below the
        // function's time-out.
        assert!(
            visibility > consumer.timeout + window,
            "{}: {visibility}",
            consumer.name
        );
        let reported = &consumer.mapping["FunctionResponseTypes"];
        assert_eq!(
            reported,
            &json!(["ReportBatchItemFailures"]),
            "{}",
            consumer.name
        );
        assert!(!consumer.mapping["ScalingConfig"]["MaximumConcurrency"].is_null());
    }
}

/// SQS counts the 12 hours that a message may be invisible from its receipt. The invocation begins within
/// the queue's visibility timeout, or the message is received anew.
#[test]
fn the_longest_wait_leaves_room_for_the_time_since_the_receipt() {
    let template = template();
    let queues = resources(&template, "AWS::SQS::Queue");
    let source = file("src/tasks/queue.rs");
    let (_, longest) = source
        .split_once("MAX_VISIBILITY: Duration = Duration::from_secs(")
        .unwrap();
    let (hours, _) = longest.split_once(" * 3600)").unwrap();
    let longest = hours.parse::<u64>().unwrap() * 3600;
    for consumer in template.queue_consumers() {
        let queue = &queues[target(&consumer.mapping["EventSourceArn"]).unwrap()]["Properties"];
        let visibility = queue["VisibilityTimeout"].as_u64().unwrap();
        let total = visibility + consumer.timeout + longest;
        assert!(total <= 12 * 3600, "{}: {total}", consumer.name);
    }
}

#[test]
fn queues_are_encrypted_and_a_dead_letter_queue_allows_only_its_source_queues() {
    let template = template();
    let queues = resources(&template, "AWS::SQS::Queue");
    for (name, queue) in &queues {
        let properties = &queue["Properties"];
        assert_eq!(properties["SqsManagedSseEnabled"], true, "{name}");
        assert_eq!(
            properties["MessageRetentionPeriod"], LONGEST_RETENTION,
            "{name}"
        );
        // A queue that is no dead-letter queue denies redrives to itself.
        assert!(!properties["RedriveAllowPolicy"].is_null(), "{name}");
        let Some(dead_letters) = target(&properties["RedrivePolicy"]["deadLetterTargetArn"]) else {
            continue;
        };
        assert_ne!(dead_letters, *name);
        let allowed = &queues[dead_letters]["Properties"]["RedriveAllowPolicy"];
        assert_eq!(allowed["redrivePermission"], "byQueue", "{dead_letters}");
        // A queue's ARN ends with the queue's name.
        let own = properties["QueueName"]["Fn::Sub"].as_str().unwrap();
        let mut sources =
            list(&allowed["sourceQueueArns"]).filter_map(|arn| arn["Fn::Sub"].as_str());
        assert!(
            sources.any(|arn| arn.ends_with(&format!(":{own}"))),
            "{name}"
        );
    }
}

#[test]
fn a_consumed_queue_has_a_high_receive_count_and_a_dead_letter_queue() {
    let template = template();
    let queues = resources(&template, "AWS::SQS::Queue");
    for consumer in template.queue_consumers() {
        let name = target(&consumer.mapping["EventSourceArn"]).unwrap();
        let redrive = &queues[name]["Properties"]["RedrivePolicy"];
        assert!(target(&redrive["deadLetterTargetArn"]).is_some(), "{name}");
        // A throttled worker returns messages without processing them; Lambda's guide asks for at
        // least five receives.
        assert!(redrive["maxReceiveCount"].as_u64().unwrap() >= 5, "{name}");
    }
}

#[test]
fn a_record_outlives_every_copy_of_its_message() {
    let template = template();
    let retention = &template.root()["Parameters"]["RetentionSeconds"];
    for name in ["Default", "MinValue"] {
        assert!(
            retention[name].as_u64().unwrap() >= LONGEST_RETENTION,
            "{name}"
        );
    }
}
