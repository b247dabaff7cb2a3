//! The HTTP/1.1 server of the local stack and of the tests' stand-ins: handlers
//! are plain functions, called from many threads at once; request bodies are in
//! memory, answers whole, streamed, or broken off on purpose.

mod forward;
mod server;
mod target;

pub use forward::Forwarder;
pub use server::Server;

/// One request, read to its end.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method as it was sent.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// What follows the question mark.
    pub query: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header of this (lower-case) name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query parameter of this name, as it was sent.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// What an answer carries.
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// Pieces, made while they are sent.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    /// Six bytes of a thousand, and then the end of the connection.
    Broken,
    /// No answer at all: the end of the connection.
    Nothing,
}

/// One answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers besides those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer with a whole body.
    #[must_use]
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let headers = vec![("content-type".to_owned(), content_type.to_owned())];
        Self {
            status,
            headers,
            body: Body::Whole(body.into()),
        }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status, "application/json", value.to_string())
    }
}

/// Answers requests; called from many threads at once.
pub trait Handler: Fn(&Request) -> Response + Send + Sync + 'static {}
impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Handler for F {}

#[cfg(test)]
mod tests;
