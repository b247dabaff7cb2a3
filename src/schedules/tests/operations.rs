//! Operations on schedules.

use super::*;

fn ada() -> Viewer {
    Viewer::Caller("ada".to_owned())
}

async fn create(world: &World, name: &str, caller: &str) -> Result<Schedule, ScheduleError> {
    let caller = Some(caller.to_owned());
    let schedule = Schedule::new(name.to_owned(), caller, every(3600), now_ms()).unwrap();
    let schedules = world.schedules(&Gate::default());
    schedules.create(schedule, now_ms()).await
}

#[test]
fn a_caller_sees_and_changes_own_schedules_only() {
    on_one_thread(async {
        let world = World::new();
        create(&world, "mine", "ada").await.unwrap();
        create(&world, "other", "grace").await.unwrap();
        let schedules = world.schedules(&Gate::default());
        let own = schedules.list(&ada(), 10, None).await.unwrap();
        assert_eq!(own.0.len(), 1);
        assert_eq!(
            schedules
                .list(&Viewer::Everyone, 10, None)
                .await
                .unwrap()
                .0
                .len(),
            2
        );
        schedules.get(&ada(), "mine").await.unwrap();
        let unknown = |outcome: Result<(), ScheduleError>| {
            assert!(
                matches!(outcome, Err(ScheduleError::Unknown)),
                "{outcome:?}"
            );
        };
        unknown(schedules.get(&ada(), "other").await.map(drop));
        unknown(schedules.delete(&ada(), "other", None, START).await);
        unknown(schedules.run(&ada(), "other", START).await.map(drop));
        let edit = |_: &Schedule| Ok::<_, ScheduleError>(Change::default());
        unknown(
            schedules
                .change(&ada(), "other", None, START, edit)
                .await
                .map(drop),
        );
        // The tasks belong to the schedule's caller.
        schedules.run(&ada(), "mine", START).await.unwrap();
        assert_eq!(
            world.tasks_of("mine").await[0].caller.as_deref(),
            Some("ada")
        );
    });
}

#[test]
fn a_taken_name_is_refused() {
    on_one_thread(async {
        let world = World::new();
        create(&world, "s", "ada").await.unwrap();
        for caller in ["ada", "grace"] {
            let taken = create(&world, "s", caller).await;
            assert!(matches!(taken, Err(ScheduleError::Taken)), "{taken:?}");
        }
        assert_eq!(world.get("s").await.caller.as_deref(), Some("ada"));
    });
}

#[test]
fn of_two_editors_the_second_is_refused() {
    on_one_thread(async {
        let world = World::new();
        create(&world, "s", "ada").await.unwrap();
        let schedules = world.schedules(&Gate::default());
        let pause = |paused| {
            let schedules = schedules.clone();
            let change = Change {
                paused: Some(paused),
                ..Change::default()
            };
            async move {
                let edit = |_: &Schedule| Ok::<_, ScheduleError>(change.clone());
                schedules.change(&ada(), "s", Some(1), now_ms(), edit).await
            }
        };
        assert_eq!(pause(true).await.unwrap().version, 2);
        assert!(matches!(pause(false).await, Err(ScheduleError::Version(2))));
        let deleted = schedules.delete(&ada(), "s", Some(1), START).await;
        assert!(matches!(deleted, Err(ScheduleError::Version(2))));
        schedules.delete(&ada(), "s", Some(2), START).await.unwrap();
    });
}

#[test]
fn a_tick_is_no_edit() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(10)).await;
        pass(MINUTE);
        world.tick().await;
        assert_eq!(world.get("s").await.version, 1);
    });
}

#[test]
fn a_new_schedule_does_not_wait_for_the_next_tick() {
    on_one_thread(async {
        let world = World::new();
        let created = world.create("s", every(30)).await;
        assert_eq!(created.count, 2);
        assert_eq!(world.seconds_of("s").await, [30, 60]);
    });
}

#[test]
fn a_resumed_schedule_makes_up_for_nothing() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(50)).await;
        let paused = |paused| Change {
            paused: Some(paused),
            ..Change::default()
        };
        world.change("s", paused(true)).await;
        for _ in 0..4 {
            pass(MINUTE);
            world.tick().await;
        }
        world.change("s", paused(false)).await;
        assert_eq!(world.seconds_of("s").await, [50, 250, 300]);
    });
}

#[test]
fn a_run_at_once_is_none_of_the_times() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(3600)).await;
        let schedules = world.schedules(&Gate::default());
        let run = schedules
            .run(&Viewer::Everyone, "s", now_ms())
            .await
            .unwrap();
        let tasks = world.tasks_of("s").await;
        assert_eq!((tasks.len(), &tasks[0].id), (1, &run.id));
        assert_eq!(tasks[0].options.eta, None);
        assert_eq!(world.get("s").await.count, 0);
    });
}

#[test]
fn another_schedule_of_the_same_name_has_tasks_of_its_own() {
    on_one_thread(async {
        let world = World::new();
        world.create("s", every(60)).await;
        let schedules = world.schedules(&Gate::default());
        schedules
            .delete(&Viewer::Everyone, "s", None, now_ms())
            .await
            .unwrap();
        world.create("s", every(60)).await;
        assert_eq!(world.seconds_of("s").await, [60, 60]);
    });
}

#[test]
fn options_count_from_the_time() {
    on_one_thread(async {
        let world = World::new();
        let mut short = every(60);
        if let Work::Job(work) = &mut short.work {
            work.options.expires = Some(20);
            work.options.max_retries = Some(7);
        }
        world.create("s", short).await;
        // 180 is on time, and 120 is missed.
        pass(4 * MINUTE - SECOND);
        world.tick().await;
        let tasks = world.tasks_of("s").await;
        let expiries = tasks
            .iter()
            .map(|task| seconds(task.options.expires.unwrap()));
        assert_eq!(expiries.collect::<Vec<_>>(), [80, 259, 259, 260, 320]);
        assert!(tasks.iter().all(|task| task.options.max_retries == Some(7)));
    });
}

#[test]
fn lists_are_by_name_and_in_pages() {
    on_one_thread(async {
        let world = World::new();
        let mut names: Vec<String> = (0..25).map(|number| format!("s{number}")).collect();
        for name in &names {
            create(&world, name, "ada").await.unwrap();
        }
        names.sort();
        let schedules = world.schedules(&Gate::default());
        for viewer in [ada(), Viewer::Everyone] {
            let (mut found, mut after) = (Vec::new(), None);
            loop {
                let page = schedules.list(&viewer, 10, after.as_deref()).await.unwrap();
                found.extend(page.0.into_iter().map(|schedule| schedule.name));
                after = page.1;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(found, names);
        }
    });
}
