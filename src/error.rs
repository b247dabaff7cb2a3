//! Errors with their causes, for the log.

use std::error::Error;
use std::fmt;

/// Displays an error and all its sources on one line. An AWS SDK error's own text leaves out its
/// sources.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the outer error")]
    struct Outer(#[source] fmt::Error);

    #[test]
    fn a_chain_has_every_cause() {
        let text = Chain(&Outer(fmt::Error)).to_string();
        assert_eq!(text, format!("the outer error: {}", fmt::Error));
    }
}
