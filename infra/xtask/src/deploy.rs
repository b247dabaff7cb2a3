//! `cargo xtask deploy --local`: the real deployment on this machine.

use local_stack::Result;
use local_stack::deploy::{self, Deployment, Options};

use crate::run::until_stopped;

/// Deploys into running endpoints, or into new ones, which then run until Ctrl-C.
///
/// # Errors
/// When the deployment fails, or a started program ends.
pub fn run(options: &Options) -> Result<()> {
    if options.aws_port != 0 && deploy::is_running(options.aws_port)? {
        let (url, by_address) = deploy::update(options)?;
        print!("{}", told(&url, &by_address, options.aws_port));
        return Ok(());
    }
    let mut deployment = Deployment::start(options)?;
    let (url, by_address) = (deployment.url(), deployment.url_by_address());
    print!("{}", told(&url, &by_address, deployment.port()));
    println!(
        "Deploy again from another terminal to update the service; Ctrl-C stops everything.\n"
    );
    let result = until_stopped(|| deployment.check());
    deployment.stop();
    result
}

fn told(url: &str, by_address: &str, port: u16) -> String {
    let (settings, stack) = (deploy::aws_settings(port), deploy::STACK);
    format!(
        "\nThe service is deployed at {url}\n\
         or, if names below localhost do not resolve, at {by_address}\n\n\
         Unless AuthMode is none, callers need a key. This command creates a key and shows it once:\n\n  \
         cargo xtask keys create --name me --scopes read,write --endpoint http://127.0.0.1:{port}\n\n  \
         export KEY=<that key>\n  \
         curl -X POST {url}/process/ -H \"x-api-key: $KEY\" -H 'content-type: application/json' -d '{{\"values\":[1,2,3]}}'\n  \
         curl {url}/result/<task_id of that answer> -H \"x-api-key: $KEY\"\n\n\
         The logs, with settings for all commands of `sam` and `aws`:\n\n  \
         export {settings}\n  \
         .venv/bin/sam logs --stack-name {stack}\n\n"
    )
}
