//! Which job's body runs where: the value of `REMOTE_JOBS`.

use std::str::FromStr;

use ::url::Url;

use crate::tasks::registry::matches;

/// The longest pattern, in bytes: as the longest name of a job.
const MAX_PATTERN: usize = 255;

/// The bodies of remote jobs, in the order of the configuration.
///
/// Parsed from `PATTERN=TARGET` entries that are joined by commas. `*` in a pattern stands for any text. A
/// target is a Lambda function's name or ARN, with or without an alias (`name:alias`), or an http or https
/// URL. A comma in a URL is written `%2C`.
///
/// ```
/// use async_service::remote::bodies::{Bodies, Target};
///
/// let bodies: Bodies = "reports.*=reports-function:live, mail=https://mail.example/run".parse()?;
/// assert_eq!(bodies.find("mail").unwrap().target.kind(), "url");
/// assert!(bodies.find("reports.daily").is_some() && bodies.find("add").is_none());
/// # Ok::<(), async_service::remote::bodies::BadBody>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bodies(Vec<Body>);

/// One entry of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The names of the jobs; `*` stands for any text.
    pub pattern: String,
    /// Where their bodies run.
    pub target: Target,
}

/// Where a body runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// In the Lambda function of this name or ARN, with or without an alias.
    Function(String),
    /// Behind this URL.
    Url(Url),
}

/// An entry that is not `PATTERN=TARGET`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {number} {reason}")]
pub struct BadBody {
    /// The number of the entry, from 1. Its text may have a secret.
    number: usize,
    reason: &'static str,
}

impl Bodies {
    /// The body of a job; the first entry that fits.
    pub fn find(&self, job: &str) -> Option<&Body> {
        self.0.iter().find(|body| matches(&body.pattern, job))
    }

    /// All entries.
    pub fn iter(&self) -> impl Iterator<Item = &Body> {
        self.0.iter()
    }

    /// Whether all bodies run here.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Bodies {
    type Err = BadBody;

    fn from_str(text: &str) -> Result<Bodies, BadBody> {
        let entries = text.split(',').map(str::trim).enumerate();
        let entries = entries.filter(|(_, entry)| !entry.is_empty());
        let bodies = entries.map(|(at, entry)| {
            let bad = |reason| BadBody {
                number: at + 1,
                reason,
            };
            body(entry).map_err(bad)
        });
        bodies.collect::<Result<_, _>>().map(Bodies)
    }
}

fn body(entry: &str) -> Result<Body, &'static str> {
    let (pattern, target) = entry.split_once('=').ok_or("is not PATTERN=TARGET")?;
    let (pattern, target) = (pattern.trim(), target.trim());
    if !(1..=MAX_PATTERN).contains(&pattern.len()) {
        return Err("has a pattern without characters or with more than 255");
    }
    Ok(Body {
        pattern: pattern.to_owned(),
        target: Target::parse(target)?,
    })
}

impl Target {
    fn parse(text: &str) -> Result<Target, &'static str> {
        if text.starts_with("http://") || text.starts_with("https://") {
            let url = Url::parse(text).map_err(|_| "has an invalid URL")?;
            let has_credentials = !url.username().is_empty() || url.password().is_some();
            return match has_credentials {
                true => Err("has a URL with a user name or password"),
                false => Ok(Target::Url(url)),
            };
        }
        // "FunctionName" of Lambda's Invoke: a name, a partial or whole ARN, with a version or alias.
        let is_of_name =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '$' | '.');
        match !text.is_empty() && text.len() <= 170 && text.chars().all(is_of_name) {
            true => Ok(Target::Function(text.to_owned())),
            false => Err("has neither the name of a Lambda function nor an http or https URL"),
        }
    }

    /// `function` or `url`.
    pub fn kind(&self) -> &'static str {
        match self {
            Target::Function(_) => "function",
            Target::Url(_) => "url",
        }
    }

    /// The name of the function, without the account of an ARN; the URL without its query, which may have a
    /// secret.
    pub fn place(&self) -> String {
        match self {
            Target::Function(name) => match name.split_once(":function:") {
                Some((_, name)) => name.to_owned(),
                None => name.clone(),
            },
            Target::Url(url) => {
                let mut url = url.clone();
                url.set_query(None);
                url.set_fragment(None);
                url.into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(text: &str) -> String {
        text.parse::<Bodies>().unwrap_err().to_string()
    }

    #[test]
    fn the_first_entry_that_fits_is_the_body() {
        let bodies: Bodies = "a.b=first,a.*=second:live, *=https://x.example/y?key=1,"
            .parse()
            .unwrap();
        let place = |job| bodies.find(job).unwrap().target.place();
        assert_eq!(place("a.b"), "first");
        assert_eq!(place("a.c"), "second:live");
        assert_eq!(place("b"), "https://x.example/y");
        assert!("".parse::<Bodies>().unwrap().is_empty());
    }

    #[test]
    fn an_arn_is_shown_without_its_account() {
        let arn = "arn:aws:lambda:eu-central-1:123456789012:function:reports:live";
        let bodies: Bodies = format!("r={arn}").parse().unwrap();
        let target = &bodies.find("r").unwrap().target;
        assert_eq!(*target, Target::Function(arn.to_owned()));
        assert_eq!(target.place(), "reports:live");
    }

    #[test]
    fn a_wrong_entry_is_refused_without_its_text() {
        assert_eq!(reason("a=b,secret"), "entry 2 is not PATTERN=TARGET");
        assert!(reason("=b").contains("without characters"));
        assert!(reason("a=").contains("neither"));
        assert!(reason("a=ftp://x").contains("neither"));
        assert!(reason("a=https://user:secret@x/").contains("password"));
        assert!(reason("a=http://").contains("invalid URL"));
    }
}
