//! Lists of tasks.

use super::*;

#[tokio::test]
async fn lists_are_filtered_searched_and_sorted() {
    let world = world();
    let done = world.submit("a", "ada", "add", NOW - 3_000).await;
    world.submit("b", "ada", "mul", NOW - 2_000).await;
    world.submit("c", "grace", "python.mul", NOW - 1_000).await;
    world.complete(&done, "5").await;
    for (query, expected) in [
        ("", &["c", "b", "a"][..]),
        ("limit=2", &["c", "b"]),
        ("limit=2&offset=2", &["a"]),
        ("limit=-1", &[]),
        ("sort_by=name", &["a", "b", "c"]),
        ("sort_by=-name&limit=1", &["c"]),
        ("sort_by=-received", &["c", "b", "a"]),
        ("sort_by=started", &["b", "c", "a"]),
        ("sort_by=-state&limit=1", &["a"]),
        ("state=success", &["a"]),
        ("state=RECEIVED", &["c", "b"]),
        ("state=PENDING", &[]),
        ("state=FAILURE", &[]),
        ("state=All&taskname=mul", &["b"]),
        ("workername=bodies:live@service", &["c"]),
        ("workername=celery@service", &["b", "a"]),
        ("search=kwargs:who=ada%20name:mul", &["c", "b"]),
        ("search=%22name:python.%22", &["c"]),
        ("received_start=2026-11-26%2000:10", &[]),
        ("received_end=2026-11-26%2000:10", &["c", "b", "a"]),
        ("received_end=2026-11-26%2000:09&limit=1", &[]),
    ] {
        assert_eq!(world.list("admin", query).await, expected, "{query}");
    }
    // By the index of the callers.
    for (query, expected) in [("", &["b", "a"][..]), ("state=SUCCESS", &["a"])] {
        assert_eq!(world.list("ada", query).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_state_with_an_index_is_found_among_many_newer_tasks() {
    let world = world();
    world.submit("old", "ada", "add", NOW - 5_000_000).await;
    assert_eq!(
        world.ask("admin", "POST", "/api/task/revoke/old", "").await,
        message("old", "Revoked")
    );
    for age in 0..120 {
        world
            .submit(&format!("t{age}"), "ada", "add", NOW - age)
            .await;
    }
    assert_eq!(world.list("admin", "state=REVOKED&limit=1").await, ["old"]);
}

#[tokio::test]
async fn the_reads_of_a_list_are_bounded() {
    let world = world();
    let mut reads = Vec::new();
    for (from, to) in [(0, 1_010), (1_010, 1_150)] {
        for age in from..to {
            world
                .submit(&format!("t{age}"), "ada", "add", NOW - age)
                .await;
        }
        for query in [
            "limit=10",
            "",
            "search=nothing",
            "state=SUCCESS",
            "taskname=no",
        ] {
            let before = world.reads();
            let found = world.get("admin", &format!("/api/tasks?{query}")).await;
            let most = if query.is_empty() { list::MOST } else { 10 };
            assert!(found.as_object().unwrap().len() <= most, "{query}");
            reads.push(world.reads() - before);
        }
    }
    let (few, many) = reads.split_at(5);
    // A page of 100 costs a query of each of eight partitions, and a batch of records.
    for (few, many) in few.iter().zip(many) {
        assert!(few.abs_diff(*many) <= 20 && *many <= 100, "{reads:?}");
    }
    assert!(many[0] <= 9, "{reads:?}");
    assert_eq!(world.faults.calls("Scan"), 0);
}
