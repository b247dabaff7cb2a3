//! Invokes functions of AWS Lambda.

use std::error::Error;
use std::time::Duration;

use aws_sdk_lambda::Client;
use aws_sdk_lambda::config::Builder;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::timeout::TimeoutConfig;
use aws_sdk_lambda::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_lambda::operation::invoke::InvokeError as CallError;
use aws_sdk_lambda::primitives::Blob;
use aws_types::SdkConfig;

/// The timeout of opening a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Invokes functions and waits for their answers. An invocation is never repeated, because the function
/// may have done its work before a connection broke.
#[derive(Debug, Clone)]
pub struct Invoker {
    client: Client,
}

/// Why an invocation gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// Lambda has no capacity for the function now, or is still making the function. The function did not
    /// run.
    #[error("the function is throttled")]
    Throttled,
    /// There is no such function. It did not run.
    #[error("there is no such function")]
    NotFound,
    /// This service may not invoke the function. It did not run.
    #[error("this service may not invoke the function")]
    Denied,
    /// The event exceeds Lambda's limit of 6 MB. The function did not run.
    #[error("the event is larger than Lambda's 6 MB")]
    TooLarge,
    /// The function failed, exceeded its timeout or gave too large an answer.
    #[error("the function failed: {kind}")]
    Failed {
        /// `Handled` or `Unhandled`.
        kind: String,
        /// What Lambda says about the error, as JSON.
        payload: Vec<u8>,
    },
    /// The connection to Lambda was not opened, or ended before the answer.
    #[error("the connection to Lambda ended")]
    Interrupted(#[source] Box<dyn Error + Send + Sync>),
    /// Lambda refused the call, or did not answer in time.
    #[error("the function was not invoked")]
    Call(#[source] Box<dyn Error + Send + Sync>),
}

impl Invoker {
    /// An invoker with the SDK's configuration. `timeout` is of a whole
    /// invocation. `endpoint` is the
    /// URL of Lambda's API, if it is not the usual one.
    pub fn new(config: &SdkConfig, endpoint: Option<&str>, timeout: Duration) -> Invoker {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(timeout);
        let config = Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts.build());
        let config = match endpoint {
            Some(url) => config.endpoint_url(url),
            None => config,
        };
        Invoker {
            client: Client::from_conf(config.build()),
        }
    }

    /// The answer, as JSON, of a function to an event.
    ///
    /// # Errors
    /// When the function does not run, or fails.
    pub async fn invoke(
        &self,
        function: &str,
        qualifier: Option<&str>,
        event: String,
    ) -> Result<Vec<u8>, InvokeError> {
        let invoke = self.client.invoke().function_name(function);
        let invoke = invoke.set_qualifier(qualifier.map(str::to_owned));
        let invoked = invoke.payload(Blob::new(event)).send().await;
        let answer = invoked.map_err(InvokeError::of)?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        match answer.function_error {
            Some(kind) => Err(InvokeError::Failed { kind, payload }),
            None => Ok(payload),
        }
    }
}

impl InvokeError {
    fn of<R: std::fmt::Debug + Send + Sync + 'static>(
        error: SdkError<CallError, R>,
    ) -> InvokeError {
        use CallError::*;
        if let SdkError::DispatchFailure(failure) = &error
            && !failure.is_timeout()
            && !failure.is_user()
        {
            return InvokeError::Interrupted(Box::new(error));
        }
        match error.as_service_error() {
            Some(
                TooManyRequestsException(_)
                | Ec2ThrottledException(_)
                | ResourceConflictException(_)
                | ResourceNotReadyException(_)
                | SnapStartNotReadyException(_),
            ) => InvokeError::Throttled,
            Some(RequestTooLargeException(_)) => InvokeError::TooLarge,
            Some(ResourceNotFoundException(_)) => InvokeError::NotFound,
            Some(other) if other.code() == Some("AccessDeniedException") => InvokeError::Denied,
            _ => InvokeError::Call(Box::new(error)),
        }
    }
}
