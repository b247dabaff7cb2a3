//! A client of the local AWS endpoints for the few calls of the set-up, in plain HTTP: the AWS SDK
//! would only make this crate slow to build.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;

use crate::error::{Context, Error, Result};

/// A client of the local stack's AWS endpoints.
#[derive(Debug, Clone)]
pub struct Aws {
    endpoint: String,
    region: String,
    agent: Agent,
}

impl Aws {
    /// A client of `endpoint`, such as `http://127.0.0.1:4566`.
    #[must_use]
    pub fn new(endpoint: &str, region: &str) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .new_agent();
        Self {
            endpoint: endpoint.to_owned(),
            region: region.to_owned(),
            agent,
        }
    }

    /// Whether the endpoints answer.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.services().is_some()
    }

    /// The services that the endpoints have loaded, or `None` without an answer.
    #[must_use]
    pub fn services(&self) -> Option<Vec<String>> {
        let url = format!("{}/_ministack/health", self.endpoint);
        let mut answer = self.agent.get(&url).call().ok()?;
        if !answer.status().is_success() {
            return None;
        }
        let text = answer.body_mut().read_to_string().ok()?;
        let health: Value = serde_json::from_str(&text).ok()?;
        let services = health["services"].as_object()?;
        Some(services.keys().cloned().collect())
    }

    /// Calls a service that takes a form and answers XML. Returns the answer's status and body,
    /// also when the service refuses the call.
    ///
    /// # Errors
    /// When the endpoint can't be reached.
    pub fn form(&self, service: &str, fields: &[(&str, &str)]) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}/", self.endpoint))
            .header("authorization", self.credential(service));
        read(request.send_form(fields.iter().copied()), service)
    }

    /// Calls `DynamoDB`.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn dynamodb(&self, action: &str, body: &Value) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}/", self.endpoint))
            .header("authorization", self.credential("dynamodb"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("DynamoDB_20120810.{action}"));
        read(request.send(body.to_string()), "DynamoDB")
    }

    /// Sends a POST with a body to Lambda's REST API.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn lambda_post(&self, path: &str, body: &Value) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}{path}", self.endpoint))
            .header("authorization", self.credential("lambda"))
            .header("content-type", "application/json");
        read(request.send(body.to_string()), "Lambda")
    }

    /// Sends a PUT with a body to Lambda's REST API.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn lambda_put(&self, path: &str, body: &Value) -> Result<(u16, String)> {
        self.rest("lambda", "PUT", path, body.to_string())
    }

    /// Sends a GET to Lambda's REST API.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn lambda_get(&self, path: &str) -> Result<(u16, String)> {
        let request = self.agent.get(format!("{}{path}", self.endpoint));
        read(
            request
                .header("authorization", self.credential("lambda"))
                .call(),
            "Lambda",
        )
    }

    /// Sends a DELETE to Lambda's REST API.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn lambda_delete(&self, path: &str) -> Result<(u16, String)> {
        let request = self.agent.delete(format!("{}{path}", self.endpoint));
        read(
            request
                .header("authorization", self.credential("lambda"))
                .call(),
            "Lambda",
        )
    }

    /// Calls API Gateway's REST API for HTTP APIs.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn api_gateway(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, String)> {
        let body = body.map(Value::to_string).unwrap_or_default();
        self.rest("apigateway", method, &format!("/v2/apis{path}"), body)
    }

    /// Creates a bucket, unless the bucket exists already.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn create_bucket(&self, name: &str) -> Result<(u16, String)> {
        self.rest("s3", "PUT", &format!("/{name}"), String::new())
    }

    /// Calls SQS.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn sqs(&self, action: &str, body: &Value) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}/", self.endpoint))
            .header("authorization", self.credential("sqs"))
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", format!("AmazonSQS.{action}"));
        read(request.send(body.to_string()), "SQS")
    }

    /// Calls `EventBridge`.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn events(&self, action: &str, body: &Value) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}/", self.endpoint))
            .header("authorization", self.credential("events"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("AWSEvents.{action}"));
        read(request.send(body.to_string()), "EventBridge")
    }

    /// Calls `CloudWatch` Logs.
    ///
    /// # Errors
    /// As [`Aws::form`].
    pub fn logs(&self, action: &str, body: &Value) -> Result<(u16, String)> {
        let request = self
            .agent
            .post(format!("{}/", self.endpoint))
            .header("authorization", self.credential("logs"))
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", format!("Logs_20140328.{action}"));
        read(request.send(body.to_string()), "CloudWatch Logs")
    }

    fn rest(&self, service: &str, method: &str, path: &str, body: String) -> Result<(u16, String)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.endpoint))
            .header("authorization", self.credential(service))
            .header("content-type", "application/json")
            .body(body)
            .context(format_args!("a call to {service}"))?;
        read(self.agent.run(request), service)
    }

    /// The local endpoints check no signature; the credential's scope names the service.
    fn credential(&self, service: &str) -> String {
        let region = &self.region;
        format!(
            "AWS4-HMAC-SHA256 Credential=test/20260101/{region}/{service}/aws4_request, \
             SignedHeaders=host, Signature=0"
        )
    }
}

type Answer = std::result::Result<ureq::http::Response<ureq::Body>, ureq::Error>;

fn read(answer: Answer, service: &str) -> Result<(u16, String)> {
    let mut answer = answer.context(format_args!("the local {service} does not answer"))?;
    let text = answer.body_mut().read_to_string();
    let text = text.context(format_args!(
        "the answer of the local {service} was cut off"
    ))?;
    Ok((answer.status().as_u16(), text))
}

/// The body of a successful answer. `what` names the call in the error.
///
/// # Errors
/// When the status is not a success; the error has the answer's text.
pub fn expect(what: &str, (status, text): (u16, String)) -> Result<String> {
    if (200..300).contains(&status) {
        return Ok(text);
    }
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().take(400).collect();
    Err(Error::new(format!(
        "{what} was refused with status {status}: {text}"
    )))
}
