//! A control message: a command for workers.

use crate::celery::envelope::Envelope;
use crate::json::{Json, Object};

/// How long after its expiry a question is still answered, in milliseconds. The expiry is the time of the
/// client's `timeout`, often a second, but a client that waits for SQS waits up to 20 seconds.
const GRACE: u64 = 20_000;
/// The longest name of a command, in bytes.
const MAX_METHOD: usize = 100;

/// A command with its arguments.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Request {
    /// The name of the command.
    pub method: String,
    pub arguments: Object,
    /// Where the reply goes; `None` if the sender waits for none.
    pub reply_to: Option<ReplyTo>,
    /// What the reply repeats, so that the sender knows its question.
    pub ticket: Option<String>,
    /// The sender's logical clock.
    pub clock: i64,
    /// When the sender stops waiting, in milliseconds since the Unix epoch.
    expires: Option<u64>,
    /// The names of the workers that the command is for; empty for those of the pattern.
    destination: Vec<String>,
    /// A pattern of names in the syntax of Python's `fnmatch`; `None` for all workers.
    pattern: Option<String>,
}

/// The address of a reply in kombu.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct ReplyTo {
    pub exchange: String,
    pub routing_key: String,
}

impl Request {
    /// Reads a message of the topic.
    ///
    /// # Errors
    /// For a message that is no command, with the reason.
    pub fn read(message: &str) -> Result<Request, &'static str> {
        let envelope = Envelope::open(message).map_err(|_| "it is no envelope of kombu")?;
        let header = |name| envelope.headers.get(name);
        let clock = header("clock").and_then(Json::as_i64).unwrap_or(0);
        let expires = header("expires").and_then(Json::as_f64);
        let content = envelope.content.read().map_err(|_| "its body is no JSON")?;
        let mut body = content.into_object().map_err(|_| "its body is no object")?;
        let mut take = |name| body.remove(name).unwrap_or_default();
        let method = match take("method") {
            Json::String(method) if method.len() <= MAX_METHOD => method,
            _ => return Err("it names no command"),
        };
        let arguments = match take("arguments") {
            Json::Object(arguments) => arguments,
            Json::Null => Object::new(),
            _ => return Err("its arguments are no object"),
        };
        let pattern = pattern(take("pattern"), &take("matcher"))?;
        let reply_to = match take("reply_to") {
            Json::Null => None,
            to => Some(ReplyTo::read(&to).ok_or("its reply has no address")?),
        };
        Ok(Request {
            method,
            arguments,
            reply_to,
            ticket: take("ticket").as_str().map(str::to_owned),
            clock,
            expires: expires.and_then(milliseconds),
            destination: texts(&take("destination")).ok_or("its destination is no list")?,
            pattern,
        })
    }

    /// Whether the command is for the worker with this name.
    pub fn is_for(&self, hostname: &str) -> bool {
        match (&*self.destination, &self.pattern) {
            ([], None) => true,
            ([], Some(pattern)) => matches(pattern, hostname),
            (names, _) => names.iter().any(|name| name == hostname),
        }
    }

    /// The logical clock after the message.
    pub fn next_clock(&self) -> i64 {
        self.clock.saturating_add(1)
    }

    /// Whether the sender waits no more.
    pub fn is_late(&self, now: u64) -> bool {
        self.expires.is_some_and(|expires| expires + GRACE < now)
    }
}

impl ReplyTo {
    /// An address of a mailbox of replies: the exchange of any other message is refused.
    fn read(to: &Json) -> Option<ReplyTo> {
        let text = |name| to.get(name).and_then(Json::as_str);
        let exchange = text("exchange")?;
        let is_mailbox = exchange.starts_with("reply.") && exchange.ends_with(".pidbox");
        Some(ReplyTo {
            exchange: is_mailbox.then(|| exchange.to_owned())?,
            routing_key: text("routing_key")?.to_owned(),
        })
    }
}

/// The texts of a list; empty for null, as Celery has it.
pub(super) fn texts(value: &Json) -> Option<Vec<String>> {
    let text = |value: &Json| value.as_str().map(str::to_owned);
    match value {
        Json::Null => Some(Vec::new()),
        Json::Array(values) => values.iter().map(text).collect(),
        _ => None,
    }
}

/// The pattern of a message. Celery reads a pattern only with a matcher.
fn pattern(pattern: Json, matcher: &Json) -> Result<Option<String>, &'static str> {
    match (pattern, matcher.as_str()) {
        (Json::String(pattern), Some("glob")) if !pattern.is_empty() => Ok(Some(pattern)),
        (Json::String(pattern), Some(matcher)) if !pattern.is_empty() && !matcher.is_empty() => {
            Err("its matcher is unknown: only glob is known")
        }
        _ => Ok(None),
    }
}

/// A time of Python; `None` for 0, which is no expiry.
fn milliseconds(seconds: f64) -> Option<u64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    // positive, and `as` saturates
    let milliseconds = (seconds * 1000.0) as u64;
    (seconds > 0.0).then_some(milliseconds.min(u64::MAX - GRACE))
}

/// Whether a name matches a pattern of Python's `fnmatch`: `*`, `?`, `[abc]`, `[a-z]` and `[!a]`.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    // Where to go on if the characters after the last star do not match: the star takes one more.
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        if pattern.get(at.0) == Some(&'*') {
            star = Some(at);
            at.0 += 1;
        } else if let Some(next) = one(&pattern, at.0, name[at.1]) {
            at = (next, at.1 + 1);
        } else if let Some((in_pattern, in_name)) = star {
            star = Some((in_pattern, in_name + 1));
            at = (in_pattern + 1, in_name + 1);
        } else {
            return false;
        }
    }
    pattern[at.0..].iter().all(|c| *c == '*')
}

/// The place in the pattern after the part that matches this character.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match *pattern.get(at)? {
        '?' => Some(at + 1),
        '[' => match class(&pattern[at + 1..]) {
            None => (c == '[').then_some(at + 1),
            Some((class, is_negated, length)) => {
                (is_in(class, c) != is_negated).then_some(at + 1 + length)
            }
        },
        other => (other == c).then_some(at + 1),
    }
}

/// The characters of a class, whether it is negated, and its length with the closing bracket; `None` for a
/// bracket that is never closed, which stands for itself.
fn class(rest: &[char]) -> Option<(&[char], bool, usize)> {
    let is_negated = rest.first() == Some(&'!');
    let start = usize::from(is_negated);
    // A bracket in the first place is a character of the class.
    let mut places = rest.iter().enumerate().skip(start + 1);
    let (end, _) = places.find(|(_, c)| **c == ']')?;
    Some((&rest[start..end], is_negated, end + 1))
}

fn is_in(class: &[char], c: char) -> bool {
    match class {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || is_in(rest, c),
        [one, rest @ ..] => *one == c || is_in(rest, c),
        [] => false,
    }
}
