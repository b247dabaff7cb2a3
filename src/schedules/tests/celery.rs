//! Schedules of Celery tasks.

use serde_json::{Value, json};

use super::*;
use crate::celery::origin::task_of;
use crate::json::parse_str;

/// The work of a Celery task with these options.
pub fn work(options: Value) -> Work {
    let json = |value: Value| parse_str(&value.to_string()).unwrap();
    Work::Celery(CeleryWork {
        task: "proj.tasks.add".to_owned(),
        args: vec![json(json!(1)), json(json!(2))],
        kwargs: json(json!({"z": 3})),
        options: json(options),
    })
}

#[test]
fn a_time_is_a_message_of_celery() {
    on_one_thread(async {
        let world = World::new();
        let mut sums = every(60);
        sums.overlap = Overlap::Skip;
        sums.work = work(json!({"expires": 30, "priority": 4, "headers": {"tenant": "a"}}));
        let schedule = world.create("sums", sums).await;
        assert_eq!(world.queue.last_entry()["DelaySeconds"], 60);
        pass(MINUTE);
        world.tick().await;
        let messages = world.queue.receive(0, 10, true);
        assert_eq!(messages.len(), 2);
        let decoded = messages
            .iter()
            .map(|one| crate::celery::decode(&one.body).unwrap());
        for (at, message) in decoded.enumerate() {
            let time = START + (at as u64 + 1) * MINUTE;
            let id = schedule.task_id(time);
            assert_eq!(message.headers.id, id.as_str());
            assert_eq!(message.headers.task, "proj.tasks.add");
            assert_eq!(message.headers.eta, Some(time));
            assert_eq!(message.headers.expires, Some(time + 30 * SECOND));
            assert_eq!(message.headers.root_id.as_deref(), Some(id.as_str()));
            assert_eq!(message.headers.parent_id, None);
            let tenant = message.headers.custom.get("tenant");
            assert_eq!(tenant.and_then(|tenant| tenant.as_str()), Some("a"));
            assert_eq!((message.args.len(), message.kwargs.len()), (2, 1));
            let task = task_of(message, START, false).unwrap();
            let scheduled = task.schedule.unwrap();
            let before = (at > 0).then(|| schedule.task_id(START + MINUTE));
            assert_eq!((scheduled.name.as_str(), scheduled.after), ("sums", before));
            assert_eq!(task.origin.unwrap().effects, ["result"]);
        }
    });
}

#[test]
fn a_message_is_delayed_by_the_whole_seconds_before_its_time() {
    on_one_thread(async {
        let world = World::new();
        pass(300);
        let mut minutely = every(60);
        minutely.start = Some(START + MINUTE);
        minutely.work = work(json!({}));
        world.create("minutely", minutely).await;
        assert_eq!(world.queue.last_entry()["DelaySeconds"], 59);
    });
}

#[test]
fn a_run_at_once_has_no_eta() {
    on_one_thread(async {
        let world = World::new();
        let mut sums = every(3600);
        sums.work = work(json!({}));
        world.create("sums", sums).await;
        let schedules = world.schedules(&Gate::default());
        let run = schedules
            .run(&Viewer::Everyone, "sums", now_ms())
            .await
            .unwrap();
        let message = crate::celery::decode(&world.queue.receive(0, 1, true)[0].body).unwrap();
        assert_eq!(message.headers.id, run.id.as_str());
        assert_eq!(
            (message.headers.eta, run.job.as_str()),
            (None, "proj.tasks.add")
        );
    });
}
