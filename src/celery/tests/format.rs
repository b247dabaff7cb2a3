//! Messages with anything in them: none panics, none comes for ever, and none is lost without a reason.

use std::time::{Duration, Instant};

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

/// The number of messages. `CELERY_FUZZ` sets another, or a time in seconds, such as `600s`.
const MESSAGES: u32 = 400;
/// The seed of the messages. `CELERY_FUZZ_SEED` sets another; each world adds its number.
const SEED: u64 = 7;
/// Messages that share a world.
const SHARED: u32 = 20;
/// More rounds of deliveries than the backoffs of effects need that wait for an hour.
const ROUNDS: u32 = 60;
/// The longest time for a message and all that follows from it, far above any that was seen: what takes
/// longer is a loop.
const LIMIT: Duration = Duration::from_secs(20);
/// Names of compressions, and one that is none.
const COMPRESSIONS: [&str; 7] = [
    "application/x-gzip",
    "zlib",
    "application/x-bz2",
    "xz",
    "application/x-brotli",
    "application/zstd",
    "snappy",
];

/// How long the test goes on.
enum Effort {
    Messages(u32),
    Time(Duration),
}

/// Says which seed repeats the messages of a world in which a test has failed.
struct Told(u64);

#[test]
fn no_message_panics_or_is_lost() {
    let effort = Effort::wanted();
    let seed = match variable("CELERY_FUZZ_SEED").map(|text| text.parse().unwrap()) {
        Some(seed) => seed,
        None if matches!(effort, Effort::Messages(MESSAGES)) => SEED,
        None => fastrand::u64(..),
    };
    let started = Instant::now();
    let (mut worlds, mut longest) = (0, Duration::ZERO);
    while effort.goes_on(worlds, started) {
        longest = longest.max(take_some(seed.wrapping_add(worlds.into())));
        worlds += 1;
    }
    let messages = worlds * SHARED;
    println!("seed {seed}: {messages} messages, the longest took {longest:?}");
}

/// Delivers the messages of one world. Returns the longest time of one of them.
fn take_some(seed: u64) -> Duration {
    let _told = Told(seed);
    let mut random = Rng::with_seed(seed);
    on_one_thread(async {
        let mut world = World::new();
        world.extended = random.bool();
        let mut longest = Duration::ZERO;
        for _ in 0..SHARED {
            let body = body(&mut random);
            let started = Instant::now();
            world.take(&body).await;
            let elapsed = started.elapsed();
            assert!(elapsed < LIMIT, "{elapsed:?} for {body}");
            longest = longest.max(elapsed);
        }
        longest
    })
}

impl Effort {
    fn wanted() -> Effort {
        let Some(text) = variable("CELERY_FUZZ") else {
            return Effort::Messages(MESSAGES);
        };
        match text.strip_suffix('s') {
            Some(seconds) => Effort::Time(Duration::from_secs(seconds.parse().unwrap())),
            None => Effort::Messages(text.parse().unwrap()),
        }
    }

    fn goes_on(&self, worlds: u32, started: Instant) -> bool {
        match self {
            Effort::Messages(count) => worlds * SHARED < *count,
            Effort::Time(time) => started.elapsed() < *time,
        }
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!(
                "CELERY_FUZZ={SHARED} CELERY_FUZZ_SEED={} repeats it",
                self.0
            );
        }
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
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
    match random.u8(..12) {
        0 => noise(random),
        1 => mangled(message, random),
        2 => match STANDARD.decode(message) {
            Ok(envelope) => mangled(&String::from_utf8_lossy(&envelope), random),
            Err(_) => mangled(message, random),
        },
        3 => STANDARD.encode(bytes(random)),
        4 => with_bytes(message, random).unwrap_or_else(|| noise(random)),
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

fn bytes(random: &mut Rng) -> Vec<u8> {
    let count = random.usize(1..400);
    std::iter::repeat_with(|| random.u8(..))
        .take(count)
        .collect()
}

/// A message whose content is other bytes, with the name of some compression.
fn with_bytes(message: &str, random: &mut Rng) -> Option<String> {
    let mut envelope = opened(message)?;
    let content = match random.bool() {
        true => bytes(random),
        false => {
            let mut content = STANDARD.decode(envelope.get("body")?.as_str()?).ok()?;
            for _ in 0..random.usize(1..4) {
                let at = random.usize(..content.len());
                content[at] = random.u8(..);
            }
            content
        }
    };
    envelope.insert("body", STANDARD.encode(content));
    let headers = envelope.get_mut("headers").and_then(Json::as_object_mut)?;
    headers.insert("id", uuid::Uuid::from_u128(random.u128(..)).to_string());
    if random.bool() {
        headers.insert("compression", *random.choice(COMPRESSIONS.iter())?);
    }
    Some(Json::from(envelope).to_string())
}

/// The envelope of a message.
fn opened(message: &str) -> Option<Object> {
    let envelope = match message.starts_with('{') {
        true => parse(message.as_bytes()).ok()?,
        false => parse(&STANDARD.decode(message).ok()?).ok()?,
    };
    envelope.into_object().ok()
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
    let mut envelope = opened(message)?;
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
