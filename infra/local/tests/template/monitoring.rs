//! Alarms, the dashboard, and the settings of deployments.

use std::collections::BTreeSet;

use local_stack::template::Template;
use serde_json::Value;

use crate::{file, resources, template};

fn monitoring() -> Template {
    Template::parse(&file("infra/monitoring.yaml")).expect("infra/monitoring.yaml")
}

fn keys(value: &Value) -> BTreeSet<&str> {
    let entries = value.as_object().into_iter().flatten();
    entries.map(|(key, _)| key.as_str()).collect()
}

#[test]
fn the_nested_template_gets_its_parameters() {
    let (template, monitoring) = (template(), monitoring());
    let nested = &template.root()["Resources"]["Monitoring"]["Properties"];
    assert_eq!(nested["TemplateURL"], "infra/monitoring.yaml");
    let declared = keys(&monitoring.root()["Parameters"]);
    assert_eq!(keys(&nested["Parameters"]), declared);
}

#[test]
fn every_alarm_notifies_the_topic_and_is_documented() {
    let monitoring = monitoring();
    let operations = file("docs/OPERATIONS.md");
    let dashboard = &monitoring.root()["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let alarms = resources(&monitoring, "AWS::CloudWatch::Alarm");
    assert!(alarms.len() >= 8);
    for (name, alarm) in alarms {
        let properties = &alarm["Properties"];
        for actions in ["AlarmActions", "OKActions"] {
            assert_eq!(properties[actions]["Fn::If"][0], "HasTopic", "{name}");
        }
        // A ticker that is not called reports no lag.
        let missing = match name {
            "ScheduleLagAlarm" => "breaching",
            _ => "notBreaching",
        };
        assert_eq!(properties["TreatMissingData"], missing, "{name}");
        assert!(
            dashboard.to_string().contains(&format!("${{{name}.Arn}}")),
            "{name}"
        );
        let told = properties["AlarmName"]["Fn::Sub"].as_str().unwrap();
        let told = told.trim_start_matches("${Service}-");
        assert!(
            operations.contains(&format!("### `{told}`")),
            "docs/OPERATIONS.md does not explain {told}"
        );
    }
}

#[test]
fn the_dashboard_is_json_and_shows_existing_metrics() {
    let monitoring = monitoring();
    let dashboard = &monitoring.root()["Resources"]["Dashboard"]["Properties"]["DashboardBody"];
    let text = dashboard["Fn::Sub"].as_str().unwrap();
    let body: Value = serde_json::from_str(text).expect("the dashboard's body");
    assert!(body["widgets"].as_array().unwrap().len() >= 8);
    let code = file("src/tasks/metrics.rs") + &file("src/fetch/metrics.rs");
    let mut shown = BTreeSet::new();
    for part in text.split("MetricName=\\\"").skip(1) {
        shown.insert(part.split('\\').next().unwrap());
    }
    for name in &shown {
        assert!(
            code.contains(&format!("(\"{name}\"")),
            "no function writes the metric {name}"
        );
    }
    for name in [
        "TasksSubmitted",
        "TasksFinished",
        "TaskRetries",
        "TaskWait",
        "AttemptTime",
        "UpstreamCalls",
    ] {
        assert!(shown.contains(name), "the dashboard does not show {name}");
    }
}

/// Whether a line of the access log fits a pattern of alternatives (`||`) of comparisons (`&&`) of texts.
fn fits(pattern: &str, line: &Value) -> bool {
    let holds = |comparison: &str| {
        let mut words = comparison.split_whitespace();
        let (field, operator, text) = (words.next(), words.next(), words.next());
        let field = field.unwrap().strip_prefix("$.").unwrap();
        let given = line[field].as_str().expect(field);
        let text = text.unwrap().trim_matches('"');
        let is_same = match text.strip_suffix('*') {
            Some(start) => given.starts_with(start),
            None => given == text,
        };
        match operator.unwrap() {
            "=" => is_same,
            "!=" => !is_same,
            other => panic!("{other} is not known here"),
        }
    };
    let pattern = pattern.replace(['{', '}', '(', ')'], " ");
    pattern.split("||").any(|all| all.split("&&").all(holds))
}

#[test]
fn a_deployment_is_stopped_by_failures_of_the_service_and_not_of_others() {
    let (template, monitoring) = (template(), monitoring());
    let alarm = &monitoring.root()["Resources"]["ServerErrorsAlarm"]["Properties"];
    let metric = (&alarm["Namespace"]["Ref"], &alarm["MetricName"]);
    assert_eq!(metric, (&"Service".into(), &"ServerErrors".into()));
    let filter = &monitoring.root()["Resources"]["OwnServerErrors"]["Properties"];
    let written = &filter["MetricTransformations"][0];
    assert_eq!(written["MetricName"], "ServerErrors");
    assert_eq!(written["MetricNamespace"]["Ref"], "Service");
    assert_eq!(filter["LogGroupName"]["Ref"], "AccessLogGroup");

    let settings = &template.root()["Resources"]["Api"]["Properties"]["AccessLogSettings"];
    let format = settings["Format"].as_str().unwrap();
    let pattern = filter["FilterPattern"].as_str().unwrap();
    // The gateway writes "-" for what there is not.
    for (status, error, is_counted) in [
        ("200", "-", false),
        ("429", "-", false),
        ("500", "-", true),
        ("502", "-", false),
        ("503", "-", true),
        ("504", "-", false),
        ("500", "The Lambda function failed", true),
        ("502", "The Lambda function failed", true),
        ("504", "Endpoint request timed out", true),
        ("413", "The Lambda function failed", false),
    ] {
        let line = format.replace("$context.status", status);
        let line = line.replace("$context.integrationErrorMessage", error);
        let line = serde_json::from_str(&line).expect("a line of JSON");
        assert_eq!(fits(pattern, &line), is_counted, "{status} {error}");
    }
}

#[test]
fn every_deployment_preference_exists_in_codedeploy() {
    let template = template();
    let parameter = &template.root()["Parameters"]["GradualDeployment"]["AllowedValues"];
    let allowed = parameter.as_array().into_iter().flatten();
    let allowed: BTreeSet<&str> = allowed.filter_map(Value::as_str).collect();
    let ways = &template.root()["Mappings"]["Deployments"];
    assert_eq!(keys(ways), allowed);
    for (name, way) in ways.as_object().unwrap() {
        let gradual = if name == "none" { "false" } else { "true" };
        assert_eq!(way["IsGradual"], gradual, "{name}");
        assert!(name == "none" || way["Type"] == *name, "{name}");
    }
}

#[test]
fn the_alarms_of_gradual_deployments_exist() {
    let (template, monitoring) = (template(), monitoring());
    let alarms = resources(&monitoring, "AWS::CloudWatch::Alarm").into_values();
    let names = alarms.filter_map(|alarm| alarm["Properties"]["AlarmName"]["Fn::Sub"].as_str());
    let names: Vec<String> = names
        .map(|name| name.replace("${Service}", "${AWS::StackName}"))
        .collect();
    let preference = &template.root()["Globals"]["Function"]["DeploymentPreference"];
    let stopping = preference["Alarms"].as_array().unwrap();
    assert!(stopping.len() >= 2);
    for alarm in stopping {
        let name = alarm["Fn::Sub"].as_str().unwrap();
        assert!(names.iter().any(|other| other == name), "{name}");
    }
}

#[test]
fn settings_of_deployments_are_parameters_of_the_template() {
    let template = template();
    let parameters = &template.root()["Parameters"];
    let settings = file("samconfig.toml");
    let mut found = 0;
    for line in settings
        .lines()
        .filter(|line| line.starts_with("parameter_overrides"))
    {
        let overrides = line.split('"').nth(1).unwrap();
        for (name, value) in overrides
            .split_whitespace()
            .filter_map(|pair| pair.split_once('='))
        {
            let parameter = &parameters[name];
            assert!(!parameter.is_null(), "samconfig.toml names {name}");
            if let Some(allowed) = parameter["AllowedValues"].as_array() {
                let is_it = |one: &Value| one.to_string().trim_matches('"') == value;
                assert!(allowed.iter().any(is_it), "{name}={value}");
            }
            found += 1;
        }
    }
    assert!(found >= 3, "{found}");
}
