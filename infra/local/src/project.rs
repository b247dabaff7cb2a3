//! Where things are, whichever folder a command was called from.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The project's folder, where `template.yaml` is.
#[must_use]
pub fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

/// Where cargo builds.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A folder for logs and small files of the stack that serves `port`.
///
/// It is below the build folder because the watcher never looks there: a log
/// that grows must not look like an edited source file.
#[must_use]
pub fn scratch(port: u16) -> PathBuf {
    target().join("local-stack").join(port.to_string())
}

/// The port itself if it is free on loopback, or any free one for 0.
///
/// # Errors
/// When something listens there, in words that name `option`, the way to
/// choose another.
pub fn claim_port(port: u16, what: &str, option: &str) -> Result<u16> {
    let taken = || {
        Error::new(format!(
            "port {port} for {what} is in use: stop what listens there, or {option}"
        ))
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|_| taken())?;
    let address = listener.local_addr().map_err(|_| taken())?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_the_template() {
        assert!(root().join("template.yaml").is_file());
    }

    #[test]
    fn a_taken_port_is_named_with_the_way_out() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = claim_port(port, "the functions", "pass --port").unwrap_err();
        assert!(error.to_string().contains(&port.to_string()));
        assert!(error.to_string().ends_with("or pass --port"));
        assert_ne!(claim_port(0, "x", "y").unwrap(), 0);
    }
}
