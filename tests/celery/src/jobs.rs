//! The jobs of `JOBS.md`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_service::tasks::context::TaskContext;
use async_service::tasks::job::{Job, JobError};
use async_service::tasks::registry::Registry;
use async_service::tasks::retry::RetryPolicy;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// All jobs.
pub fn registry() -> Registry {
    let jobs = Registry::default();
    let jobs = jobs.with(Add).with(Mul).with(Xsum).with(Echo).with(Fail);
    let jobs = jobs.with(Flaky).with(Exhausted).with(Sleep).with(Now);
    let jobs = jobs.with(Progress).with(Identify).with(Blob);
    jobs.with(Length).with(Report).with(Nothing)
}

type Ran<T> = Result<T, JobError>;

/// A number that stays whole if it is.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
#[serde(untagged)]
enum Number {
    Whole(i64),
    Float(f64),
}

impl Number {
    fn with(self, other: Number, whole: fn(i64, i64) -> i64, float: fn(f64, f64) -> f64) -> Number {
        match (self, other) {
            (Number::Whole(x), Number::Whole(y)) => Number::Whole(whole(x, y)),
            (x, y) => Number::Float(float(x.float(), y.float())),
        }
    }

    fn float(self) -> f64 {
        match self {
            Number::Whole(x) => x as f64,
            Number::Float(x) => x,
        }
    }
}

#[derive(Deserialize)]
struct Pair {
    x: Number,
    y: Number,
}

struct Add;

impl Job for Add {
    const NAME: &'static str = "add";
    type Input = Pair;
    type Output = Number;

    async fn run(&self, input: Pair, _: &TaskContext) -> Ran<Number> {
        Ok(input.x.with(input.y, |x, y| x + y, |x, y| x + y))
    }
}

struct Mul;

impl Job for Mul {
    const NAME: &'static str = "mul";
    type Input = Pair;
    type Output = Number;

    async fn run(&self, input: Pair, _: &TaskContext) -> Ran<Number> {
        Ok(input.x.with(input.y, |x, y| x * y, |x, y| x * y))
    }
}

#[derive(Deserialize)]
struct Numbers {
    numbers: Vec<Number>,
}

struct Xsum;

impl Job for Xsum {
    const NAME: &'static str = "xsum";
    type Input = Numbers;
    type Output = Number;

    async fn run(&self, input: Numbers, _: &TaskContext) -> Ran<Number> {
        let numbers = input.numbers.into_iter();
        Ok(numbers.fold(Number::Whole(0), |x, y| {
            x.with(y, |x, y| x + y, |x, y| x + y)
        }))
    }
}

#[derive(Deserialize)]
struct Any {
    value: Box<RawValue>,
}

struct Echo;

impl Job for Echo {
    const NAME: &'static str = "echo";
    type Input = Any;
    type Output = Box<RawValue>;

    async fn run(&self, input: Any, _: &TaskContext) -> Ran<Box<RawValue>> {
        Ok(input.value)
    }
}

#[derive(Deserialize)]
struct Failure {
    kind: String,
    message: String,
}

struct Fail;

impl Job for Fail {
    const NAME: &'static str = "fail";
    type Input = Failure;
    type Output = ();

    async fn run(&self, input: Failure, _: &TaskContext) -> Ran<()> {
        Err(JobError::permanent(input.kind, input.message))
    }
}

#[derive(Deserialize)]
struct Failures {
    failures: u32,
    #[serde(default)]
    delay: f64,
}

struct Flaky;

impl Job for Flaky {
    const NAME: &'static str = "flaky";
    type Input = Failures;
    type Output = u32;

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 5,
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, input: Failures, context: &TaskContext) -> Ran<u32> {
        let retries = context.attempt - 1;
        match retries < input.failures {
            true => Err(
                JobError::transient("ValueError", format!("attempt {retries}"))
                    .retry_after(Duration::from_secs_f64(input.delay)),
            ),
            false => Ok(retries),
        }
    }
}

#[derive(Deserialize)]
struct Empty {}

struct Exhausted;

impl Job for Exhausted {
    const NAME: &'static str = "exhausted";
    type Input = Empty;
    type Output = ();

    fn retry_policy(&self) -> RetryPolicy {
        RetryPolicy {
            max_retries: 1,
            ..RetryPolicy::default()
        }
    }

    async fn run(&self, _: Empty, context: &TaskContext) -> Ran<()> {
        let message = format!("attempt {}", context.attempt - 1);
        Err(JobError::transient("ValueError", message).retry_after(Duration::ZERO))
    }
}

#[derive(Deserialize)]
struct Seconds {
    seconds: Number,
}

struct Sleep;

impl Job for Sleep {
    const NAME: &'static str = "sleep";
    type Input = Seconds;
    type Output = Number;

    async fn run(&self, input: Seconds, _: &TaskContext) -> Ran<Number> {
        tokio::time::sleep(Duration::from_secs_f64(input.seconds.float())).await;
        Ok(input.seconds)
    }
}

struct Now;

impl Job for Now {
    const NAME: &'static str = "now";
    type Input = Empty;
    type Output = f64;

    async fn run(&self, _: Empty, _: &TaskContext) -> Ran<f64> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        Ok(now.unwrap_or_default().as_secs_f64())
    }
}

#[derive(Deserialize)]
struct Steps {
    steps: u64,
    pause: f64,
}

struct Progress;

impl Job for Progress {
    const NAME: &'static str = "progress";
    type Input = Steps;
    type Output = &'static str;

    async fn run(&self, input: Steps, context: &TaskContext) -> Ran<&'static str> {
        for step in 1..=input.steps {
            context.progress(step, Some(input.steps), "");
            tokio::time::sleep(Duration::from_secs_f64(input.pause)).await;
        }
        Ok("done")
    }
}

struct Identify;

impl Job for Identify {
    const NAME: &'static str = "identify";
    type Input = Empty;
    type Output = Value;

    async fn run(&self, _: Empty, context: &TaskContext) -> Ran<Value> {
        Ok(json!({"id": context.id.as_str(), "retries": context.attempt - 1}))
    }
}

#[derive(Deserialize)]
struct Size {
    size: usize,
}

struct Blob;

impl Job for Blob {
    const NAME: &'static str = "blob";
    type Input = Size;
    type Output = String;

    async fn run(&self, input: Size, _: &TaskContext) -> Ran<String> {
        Ok((0..input.size).map(|_| fastrand::alphanumeric()).collect())
    }
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

struct Length;

impl Job for Length {
    const NAME: &'static str = "length";
    type Input = Text;
    type Output = usize;

    async fn run(&self, input: Text, _: &TaskContext) -> Ran<usize> {
        Ok(input.text.chars().count())
    }
}

#[derive(Deserialize)]
struct Failed {
    failed: String,
}

struct Report;

impl Job for Report {
    const NAME: &'static str = "report";
    type Input = Failed;
    type Output = String;

    async fn run(&self, input: Failed, _: &TaskContext) -> Ran<String> {
        Ok(input.failed)
    }
}

struct Nothing;

impl Job for Nothing {
    const NAME: &'static str = "nothing";
    type Input = Empty;
    type Output = ();

    async fn run(&self, _: Empty, _: &TaskContext) -> Ran<()> {
        Ok(())
    }
}
