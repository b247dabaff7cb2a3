//! The functions' environment.

use super::{AWS_PORT, HTTP_PORT, Ports, UPSTREAM_PORT};
use crate::error::{Context, Result};
use crate::{functions, project};

/// The variables of `infra/local/env` with the ports of this stack, and the options' variables.
pub(super) fn read(ports: Ports, extra: &[(String, String)]) -> Result<Vec<(String, String)>> {
    let path = project::root().join("infra/local/env");
    let text =
        std::fs::read_to_string(&path).context(format_args!("cannot read {}", path.display()))?;
    let mut environment = functions::parse_env(&with_ports(&text, ports));
    environment.retain(|(name, _)| extra.iter().all(|(other, _)| other != name));
    environment.extend_from_slice(extra);
    Ok(environment)
}

/// Allows the functions to fetch from these servers.
pub(super) fn open(environment: &mut [(String, String)], hosts: &[String]) {
    let opened = |(name, _): &&mut (String, String)| name == "FETCH_ALLOW_HOSTS";
    if let Some((_, list)) = environment.iter_mut().find(opened) {
        for host in hosts {
            list.push(',');
            list.push_str(host);
        }
    }
}

fn with_ports(text: &str, ports: Ports) -> String {
    let pairs = [
        (HTTP_PORT, ports.http),
        (AWS_PORT, ports.aws),
        (UPSTREAM_PORT, ports.upstream),
    ];
    // Old ports become placeholders first, so that a new port is not replaced again.
    let marked = pairs
        .iter()
        .enumerate()
        .fold(text.to_owned(), |text, (mark, (from, _))| {
            text.replace(&format!(":{from}"), &format!(":\u{0}{mark}\u{0}"))
        });
    pairs
        .iter()
        .enumerate()
        .fold(marked, |text, (mark, (_, to))| {
            text.replace(&format!("\u{0}{mark}\u{0}"), &to.to_string())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_replaced_once() {
        let ports = Ports {
            http: 9100,
            functions: 1,
            invocations: 2,
            aws: 9000,
            upstream: 4566,
        };
        let text = "A=http://127.0.0.1:4566/x\nB=h:9100,i:9100\nC=http://127.0.0.1:9000";
        let expected = "A=http://127.0.0.1:9000/x\nB=h:4566,i:4566\nC=http://127.0.0.1:9100";
        assert_eq!(with_ports(text, ports), expected);
    }

    #[test]
    fn allowed_hosts_are_added_to_the_demo_upstream() {
        let ports = Ports {
            http: HTTP_PORT,
            functions: 1,
            invocations: 2,
            aws: AWS_PORT,
            upstream: 9300,
        };
        let mut environment = read(ports, &[]).unwrap();
        open(
            &mut environment,
            &["localhost:8000".to_owned(), "[::1]:8001".to_owned()],
        );
        let list = environment
            .iter()
            .find(|(name, _)| name == "FETCH_ALLOW_HOSTS");
        assert_eq!(
            list.unwrap().1,
            "127.0.0.1:9300,localhost:9300,localhost:8000,[::1]:8001"
        );
    }

    #[test]
    fn variables_of_options_override_those_of_the_file() {
        let ports = Ports {
            http: HTTP_PORT,
            functions: 1,
            invocations: 2,
            aws: AWS_PORT,
            upstream: UPSTREAM_PORT,
        };
        let extra = [("LEASE_SECONDS".to_owned(), "5".to_owned())];
        let environment = read(ports, &extra).unwrap();
        let values: Vec<&str> = environment
            .iter()
            .filter(|(name, _)| name == "LEASE_SECONDS")
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(values, ["5"]);
    }
}
