//! The configuration: all environment variables. Only this module has their names.
//!
//! Values are raw: the reader of a list of hosts or of an upstream parses the [`Variable`]. A function
//! reads only the variables of its own parts, so other variables may be absent. An error names its
//! variable.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Why a function cannot start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A variable without a default is absent or empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable has a value of the wrong type.
    #[error("environment variable {name} is {value:?}: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// The wrong value.
        value: String,
        /// Why the value is wrong.
        reason: String,
    },
}

/// The process environment, read once at start.
#[derive(Debug, Clone, Default)]
pub struct Config(HashMap<String, String>);

impl Config {
    /// Reads the environment of this process.
    pub fn from_env() -> Config {
        // `vars` would panic on any variable that is not Unicode, even if this service does not use the
        // variable.
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Config(std::env::vars_os().filter_map(unicode).collect())
    }

    /// The table of items.
    pub fn items_table(&self) -> Result<String, ConfigError> {
        self.required("ITEMS_TABLE")
    }

    /// The table of users.
    pub fn users_table(&self) -> Result<String, ConfigError> {
        self.required("USERS_TABLE")
    }

    /// The table of tasks.
    pub fn tasks_table(&self) -> Result<String, ConfigError> {
        self.required("TASKS_TABLE")
    }

    /// The table of schedules.
    pub fn schedules_table(&self) -> Result<String, ConfigError> {
        self.required("SCHEDULES_TABLE")
    }

    /// The URL of the task queue of normal priority.
    pub fn tasks_queue_url(&self) -> Result<String, ConfigError> {
        self.required("TASKS_QUEUE_URL")
    }

    /// The URL of the task queue of high priority. Without it, all tasks use the queue of normal priority.
    pub fn tasks_high_queue_url(&self) -> Option<String> {
        self.optional("TASKS_HIGH_QUEUE_URL").map(str::to_owned)
    }

    /// The name of this process in the records of tasks. On Lambda, the name of the log stream, which is
    /// unique for each execution environment.
    pub fn worker_name(&self) -> String {
        let stream = self.optional("AWS_LAMBDA_LOG_STREAM_NAME");
        stream.map_or_else(|| format!("process {}", std::process::id()), str::to_owned)
    }

    /// The URL of the dead-letter queue, for messages that cannot be processed.
    pub fn dead_letters_queue_url(&self) -> Result<String, ConfigError> {
        self.required("DEAD_LETTERS_QUEUE_URL")
    }

    /// The group of the one-time schedules of tasks. Without a group, delayed tasks wait in their queue.
    pub fn schedule_group(&self) -> Option<String> {
        self.optional("SCHEDULE_GROUP").map(str::to_owned)
    }

    /// The ARN of the role that lets EventBridge Scheduler send to the queues.
    pub fn schedule_role_arn(&self) -> Result<String, ConfigError> {
        self.required("SCHEDULE_ROLE_ARN")
    }

    /// The ARN of the task queue of normal priority.
    pub fn tasks_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("TASKS_QUEUE_ARN")
    }

    /// The ARN of the task queue of high priority.
    pub fn tasks_high_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("TASKS_HIGH_QUEUE_ARN")
    }

    /// The ARN of the queue of undelivered messages, to which EventBridge Scheduler sends the messages that
    /// it cannot send to a task queue.
    pub fn undelivered_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("UNDELIVERED_QUEUE_ARN")
    }

    /// The secret in the ids of submissions with an idempotency key. Callers must not know the secret.
    pub fn id_secret(&self) -> Option<String> {
        self.optional("ID_SECRET").map(str::to_owned)
    }

    /// The base URL of the users' upstream. Without an upstream, only posted users exist.
    pub fn users_upstream(&self) -> Variable<'_> {
        self.variable("USERS_UPSTREAM_URL")
    }

    /// How long a user from the upstream counts as fresh (default 300 s).
    pub fn users_fresh(&self) -> Result<Duration, ConfigError> {
        self.seconds("USERS_FRESH_SECONDS", 300)
    }

    /// The timeout of a call to the users' upstream (default 5,000 ms).
    pub fn users_upstream_timeout(&self) -> Result<Duration, ConfigError> {
        let milliseconds = self.number("USERS_UPSTREAM_TIMEOUT_MS", 5_000)?;
        Ok(Duration::from_millis(milliseconds))
    }

    /// The allow-list of hosts with private addresses for callers' URLs: `host` or `host:port`, separated by
    /// commas.
    pub fn fetch_allow_hosts(&self) -> Variable<'_> {
        self.variable("FETCH_ALLOW_HOSTS")
    }

    /// The lease of a task: how long a worker may send no heartbeat before another worker may claim the
    /// task (default 60 s).
    pub fn lease(&self) -> Result<Duration, ConfigError> {
        self.seconds("LEASE_SECONDS", 60)
    }

    /// How long a task's record is kept after the task's end. The default is 14 days, the longest time that
    /// SQS keeps a message: a record must outlive every copy of its task's message, since a copy without
    /// a record would run the task again.
    pub fn retention(&self) -> Result<Duration, ConfigError> {
        self.seconds("RETENTION_SECONDS", 14 * 24 * 3600)
    }

    /// The path of a custom domain's mapping to this API, such as `/v1`, or an empty text. An event does
    /// not contain the mapping.
    pub fn base_path(&self) -> String {
        let path = self.optional("BASE_PATH").unwrap_or_default();
        match path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }

    /// The names of the routes' functions, for the function of `$default`. Without names, that function
    /// invokes no function.
    pub fn functions(&self) -> Variable<'_> {
        self.variable("FUNCTIONS")
    }

    /// The URL of Lambda's API, if it differs from the URL of the other services.
    pub fn lambda_endpoint_url(&self) -> Option<&str> {
        self.optional("AWS_ENDPOINT_URL_LAMBDA")
    }

    /// The table of Celery's results. Without a table, Celery's messages are not read.
    pub fn celery_results_table(&self) -> Option<String> {
        self.optional("CELERY_RESULTS_TABLE").map(str::to_owned)
    }

    /// How long a result is kept in the table of Celery's results (default 1 day, as in Celery).
    pub fn celery_result_time(&self) -> Result<Duration, ConfigError> {
        self.seconds("CELERY_RESULT_SECONDS", 24 * 3600)
    }

    /// The prefix of the keys of Celery's results (`global_keyprefix` in Celery; default none).
    pub fn celery_key_prefix(&self) -> &str {
        self.optional("CELERY_KEY_PREFIX").unwrap_or_default()
    }

    /// Whether the state `STARTED` is stored for Celery's clients (default false, as in Celery).
    pub fn celery_track_started(&self) -> Result<bool, ConfigError> {
        self.flag("CELERY_TRACK_STARTED", false)
    }

    /// Whether results for Celery's clients have the name, the arguments, the worker and the queue of their
    /// task (default false, as in Celery).
    pub fn celery_result_extended(&self) -> Result<bool, ConfigError> {
        self.flag("CELERY_RESULT_EXTENDED", false)
    }

    /// The name of the worker that answers Celery's remote control (default `celery@async-service`).
    pub fn celery_hostname(&self) -> String {
        let name = self.optional("CELERY_HOSTNAME");
        name.unwrap_or("celery@async-service").to_owned()
    }

    /// The queues of Celery's tasks that the worker receives from, as `name=URL` joined by commas.
    pub fn celery_own_queues(&self) -> Variable<'_> {
        self.variable("CELERY_OWN_QUEUES")
    }

    /// The queues of Celery's tasks, as `name=URL` joined by commas. The first is the default queue.
    pub fn celery_queues(&self) -> Variable<'_> {
        self.variable("CELERY_QUEUES")
    }

    /// The queues of the tasks that a workflow sends, as `task=queue` joined by commas.
    pub fn celery_routes(&self) -> String {
        let routes = self.optional("CELERY_ROUTES");
        routes.unwrap_or_default().to_owned()
    }

    /// The contents that remote bodies of Celery's tasks decode by themselves, besides JSON: names of kombu
    /// or content types, joined by commas. Without a value, JSON alone.
    pub fn celery_accept(&self) -> Variable<'_> {
        self.variable("CELERY_ACCEPT")
    }

    /// The jobs whose bodies run in Lambda functions or behind URLs, as `PATTERN=TARGET` joined by commas.
    pub fn remote_jobs(&self) -> Variable<'_> {
        self.secret("REMOTE_JOBS")
    }

    /// The secrets that sign the requests to bodies behind URLs, as `whsec_…` joined by commas.
    pub fn remote_secrets(&self) -> Variable<'_> {
        self.secret("REMOTE_SECRETS")
    }

    /// The URL of this API, for the links with which bodies report their progress.
    pub fn public_url(&self) -> Option<&str> {
        self.optional("PUBLIC_URL")
    }

    /// The authentication of callers.
    pub fn auth_mode(&self) -> Variable<'_> {
        self.variable("AUTH_MODE")
    }

    /// The table of API keys.
    pub fn api_keys_table(&self) -> Result<String, ConfigError> {
        self.required("API_KEYS_TABLE")
    }

    /// How long a process caches the row of an API key (default 0 s: no cache).
    pub fn key_cache(&self) -> Result<Duration, ConfigError> {
        self.number("KEY_CACHE_SECONDS", 0).map(Duration::from_secs)
    }

    /// Whether the greeting and the documentation are open to everybody (default false).
    pub fn open_docs(&self) -> Result<bool, ConfigError> {
        self.flag("OPEN_DOCS", false)
    }

    /// Whether the metrics for Prometheus are open to everybody (default false).
    pub fn open_metrics(&self) -> Result<bool, ConfigError> {
        self.flag("OPEN_METRICS", false)
    }

    /// Whether callers see only the tasks that they submitted (default true).
    pub fn own_tasks_only(&self) -> Result<bool, ConfigError> {
        self.flag("OWN_TASKS_ONLY", true)
    }

    /// The prefix of `read`, `write` and `admin` in a token's scopes, such as `tasks/`.
    pub fn jwt_scope_prefix(&self) -> String {
        let prefix = self.optional("JWT_SCOPE_PREFIX");
        prefix.unwrap_or_default().to_owned()
    }

    /// The AWS region.
    pub fn aws_region(&self) -> Result<String, ConfigError> {
        self.required("AWS_REGION")
    }

    /// The access key id of the AWS credentials.
    pub fn aws_access_key_id(&self) -> Result<String, ConfigError> {
        self.required("AWS_ACCESS_KEY_ID")
    }

    /// The secret access key of the AWS credentials.
    pub fn aws_secret_access_key(&self) -> Result<String, ConfigError> {
        self.required("AWS_SECRET_ACCESS_KEY")
    }

    /// The session token of a role's credentials. A user's credentials have no session token.
    pub fn aws_session_token(&self) -> Option<String> {
        self.optional("AWS_SESSION_TOKEN").map(str::to_owned)
    }

    /// Another endpoint for all AWS calls, such as a local emulator's.
    pub fn aws_endpoint_url(&self) -> Option<String> {
        self.optional("AWS_ENDPOINT_URL").map(str::to_owned)
    }

    /// The CloudWatch log group of this function, which Lambda sets. `None` where other endpoints stand for
    /// AWS.
    pub fn log_group(&self) -> Option<&str> {
        let is_aws = self.optional("AWS_ENDPOINT_URL").is_none();
        self.optional("AWS_LAMBDA_LOG_GROUP_NAME")
            .filter(|_| is_aws)
    }

    /// Whether log lines are JSON: Lambda sets this variable from the function's `LoggingConfig`.
    pub fn json_logs(&self) -> bool {
        self.optional("AWS_LAMBDA_LOG_FORMAT")
            .is_some_and(|format| format.eq_ignore_ascii_case("json"))
    }

    /// The CloudWatch namespace of the metrics. Without a namespace, no metrics are written.
    pub fn metrics_namespace(&self) -> Option<String> {
        self.optional("METRICS_NAMESPACE").map(str::to_owned)
    }

    /// The lowest level of the log (default `info`).
    pub fn log_level(&self) -> &str {
        let lambda = || self.optional("AWS_LAMBDA_LOG_LEVEL");
        self.optional("RUST_LOG").or_else(lambda).unwrap_or("info")
    }

    fn variable(&self, name: &'static str) -> Variable<'_> {
        Variable {
            name,
            value: self.optional(name),
            is_secret: false,
        }
    }

    /// A variable whose value no error shows.
    fn secret(&self, name: &'static str) -> Variable<'_> {
        Variable {
            is_secret: true,
            ..self.variable(name)
        }
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(|value| value.trim())
            .filter(|value| !value.is_empty())
    }

    fn required(&self, name: &'static str) -> Result<String, ConfigError> {
        self.optional(name)
            .map(str::to_owned)
            .ok_or(ConfigError::Missing(name))
    }

    fn number(&self, name: &'static str, default: u64) -> Result<u64, ConfigError> {
        self.optional(name)
            .map_or(Ok(default), |value| parse(name, value))
    }

    fn flag(&self, name: &'static str, default: bool) -> Result<bool, ConfigError> {
        self.optional(name)
            .map_or(Ok(default), |value| parse(name, value))
    }

    /// A whole number of seconds, at least one.
    fn seconds(&self, name: &'static str, default: u64) -> Result<Duration, ConfigError> {
        match self.number(name, default)? {
            0 => Err(invalid(name, "0", "it must be at least 1")),
            seconds => Ok(Duration::from_secs(seconds)),
        }
    }
}

/// An optional variable, to be parsed by its reader.
#[derive(Debug, Clone, Copy)]
pub struct Variable<'a> {
    name: &'static str,
    value: Option<&'a str>,
    is_secret: bool,
}

impl Variable<'_> {
    /// The value as a `T`, or `None` if the variable is not set.
    ///
    /// # Errors
    /// When the value is not a `T`.
    pub fn parse<T: FromStr<Err: Display>>(self) -> Result<Option<T>, ConfigError> {
        self.parse_by(str::parse)
    }

    /// The value as parsed by `read`, or `None` if the variable is not set.
    ///
    /// # Errors
    /// When `read` refuses the value.
    pub fn parse_by<T, E: Display>(
        self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value else {
            return Ok(None);
        };
        let shown = if self.is_secret { "a secret" } else { value };
        read(value)
            .map(Some)
            .map_err(|error| invalid(self.name, shown, error))
    }
}

/// For tests: a configuration of these variables only.
impl<const N: usize> From<[(&str, &str); N]> for Config {
    fn from(variables: [(&str, &str); N]) -> Config {
        Config(
            variables
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
        )
    }
}

fn parse<T: FromStr<Err: Display>>(name: &'static str, value: &str) -> Result<T, ConfigError> {
    value
        .parse()
        .map_err(|error: T::Err| invalid(name, value, error))
}

fn invalid(name: &'static str, value: &str, reason: impl Display) -> ConfigError {
    ConfigError::Invalid {
        name,
        value: value.to_owned(),
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_variable() {
        let config = Config::from([("LEASE_SECONDS", "soon"), ("ITEMS_TABLE", " ")]);
        assert_eq!(
            config.items_table(),
            Err(ConfigError::Missing("ITEMS_TABLE"))
        );
        let error = config.lease().unwrap_err().to_string();
        assert!(
            error.starts_with(r#"environment variable LEASE_SECONDS is "soon": "#),
            "{error}"
        );
    }

    #[test]
    fn a_duration_of_zero_is_refused() {
        let config = Config::from([("RETENTION_SECONDS", "0")]);
        assert!(config.retention().is_err());
    }

    #[test]
    fn access_is_closed_by_default() {
        let config = Config::from([]);
        assert_eq!(config.open_docs(), Ok(false));
        assert_eq!(config.own_tasks_only(), Ok(true));
        assert!(Config::from([("OPEN_DOCS", "yes")]).open_docs().is_err());
    }

    #[test]
    fn a_variable_is_parsed_by_its_reader() {
        let config = Config::from([("AUTH_MODE", " 5 ")]);
        assert_eq!(config.auth_mode().parse(), Ok(Some(5)));
        assert_eq!(Config::from([]).auth_mode().parse::<u8>(), Ok(None));
        let error = config.auth_mode().parse::<bool>().unwrap_err().to_string();
        assert!(error.contains("AUTH_MODE"), "{error}");
    }

    #[test]
    fn an_error_does_not_show_a_secret() {
        let config = Config::from([("REMOTE_SECRETS", "whsec_abc")]);
        let error = config.remote_secrets().parse::<u8>().unwrap_err();
        assert!(!error.to_string().contains("abc"), "{error}");
    }

    #[test]
    fn a_base_path_has_a_slash_in_front() {
        for (given, path) in [("v1", "/v1"), ("/a/b/", "/a/b"), ("/", ""), ("", "")] {
            assert_eq!(Config::from([("BASE_PATH", given)]).base_path(), path);
        }
    }
}
