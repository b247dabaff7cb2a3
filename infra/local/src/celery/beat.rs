//! The application's own scheduler: a function with the application's code, which a rule calls each minute.

use serde_json::json;

use super::function::Function;
use crate::aws::{Aws, expect};
use crate::error::Result;
use crate::resources;

/// The name of the function and of its rule.
pub const NAME: &str = "async-service-celery-beat";

/// As in `infra/celery-app.yaml`.
const TIMEOUT: u64 = 120;
const EXPRESSION: &str = "cron(* * * * ? *)";

/// Creates the function and its rule.
pub(super) fn create(aws: &Aws, function: &Function) -> Result<()> {
    function.create_as(aws, NAME, "local_beat.beat_handler", TIMEOUT)?;
    resources::call_at(aws, NAME, EXPRESSION)
}

/// Removes what a kept state has.
pub(super) fn remove(aws: &Aws) -> Result<()> {
    resources::call_no_more(aws, NAME)?;
    aws.lambda_delete(&format!("/2015-03-31/functions/{NAME}"))?;
    Ok(())
}

/// Has the next call read the application's files again.
pub(super) fn renew(aws: &Aws) -> Result<()> {
    let code = json!({"ZipFile": resources::EMPTY_ZIP});
    let path = format!("/2015-03-31/functions/{NAME}/code");
    expect("the scheduler's new code", aws.lambda_put(&path, &code)?)?;
    Ok(())
}
