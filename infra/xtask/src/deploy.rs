//! `cargo xtask deploy --local`: the real deployment, on this machine.

use local_stack::Result;
use local_stack::deploy::{self, Deployment, Options};

use crate::run::until_stopped;

/// Deploys: into endpoints that run already, or else into new ones, which then
/// run until Ctrl-C.
///
/// # Errors
/// When the deployment fails, or what was started ends.
pub fn run(options: &Options) -> Result<()> {
    if options.aws_port != 0 && deploy::is_running(options.aws_port)? {
        let (url, by_address) = deploy::update(options)?;
        print!("{}", told(&url, &by_address, options.aws_port));
        return Ok(());
    }
    let mut deployment = Deployment::start(options)?;
    let (url, by_address) = (deployment.url(), deployment.url_by_address());
    print!("{}", told(&url, &by_address, deployment.port()));
    println!("Deploy once more from another terminal to update it; Ctrl-C stops everything.\n");
    let result = until_stopped(|| deployment.check());
    deployment.stop();
    result
}

fn told(url: &str, by_address: &str, port: u16) -> String {
    let (settings, stack) = (deploy::aws_settings(port), deploy::STACK);
    format!(
        "\nThe service is deployed at {url}\n\
         or, where names below localhost are not found, {by_address}\n\n\
         Unless AuthMode says otherwise, it asks callers for a key. This makes one and shows it once:\n\n  \
         cargo xtask keys create --name me --scopes read,write --endpoint http://127.0.0.1:{port}\n\n  \
         export KEY=<that key>\n  \
         curl -X POST {url}/process/ -H \"x-api-key: $KEY\" -H 'content-type: application/json' -d '{{\"values\":[1,2,3]}}'\n  \
         curl {url}/result/<task_id of that answer> -H \"x-api-key: $KEY\"\n\n\
         Its logs, and whatever else `sam` and `aws` can do:\n\n  \
         export {settings}\n  \
         .venv/bin/sam logs --stack-name {stack}\n\n"
    )
}
