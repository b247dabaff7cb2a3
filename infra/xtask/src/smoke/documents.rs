//! Items and users.

use serde_json::{Value, json};

use super::client::Caller;
use super::{Findings, Service, first};

pub fn item(service: &Service) -> Findings {
    first(|| {
        let client = &service.client;
        let item = json!({"name": "smoke", "price": 1.5});
        let made = client.post("/items/", &item)?.expect(200)?;
        let path = format!("/items/{}", made.json()?["item_id"]);
        let read = client.get(&path, Caller::Known)?.expect(200)?;
        same(&path, &read.json()?["item"], &item)?;
        let changed = json!({"name": "smoke", "price": 2});
        client.put(&path, &changed)?.expect(200)?;
        let read = client.get(&path, Caller::Known)?.expect(200)?;
        same(&path, &read.json()?["item"], &changed)?;
        client.delete(&path)?.expect(204)?;
        let read = client.get(&path, Caller::Known)?.expect(200)?;
        same(&path, &read.json()?["item"], &Value::Null)
    })
}

pub fn user(service: &Service) -> Findings {
    first(|| {
        let client = &service.client;
        let ada = json!({"name": "Smoke", "email": "smoke@example.com"});
        let made = client.post("/users/", &ada)?.expect(201)?;
        let path = format!("/users/{}", made.json()?["id"]);
        let read = client.get(&path, Caller::Known)?.expect(200)?;
        same(&path, &read.json()?["name"], &ada["name"])?;
        let changed = json!({"name": "Smoke Test", "email": "smoke@example.com"});
        client.put(&path, &changed)?.expect(200)?;
        let read = client.get(&path, Caller::Known)?.expect(200)?;
        same(&path, &read.json()?["name"], &changed["name"])?;
        client.delete(&path)?.expect(204)?;
        client.get(&path, Caller::Known)?.expect(404)?;
        Ok(())
    })
}

fn same(path: &str, found: &Value, expected: &Value) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("GET {path}: {found}, expected {expected}")),
    }
}
