//! Users, and their read-through of the upstream. Each test uses its own upstream users.

use serde_json::{Value, json};

use crate::service::Service;

const NOT_FOUND: &str = r#"{"detail":"User not found"}"#;

pub fn are_created_read_replaced_and_deleted(service: &Service) {
    let created = service.post(
        "/users/",
        r#"{"email":"a@example.com","name":"Ada","age":36}"#,
    );
    assert_eq!(created.status, 201, "{created:?}");
    let id = created.json()["id"].as_i64().unwrap();
    let user = format!(r#"{{"id":{id},"name":"Ada","email":"a@example.com","age":36}}"#);
    created.is(201, &user);
    let path = created.header("location").unwrap().to_owned();
    service.get(&path).is(200, &user);
    let replaced = format!(r#"{{"id":{id},"name":"Eve","email":"e@example.com"}}"#);
    service
        .put(&path, r#"{"name":"Eve","email":"e@example.com","id":7}"#)
        .is(200, &replaced);
    service.get(&path).is(200, &replaced);
    service.delete(&path).is(204, "");
    service.get(&path).is(404, NOT_FOUND);
    service.delete(&path).is(404, NOT_FOUND);
    service
        .put(&path, r#"{"name":"Eve","email":"e@example.com"}"#)
        .is(404, NOT_FOUND);
}

pub fn are_read_through_the_upstream(service: &Service) {
    let miss = service.get("/users/101");
    assert_eq!((miss.status, &miss.json()["id"]), (200, &json!(101)));
    let hit = service.get("/users/101");
    assert_eq!(hit.body, miss.body);
    assert_eq!(
        service.asked("/users/101"),
        1,
        "the second read is a cache hit"
    );

    service.get("/users/5000").is(404, NOT_FOUND);
    service.get("/users/-1").is(404, NOT_FOUND);
    service
        .get("/users/99999999999999999999")
        .is(404, NOT_FOUND);
}

pub fn are_refreshed_when_they_expire(service: &Service) {
    service.get("/users/102");
    service.eventually("the copy expires", || {
        assert_eq!(service.get("/users/102").status, 200);
        (service.asked("/users/102") == 2).then_some(())
    });
}

pub fn are_served_stale_when_the_upstream_fails(service: &Service) {
    let fresh = service.get("/users/103").body;
    for (mode, status) in [("error", 502), ("down", 502), ("slow", 504)] {
        service.control(&json!({"users": mode}));
        let before = service.asked("/users/103");
        let stale = service.eventually("the upstream is asked again", || {
            let answer = service.get("/users/103");
            (service.asked("/users/103") > before).then_some(answer)
        });
        stale.is(200, &fresh);
        let missed = service.get("/users/104");
        assert_eq!(missed.status, status, "{mode}: {missed:?}");
        assert!(missed.json()["detail"].is_string());
        let several = service.get("/users/?ids=103,104");
        assert_eq!(
            several.status, status,
            "one of the users cannot be read: {several:?}"
        );
    }
}

pub fn are_fetched_concurrently(service: &Service) {
    service.control(&json!({"delay_ms": 300}));
    let ids = "201,202,203,204,205,206,207,208,209,210";
    let users = service.get(&format!("/users/?ids={ids},5000,201"));
    let found: Vec<i64> = users.json().as_array().unwrap().iter().map(id_of).collect();
    assert_eq!(
        found,
        [201, 202, 203, 204, 205, 206, 207, 208, 209, 210, 201]
    );
    let stats = service.stats();
    assert_eq!(stats["total"], 11, "one request for each id: {stats}");
    assert_eq!(
        stats["most_at_once"], 11,
        "all requests are concurrent: {stats}"
    );

    let again = service.get(&format!("/users?ids={ids}"));
    assert_eq!(again.json().as_array().unwrap().len(), 10);
    assert_eq!(service.stats()["total"], 11, "all reads are cache hits");
    service.get("/users/?ids=").is(200, "[]");
}

pub fn are_validated(service: &Service) {
    service.get("/users/?limit=abc").is(
        422,
        r#"{"detail":[{"type":"int_parsing","loc":["query","limit"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"abc"}]}"#,
    );
    let refused = service.get("/users/?ids=1,x&limit=");
    let locs: Vec<Value> = refused.json()["detail"]
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["loc"].clone())
        .collect();
    assert_eq!(
        locs,
        [json!(["query", "limit"]), json!(["query", "ids", 1])]
    );
    let many = (0..101)
        .map(|id| id.to_string())
        .collect::<Vec<_>>()
        .join(",");
    assert_eq!(service.get(&format!("/users/?ids={many}")).status, 422);
    service.post("/users/", r#"{"name":5}"#).is(
        422,
        concat!(
            r#"{"detail":[{"type":"string_type","loc":["body","name"],"msg":"Input should be a valid string","input":5},"#,
            r#"{"type":"missing","loc":["body","email"],"msg":"Field required","input":{"name":5}}]}"#
        ),
    );
    service.post("/users/", "[]").is(
        422,
        r#"{"detail":[{"type":"model_attributes_type","loc":["body"],"msg":"Input should be a valid dictionary or object to extract fields from","input":[]}]}"#,
    );
}

pub fn can_be_replaced_and_deleted_although_the_upstream_has_them(service: &Service) {
    let ours = r#"{"id":301,"name":"Ours","email":"o@example.com"}"#;
    service
        .put("/users/301", r#"{"name":"Ours","email":"o@example.com"}"#)
        .is(200, ours);
    let asked = service.asked("/users/301");
    service.get("/users/301").is(200, ours);
    assert_eq!(service.asked("/users/301"), asked);

    service.delete("/users/302").is(204, "");
    let asked = service.asked("/users/302");
    service.get("/users/302").is(404, NOT_FOUND);
    service.get("/users/?ids=302").is(200, "[]");
    assert_eq!(service.asked("/users/302"), asked);
    service
        .put("/users/5001", r#"{"name":"x","email":"y"}"#)
        .is(404, NOT_FOUND);
}

pub fn are_listed(service: &Service) {
    for id in 401..=405 {
        assert_eq!(service.get(&format!("/users/{id}")).status, 200);
    }
    let users = service.get("/users/?limit=1000").json();
    let ids: Vec<i64> = users.as_array().unwrap().iter().map(id_of).collect();
    assert!(
        ids.is_sorted() && (401..=405).all(|id| ids.contains(&id)),
        "{ids:?}"
    );
    let page = service.get("/users/?limit=2");
    assert_eq!(page.json().as_array().unwrap().len(), 2);
    assert!(page.header("link").is_some());
}

fn id_of(user: &Value) -> i64 {
    user["id"].as_i64().expect("an id")
}
