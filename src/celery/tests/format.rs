//! Messages with anything in them: none panics, none comes for ever, and none is lost without a reason.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fastrand::Rng;

use super::world::{World, on_one_thread};
use crate::celery::testing::{messages, text};
use crate::celery::unlock::CHORD_UNLOCK;
use crate::celery::{Refused, decode};
use crate::clock::{now_ms, stopped};
use crate::dynamodb::testing::Gate;
use crate::json::{Json, Object, parse};
use crate::tasks::id::TaskId;
use crate::tasks::wire;

/// The number of messages; `CELERY_FUZZ` sets another.
const MESSAGES: u32 = 400;
/// Messages that share a world.
const SHARED: u32 = 20;
/// More rounds of deliveries than the backoffs of effects need that wait for an hour.
const ROUNDS: u32 = 60;

#[test]
fn no_message_panics_or_is_lost() {
    let wanted = std::env::var("CELERY_FUZZ").ok();
    let count = wanted.and_then(|n| n.parse().ok()).unwrap_or(MESSAGES);
    let seed = if count == MESSAGES {
        7
    } else {
        fastrand::u64(..)
    };
    println!("seed {seed}");
    let mut random = Rng::with_seed(seed);
    for _ in 0..count.div_ceil(SHARED) {
        on_one_thread(async {
            let mut world = World::new();
            world.extended = random.bool();
            for _ in 0..SHARED {
                let body = body(&mut random);
                world.take(&body).await;
            }
        });
    }
}

impl World {
    /// Delivers a message, and all that follow from it, until they are acknowledged.
    async fn take(&mut self, body: &str) {
        let letters = self.queue.dead_letters().len();
        self.queue.put(body);
        for _ in 0..ROUNDS {
            let Some(next) = self.queue.next_visible() else {
                break;
            };
            stopped::set(next.max(now_ms() + 1));
            self.deliver(0, 10, false, Gate::default()).await;
        }
        let waits = self.check_left(body);
        let letters = self.queue.dead_letters().split_off(letters);
        assert!(
            letters.iter().all(|(_, reason)| !reason.is_empty()),
            "{letters:?}"
        );
        let is_dead = letters
            .iter()
            .any(|(dead, _)| dead == body || dead.contains("stored_body"));
        if is_dead || waits || self.has_ended(body).await {
            return;
        }
        panic!("lost: {body}");
    }

    /// Whether the task of a message has ended.
    async fn has_ended(&self, body: &str) -> bool {
        let id = match decode(body) {
            Ok(message) => Some(message.headers.id),
            Err(Refused { id, .. }) => id,
        };
        let Some(id) = id.and_then(|id| TaskId::parse(&id)) else {
            return false;
        };
        let record = self.tasks(&Gate::default()).get(&id).await.unwrap();
        record.is_some_and(|record| record.state.is_final())
    }

    /// Removes the messages that may wait: for their eta, or for the members of a chord. `false` if there are
    /// none.
    fn check_left(&self, body: &str) -> bool {
        let left = self.queue.receive(0, 1_000, true);
        for delivery in &left {
            // A message that waits for long is sent again in the service's own format.
            let waits = match wire::decode(&delivery.body, now_ms()) {
                Ok(task) => task.options.eta.is_some() || task.job == CHORD_UNLOCK,
                Err(_) => {
                    let headers = decode(&delivery.body).unwrap().headers;
                    headers.eta.is_some() || headers.task == CHORD_UNLOCK
                }
            };
            assert!(waits, "comes for ever: {} of {body}", delivery.body);
        }
        let waits = !left.is_empty();
        let ids = left.into_iter().map(|delivery| delivery.id);
        self.queue.delete(ids);
        waits
    }
}

/// A body: a message of Celery with changes, or bytes with hardly a meaning.
fn body(random: &mut Rng) -> String {
    let message = text(random.choice(messages()).unwrap(), "message");
    match random.u8(..10) {
        0 => noise(random),
        1 => mangled(message, random),
        2 => match STANDARD.decode(message) {
            Ok(envelope) => mangled(&String::from_utf8_lossy(&envelope), random),
            Err(_) => mangled(message, random),
        },
        _ => changed(message, random).unwrap_or_else(|| mangled(message, random)),
    }
}

fn noise(random: &mut Rng) -> String {
    let letters = "{}[]\":,0123456789abcdefghijklmnopqrstuvwxyz \\/=+é\u{1f980}";
    let letters: Vec<char> = letters.chars().collect();
    let count = random.usize(1..300);
    (0..count)
        .map(|_| *random.choice(&letters).unwrap())
        .collect()
}

/// A text with bytes exchanged.
fn mangled(text: &str, random: &mut Rng) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for _ in 0..random.usize(1..6) {
        let at = random.usize(..bytes.len());
        match random.u8(..3) {
            0 => bytes[at] = random.u8(32..127),
            1 => drop(bytes.remove(at)),
            _ => bytes.splice(at..at, *b"\\ud800").for_each(drop),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A message whose envelope or content has other values in some places.
fn changed(message: &str, random: &mut Rng) -> Option<String> {
    let envelope = match message.starts_with('{') {
        true => parse(message.as_bytes()).ok()?,
        false => parse(&STANDARD.decode(message).ok()?).ok()?,
    };
    let mut envelope = envelope.into_object().ok()?;
    // Each message has an id of its own, unless the id is changed below.
    let id = uuid::Uuid::from_u128(random.u128(..)).to_string();
    if let Some(headers) = envelope.get_mut("headers").and_then(Json::as_object_mut)
        && headers.contains_key("id")
    {
        headers.insert("id", id);
    }
    for _ in 0..random.usize(1..4) {
        if random.bool() {
            change(envelope.get_mut("headers")?, random);
        } else if let Some(changed) = changed_content(&envelope, random) {
            envelope.insert("body", changed);
        }
    }
    if random.u8(..4) == 0 {
        change(envelope.get_mut("properties")?, random);
    }
    let text = Json::from(envelope).to_string();
    Some(if random.bool() {
        text
    } else {
        STANDARD.encode(text)
    })
}

fn changed_content(envelope: &Object, random: &mut Rng) -> Option<String> {
    let content = envelope.get("body")?.as_str()?;
    let mut content = parse(&STANDARD.decode(content).ok()?).ok()?;
    change(&mut content, random);
    Some(STANDARD.encode(content.to_string()))
}

/// Replaces a value somewhere within.
fn change(value: &mut Json, random: &mut Rng) {
    let goes_on = random.u8(..6) > 0;
    match value {
        Json::Array(all) if goes_on && !all.is_empty() => {
            let at = random.usize(..all.len());
            change(&mut all[at], random);
        }
        Json::Object(all) if goes_on && !all.is_empty() => {
            let at = random.usize(..all.len());
            all.values_mut()
                .nth(at)
                .into_iter()
                .for_each(|one| change(one, random));
        }
        value => *value = odd(random),
    }
}

fn odd(random: &mut Rng) -> Json {
    let deep = |levels: usize| (0..levels).fold(Json::Null, |inner, _| vec![inner].into());
    let now = now_ms();
    match random.u8(..16) {
        0 => Json::Null,
        1 => true.into(),
        2 => random.i64(..).into(),
        3 => random
            .choice([f64::NAN, f64::INFINITY, -0.0, 1e308, 5e-324])
            .unwrap()
            .into(),
        4 => "".into(),
        5 => "x".repeat(random.usize(1..5_000)).into(),
        6 => "\u{0}é\u{1f980}'\"\\".into(),
        7 => Vec::new().into(),
        8 => Object::new().into(),
        9 => deep(random.usize(1..900)),
        10 => crate::celery::time::format(now + random.u64(..100_000_000_000)).into(),
        11 => random
            .choice(["step", "celery.map", "celery.chord_unlock", "celery.chain"])
            .unwrap()
            .into(),
        12 => part(random),
        13 => vec![part(random), part(random)].into(),
        14 => random.u32(..4).into(),
        _ => "step".into(),
    }
}

/// A signature of some message, or another part of its content.
fn part(random: &mut Rng) -> Json {
    let message = random.choice(messages()).unwrap();
    let Ok(message) = decode(text(message, "message")) else {
        return Json::Null;
    };
    let embed = message.embed;
    let signatures = [embed.callbacks, embed.errbacks, embed.chain];
    let signatures = signatures.into_iter().flatten().chain(embed.chord);
    let signatures: Vec<Json> = signatures.collect();
    random
        .choice(signatures)
        .unwrap_or(Json::Array(message.args))
}
