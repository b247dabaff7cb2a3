//! The table of results: the order of writes, and chords.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::celery::canvas::Chord;
use crate::celery::result::{Facts, Keys, Member, Outcome, task_result, task_tuple};
use crate::celery::store::{NEVER_RAN, ResultStore};
use crate::dynamodb::StoreError;
use crate::dynamodb::testing::{self, CELERY_RESULTS, Faults};
use crate::json::Json;

fn store() -> (ResultStore, Client) {
    faulty(&Faults::default())
}

fn faulty(faults: &Faults) -> (ResultStore, Client) {
    let client = testing::faulty(faults);
    let time = Duration::from_secs(3600);
    let store = ResultStore::new(client.clone(), CELERY_RESULTS.to_owned(), time);
    (store, client)
}

fn success(id: &str, value: &str) -> String {
    let facts = Facts {
        id,
        ..Facts::default()
    };
    task_result(&facts, &Outcome::Success(value), 1_900_000_000_000)
}

async fn value(store: &ResultStore, id: &str) -> Option<String> {
    let mut found = store.results(&[id.to_owned()]).await.unwrap();
    found.remove(0).map(|found| found.result.to_string())
}

/// Stores an item as another program does.
async fn put(client: &Client, key: String, attributes: &[(&str, AttributeValue)]) {
    let put = client.put_item().table_name(CELERY_RESULTS);
    let put = put.item("id", AttributeValue::S(key));
    let put = attributes
        .iter()
        .fold(put, |put, (name, value)| put.item(*name, value.clone()));
    put.send().await.unwrap();
}

async fn count_of_items(client: &Client) -> i32 {
    let scan = client.scan().table_name(CELERY_RESULTS);
    scan.send().await.unwrap().count()
}

fn bytes(text: &str) -> AttributeValue {
    AttributeValue::B(Blob::new(text.as_bytes()))
}

fn number(n: u32) -> AttributeValue {
    AttributeValue::N(n.to_string())
}

fn chord(members: &[&str]) -> Chord {
    Chord {
        group: "g".to_owned(),
        members: members.iter().map(|id| task_tuple(id, None)).collect(),
    }
}

/// The count after a member was counted.
async fn count(store: &ResultStore, member: &str) -> Option<u64> {
    let counter = store.count("g", member).await.unwrap()?;
    assert!(counter.has(member));
    Some(counter.count)
}

#[tokio::test]
async fn a_later_write_replaces_an_earlier_one_and_never_the_other_way_round() {
    let (store, _) = store();
    for (place, text, kept) in [
        (20, "1", "1"),
        (10, "2", "1"),
        (20, "3", "3"),
        (NEVER_RAN, "4", "3"),
        (21, "5", "5"),
    ] {
        store.put("i", place, success("i", text)).await.unwrap();
        assert_eq!(value(&store, "i").await.as_deref(), Some(kept));
    }
}

#[tokio::test]
async fn a_task_that_never_ran_replaces_nothing_of_a_worker_of_celery() {
    let (store, client) = store();
    let theirs = [
        ("result", bytes(&success("i", "1"))),
        ("timestamp", number(1)),
    ];
    put(&client, Keys::default().task("i"), &theirs).await;
    store.put("i", NEVER_RAN, success("i", "2")).await.unwrap();
    assert_eq!(value(&store, "i").await.as_deref(), Some("1"));
    // Of two workers that both ran the task, the later write counts, as in Celery.
    store.put("i", 10, success("i", "3")).await.unwrap();
    assert_eq!(value(&store, "i").await.as_deref(), Some("3"));
    store
        .put("new", NEVER_RAN, success("new", "4"))
        .await
        .unwrap();
    store
        .put("new", NEVER_RAN, success("new", "5"))
        .await
        .unwrap();
    assert_eq!(value(&store, "new").await.as_deref(), Some("5"));
}

#[tokio::test]
async fn a_member_is_counted_once_and_told_the_present_count() {
    let (store, _) = store();
    assert_eq!(count(&store, "a").await, None, "there is no counter");
    store.begin_chord(&chord(&["a", "b", "c"])).await.unwrap();
    assert_eq!(count(&store, "a").await, Some(1));
    assert_eq!(count(&store, "a").await, Some(1));
    assert_eq!(count(&store, "b").await, Some(2));
    assert_eq!(count(&store, "a").await, Some(2));
    let counter = store.count("g", "c").await.unwrap().unwrap();
    assert_eq!((counter.count, counter.size), (3, None));
    store.note_size("g", 3).await.unwrap();
    let again = store.count("g", "c").await.unwrap().unwrap();
    assert_eq!((again.count, again.size), (3, Some(3)));
    assert!(!again.has("d"));
}

#[tokio::test]
async fn a_count_whose_answer_is_lost_counts_once() {
    let faults = Faults::default();
    let (store, _) = faulty(&faults);
    store.begin_chord(&chord(&["a", "b"])).await.unwrap();
    faults.lose_answer("UpdateItem");
    assert_eq!(count(&store, "a").await, Some(1));
    assert_eq!(count(&store, "b").await, Some(2));
}

#[tokio::test]
async fn a_worker_of_celery_may_increment_the_same_counter() {
    let (store, client) = store();
    let keys = Keys::default();
    // As Celery's client writes it.
    let counter = [("chord_count", number(0)), ("timestamp", number(1))];
    put(&client, keys.chord("g"), &counter).await;
    assert_eq!(count(&store, "a").await, Some(1));
    let theirs = client.update_item().table_name(CELERY_RESULTS);
    let theirs = theirs
        .key("id", AttributeValue::S(keys.chord("g")))
        .update_expression("SET chord_count = chord_count + :num")
        .expression_attribute_values(":num", number(1));
    theirs.send().await.unwrap();
    assert_eq!(
        count(&store, "a").await,
        Some(2),
        "the chord may be complete now"
    );
    assert_eq!(count(&store, "c").await, Some(3));
    assert!(!store.count("g", "c").await.unwrap().unwrap().has("b"));
}

#[tokio::test]
async fn a_chord_that_begins_twice_keeps_its_count() {
    let (store, client) = store();
    store.begin_chord(&chord(&["a", "b"])).await.unwrap();
    assert_eq!(count(&store, "a").await, Some(1));
    store.begin_chord(&chord(&["a", "b"])).await.unwrap();
    assert_eq!(count(&store, "b").await, Some(2));
    let group = store.group("g").await.unwrap().unwrap();
    assert_eq!(Member::tasks(&group.members), ["a", "b"]);
    for _ in 0..2 {
        store.end_chord("g").await.unwrap();
        // The counter is left, with the note of the end.
        assert_eq!(count_of_items(&client).await, 1);
    }
    assert_eq!(store.group("g").await.unwrap(), None);
    // A chord that begins again after its end is done.
    store.begin_chord(&chord(&["a", "b"])).await.unwrap();
    assert_eq!(count(&store, "c").await, None);
    assert_eq!(store.group("g").await.unwrap(), None);
}

#[tokio::test]
async fn what_a_worker_of_celery_has_joined_is_not_made_again() {
    let (store, client) = store();
    store.end_chord("g").await.unwrap();
    store.note_size("g", 2).await.unwrap();
    assert_eq!(count_of_items(&client).await, 0);
}

#[tokio::test]
async fn results_come_in_order_and_an_unreadable_one_is_a_failure() {
    let (store, client) = store();
    let ids: Vec<String> = (0..250).map(|n| format!("i{n}")).collect();
    for id in ids.iter().step_by(2) {
        let value = Json::from(id.as_str()).to_string();
        store.put(id, 10, success(id, &value)).await.unwrap();
    }
    let pickled = [("result", bytes("\u{80}\u{4}")), ("timestamp", number(1))];
    put(&client, Keys::default().task("i1"), &pickled).await;
    let mut asked = ids.clone();
    asked.push("i0".to_owned());
    let results = store.results(&asked).await.unwrap();
    assert_eq!(results.len(), 251);
    for (at, result) in results.iter().enumerate().filter(|(at, _)| *at != 1) {
        let value = result
            .as_ref()
            .map(|result| result.result.as_str().unwrap());
        let expected = (at % 2 == 0).then(|| asked[at].as_str());
        assert_eq!(value, expected);
    }
    let broken = results[1].as_ref().unwrap();
    assert!(broken.is_end() && broken.exception().is_some());
}

#[tokio::test]
async fn an_unreadable_group_is_told_and_an_odd_item_is_none() {
    let (store, client) = store();
    let key = Keys::default().group("g");
    put(&client, key.clone(), &[("result", bytes("{}"))]).await;
    assert!(matches!(
        store.group("g").await,
        Err(StoreError::Corrupt(_))
    ));
    put(
        &client,
        key,
        &[("result", AttributeValue::S("{}".to_owned()))],
    )
    .await;
    assert_eq!(store.group("g").await.unwrap(), None);
}

#[tokio::test]
async fn ids_with_odd_characters_have_rows_of_their_own_and_long_ids_are_refused() {
    let (store, _) = store();
    let long = "ä".repeat(127);
    let ids = [
        "a'b",
        "a\"b",
        "a'\"b",
        "\\",
        "\n",
        "",
        "\u{0}",
        "🦀",
        long.as_str(),
    ];
    for (n, id) in ids.iter().enumerate() {
        store
            .put(id, 10, success(id, &n.to_string()))
            .await
            .unwrap();
    }
    for (n, id) in ids.iter().enumerate() {
        assert_eq!(value(&store, id).await, Some(n.to_string()), "{id:?}");
    }
    let too_long = "i".repeat(256);
    let put = store.put(&too_long, 10, String::new()).await;
    assert!(matches!(put, Err(StoreError::Corrupt(_))));
    let counted = store.count(&too_long, "a").await;
    assert!(matches!(counted, Err(StoreError::Corrupt(_))));
    let group = too_long;
    let chord = Chord {
        group,
        members: Vec::new(),
    };
    let begun = store.begin_chord(&chord).await;
    assert!(matches!(begun, Err(StoreError::Corrupt(_))));
}

#[tokio::test]
async fn a_result_over_the_size_of_a_row_is_too_large() {
    let (store, _) = store();
    let value = format!("\"{}\"", "x".repeat(400 * 1024));
    let put = store.put("i", 10, success("i", &value)).await;
    assert!(matches!(put, Err(StoreError::TooLarge)), "{put:?}");
}
