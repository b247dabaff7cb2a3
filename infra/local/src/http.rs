//! The HTTP/1.1 server of the local stack and of the tests. Handlers are plain functions that many
//! threads call concurrently. Request bodies are in memory; answers are whole, streamed, or cut off
//! on purpose.

mod forward;
mod server;
mod target;

pub use forward::Forwarder;
pub use server::Server;

/// A complete request.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method as sent.
    pub method: String,
    /// The path, still percent-encoded.
    pub path: String,
    /// The text after the question mark.
    pub query: String,
    /// Header names in lower case, and their values.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The first header with this name, which must be in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// The first query parameter with this name, still percent-encoded.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

/// The body of an answer.
pub enum Body {
    /// A body in memory.
    Whole(Vec<u8>),
    /// Pieces, created while the answer is sent.
    Pieces(Box<dyn Iterator<Item = Vec<u8>> + Send>),
    /// A body that ends after six bytes of a thousand, when the connection is closed.
    Broken,
    /// No answer: the connection is closed.
    Nothing,
}

/// An answer.
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Headers besides those that frame the body.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Body,
}

impl Response {
    /// An answer with a body in memory.
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

/// Answers requests; many threads call a handler concurrently.
pub trait Handler: Fn(&Request) -> Response + Send + Sync + 'static {}
impl<F: Fn(&Request) -> Response + Send + Sync + 'static> Handler for F {}

#[cfg(test)]
mod tests;
