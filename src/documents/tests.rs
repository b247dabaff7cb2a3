//! Documents: ids, lists over all partitions, and pages.

use std::cell::Cell;

use super::*;
use crate::dynamodb::testing::{self, Faults};

async fn documents() -> Documents {
    Documents::new(testing::client(), testing::ITEMS.to_owned())
}

fn fields(text: &str) -> Row {
    Row::from([document(text)])
}

async fn ids(documents: &Documents, after: Option<i64>, limit: usize) -> (Vec<i64>, bool) {
    let keep = |row: &Row| row::get_number(row, ID).map(Some);
    let page = documents.list(after, limit, keep).await.unwrap();
    (page.rows, page.next.is_some())
}

#[tokio::test]
async fn two_writers_cannot_share_an_id() {
    let documents = documents().await;
    let next = Cell::new(0);
    let colliding = || next.replace(next.get() + 1) / 2;
    let first = documents
        .create_with(|_| "1".to_owned(), colliding)
        .await
        .unwrap();
    let second = documents
        .create_with(|_| "2".to_owned(), colliding)
        .await
        .unwrap();
    assert_eq!((first, second), (0, 1));
    assert!(
        documents
            .create_with(|_| "3".to_owned(), || 0)
            .await
            .is_err()
    );
    let row = documents.get(0).await.unwrap().unwrap();
    assert_eq!(row::get_text(&row, DOCUMENT).unwrap(), "1");
}

#[tokio::test]
async fn a_put_whose_answer_is_lost_leaves_one_row() {
    let faults = Faults::default();
    let documents = Documents::new(testing::faulty(&faults), testing::ITEMS.to_owned());
    faults.lose_answer("PutItem");
    let id = documents.create(|id| id.to_string()).await.unwrap();
    assert_eq!(faults.calls("PutItem"), 2, "the SDK repeats");
    assert_eq!(ids(&documents, None, 10).await, (vec![id], false));
}

#[tokio::test]
async fn a_list_is_in_order_over_all_partitions() {
    let documents = documents().await;
    // An uneven distribution: 1, 5, 9, … are all in one partition.
    let mut all: Vec<i64> = (0..20)
        .map(|n| 4 * n + 1)
        .chain([-7, 2, 6, 40, 1_000])
        .collect();
    for id in &all {
        assert!(
            crate::dynamodb::condition_held(documents.put(*id, fields("{}")).send().await).unwrap()
        );
    }
    all.sort_unstable();
    for limit in [1, 2, 7, 25, 100] {
        let (mut seen, mut after) = (Vec::<i64>::new(), None);
        loop {
            let (page, more) = ids(&documents, after, limit).await;
            assert!(page.len() <= limit);
            seen.extend(&page);
            after = page.last().copied();
            if !more {
                break;
            }
        }
        assert_eq!(seen, all, "limit {limit}");
    }
    assert_eq!(ids(&documents, None, 0).await, (vec![], false));
}

#[tokio::test]
async fn a_page_ends_at_its_byte_limit_and_the_next_page_continues() {
    let documents = documents().await;
    let large = format!("\"{}\"", "x".repeat(300_000));
    for id in 0..30 {
        documents.put(id, fields(&large)).send().await.unwrap();
    }
    let (first, more) = ids(&documents, None, 1_000).await;
    assert!(more && first.len() < 30, "{}", first.len());
    let (rest, more) = ids(&documents, first.last().copied(), 1_000).await;
    let seen: Vec<i64> = first.into_iter().chain(rest).collect();
    assert_eq!(seen, (0..seen.len() as i64).collect::<Vec<_>>());
    assert_eq!(more, seen.len() < 30);
}

#[tokio::test]
async fn omitted_rows_do_not_shorten_a_page() {
    let documents = documents().await;
    for id in 0..30 {
        documents.put(id, fields("{}")).send().await.unwrap();
    }
    let keep = |row: &Row| {
        let id: i64 = row::get_number(row, ID)?;
        Ok((id % 10 == 0).then_some(id))
    };
    let page = documents.list(None, 2, keep).await.unwrap();
    assert_eq!((page.rows, page.next), (vec![0, 10], Some(10)));
    let page = documents.list(Some(10), 2, keep).await.unwrap();
    assert_eq!((page.rows, page.next), (vec![20], None));
}

#[test]
fn a_number_that_is_not_finite_is_refused_or_null() {
    let object = || {
        let value = crate::json::parse(br#"{"a":[NaN,1.0],"b":{"c":-1e999},"d":"NaN"}"#);
        value.unwrap().into_object().unwrap()
    };
    assert_eq!(to_text(object()), Err(NotFinite));
    let text = to_text_lossy(object());
    assert_eq!(text, r#"{"a":[null,1.0],"b":{"c":null},"d":"NaN"}"#);
}
