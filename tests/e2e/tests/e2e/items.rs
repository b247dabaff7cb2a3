//! Items.

use serde_json::json;

use crate::service::Service;

pub fn are_created_read_replaced_and_deleted(service: &Service) {
    let created = service.post("/items/", r#"{"name":"Foo","price":1.5}"#);
    assert_eq!(created.status, 200, "{created:?}");
    let id = created.json()["item_id"].as_i64().unwrap();
    assert!(id > 0 && id < 1 << 53, "{id}");
    created.is(
        200,
        &format!(r#"{{"item":{{"name":"Foo","price":1.5}},"item_id":{id}}}"#),
    );
    let path = created.header("location").unwrap().to_owned();
    assert_eq!(path, format!("/items/{id}"));

    let read = format!(r#"{{"item_id":{id},"q":"x","item":{{"name":"Foo","price":1.5}}}}"#);
    service.get(&format!("{path}?q=x")).is(200, &read);
    let replaced = format!(r#"{{"item":{{"b":[]}},"item_id":{id}}}"#);
    service.put(&path, r#"{"b":[]}"#).is(200, &replaced);
    service.delete(&path).is(204, "");
    service
        .get(&path)
        .is(200, &format!(r#"{{"item_id":{id},"q":null,"item":null}}"#));
    for gone in [service.delete(&path), service.put(&path, "{}")] {
        gone.is(404, r#"{"detail":"Item not found"}"#);
    }
}

pub fn are_stored_as_sent(service: &Service) {
    let sent = r#"{"z": 1.0, "a": [1e5, -0.0, 12345678901234567890123], "ü": "\u00e9\ud83d\ude00", "z": 2}"#;
    let echoed = r#"{"z":2,"a":[100000.0,-0.0,12345678901234567890123],"ü":"é😀"}"#;
    let created = service.post("/items/", sent);
    let id = created.json()["item_id"].as_i64().unwrap();
    created.is(200, &format!(r#"{{"item":{echoed},"item_id":{id}}}"#));
    let read = format!(r#"{{"item_id":{id},"q":null,"item":{echoed}}}"#);
    service.get(&format!("/items/{id}")).is(200, &read);

    for (given, echoed) in [
        ("007", "7"),
        ("+5", "5"),
        ("-5", "-5"),
        ("1_000", "1000"),
        (
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        ),
    ] {
        let answer = format!(r#"{{"item_id":{echoed},"q":null,"item":null}}"#);
        service.get(&format!("/items/{given}")).is(200, &answer);
    }
    service
        .get("/items/5?q=1&q=%C3%A4+b")
        .is(200, r#"{"item_id":5,"q":"ä b","item":null}"#);
}

pub fn are_listed_page_by_page(service: &Service) {
    let ids: Vec<i64> = (0..7)
        .map(|n| {
            service
                .post("/items/", &json!({"listed": n}).to_string())
                .json()
        })
        .map(|created| created["item_id"].as_i64().unwrap())
        .collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let (mut seen, mut next) = (Vec::new(), Some("/items/?limit=3".to_owned()));
    while let Some(path) = next {
        let page = service.get(&path);
        assert_eq!(page.status, 200, "{page:?}");
        let rows = page.json();
        let rows = rows.as_array().unwrap();
        assert!(rows.len() <= 3);
        seen.extend(rows.iter().map(|row| row["item_id"].as_i64().unwrap()));
        next = page.next();
        assert!(
            next.as_deref().is_none_or(|url| url.contains("limit=3")),
            "{next:?}"
        );
    }
    assert!(seen.is_sorted(), "{seen:?}");
    assert!(
        ids.iter().all(|id| seen.contains(id)),
        "{ids:?} in {seen:?}"
    );

    service.get("/items/?limit=0").is(200, "[]");
    service.get("/items/?limit=-1").is(200, "[]");
    for foreign in ["abc", "AAAAAAAAAAAAAAAAAAAAAA"] {
        let refused = service.get(&format!("/items/?cursor={foreign}"));
        assert_eq!(refused.status, 422);
        assert_eq!(
            refused.json()["detail"][0]["loc"],
            json!(["query", "cursor"])
        );
    }
}

pub fn are_validated(service: &Service) {
    service.get("/items/foo").is(
        422,
        r#"{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"foo"}]}"#,
    );
    service.put("/items/foo", "[1]").is(
        422,
        concat!(
            r#"{"detail":[{"type":"int_parsing","loc":["path","item_id"],"msg":"Input should be a valid integer, unable to parse string as an integer","input":"foo"},"#,
            r#"{"type":"dict_type","loc":["body"],"msg":"Input should be a valid dictionary","input":[1]}]}"#
        ),
    );
    let nan = service.post("/items/", r#"{"a": NaN}"#);
    assert_eq!(nan.status, 422, "{nan:?}");
}
