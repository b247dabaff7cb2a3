//! Flower's language of searches: terms that must all hold, `OR`, parentheses and quotes.
//!
//! A term is a text that the task has anywhere, or `field:text` for one of the fields `name`, `state`,
//! `worker`, `args`, `kwargs` and `result`; `kwargs:key=value` compares one argument. Errors have Flower's
//! words.

use crate::celery::python;

const FIELDS: [(&str, Field); 6] = [
    ("name", Field::Name),
    ("state", Field::State),
    ("worker", Field::Worker),
    ("args", Field::Args),
    ("kwargs", Field::Kwargs),
    ("result", Field::Result),
];
/// The fewest characters of a text that is looked for inside of others.
const LEAST: usize = 3;
/// The most characters, terms and levels of parentheses of a search.
const MAX_LENGTH: usize = 2_048;
const MAX_TOKENS: usize = 128;
const MAX_DEPTH: usize = 5;

/// A search.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Search {
    /// Every task.
    All,
    /// The tasks with this text in a field, or anywhere.
    Term(Option<Field>, String),
    /// The tasks for which all of these hold.
    And(Vec<Search>),
    /// The tasks for which one of these holds.
    Or(Vec<Search>),
}

/// A field of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    Name,
    State,
    Worker,
    Args,
    Kwargs,
    Result,
}

/// What a search looks at. All texts are in lower case.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub uuid: String,
    pub name: String,
    pub state: String,
    pub worker: String,
    pub args: String,
    pub kwargs: String,
    pub result: String,
    /// The keyword arguments, each as `key=value`.
    pub pairs: Vec<String>,
}

impl Search {
    /// Reads a search.
    ///
    /// # Errors
    /// For a text that is no search, with Flower's sentence.
    pub fn parse(text: &str) -> Result<Search, String> {
        let text = text.trim();
        if text.chars().count() > MAX_LENGTH {
            return Err(format!("Query exceeds {MAX_LENGTH} characters."));
        }
        let mut parser = Parser {
            tokens: tokens(text)?,
            next: 0,
        };
        if parser.kind() == Kind::End {
            return Ok(Search::All);
        }
        let search = parser.any(0)?;
        match parser.kind() {
            Kind::End => Ok(search),
            _ => Err(parser.unexpected()),
        }
    }

    /// Whether the search finds a task.
    pub fn finds(&self, task: &Document) -> bool {
        match self {
            Search::All => true,
            Search::And(all) => all.iter().all(|one| one.finds(task)),
            Search::Or(any) => any.iter().any(|one| one.finds(task)),
            Search::Term(field, text) => task.has(*field, text),
        }
    }
}

impl Document {
    fn has(&self, field: Option<Field>, text: &str) -> bool {
        match field {
            None => {
                let fields = [Field::Name, Field::State, Field::Worker];
                let texts = [Field::Args, Field::Kwargs, Field::Result];
                let mut all = fields.into_iter().chain(texts);
                self.uuid.contains(text) || all.any(|field| self.text(field).contains(text))
            }
            Some(Field::State) => self.state == text,
            Some(Field::Kwargs) if text.contains('=') => {
                let (key, value) = text.split_once('=').unwrap_or_default();
                let pair = format!("{}={}", key.trim(), value.trim());
                self.pairs.contains(&pair)
            }
            Some(field) => self.text(field).contains(text),
        }
    }

    fn text(&self, field: Field) -> &str {
        match field {
            Field::Name => &self.name,
            Field::State => &self.state,
            Field::Worker => &self.worker,
            Field::Args => &self.args,
            Field::Kwargs => &self.kwargs,
            Field::Result => &self.result,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Close,
    And,
    Or,
    Term,
    End,
}

/// A word of a search, with its place in characters.
#[derive(Debug)]
struct Token {
    kind: Kind,
    text: String,
    at: usize,
}

fn error<T>(message: &str, at: usize) -> Result<T, String> {
    Err(format!("{message} at position {at}."))
}

/// The words of a search, with [`Kind::End`] as the last.
fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let chars: Vec<char> = text.chars().collect();
    let (mut tokens, mut at) = (Vec::new(), 0);
    while at < chars.len() {
        let from = at;
        let (kind, text) = match chars[at] {
            c if c.is_whitespace() => {
                at += 1;
                continue;
            }
            bracket @ ('(' | ')') => {
                at += 1;
                let kind = if bracket == '(' {
                    Kind::Open
                } else {
                    Kind::Close
                };
                (kind, bracket.to_string())
            }
            _ => word(&chars, &mut at)?,
        };
        tokens.push(Token {
            kind,
            text,
            at: from,
        });
        if tokens.len() > MAX_TOKENS {
            return Err(format!("Query exceeds {MAX_TOKENS} tokens."));
        }
    }
    tokens.push(Token {
        kind: Kind::End,
        text: String::new(),
        at: chars.len(),
    });
    Ok(tokens)
}

/// A term or an operator from the place `at`, which is then the place after it. Quotes may begin inside.
fn word(chars: &[char], at: &mut usize) -> Result<(Kind, String), String> {
    let (from, mut text) = (*at, String::new());
    let (mut has_quotes, mut is_inside) = (false, false);
    while let Some(&c) = chars.get(*at) {
        let next = chars.get(*at + 1);
        match (c, next) {
            ('\\', Some(&escaped @ ('"' | '\\'))) => {
                text.push(escaped);
                *at += 1;
            }
            ('"', _) => {
                has_quotes = true;
                is_inside = !is_inside;
            }
            (c, _) if !is_inside && (c.is_whitespace() || matches!(c, '(' | ')')) => break,
            (c, _) => text.push(c),
        }
        *at += 1;
    }
    if is_inside {
        return error("Unterminated quoted phrase", from);
    }
    match &*text {
        "" => error("Empty search term", from),
        "AND" if !has_quotes => Ok((Kind::And, text)),
        "OR" if !has_quotes => Ok((Kind::Or, text)),
        "NOT" if !has_quotes => error("NOT is not supported", from),
        _ => Ok((Kind::Term, text)),
    }
}

struct Parser {
    tokens: Vec<Token>,
    next: usize,
}

impl Parser {
    fn token(&self) -> &Token {
        &self.tokens[self.next]
    }

    fn kind(&self) -> Kind {
        self.token().kind
    }

    fn unexpected(&self) -> String {
        let Token { text, at, .. } = self.token();
        format!("Unexpected {} at position {at}.", python::text(text))
    }

    /// Steps over an operator, which a term must follow.
    fn operator(&mut self, name: &str) -> Result<(), String> {
        let at = self.token().at;
        self.next += 1;
        match self.kind() {
            Kind::Open | Kind::Term => Ok(()),
            _ => error(&format!("{name} must be followed by a search term"), at),
        }
    }

    fn any(&mut self, depth: usize) -> Result<Search, String> {
        let mut parts = vec![self.all(depth)?];
        while self.kind() == Kind::Or {
            self.operator("OR")?;
            parts.push(self.all(depth)?);
        }
        Ok(one_or(parts, Search::Or))
    }

    fn all(&mut self, depth: usize) -> Result<Search, String> {
        let mut parts = vec![self.one(depth)?];
        while !matches!(self.kind(), Kind::End | Kind::Close | Kind::Or) {
            if self.kind() == Kind::And {
                self.operator("AND")?;
            }
            parts.push(self.one(depth)?);
        }
        Ok(one_or(parts, Search::And))
    }

    fn one(&mut self, depth: usize) -> Result<Search, String> {
        let at = self.token().at;
        match self.kind() {
            Kind::Term => {
                let term = term(self.token());
                self.next += 1;
                term
            }
            Kind::Open if depth >= MAX_DEPTH => {
                error(&format!("Query nesting exceeds {MAX_DEPTH} levels"), at)
            }
            Kind::Open => {
                self.next += 1;
                if self.kind() == Kind::Close {
                    return error("Empty group", at);
                }
                let inside = self.any(depth + 1)?;
                if self.kind() != Kind::Close {
                    return error("Missing closing parenthesis", at);
                }
                self.next += 1;
                Ok(inside)
            }
            _ => error("Expected a search term", at),
        }
    }
}

fn one_or(mut parts: Vec<Search>, many: fn(Vec<Search>) -> Search) -> Search {
    match (parts.pop(), parts.is_empty()) {
        (Some(only), true) => only,
        (last, _) => {
            parts.extend(last);
            many(parts)
        }
    }
}

fn term(Token { text, at, .. }: &Token) -> Result<Search, String> {
    let qualified = text.split_once(':').and_then(|(name, value)| {
        let name = name.to_lowercase();
        let field = FIELDS.iter().find(|(known, _)| *known == name);
        field.map(|(_, field)| (*field, value))
    });
    let (field, value) = match qualified {
        Some((field, value)) => (Some(field), value),
        None if text.starts_with('-') => {
            return error("Negation with '-' is not supported", *at);
        }
        None => (None, text.as_str()),
    };
    if value.is_empty() {
        return error("Search qualifier requires a value", *at);
    }
    let is_exact = match field {
        Some(Field::State) => true,
        Some(Field::Kwargs) => value.contains('='),
        _ => false,
    };
    if !is_exact && value.trim().chars().count() < LEAST {
        let message = format!("Substring search terms must contain at least {LEAST} characters");
        return error(&message, *at);
    }
    Ok(Search::Term(field, value.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Document {
        Document {
            uuid: "1f-2e".to_owned(),
            name: "app.add".to_owned(),
            state: "success".to_owned(),
            worker: "celery@a".to_owned(),
            args: "(1, 2)".to_owned(),
            kwargs: "{'who': 'Ada Lovelace'}".to_lowercase(),
            result: "'three'".to_owned(),
            pairs: vec!["who=ada lovelace".to_owned()],
        }
    }

    #[test]
    fn a_search_finds_what_flower_finds() {
        for (text, found) in [
            ("", true),
            ("  ", true),
            ("app", true),
            ("1F-2", true),
            ("name:add", true),
            ("NAME:ADD state:SUCCESS", true),
            ("name:mul OR name:add", true),
            ("name:mul AND name:add", false),
            ("(name:mul OR name:add) worker:x@a ", false),
            ("(name:mul OR name:add) worker:y@a", true),
            ("state:succ", false),
            ("args:\"1, 2\"", true),
            ("kwargs:who=\"Ada Lovelace\"", true),
            ("\"kwargs:who = ada lovelace\"", true),
            ("kwargs:who=ada", false),
            ("kwargs:lovelace", true),
            ("result:three", true),
            ("other:three", false),
            ("\"AND\"", false),
            ("name:mul OR (result:three args:nothing) OR lovelace", true),
        ] {
            let search = Search::parse(text);
            assert_eq!(
                search.map(|search| search.finds(&task())),
                Ok(found),
                "{text}"
            );
        }
    }

    /// Flower's own sentences; `tests/e2e/flower/reference.json` has more of them.
    #[test]
    fn errors_are_worded_as_flowers() {
        for (text, message) in [
            (
                "ab",
                "Substring search terms must contain at least 3 characters at position 0.",
            ),
            (
                "abc OR )",
                "OR must be followed by a search term at position 4.",
            ),
            (
                "abc AND",
                "AND must be followed by a search term at position 4.",
            ),
            ("abc )", "Unexpected ')' at position 4."),
            ("é \"x", "Unterminated quoted phrase at position 2."),
            ("\"\"", "Empty search term at position 0."),
            ("OR abc", "Expected a search term at position 0."),
            ("state:", "Search qualifier requires a value at position 0."),
        ] {
            assert_eq!(Search::parse(text), Err(message.to_owned()), "{text}");
        }
        assert!(Search::parse(&"abc ".repeat(128)).is_ok());
        assert!(Search::parse(&"abc ".repeat(129)).is_err());
        assert!(Search::parse(&format!("{}abc{}", "(".repeat(5), ")".repeat(5))).is_ok());
    }
}
