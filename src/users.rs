//! Users: JSON objects with a name and an email, read through an upstream if there is one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use http::StatusCode;
use utoipa::ToSchema;

use crate::fetch::{FetchError, Fetcher, Limits};
use crate::http::{Checked, FieldError, HttpError, Loc, Rejection, Request};
use crate::json::{self, Int, Json, Object};
use crate::store::{Cursor, Page, StoreError, StoredUser, UserStore};

/// Upstream calls at once for one request of several ids.
const UPSTREAM_CONCURRENCY: usize = 16;
/// Ids of one request: a hundred rows are one `BatchGetItem`.
pub const MAX_IDS: usize = 100;
/// The largest user that an upstream may answer: what fits a row of a table (400 KB).
const MAX_UPSTREAM_BODY: usize = 390 * 1024;

/// What every user has.
const FIELDS: [&str; 2] = ["name", "email"];

/// The ids that a request asks for with `?ids=1,2,3`, if it does. An id beyond 64 bits is nobody's.
pub fn ids(request: &Request) -> Checked<Option<Vec<i64>>> {
    let Some(ids) = request.query_ints("ids")? else {
        return Ok(None);
    };
    if ids.len() > MAX_IDS {
        let msg = format!(
            "List should have at most {MAX_IDS} items after validation, not {}",
            ids.len()
        );
        let input = Json::array(request.query_texts("ids"));
        let ctx = Json::object([
            ("field_type", Json::from("List")),
            ("max_length", Json::from(MAX_IDS as i64)),
            ("actual_length", Json::from(ids.len() as i64)),
        ]);
        let error = FieldError::new("too_long", ["query".into(), "ids".into()], msg, input);
        return Err(error.with_ctx(ctx).into());
    }
    Ok(Some(ids.iter().filter_map(Int::as_i64).collect()))
}

/// A user as it is written: an object whose `name` and `email` are texts; whatever else it has is
/// kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewUser(Object);

/// What a user has when it is written. Whatever else it has is kept.
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

/// A user. One that comes from the upstream is as the upstream has it.
#[derive(Debug, ToSchema)]
#[schema(
    example = json!({"id": 7, "name": "Ada", "email": "ada@example.com"})
)]
pub struct User {
    /// The user's id.
    pub id: i64,
}

impl NewUser {
    /// Reads a user from a request's body, with all that is wrong with it.
    pub fn read(request: &Request) -> Checked<NewUser> {
        request.body_as(NewUser::check)
    }

    fn check(value: Json) -> Checked<NewUser> {
        let object = value.into_object().map_err(|other| {
            let msg = "Input should be a valid dictionary or object to extract fields from";
            FieldError::new("model_attributes_type", ["body".into()], msg, other)
        })?;
        let errors: Vec<FieldError> = FIELDS
            .into_iter()
            .filter_map(|name| text_error(&object, name))
            .collect();
        if errors.is_empty() {
            Ok(NewUser(object))
        } else {
            Err(Rejection::Fields(errors))
        }
    }

    /// The user's text under an id, in the order of a Pydantic model; an `id` in the body gives way
    /// to it.
    fn document(&self, id: i64) -> Result<String, HttpError> {
        let mut user = Object::new();
        user.insert("id", Json::from(id));
        let fields = FIELDS
            .iter()
            .filter_map(|field| self.0.get(field).map(|value| (*field, value)));
        let all = self.0.iter().map(|(key, value)| (key.as_str(), value));
        for (key, value) in fields.chain(all).filter(|(key, _)| *key != "id") {
            user.insert(key, value.clone());
        }
        crate::items::document(user)
    }
}

fn text_error(user: &Object, name: &str) -> Option<FieldError> {
    let loc: [Loc; 2] = ["body".into(), name.into()];
    match user.get(name) {
        None => Some(FieldError::missing(loc, Json::Object(user.clone()))),
        Some(Json::String(_)) => None,
        Some(other) => {
            let msg = "Input should be a valid string";
            Some(FieldError::new("string_type", loc, msg, other.clone()))
        }
    }
}

/// The service that users are read through.
pub struct Upstream {
    base: String,
    fetcher: Fetcher,
}

impl Upstream {
    /// The upstream at `base`; one call may take `timeout`.
    ///
    /// # Errors
    /// When `base` cannot be fetched from, such as one with credentials in it.
    pub fn new(base: &str, timeout: Duration) -> Result<Upstream, FetchError> {
        let limits = Limits {
            timeout,
            max_body: MAX_UPSTREAM_BODY,
            ..Limits::default()
        };
        let fetcher = Fetcher::trusted(limits, base)?;
        Ok(Upstream {
            base: base.trim_end_matches('/').to_owned(),
            fetcher,
        })
    }

    /// The user's text, or `None` where the upstream has none.
    async fn read(&self, id: i64) -> Result<Option<String>, UpstreamError> {
        let fetched = self
            .fetcher
            .get(&format!("{}/users/{id}", self.base))
            .await?;
        match fetched.status {
            200 => {}
            404 | 410 => return Ok(None),
            status => return Err(UpstreamError::Status(status)),
        }
        let user = json::parse(&fetched.body)
            .ok()
            .and_then(|user| user.into_object().ok());
        let text = user.and_then(|user| Json::Object(user).to_text().ok());
        text.map(Some).ok_or(UpstreamError::NotAnObject)
    }
}

/// Why the upstream gave no user.
#[derive(Debug, thiserror::Error)]
enum UpstreamError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the upstream answered with status {0}")]
    Status(u16),
    #[error("the upstream's answer is not a JSON object")]
    NotAnObject,
}

impl From<UpstreamError> for HttpError {
    fn from(error: UpstreamError) -> HttpError {
        let (status, detail) = match &error {
            UpstreamError::Fetch(error) if error.status() == 504 => (
                StatusCode::GATEWAY_TIMEOUT,
                "The users' upstream did not answer in time",
            ),
            _ => (StatusCode::BAD_GATEWAY, "The users' upstream failed"),
        };
        HttpError::new(status, detail).because(error)
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
    /// Users in `store`, read through `upstream`; a copy is fresh for `fresh`.
    pub fn new(store: UserStore, upstream: Option<Upstream>, fresh: Duration) -> Users {
        Users {
            store,
            upstream: upstream.map(Arc::new),
            fresh,
        }
    }

    /// The cursors of the list of users.
    pub fn cursors(&self) -> &Cursor {
        self.store.cursors()
    }

    /// One user's text.
    pub async fn get(&self, id: i64) -> Result<Option<String>, HttpError> {
        let stored = self.store.get(id).await?;
        self.resolve(id, stored).await
    }

    /// Several users' texts in the order asked for, without those that there are not. Those that
    /// must come from the upstream are fetched concurrently.
    pub async fn get_many(&self, ids: &[i64]) -> Result<Vec<String>, HttpError> {
        let mut distinct = ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut stored: HashMap<i64, StoredUser> =
            self.store.get_many(&distinct).await?.into_iter().collect();
        let resolutions = distinct.into_iter().map(|id| {
            let stored = stored.remove(&id);
            async move { Ok::<_, HttpError>((id, self.resolve(id, stored).await?)) }
        });
        let users: HashMap<i64, Option<String>> = stream::iter(resolutions)
            .buffer_unordered(UPSTREAM_CONCURRENCY)
            .try_collect()
            .await?;
        Ok(ids.iter().filter_map(|id| users.get(id)?.clone()).collect())
    }

    /// The user that a row and the upstream together tell of.
    async fn resolve(
        &self,
        id: i64,
        stored: Option<StoredUser>,
    ) -> Result<Option<String>, HttpError> {
        let stale = match stored {
            Some(
                StoredUser::Own(user)
                | StoredUser::Copy {
                    document: user,
                    fresh: true,
                },
            ) => {
                return Ok(Some(user));
            }
            Some(StoredUser::Deleted) => return Ok(None),
            Some(StoredUser::Copy {
                document,
                fresh: false,
            }) => Some(document),
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

    /// Keeps a copy. That this fails does not make what was read less true.
    async fn keep(&self, id: i64, user: &str) {
        let fresh_ms = self.fresh.as_millis().try_into().unwrap_or(u64::MAX);
        if let Err(error) = self.store.keep_copy(id, user, fresh_ms).await {
            tracing::warn!(user_id = id, %error, "a user's copy was not kept");
        }
    }

    /// Stores a new user; its id and its text.
    pub async fn create(&self, user: &NewUser) -> Result<(i64, String), HttpError> {
        // Whether the user can be written as text does not depend on its id.
        user.document(0)?;
        let text = |id| user.document(id).unwrap_or_default();
        let id = self.store.create(text).await?;
        Ok((id, text(id)))
    }

    /// Replaces a user that exists; its new text, or `None` where there is no such user. From now
    /// on the user is ours: the upstream's is not read any more.
    pub async fn replace(&self, id: i64, user: &NewUser) -> Result<Option<String>, HttpError> {
        let user = user.document(id)?;
        if self.get(id).await?.is_none() {
            return Ok(None);
        }
        let replaced = self.store.replace(id, &user).await?;
        Ok(replaced.then_some(user))
    }

    /// Deletes a user; `false` where there is no such user.
    pub async fn delete(&self, id: i64) -> Result<bool, HttpError> {
        if self.get(id).await?.is_none() {
            return Ok(false);
        }
        Ok(self.store.delete(id).await?)
    }

    /// A page of the users that are stored here.
    pub async fn list(&self, after: Option<i64>, limit: usize) -> Result<Page<String>, StoreError> {
        self.store.list(after, limit).await
    }
}
