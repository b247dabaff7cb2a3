//! Authentication in the stack's gateway and functions.

use super::{Options, Stack};
use crate::error::Result;
use crate::gateway::{Checkpoint, Gateway};
use crate::security::Parameters;
use crate::template::Template;

impl Options {
    /// The values of the template's parameters that the gateway depends on.
    pub(super) fn parameters(&self) -> Parameters {
        let keep = self.key_cache_seconds.to_string();
        let mut parameters = Parameters::from([
            ("AuthMode".to_owned(), self.auth_mode.clone()),
            ("KeyCacheSeconds".to_owned(), keep),
        ]);
        let open_docs = |(name, _): &&(String, String)| name == "OPEN_DOCS";
        if let Some((_, value)) = self.environment.iter().find(open_docs) {
            parameters.insert("OpenDocs".to_owned(), value.clone());
        }
        parameters
    }

    /// The functions' variables, including those for authentication.
    pub(super) fn all_variables(&self) -> Vec<(String, String)> {
        let keep = self.key_cache_seconds.to_string();
        let mut variables = self.environment.clone();
        variables.extend([
            ("AUTH_MODE".to_owned(), self.auth_mode.clone()),
            ("KEY_CACHE_SECONDS".to_owned(), keep),
        ]);
        variables
    }
}

/// The HTTP API that the template describes for these options.
pub(super) fn gateway(
    port: u16,
    functions_url: &str,
    template: &Template,
    options: &Options,
) -> Result<Gateway> {
    let security = template.security(&options.parameters());
    let checkpoint = security.map(|found| Checkpoint::new(template, found));
    Gateway::start(
        port,
        functions_url,
        template.routes(),
        options.slash,
        checkpoint.transpose()?,
    )
}

impl Stack {
    /// A second HTTP API in front of the same functions, with `AuthMode`, `KeyCacheSeconds` and
    /// slash from these options.
    ///
    /// # Errors
    /// When the gateway does not start, or does not support the mode.
    pub fn another_gateway(&self, options: &Options) -> Result<Gateway> {
        let functions_url = format!("http://127.0.0.1:{}", self.ports.functions);
        gateway(0, &functions_url, &self.template, options)
    }
}
