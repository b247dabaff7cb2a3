//! The worker of the service with the jobs that the suite of Celery clients calls (`JOBS.md`). It receives
//! the messages itself, as Lambda's event source mapping does on AWS, and the commands of remote control
//! from a queue that is subscribed to their topic.

mod jobs;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_service::celery::control::Control;
use async_service::tasks::registry::Registry;
use async_service::tasks::worker::{Delivery, Worker};
use async_service::{App, Error};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{Message, MessageSystemAttributeName as Attribute};
use futures_util::future::join_all;

/// The concurrent batches of each queue.
const BATCHES: usize = 12;
/// SQS' most messages of one call.
const MOST: i32 = 10;
/// The time of one invocation.
const INVOCATION: Duration = Duration::from_secs(900);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    // Without the jobs in Rust, `REMOTE_JOBS` says where the bodies are.
    let registry = match std::env::var("JOBS_IN_RUST").as_deref() {
        Ok("none") => Registry::default(),
        _ => jobs::registry(),
    };
    let (worker, client) = (app.worker_of(registry)?, app.sqs()?);
    let queues = std::env::var("QUEUES")?;
    let receiving = queues.split(',').flat_map(|queue| {
        let (worker, client) = (&worker, &client);
        (0..BATCHES).map(move |_| receive(worker, client, queue))
    });
    let control = app.celery_control_of(jobs::registry().names())?;
    let commands = std::env::var("CONTROL_QUEUE")?;
    println!("ready");
    tokio::join!(join_all(receiving), obey(&control, &client, &commands));
    Ok(())
}

/// Performs the commands of the queue with this URL.
async fn obey(control: &Control, client: &Client, url: &str) {
    loop {
        let receive = client.receive_message().queue_url(url);
        let receive = receive.max_number_of_messages(MOST).wait_time_seconds(1);
        let received = receive.send().await;
        let messages = received.map(|received| received.messages.unwrap_or_default());
        join_all(messages.unwrap_or_default().iter().map(async |message| {
            let body = message.body.as_deref().unwrap_or_default();
            if let Err(error) = control.handle(body).await {
                eprintln!("a command failed: {error}");
                return;
            }
            let receipt = message.receipt_handle.clone().unwrap_or_default();
            let delete = client.delete_message().queue_url(url);
            if let Err(error) = delete.receipt_handle(receipt).send().await {
                eprintln!("a command is not acknowledged: {error}");
            }
        }))
        .await;
    }
}

/// Runs the batches of the queue with this URL and ARN, joined by a space.
async fn receive(worker: &Worker, client: &Client, queue: &str) {
    let (url, arn) = queue.split_once(' ').unwrap_or((queue, ""));
    loop {
        let receive = client.receive_message().queue_url(url);
        let receive = receive
            .max_number_of_messages(MOST)
            .wait_time_seconds(1)
            .message_system_attribute_names(Attribute::All);
        let messages = match receive.send().await {
            Ok(received) => received.messages.unwrap_or_default(),
            Err(error) => {
                eprintln!("no messages from {url}: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // One batch for each message: a long task keeps no other message from its acknowledgement.
        join_all(
            messages
                .into_iter()
                .map(|message| run(worker, client, url, arn, message)),
        )
        .await;
    }
}

async fn run(worker: &Worker, client: &Client, url: &str, arn: &str, message: Message) {
    let attribute = |name| {
        let attributes = message.attributes.as_ref()?;
        attributes.get(&name)?.parse().ok()
    };
    let delivery = Delivery {
        id: message.message_id.clone().unwrap_or_default(),
        source: arn.to_owned(),
        receipt: message.receipt_handle.clone().unwrap_or_default(),
        body: message.body.clone().unwrap_or_default(),
        sent_at: attribute(Attribute::SentTimestamp),
        deliveries: attribute(Attribute::ApproximateReceiveCount).unwrap_or(0) as u32,
    };
    let receipt = delivery.receipt.clone();
    let deadline = SystemTime::now() + INVOCATION;
    let deadline = deadline.duration_since(UNIX_EPOCH).unwrap_or_default();
    let again = worker
        .run_batch(vec![delivery], deadline.as_millis() as u64)
        .await;
    if again.is_empty() {
        let delete = client.delete_message().queue_url(url);
        if let Err(error) = delete.receipt_handle(receipt).send().await {
            eprintln!("a message is not acknowledged: {error}");
        }
    }
}
