//! Errors as one line for a person: the problem and its solution.

use std::fmt;

/// One line that names the problem and, where known, the solution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(String);

/// The result of this crate's fallible functions.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Adds to an error what the program was doing.
pub trait Context<T> {
    /// Puts `what` in front of the cause's text.
    ///
    /// # Errors
    /// The same failure, as an [`Error`].
    fn context(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|cause| Error(format!("{what}: {cause}")))
    }
}
