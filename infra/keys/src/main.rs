//! Creates, lists and revokes API keys. As in the functions, `API_KEYS_TABLE` names the table;
//! `cargo xtask keys` sets the variable.

use std::process::ExitCode;

use async_service::auth::key::ApiKey;
use async_service::auth::store::{ApiKeyStore, StoredKey, row_of};
use async_service::clock::now_ms;
use async_service::{App, Error};
use jiff::Timestamp;

mod arguments;

use arguments::{Command, NewKey};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let command = arguments::parse(std::env::args_os().skip(1))?;
    let keys = App::from_env()?.api_keys()?;
    match command {
        Command::Create(new) => create(&keys, new).await,
        Command::List => list(&keys).await,
        Command::Revoke(id) => revoke(&keys, &id).await,
    }
}

/// Prints only the key on standard output, for scripts. Texts for people go to standard error.
async fn create(keys: &ApiKeyStore, new: NewKey) -> Result<(), Error> {
    let now = now_ms();
    let end = new.days.map(|days| now / 1000 + days * 24 * 3600);
    loop {
        let key = ApiKey::generate().map_err(|_| "the system's random number generator failed")?;
        let row = row_of(&key, &new.name, new.scopes.clone(), now, end);
        // An existing key has the same id, which is 64 random bits: try again.
        if !keys.create(&row).await? {
            continue;
        }
        println!("{}", key.reveal());
        eprintln!("{}", line(&row, now));
        eprintln!("The key is not shown again.");
        return Ok(());
    }
}

async fn list(keys: &ApiKeyStore) -> Result<(), Error> {
    let now = now_ms();
    for key in keys.list().await? {
        println!("{}", line(&key, now));
    }
    Ok(())
}

async fn revoke(keys: &ApiKeyStore, id: &str) -> Result<(), Error> {
    if !keys.revoke(id).await? {
        return Err(format!("there is no key {id}").into());
    }
    eprintln!("{id} is revoked; caches may accept it for KeyCacheSeconds (60 by default)");
    Ok(())
}

fn line(key: &StoredKey, now: u64) -> String {
    let state = match key {
        key if key.disabled => "revoked",
        key if key.is_expired(now) => "expired",
        _ => "active",
    };
    let end = key.expires_at.map_or("never".to_owned(), time);
    format!(
        "{}  {state}  {}  [{}]  created {}  expires {end}",
        key.id,
        key.name,
        key.scopes,
        time(key.created_at)
    )
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok();
    let time = time.and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or(seconds.to_string(), |time| time.to_string())
}

/// The error's text and the texts of its causes, since the AWS SDK's own text is only the outermost
/// cause. Equal neighbours appear once.
fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| (*cause).source());
    let mut texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
