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
    assert_eq!(binaries, ["worker", "worker", "worker", "dead_letter"]);
    let subscribers = template.topic_subscribers();
    let binaries: Vec<&str> = subscribers.iter().map(|s| s.binary.as_str()).collect();
    assert_eq!(binaries, ["celery_control"]);
    let subscribers = template.topic_subscribers();
    assert_eq!(subscribers[0].binary, "celery_control");
    let timed = template.timed_functions();
    let timed: Vec<_> = timed.iter().map(|t| (&*t.binary, &*t.expression)).collect();
    assert_eq!(timed, [("ticker", "rate(1 minute)")]);
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
