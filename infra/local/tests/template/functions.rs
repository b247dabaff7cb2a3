//! Functions: binaries, routes, limits and permissions.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{file, functions, list, property, statements, target, template};

/// The end of the ARN of the queues of replies to Celery's clients.
const REPLIES: &str = ":${AWS::StackName}-*-reply-celery-pidbox";

/// The actions of a function that only reads.
const READS: [&str; 4] = [
    "dynamodb:BatchGetItem",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "sqs:GetQueueAttributes",
];
/// What a look at messages takes.
const LOOKS: [&str; 2] = ["sqs:ReceiveMessage", "sqs:ChangeMessageVisibility"];

#[test]
fn every_binary_is_a_function_and_has_an_event() {
    let template = template();
    let manifest = file("Cargo.toml");
    let binaries: Vec<&str> = manifest
        .split("[[bin]]\nname = \"")
        .skip(1)
        .filter_map(|entry| entry.split('"').next())
        .collect();
    let declared: Vec<String> = template.root()["Resources"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|resource| resource["Metadata"]["BuildProperties"]["Binary"].as_str())
        .map(str::to_owned)
        .collect();
    assert!(binaries.len() > 20);
    assert_eq!(
        declared, binaries,
        "the binaries of Cargo.toml and of template.yaml, in order"
    );
    for (binary, properties) in functions(&template) {
        let events = properties["Events"].as_object();
        assert!(
            events.is_some_and(|events| !events.is_empty()) || called_otherwise(&template, binary),
            "nothing invokes {binary}"
        );
    }
}

/// Whether the template uses a function outside of events, such as in an API's authorizer.
fn called_otherwise(template: &local_stack::template::Template, binary: &str) -> bool {
    let binaries = template.binaries();
    let name = binaries.iter().find(|(_, other)| **other == binary);
    let name = name.map(|(name, _)| *name).unwrap_or_default();
    let mut others = template.root()["Resources"].clone();
    others.as_object_mut().unwrap().remove(name);
    let others = others.to_string();
    let forms = [format!("\"{name}\""), format!("{name}Alias")];
    forms.iter().any(|form| others.contains(form))
        || others.to_string().contains(&format!("${{{name}."))
}

#[test]
fn a_route_has_one_function_whose_time_out_is_below_the_gateway_s() {
    let template = template();
    let mut seen = BTreeSet::new();
    for route in template.routes() {
        assert!(
            seen.insert((route.method, route.path.clone())),
            "{}",
            route.path
        );
        assert!(!route.path.ends_with('/') || route.path == "/");
    }
    assert!(
        seen.contains(&("ANY".to_owned(), String::new())),
        "$default"
    );
    let timeouts = template.timeouts();
    for route in template.routes() {
        // The integration time-out of an HTTP API is 30 seconds.
        assert!(timeouts[&route.function] < 30, "{}", route.function);
    }
}

#[test]
fn policies_name_their_actions_and_resources() {
    let template = template();
    for (binary, properties) in functions(&template) {
        for statement in statements(&template, properties) {
            assert!(!statement.actions.is_empty() && !statement.resources.is_empty());
            for action in &statement.actions {
                assert!(!action.contains('*'), "{binary}: {action}");
            }
            for resource in &statement.resources {
                // The queues that Celery's clients create for replies, with a random id in the name.
                if resource["Fn::Sub"]
                    .as_str()
                    .is_some_and(|text| text.ends_with(REPLIES))
                {
                    assert_eq!(statement.actions, BTreeSet::from(["sqs:SendMessage"]));
                    continue;
                }
                // The queues of Celery workers, which a parameter names.
                if resource["Ref"] == "CeleryQueueArns" {
                    assert_eq!(statement.actions, BTreeSet::from(["sqs:SendMessage"]));
                    continue;
                }
                // The functions with the bodies of remote jobs, which a parameter names.
                if resource["Ref"] == "RemoteFunctions" {
                    assert_eq!(binary, "worker");
                    let invoke = BTreeSet::from(["lambda:InvokeFunction"]);
                    assert_eq!(statement.actions, invoke);
                    continue;
                }
                let target = target(resource).unwrap_or_else(|| panic!("{binary}: {resource}"));
                // SAM makes the alias of a function.
                let target = target.strip_suffix("Aliaslive").unwrap_or(target);
                assert!(
                    !template.root()["Resources"][target].is_null(),
                    "{binary}: {target} is not a resource of this stack"
                );
                // Everything below a resource of this stack, such as the schedules of a schedule
                // group.
                let text = resource["Fn::Sub"].as_str().unwrap_or_default();
                let all = text.matches('*').count();
                assert!(
                    all == 0 || (all == 1 && text.ends_with("}/*")),
                    "{binary}: {resource}"
                );
            }
        }
    }
}

#[test]
fn functions_that_read_have_no_permission_to_write() {
    let template = template();
    let routes = template.routes();
    for (binary, properties) in functions(&template) {
        let mut methods = routes
            .iter()
            .filter(|route| route.function == binary)
            .peekable();
        if methods.peek().is_none() || !methods.all(|route| route.method == "GET") {
            continue;
        }
        for statement in statements(&template, properties) {
            // A function that reads users from an upstream stores copies of them.
            if statement.condition == Some("HasUpstream") {
                continue;
            }
            // Dead letters are shown by receiving them and making them visible again.
            let is_look = |action: &str| binary == "dead_letters" && LOOKS.contains(&action);
            let writes: Vec<_> = statement
                .actions
                .iter()
                .filter(|a| !READS.contains(a) && !is_look(a))
                .collect();
            assert!(writes.is_empty(), "{binary}: {writes:?}");
        }
    }
}

#[test]
fn only_the_worker_and_looks_at_dead_letters_may_change_the_visibility_of_messages() {
    let template = template();
    let functions = functions(&template);
    let may = functions.iter().filter(|(_, properties)| {
        let mut statements = statements(&template, properties).into_iter();
        statements.any(|statement| statement.actions.contains("sqs:ChangeMessageVisibility"))
    });
    let may: Vec<_> = may.map(|(binary, _)| *binary).collect();
    assert_eq!(may, ["dead_letter_action", "dead_letters", "worker"]);
}

/// A resource that a variable names and the function has no permission on is a mistake, and so is a
/// permission on a resource that no variable names.
#[test]
fn functions_have_permissions_on_exactly_the_resources_of_their_variables_and_queues() {
    let template = template();
    let received = template.queue_consumers();
    let is_data = |name: &&str| {
        let kind = &template.root()["Resources"][*name]["Type"];
        kind == "AWS::DynamoDB::Table" || kind == "AWS::SQS::Queue"
    };
    for (binary, properties) in functions(&template) {
        let variables = properties["Environment"]["Variables"].as_object();
        // Variables with ARNs are for the scheduler, which has its own role.
        let variables = variables
            .into_iter()
            .flatten()
            .filter(|(name, _)| !name.ends_with("_ARN"))
            .map(|(_, value)| value);
        let received = received
            .iter()
            .filter(|consumer| consumer.binary == binary)
            .map(|consumer| &consumer.mapping["EventSourceArn"]);
        let mut named: BTreeSet<&str> = variables
            .chain(received)
            .filter_map(target)
            .filter(is_data)
            .collect();
        let statements = statements(&template, properties);
        // Functions that check keys name the table by a variable of all functions.
        let policies = properties["Policies"].as_array().into_iter().flatten();
        if policies
            .clone()
            .any(|policy| policy["Ref"] == "KeyCheckPolicy")
        {
            named.insert("ApiKeysTable");
        }
        let usable = statements.iter().flat_map(|statement| &statement.resources);
        let usable: BTreeSet<&str> = usable.filter_map(|r| target(r)).filter(is_data).collect();
        assert_eq!(usable, named, "{binary}");
    }
}

/// For an event of another type than `HttpApi`, SAM gives the function's role a managed policy, which
/// holds for all of the account's queues.
#[test]
fn no_function_has_an_event_that_brings_rights() {
    let template = template();
    for (binary, properties) in functions(&template) {
        let mut events = properties["Events"].as_object().into_iter().flatten();
        assert!(
            events.all(|(_, event)| event["Type"] == "HttpApi"),
            "{binary}"
        );
    }
}

#[test]
fn lists_query_existing_indexes() {
    let template = template();
    let tables = crate::resources(&template, "AWS::DynamoDB::Table");
    for (binary, properties) in functions(&template) {
        for statement in statements(&template, properties) {
            for text in statement
                .resources
                .iter()
                .filter_map(|r| r["Fn::Sub"].as_str())
            {
                let Some((table, index)) = text.split_once(".Arn}/index/") else {
                    continue;
                };
                let table = tables[table.trim_start_matches("${")];
                let mut indexes = list(&table["Properties"]["GlobalSecondaryIndexes"]);
                assert!(indexes.any(|i| i["IndexName"] == index), "{binary}: {text}");
            }
        }
    }
}

#[test]
fn all_functions_have_tracing_logs_and_an_alias() {
    let template = template();
    for (binary, properties) in functions(&template) {
        let of = |name: &str| property(&template, properties, name);
        assert_eq!(of("Tracing"), "Active", "{binary}");
        assert_eq!(of("LoggingConfig")["LogFormat"], "JSON", "{binary}");
        assert_eq!(
            target(&of("LoggingConfig")["LogGroup"]),
            Some("FunctionsLogGroup")
        );
        assert_eq!(of("AutoPublishAlias"), "live", "{binary}");
        assert_eq!(of("Architectures")[0]["Ref"], "Architecture", "{binary}");
        let memory = of("MemorySize").as_u64().unwrap();
        assert!((128..=10_240).contains(&memory), "{binary}: {memory} MB");
        assert_eq!(
            properties["FunctionName"],
            Value::Null,
            "the name contains the stack's name"
        );
    }
}
