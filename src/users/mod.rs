//! Users: JSON objects with a name and an email, read through an upstream if one is configured.

mod store;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use utoipa::ToSchema;

use crate::documents::{self, NotFinite, Page};
use crate::dynamodb::StoreError;
use crate::json::{Json, Object};

pub use store::{StoredUser, UserStore};
pub use upstream::{Upstream, UpstreamError};

/// Concurrent calls to the upstream for one request of several ids.
const UPSTREAM_CONCURRENCY: usize = 16;

/// The required fields of a user.
pub const FIELDS: [&str; 2] = ["name", "email"];

/// A user in a request: an object whose [`FIELDS`] are texts. All other fields are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser(Object);

/// A user in a request. All other fields are kept.
#[derive(Debug, ToSchema)]
#[schema(
    as = NewUser,
    example = json!({"name": "Ada", "email": "ada@example.com"})
)]
pub struct NewUserSchema {
    /// The user's name.
    pub name: String,
    /// The user's address.
    pub email: String,
}

/// A user. A user of the upstream has the upstream's fields.
#[derive(Debug, ToSchema)]
#[schema(
    example = json!({"id": 7, "name": "Ada", "email": "ada@example.com"})
)]
pub struct User {
    /// The user's id.
    pub id: i64,
}

/// Why a user could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// The table failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The upstream failed, and no copy of the user is stored.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The user has a number that JSON cannot express.
    #[error(transparent)]
    NotFinite(#[from] NotFinite),
}

impl NewUser {
    /// A user of these fields, or `None` unless all [`FIELDS`] are texts.
    pub fn new(fields: Object) -> Option<NewUser> {
        let is_text = |name: &&str| matches!(fields.get(name), Some(Json::String(_)));
        FIELDS.iter().all(is_text).then_some(NewUser(fields))
    }

    /// The user's JSON text under an id, in the order of a Pydantic model. `id` replaces an `id` in the
    /// body.
    fn document(&self, id: i64) -> Result<String, NotFinite> {
        let mut user = Object::new();
        user.insert("id", Json::from(id));
        let fields = FIELDS
            .iter()
            .filter_map(|field| self.0.get(field).map(|value| (*field, value)));
        let all = self.0.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in fields.chain(all).filter(|(key, _)| *key != "id") {
            user.insert(key, value.clone());
        }
        documents::to_text(user)
    }
}

/// All users, whatever their source.
#[derive(Clone)]
pub struct Users {
    store: UserStore,
    upstream: Option<Arc<Upstream>>,
    fresh: Duration,
}

impl Users {
    /// Users in `store`, read through `upstream`. A copy of an upstream's user stays fresh for `fresh`.
    pub fn new(store: UserStore, upstream: Option<Upstream>, fresh: Duration) -> Users {
        Users {
            store,
            upstream: upstream.map(Arc::new),
            fresh,
        }
    }

    /// One user's JSON text.
    pub async fn get(&self, id: i64) -> Result<Option<String>, UsersError> {
        let stored = self.store.get(id).await?;
        self.resolve(id, stored).await
    }

    /// The JSON texts of several users, in the order of `ids`. Unknown ids are skipped. Users that must
    /// come from the upstream are fetched concurrently.
    pub async fn get_many(&self, ids: &[i64]) -> Result<Vec<String>, UsersError> {
        let mut distinct = ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut stored: HashMap<i64, StoredUser> =
            self.store.get_many(&distinct).await?.into_iter().collect();
        let resolutions = distinct.into_iter().map(|id| {
            let stored = stored.remove(&id);
            async move { Ok::<_, UsersError>((id, self.resolve(id, stored).await?)) }
        });
        let users: HashMap<i64, Option<String>> = stream::iter(resolutions)
            .buffer_unordered(UPSTREAM_CONCURRENCY)
            .try_collect()
            .await?;
        Ok(ids.iter().filter_map(|id| users.get(id)?.clone()).collect())
    }

    /// A user's JSON text, from the row if it is authoritative or fresh, else from the upstream. A
    /// stale copy is used when the upstream fails.
    async fn resolve(
        &self,
        id: i64,
        stored: Option<StoredUser>,
    ) -> Result<Option<String>, UsersError> {
        let stale = match stored {
            Some(StoredUser::Own(user)) => return Ok(Some(user)),
            Some(StoredUser::Deleted) => return Ok(None),
            Some(StoredUser::Copy { document, fresh }) if fresh => return Ok(Some(document)),
            Some(StoredUser::Copy { document, .. }) => Some(document),
            None => None,
        };
        let Some(upstream) = &self.upstream else {
            return Ok(stale);
        };
        match (upstream.read(id).await, stale) {
            (Ok(Some(user)), _) => {
                self.keep(id, &user).await;
                Ok(Some(user))
            }
            (Ok(None), Some(_)) => {
                self.store.forget_copy(id).await?;
                Ok(None)
            }
            (Ok(None), None) => Ok(None),
            (Err(error), Some(stale)) => {
                tracing::warn!(user_id = id, %error, "the upstream failed, serving a stale user");
                Ok(Some(stale))
            }
            (Err(error), None) => Err(error.into()),
        }
    }

    /// Stores a copy. A failure is only logged, because the user was already read.
    async fn keep(&self, id: i64, user: &str) {
        let fresh_ms = self.fresh.as_millis().try_into().unwrap_or(u64::MAX);
        if let Err(error) = self.store.keep_copy(id, user, fresh_ms).await {
            tracing::warn!(user_id = id, %error, "a user's copy was not kept");
        }
    }

    /// Stores a new user, and returns its id and JSON text.
    pub async fn create(&self, user: &NewUser) -> Result<(i64, String), UsersError> {
        // Find an error before the write. Errors do not depend on the id.
        user.document(0)?;
        let text = |id| user.document(id).unwrap_or_default();
        let id = self.store.create(text).await?;
        Ok((id, text(id)))
    }

    /// Replaces a user and returns the new JSON text; `None` if no such user exists. From then on the
    /// upstream is not asked for this user.
    pub async fn replace(&self, id: i64, user: &NewUser) -> Result<Option<String>, UsersError> {
        let user = user.document(id)?;
        if self.get(id).await?.is_none() {
            return Ok(None);
        }
        let replaced = self.store.replace(id, &user).await?;
        Ok(replaced.then_some(user))
    }

    /// Deletes a user; `false` if no such user exists.
    pub async fn delete(&self, id: i64) -> Result<bool, UsersError> {
        if self.get(id).await?.is_none() {
            return Ok(false);
        }
        Ok(self.store.delete(id).await?)
    }

    /// A page of the users in the table.
    pub async fn list(&self, after: Option<i64>, limit: usize) -> Result<Page<String>, StoreError> {
        self.store.list(after, limit).await
    }
}
