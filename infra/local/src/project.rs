//! The project's folders, found from any working directory.

use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::error::{Error, Result};

/// The project's folder, where `template.yaml` is.
///
/// At run time, cargo sets `CARGO_MANIFEST_DIR` to the package that it runs. The folder that was
/// compiled in is only the second choice: it is wrong when the project was moved, or when several
/// copies share one target folder.
#[must_use]
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let running = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let compiled = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let found = running
            .as_deref()
            .and_then(root_above)
            .or_else(|| root_above(&compiled));
        found.map_or(compiled.clone(), Path::to_path_buf)
    })
}

fn root_above(folder: &Path) -> Option<&Path> {
    folder
        .ancestors()
        .find(|folder| folder.join("template.yaml").is_file())
}

/// Cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A folder for logs and small files of the stack that serves `port`.
///
/// The folder is inside the target folder, which the watcher ignores: a log that grows must not
/// look like an edited source file.
#[must_use]
pub fn scratch(port: u16) -> PathBuf {
    target().join("local-stack").join(port.to_string())
}

/// Checks that `port` is free on loopback and returns it; for 0, returns any free port.
///
/// # Errors
/// When the port is in use. The message contains `option`, which says how to choose another port.
pub fn claim_port(port: u16, what: &str, option: &str) -> Result<u16> {
    let taken = || {
        Error::new(format!(
            "port {port} for {what} is in use: stop the program that listens there, or {option}"
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
    fn the_root_contains_template_yaml() {
        assert!(root().join("template.yaml").is_file());
    }

    #[test]
    fn the_error_for_a_port_in_use_names_the_option() {
        let holder = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = holder.local_addr().unwrap().port();
        let error = claim_port(port, "the functions", "pass --port").unwrap_err();
        assert!(error.to_string().contains(&port.to_string()));
        assert!(error.to_string().ends_with("or pass --port"));
        assert_ne!(claim_port(0, "x", "y").unwrap(), 0);
    }
}
