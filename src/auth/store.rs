//! The table of API keys.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::Scopes;
use super::key::{ApiKey, KeyHash};
use crate::dynamodb::row::{self, EXPIRES_AT, ID, Row, number, text};
use crate::dynamodb::{StoreError, call_error, condition_held};

const HASH: &str = "hash";
const NAME: &str = "name";
const SCOPES: &str = "scopes";
const CREATED_AT: &str = "created_at";
const DISABLED: &str = "disabled";

/// A row of the table. It holds the hash of a key, not the key.
#[derive(Debug, Clone)]
pub struct StoredKey {
    /// The key's public id.
    pub id: String,
    /// The hash of the key's text.
    pub hash: KeyHash,
    /// The caller's name.
    pub name: String,
    /// The caller's permissions.
    pub scopes: Scopes,
    /// When the key was made, in seconds since the Unix epoch.
    pub created_at: u64,
    /// When the key expires, in seconds since the Unix epoch; `None` for never.
    pub expires_at: Option<u64>,
    /// Whether the key is revoked.
    pub disabled: bool,
}

impl StoredKey {
    /// Whether the key has expired.
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.expires_at.is_some_and(|end| end <= now_ms / 1000)
    }
}

/// The table of API keys.
#[derive(Debug, Clone)]
pub struct ApiKeyStore {
    client: Client,
    table: String,
}

impl ApiKeyStore {
    /// The keys in `table`.
    pub fn new(client: Client, table: String) -> ApiKeyStore {
        ApiKeyStore { client, table }
    }

    /// Stores the row of a new key. `false` if another key has this id.
    pub async fn create(&self, key: &StoredKey) -> Result<bool, StoreError> {
        let hash = AttributeValue::B(Blob::new(key.hash.as_bytes()));
        let mut row = Row::from([
            (ID.to_owned(), text(&key.id)),
            (HASH.to_owned(), hash.clone()),
            (NAME.to_owned(), text(&key.name)),
            (SCOPES.to_owned(), text(key.scopes.to_string())),
            (CREATED_AT.to_owned(), number(key.created_at)),
            (DISABLED.to_owned(), AttributeValue::Bool(key.disabled)),
        ]);
        if let Some(end) = key.expires_at {
            row.insert(EXPIRES_AT.to_owned(), number(end));
        }
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(row))
            // If an answer is lost, the SDK repeats the put, and the repetition meets its own row.
            .condition_expression("attribute_not_exists(id) OR #hash = :hash")
            .expression_attribute_names("#hash", HASH)
            .expression_attribute_values(":hash", hash);
        condition_held(put.send().await)
    }

    /// The key with this id. The read is consistent, so a revocation has effect at once.
    pub async fn get(&self, id: &str) -> Result<Option<StoredKey>, StoreError> {
        let get = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(ID, text(id))
            .consistent_read(true);
        let row = get.send().await.map_err(call_error)?.item;
        row.map(|row| stored(&row)).transpose()
    }

    /// All keys, oldest first. This reads the whole table: use it only on the command line.
    pub async fn list(&self) -> Result<Vec<StoredKey>, StoreError> {
        let scan = self.client.scan().table_name(&self.table);
        let mut rows = scan.into_paginator().items().send();
        let mut found = Vec::new();
        while let Some(row) = rows.next().await {
            found.push(stored(&row.map_err(call_error)?)?);
        }
        found.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        Ok(found)
    }

    /// Revokes a key. `false` if no key has this id.
    pub async fn revoke(&self, id: &str) -> Result<bool, StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(ID, text(id))
            .update_expression("SET #disabled = :true")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_names("#disabled", DISABLED)
            .expression_attribute_values(":true", AttributeValue::Bool(true));
        condition_held(update.send().await)
    }
}

/// The row of a new key of the caller `name`.
pub fn row_of(
    key: &ApiKey,
    name: &str,
    scopes: Scopes,
    now_ms: u64,
    expires_at: Option<u64>,
) -> StoredKey {
    StoredKey {
        id: key.id().to_owned(),
        hash: key.hash(),
        name: name.to_owned(),
        scopes,
        created_at: now_ms / 1000,
        expires_at,
        disabled: false,
    }
}

fn stored(row: &Row) -> Result<StoredKey, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(what.to_owned());
    let hash = row.get(HASH).and_then(|hash| hash.as_b().ok());
    let hash = hash.and_then(|hash| KeyHash::from_bytes(hash.as_ref()));
    let scopes = row::get_text(row, SCOPES)?;
    let disabled = row.get(DISABLED).and_then(|flag| flag.as_bool().ok());
    Ok(StoredKey {
        id: row::get_text(row, ID)?,
        hash: hash.ok_or_else(|| corrupt("a key's hash"))?,
        name: row::get_text(row, NAME)?,
        scopes: Scopes::among(scopes.split(' '), ""),
        created_at: row::get_number(row, CREATED_AT)?,
        expires_at: row::find_number(row, EXPIRES_AT)?,
        // A row without the attribute counts as revoked.
        disabled: *disabled.unwrap_or(&true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ms;
    use crate::dynamodb::testing::{self, Faults};

    fn row(key: &ApiKey, name: &str) -> StoredKey {
        row_of(key, name, "read,write".parse().unwrap(), now_ms(), None)
    }

    #[tokio::test]
    async fn a_key_is_found_listed_and_revoked() {
        let store = ApiKeyStore::new(testing::client(), testing::API_KEYS.to_owned());
        let (ada, alan) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert!(store.create(&row(&ada, "ada")).await.unwrap());
        let later = StoredKey {
            created_at: now_ms() / 1000 + 60,
            expires_at: Some(4_000_000_000),
            ..row(&alan, "alan")
        };
        assert!(store.create(&later).await.unwrap());

        let found = store.get(ada.id()).await.unwrap().unwrap();
        assert!(found.hash.matches(&ada.hash()) && !found.disabled);
        assert_eq!((&*found.name, found.expires_at), ("ada", None));
        assert_eq!(found.scopes.to_string(), "read write");
        let names = store.list().await.unwrap();
        let names: Vec<&str> = names.iter().map(|key| &*key.name).collect();
        assert_eq!(names, ["ada", "alan"]);

        assert!(store.revoke(ada.id()).await.unwrap());
        assert!(store.revoke(ada.id()).await.unwrap());
        assert!(store.get(ada.id()).await.unwrap().unwrap().disabled);
        assert!(!store.get(alan.id()).await.unwrap().unwrap().disabled);
        assert!(!store.revoke("0123456789abcdef").await.unwrap());
        assert!(store.get("0123456789abcdef").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_repeated_creation_makes_one_key_and_a_taken_id_is_refused() {
        let faults = Faults::default();
        let store = ApiKeyStore::new(testing::faulty(&faults), testing::API_KEYS.to_owned());
        let key = ApiKey::generate().unwrap();
        faults.lose_answer("PutItem");
        assert!(store.create(&row(&key, "ada")).await.unwrap());
        assert!(faults.calls("PutItem") > 1);
        let other = StoredKey {
            hash: ApiKey::generate().unwrap().hash(),
            ..row(&key, "eve")
        };
        assert!(!store.create(&other).await.unwrap());
        assert_eq!(store.get(key.id()).await.unwrap().unwrap().name, "ada");
    }

    #[tokio::test]
    async fn a_row_without_the_attribute_disabled_counts_as_revoked() {
        let client = testing::client();
        let store = ApiKeyStore::new(client.clone(), testing::API_KEYS.to_owned());
        let key = ApiKey::generate().unwrap();
        store.create(&row(&key, "ada")).await.unwrap();
        let update = client.update_item().table_name(testing::API_KEYS);
        let update = update.key(ID, text(key.id()));
        let update = update.update_expression("REMOVE disabled").send().await;
        update.unwrap();
        assert!(store.get(key.id()).await.unwrap().unwrap().disabled);
    }
}
