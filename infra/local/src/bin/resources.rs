//! Creates the tables, the queues, the worker and its event source mapping in
//! AWS endpoints that are already running on their default port, for those who
//! start each part by hand.

use std::process::ExitCode;

use local_stack::aws::Aws;
use local_stack::template::Template;
use local_stack::{Error, Result, project, resources, stack};

fn main() -> ExitCode {
    match create() {
        Ok(()) => {
            println!("created the tables, the queues and the worker's event source mapping");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn create() -> Result<()> {
    let endpoint = format!("http://127.0.0.1:{}", stack::AWS_PORT);
    let aws = Aws::new(&endpoint, "us-east-1");
    if !aws.is_healthy() {
        return Err(Error::new(format!(
            "nothing answers at {endpoint}: start `ministack` first, say with \
             BIND_HOST=127.0.0.1 .venv/bin/ministack"
        )));
    }
    let template = Template::read(&project::root().join("template.yaml"))?;
    resources::create_storage(&aws, &template)?;
    resources::connect(
        &aws,
        &template,
        &format!("http://127.0.0.1:{}", stack::HTTP_PORT),
    )
}
