//! The trace of a task, from its message to its record, its job and its next run.

use super::*;
use crate::tasks::store::NextRun;
use crate::trace::Trace;

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Gives the header of its attempt's calls.
struct Traced;
impl Job for Traced {
    const NAME: &'static str = "traced";
    type Input = bool;
    type Output = Option<String>;
    async fn run(&self, fails: bool, context: &TaskContext) -> Result<Option<String>, JobError> {
        let found = context.trace().map(Trace::traceparent);
        match fails {
            true => Err(JobError::permanent("Traced", found.unwrap_or_default())),
            false => Ok(found),
        }
    }
}

fn with_traced() -> Fixture {
    let mut fixture = fixture(LEASE);
    let jobs = std::mem::take(&mut fixture.worker.jobs);
    fixture.worker.jobs = jobs.with(Traced);
    fixture
}

fn traced(fails: bool) -> Task {
    let input = RawValue::from_string(fails.to_string()).unwrap();
    let mut task = Task::new(Uuid::new_v4(), "traced", input, now_ms());
    task.trace = Trace::new(PARENT, Some("vendor=1"));
    task
}

#[tokio::test]
async fn an_attempt_has_a_span_of_its_own_in_the_trace_of_its_task() {
    let fixture = with_traced();
    let task = traced(false);
    let body = wire::encode(&task).unwrap();
    assert!(fixture.run(&[("m", body)], LEASE).await.is_empty());
    let record = fixture.worker.tasks.get(&task.id).await.unwrap().unwrap();
    assert_eq!(record.trace, task.trace);
    let expected = task.trace_in(1).unwrap();
    assert_ne!(expected.span_id(), task.trace.as_ref().unwrap().span_id());
    let found: String = serde_json::from_str(record.result.unwrap().get()).unwrap();
    assert_eq!(found, expected.traceparent());
}

#[tokio::test]
async fn the_next_run_of_a_task_stays_in_its_trace() {
    let fixture = with_traced();
    let task = traced(true);
    fixture.worker.tasks.submitted(&task).await.unwrap();
    let body = wire::encode(&task).unwrap();
    assert!(fixture.run(&[("m", body)], LEASE).await.is_empty());
    let next = fixture.worker.tasks.next_run(&Viewer::Everyone, &task.id);
    let NextRun::Ready(next) = next.await.unwrap() else {
        panic!("a failed task can run again");
    };
    assert_eq!(next.trace, task.trace);
    assert_ne!(
        next.trace_in(1),
        task.trace_in(1),
        "another run is another span"
    );
}

#[tokio::test]
async fn a_task_without_a_valid_trace_runs_without_one() {
    let fixture = with_traced();
    for trace in [
        "null",
        "5",
        "{}",
        r#"{"traceparent":"x"}"#,
        r#"{"traceparent":7}"#,
    ] {
        let task = traced(false);
        let body = wire::encode(&task).unwrap();
        let given = serde_json::to_string(&task.trace).unwrap();
        let body = body.replace(&given, trace);
        assert!(body.contains(trace));
        assert!(fixture.run(&[("m", body)], LEASE).await.is_empty());
        let record = fixture.worker.tasks.get(&task.id).await.unwrap().unwrap();
        assert_eq!((record.trace, record.result.unwrap().get()), (None, "null"));
    }
}
