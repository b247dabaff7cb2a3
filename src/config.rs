//! The configuration: environment variables, each named once, here.
//!
//! Values are raw: whoever needs a list of hosts or an upstream parses the [`Variable`]. A function
//! reads only what it needs, so that a variable it does not use need not be set. An error names its
//! variable.

use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// Why a function cannot start.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// A variable that has no default is absent or empty.
    #[error("environment variable {0} is not set")]
    Missing(&'static str),
    /// A variable's text is not of its type.
    #[error("environment variable {name} is {value:?}: {reason}")]
    Invalid {
        /// The variable.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// The process environment, read once at start.
#[derive(Debug, Clone, Default)]
pub struct Config(HashMap<String, String>);

impl Config {
    /// Takes the environment of this process.
    pub fn from_env() -> Config {
        // `vars` would panic on a variable that is not Unicode, also on one that is not ours.
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

    /// The URL of the queue that carries tasks to the worker.
    pub fn tasks_queue_url(&self) -> Result<String, ConfigError> {
        self.required("TASKS_QUEUE_URL")
    }

    /// The URL of the queue for tasks of high priority; without it they share the other.
    pub fn tasks_high_queue_url(&self) -> Option<String> {
        self.optional("TASKS_HIGH_QUEUE_URL").map(str::to_owned)
    }

    /// This process' name in tasks' records: Lambda names each of its environments by its log
    /// stream.
    pub fn worker_name(&self) -> String {
        let stream = self.optional("AWS_LAMBDA_LOG_STREAM_NAME");
        stream.map_or_else(|| format!("process {}", std::process::id()), str::to_owned)
    }

    /// The URL of the queue that keeps messages nobody can work on.
    pub fn dead_letters_queue_url(&self) -> Result<String, ConfigError> {
        self.required("DEAD_LETTERS_QUEUE_URL")
    }

    /// The group of the one-time schedules of tasks; without one, delayed tasks wait in their queue.
    pub fn schedule_group(&self) -> Option<String> {
        self.optional("SCHEDULE_GROUP").map(str::to_owned)
    }

    /// The ARN of the role that lets EventBridge Scheduler send to the queues.
    pub fn schedule_role_arn(&self) -> Result<String, ConfigError> {
        self.required("SCHEDULE_ROLE_ARN")
    }

    /// The ARN of the queue of tasks.
    pub fn tasks_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("TASKS_QUEUE_ARN")
    }

    /// The ARN of the queue for tasks of high priority.
    pub fn tasks_high_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("TASKS_HIGH_QUEUE_ARN")
    }

    /// The ARN of the queue for messages that could not be sent.
    pub fn undelivered_queue_arn(&self) -> Result<String, ConfigError> {
        self.required("UNDELIVERED_QUEUE_ARN")
    }

    /// A text that callers do not know, from which the ids of submissions with an idempotency key are
    /// made.
    pub fn id_secret(&self) -> Option<String> {
        self.optional("ID_SECRET").map(str::to_owned)
    }

    /// The base URL that users are read through; without it users are only what was posted.
    pub fn users_upstream(&self) -> Variable<'_> {
        self.variable("USERS_UPSTREAM_URL")
    }

    /// How long a user that was read from the upstream is taken as fresh (default 300 s).
    pub fn users_fresh(&self) -> Result<Duration, ConfigError> {
        self.seconds("USERS_FRESH_SECONDS", 300)
    }

    /// How long one call to the users' upstream may take (default 5,000 ms).
    pub fn users_upstream_timeout(&self) -> Result<Duration, ConfigError> {
        let milliseconds = self.number("USERS_UPSTREAM_TIMEOUT_MS", 5_000)?;
        Ok(Duration::from_millis(milliseconds))
    }

    /// `host` or `host:port` entries, separated by commas, that a user's URL may name although
    /// their addresses are private.
    pub fn fetch_allow_hosts(&self) -> Variable<'_> {
        self.variable("FETCH_ALLOW_HOSTS")
    }

    /// How long a worker may be silent before its task is given to another (default 60 s).
    pub fn lease(&self) -> Result<Duration, ConfigError> {
        self.seconds("LEASE_SECONDS", 60)
    }

    /// How long a task's record is kept after its end (default 14 days, as long as SQS keeps a
    /// message: a record must outlive every copy of its task's message, which would run it again).
    pub fn retention(&self) -> Result<Duration, ConfigError> {
        self.seconds("RETENTION_SECONDS", 14 * 24 * 3600)
    }

    /// The path below which a custom domain serves this API, such as `/v1`, or nothing. An event
    /// does not tell it.
    pub fn base_path(&self) -> String {
        let path = self.optional("BASE_PATH").unwrap_or_default();
        match path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        }
    }

    /// How callers prove who they are.
    pub fn auth_mode(&self) -> Variable<'_> {
        self.variable("AUTH_MODE")
    }

    /// The table of API keys.
    pub fn api_keys_table(&self) -> Result<String, ConfigError> {
        self.required("API_KEYS_TABLE")
    }

    /// How long a process uses what it has read of an API key (default 0 s: it reads each time).
    pub fn key_cache(&self) -> Result<Duration, ConfigError> {
        self.number("KEY_CACHE_SECONDS", 0).map(Duration::from_secs)
    }

    /// Whether the greeting and the documentation are for everybody (default false).
    pub fn open_docs(&self) -> Result<bool, ConfigError> {
        self.flag("OPEN_DOCS", false)
    }

    /// Whether callers see only the tasks that they submitted (default true).
    pub fn own_tasks_only(&self) -> Result<bool, ConfigError> {
        self.flag("OWN_TASKS_ONLY", true)
    }

    /// What stands before `read`, `write` and `admin` in a token's scopes, such as `tasks/`.
    pub fn jwt_scope_prefix(&self) -> String {
        let prefix = self.optional("JWT_SCOPE_PREFIX");
        prefix.unwrap_or_default().to_owned()
    }

    /// The region that requests are signed for.
    pub fn aws_region(&self) -> Result<String, ConfigError> {
        self.required("AWS_REGION")
    }

    /// The name of the key that requests are signed with.
    pub fn aws_access_key_id(&self) -> Result<String, ConfigError> {
        self.required("AWS_ACCESS_KEY_ID")
    }

    /// The key that requests are signed with.
    pub fn aws_secret_access_key(&self) -> Result<String, ConfigError> {
        self.required("AWS_SECRET_ACCESS_KEY")
    }

    /// What proves that the key is of a role: the key of a user has none.
    pub fn aws_session_token(&self) -> Option<String> {
        self.optional("AWS_SESSION_TOKEN").map(str::to_owned)
    }

    /// Another endpoint for all AWS calls, such as a local emulator's.
    pub fn aws_endpoint_url(&self) -> Option<String> {
        self.optional("AWS_ENDPOINT_URL").map(str::to_owned)
    }

    /// Whether log lines are JSON: Lambda sets this variable from the function's `LoggingConfig`.
    pub fn json_logs(&self) -> bool {
        self.optional("AWS_LAMBDA_LOG_FORMAT")
            .is_some_and(|format| format.eq_ignore_ascii_case("json"))
    }

    /// The CloudWatch namespace of the service's metrics; without it none are written.
    pub fn metrics_namespace(&self) -> Option<String> {
        self.optional("METRICS_NAMESPACE").map(str::to_owned)
    }

    /// The least severe level that is logged (default `info`).
    pub fn log_level(&self) -> &str {
        let lambda = || self.optional("AWS_LAMBDA_LOG_LEVEL");
        self.optional("RUST_LOG").or_else(lambda).unwrap_or("info")
    }

    fn variable(&self, name: &'static str) -> Variable<'_> {
        Variable {
            name,
            value: self.optional(name),
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

/// An optional variable that its reader parses.
#[derive(Debug, Clone, Copy)]
pub struct Variable<'a> {
    name: &'static str,
    value: Option<&'a str>,
}

impl Variable<'_> {
    /// The value as a `T`, or `None` if the variable is not set.
    ///
    /// # Errors
    /// When the value is not a `T`.
    pub fn parse<T: FromStr<Err: Display>>(self) -> Result<Option<T>, ConfigError> {
        self.parse_by(str::parse)
    }

    /// The value as `read` understands it, or `None` if the variable is not set.
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
        read(value)
            .map(Some)
            .map_err(|error| invalid(self.name, value, error))
    }
}

/// For tests: a configuration of just these variables.
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
    fn what_is_not_said_is_closed() {
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
    fn a_base_path_has_a_slash_in_front() {
        for (given, path) in [("v1", "/v1"), ("/a/b/", "/a/b"), ("/", ""), ("", "")] {
            assert_eq!(Config::from([("BASE_PATH", given)]).base_path(), path);
        }
    }
}
