//! Reads the command line.

use std::ffi::OsString;

use async_service::auth::Scopes;
use async_service::auth::key::is_id;
use lexopt::{Arg, Parser, ValueExt};

/// The longest name of a caller, in characters.
const LONGEST_NAME: usize = 64;
/// The longest time until a key expires, in days: about a hundred years.
const MOST_DAYS: u64 = 36_500;

/// A command of the program.
#[derive(Debug, PartialEq)]
pub enum Command {
    /// Create a key and show it.
    Create(NewKey),
    /// Show all keys without their secrets.
    List,
    /// Revoke the key with this id.
    Revoke(String),
}

/// A key to be created.
#[derive(Debug, PartialEq)]
pub struct NewKey {
    /// The caller's name.
    pub name: String,
    /// What the caller may do.
    pub scopes: Scopes,
    /// After how many days the key expires; `None` for never.
    pub days: Option<u64>,
}

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// When an argument is missing or unknown, or a value is invalid.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = Parser::from_args(arguments);
    match parser.next()? {
        Some(Arg::Value(word)) if word == "create" => create(&mut parser).map(Command::Create),
        Some(Arg::Value(word)) if word == "list" => ended(&mut parser, Command::List),
        Some(Arg::Value(word)) if word == "revoke" => {
            let id = id(&parser.value()?.string()?)?;
            ended(&mut parser, Command::Revoke(id))
        }
        _ => Err("keys takes create, list or revoke".into()),
    }
}

fn create(parser: &mut Parser) -> Result<NewKey, lexopt::Error> {
    let (mut name, mut scopes, mut days) = (None, None, None);
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("name") => name = Some(checked_name(parser.value()?.string()?)?),
            Arg::Long("scopes") => scopes = Some(parser.value()?.parse()?),
            Arg::Long("expires-days") => days = Some(checked_days(parser.value()?.parse()?)?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(NewKey {
        name: name.ok_or("a key needs a --name: the caller's name")?,
        scopes: scopes.ok_or("a key needs --scopes, such as read,write")?,
        days,
    })
}

fn ended(parser: &mut Parser, command: Command) -> Result<Command, lexopt::Error> {
    match parser.next()? {
        None => Ok(command),
        Some(other) => Err(other.unexpected()),
    }
}

/// Checks a caller's name, which is stored in tasks, logs and the ids of idempotent submissions.
fn checked_name(name: String) -> Result<String, lexopt::Error> {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".-_@:".contains(c);
    if (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(fits) {
        return Ok(name);
    }
    Err(format!("a name has 1 to {LONGEST_NAME} characters: letters, digits and .-_@:").into())
}

fn checked_days(days: u64) -> Result<u64, lexopt::Error> {
    match days {
        1..=MOST_DAYS => Ok(days),
        _ => Err(format!("--expires-days takes 1 to {MOST_DAYS} days").into()),
    }
}

/// Checks a key's id. The error does not repeat the text, which may be a whole key.
fn id(text: &str) -> Result<String, lexopt::Error> {
    match is_id(text) {
        true => Ok(text.to_owned()),
        false => Err("an id has 16 hexadecimal digits; `list` shows the ids".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(words: &str) -> Result<Command, lexopt::Error> {
        parse(words.split_whitespace().map(OsString::from))
    }

    #[test]
    fn create_list_and_revoke_are_parsed() {
        let words = "create --name ada@example.com --scopes read,write --expires-days 30";
        let new = NewKey {
            name: "ada@example.com".to_owned(),
            scopes: "read write".parse().unwrap(),
            days: Some(30),
        };
        assert_eq!(parse_words(words).unwrap(), Command::Create(new));
        assert_eq!(parse_words("list").unwrap(), Command::List);
        let id = "0123456789abcdef";
        let revoke = parse_words(&format!("revoke {id}")).unwrap();
        assert_eq!(revoke, Command::Revoke(id.to_owned()));
    }

    #[test]
    fn invalid_arguments_are_refused_without_a_secret_in_the_error() {
        for words in [
            "",
            "walk",
            "list all",
            "create",
            "create --name ada",
            "create --scopes read",
            "create --name ada --scopes reading",
            "create --name ada --scopes ,",
            "create --name a/b --scopes read",
            "create --name ada --scopes read --expires-days 0",
            "create --name ada --scopes read --expires-days 99999999999999",
            "revoke",
            "revoke as_0123456789abcdef_secret",
        ] {
            let error = parse_words(words).unwrap_err().to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }
}
