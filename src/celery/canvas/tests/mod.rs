//! Compares with what workers of Celery sent and stored.

mod signatures;

use std::collections::HashMap;

use super::*;
use crate::celery::decode;
use crate::celery::testing::{read, text};

/// What a worker of Celery sent after a task, and what it stored.
struct Step {
    case: String,
    parent: Json,
    step: Json,
}

fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for case in read("canvas.json").as_array().unwrap() {
        for step in case.get("steps").unwrap().as_array().unwrap() {
            steps.push(Step {
                case: text(case, "case").to_owned(),
                parent: step.get("parent").unwrap().clone(),
                step: step.clone(),
            });
        }
    }
    assert!(steps.len() > 80, "{}", steps.len());
    steps
}

impl Step {
    fn header(&self, name: &str) -> Option<&str> {
        self.parent
            .get("headers")
            .unwrap()
            .get(name)
            .unwrap()
            .as_str()
    }

    fn embed(&self) -> Embed {
        let body = self.parent.get("body").unwrap().as_array().unwrap();
        let list = |name| crate::celery::signature::links(body[2].get(name).cloned());
        Embed {
            callbacks: list("callbacks"),
            errbacks: list("errbacks"),
            chain: list("chain"),
            chord: body[2]
                .get("chord")
                .filter(|chord| !chord.is_null())
                .cloned(),
        }
    }

    fn has_succeeded(&self) -> bool {
        text(&self.step, "status") == "SUCCESS"
    }

    fn list(&self, name: &str) -> Vec<Json> {
        self.step.get(name).unwrap().as_array().unwrap().to_vec()
    }

    fn kwargs(&self) -> Object {
        let body = self.parent.get("body").unwrap().as_array().unwrap();
        body[1].as_object().unwrap().clone()
    }

    /// The results of a chord's members, if this task was the last of them and none failed.
    fn values(&self) -> Option<Vec<Json>> {
        let values = self.step.get("values")?.as_array()?;
        Some(values.to_vec())
    }

    fn sender(&self) -> Sender<'_> {
        Sender {
            id: self.header("id").unwrap(),
            root_id: self.header("root_id"),
            seed: self.header("id").unwrap(),
            now: 1_900_000_000_000,
            default_queue: "celery",
            origin: "w1@worker",
            trace: None,
        }
    }
}

/// A message as the vectors have it.
fn shown(message: &Outgoing) -> Json {
    let decoded = decode(&message.body).unwrap();
    assert_eq!(message.id, decoded.headers.id);
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    let envelope = crate::json::parse(&engine.decode(&message.body).unwrap()).unwrap();
    let content = engine.decode(text(&envelope, "body")).unwrap();
    Json::object([
        ("queue", Json::from(decoded.properties.queue())),
        ("headers", envelope.get("headers").unwrap().clone()),
        ("body", crate::json::parse(&content).unwrap()),
    ])
}

/// Takes out what differs for a reason: times of sending, ids of clients, and what is the same to every
/// reader.
fn plain(value: &Json) -> Json {
    const LEFT_OUT: [&str; 7] = [
        "reply_to",
        "origin",
        "properties",
        "eta",
        "expires",
        // A list for a tuple, where Celery has read the arguments from JSON.
        "argsrepr",
        "kwargsrepr",
    ];
    match value {
        Json::Array(values) => Json::array(values.iter().map(plain)),
        Json::Object(object) => {
            let members = object.iter();
            let members = members.filter(|(name, value)| {
                !LEFT_OUT.contains(&&***name) && !value.is_null() && **value != Json::Bool(false)
            });
            let members = members.filter(|(name, value)| {
                **name != "chain" || value.as_array().is_none_or(|chain| !chain.is_empty())
            });
            let mut members: Vec<(String, Json)> = members
                .map(|(name, value)| (name.clone(), plain(value)))
                .collect();
            members.sort_by(|a, b| a.0.cmp(&b.0));
            Json::object(members)
        }
        value => value.clone(),
    }
}

/// The text of values, with each id that is not known replaced by its number.
fn numbered(text: &str, known: impl Fn(&str) -> bool) -> String {
    let mut names = HashMap::new();
    let mut out = String::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match text.get(at..at + 36) {
            Some(word) if Uuid::try_parse(word).is_ok() && !known(word) => {
                let next = names.len();
                let number = *names.entry(word.to_owned()).or_insert(next);
                out.push_str(&format!("new-{number}"));
                at += 36;
            }
            _ => {
                out.push(c);
                at += c.len_utf8();
            }
        }
    }
    out
}

/// Whether values are the same but for ids that both sides made. Celery makes a new id for a chord's group
/// that has one: here it stays.
fn same(step: &Step, what: &str, mine: &[Json], theirs: &[Json]) -> bool {
    let parent = step.parent.to_string();
    let [mine, theirs] = [mine, theirs].map(|all| Json::array(all.iter().map(plain)).to_string());
    let known = |id: &str| parent.contains(id) && mine.contains(id) && theirs.contains(id);
    let [a, b] = [&mine, &theirs].map(|text| numbered(text, known));
    if a != b {
        println!("== {} {what}\n mine   {a}\n theirs {b}", step.case);
    }
    a == b
}

fn shown_all(sent: &Sent) -> (Vec<Json>, Vec<Json>) {
    let chords = sent.chords.iter().map(|chord| {
        let members = Json::from(chord.members.clone());
        Json::object([("group", Json::from(&*chord.group)), ("members", members)])
    });
    (sent.messages.iter().map(shown).collect(), chords.collect())
}

#[test]
fn what_a_worker_sends_is_what_celery_sends() {
    let mut wrong = 0;
    for step in &steps() {
        let sender = step.sender();
        let value = step.step.get("value").unwrap();
        let sent = match (step.has_succeeded(), step.header("task")) {
            (true, Some("celery.chunks")) => {
                let (sent, result) = chunks(&sender, &step.kwargs()).unwrap();
                assert_eq!(sent.children, [result]);
                Ok(sent)
            }
            (true, _) => on_success(&sender, &step.embed(), value),
            (false, _) => on_failure(&sender, &step.embed().errbacks),
        };
        let sent = sent.unwrap();
        let (messages, mut chords) = shown_all(&sent);
        wrong += usize::from(!same(step, "sent", &messages, &step.list("sent")));
        if step.has_succeeded() && !step.step.get("children").unwrap().is_null() {
            wrong += usize::from(!same(
                step,
                "children",
                &sent.children,
                &step.list("children"),
            ));
        }
        if let Some(values) = step.values() {
            let chord = step.embed().chord.unwrap();
            let sent = chord_body(&sender, &chord, values).unwrap();
            let (messages, more) = shown_all(&sent);
            wrong += usize::from(!same(step, "body", &messages, &step.list("body_sent")));
            chords.extend(more);
        }
        wrong += usize::from(!same(step, "chords", &chords, &step.list("chords")));
    }
    assert_eq!(wrong, 0);
}

#[test]
fn what_fails_with_a_task_is_what_celery_fails() {
    let mut count = 0;
    for step in &steps() {
        let mut failed = Vec::new();
        if !step.has_succeeded() {
            failed = failed_chain(&step.embed().chain);
        }
        if step.step.get("is_failed_chord") == Some(&true.into()) {
            let chord = failed.iter().find_map(|failed| failed.chord.clone());
            let chord = step.embed().chord.or(chord).unwrap();
            let sender = step.sender();
            let (sent, more) = failed_chord(&sender, &chord).unwrap();
            let (messages, _) = shown_all(&sent);
            assert!(same(step, "errbacks", &messages, &step.list("body_sent")));
            failed.extend(more);
        }
        let ids: Vec<&str> = failed.iter().map(|failed| &*failed.id).collect();
        for theirs in step.list("failed") {
            let id = text(&theirs, "id");
            assert!(ids.contains(&id), "{} {id}: {ids:?}", step.case);
            count += 1;
        }
    }
    assert!(count > 10, "{count}");
}
