//! The origin of a task: what a worker has read in the message is what another reads in the origin's data.

use crate::celery::message::{Opened, open};
use crate::celery::origin::{Source, task_of, task_of_sealed};
use crate::celery::testing::{messages, text};
use crate::tasks::task::Task;
use crate::tasks::wire;

fn tasks(body: &str) -> Vec<Task> {
    let mut tasks = Vec::new();
    for is_remote in [false, true] {
        // Without a body that reads the arguments, the message stays sealed.
        for is_sealed in [false, true] {
            tasks.extend(match open(body, |_, _| is_sealed) {
                Ok(Opened::Message(message)) => task_of(*message, 1, is_remote),
                Ok(Opened::Sealed(sealed)) => task_of_sealed(*sealed, 1),
                Err(_) => None,
            });
        }
    }
    tasks
}

#[test]
fn the_source_of_a_message_is_the_source_of_its_origin() {
    let mut count = 0;
    for message in messages() {
        for task in tasks(text(message, "message")) {
            let sent = wire::encode(&task).unwrap();
            let due = task.options.eta.unwrap_or(1);
            let read = wire::decode(&sent, due).unwrap();
            let (source, of_data) = (Source::of(&task), Source::of(&read));
            assert!(source.is_some());
            assert_eq!(source, of_data, "{}", text(message, "case"));
            count += 1;
        }
    }
    assert!(count > 100, "{count}");
}
