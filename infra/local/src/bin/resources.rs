//! Creates the tables, the queues, the worker and its event source mappings in AWS endpoints that
//! already run on their default port, for people who start each part by hand.

use std::process::ExitCode;

use local_stack::aws::Aws;
use local_stack::template::Template;
use local_stack::{Error, Result, process, project, resources, stack};

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
    if !wait_for(&aws)? {
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

/// Whether the endpoints answer, after a short wait for endpoints that have just started.
fn wait_for(aws: &Aws) -> Result<bool> {
    for _ in 0..100 {
        if aws.is_healthy() {
            return Ok(true);
        }
        process::pause()?;
    }
    Ok(false)
}
