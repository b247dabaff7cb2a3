//! Concurrent fetches of many URLs.

use local_stack::{Context, Error, Result};
use serde_json::{Value, json};

use super::{Bench, Figures, Group, THIS, progress};
use crate::peers::Measured;
use crate::runtime::Function;
use crate::series::{Series, Unit};
use crate::stage::http_answer;
use crate::usage::{self, Meter};

/// The wall time of ten slow URLs.
pub const TEN: &str = "10 URLs that answer after 100 ms";
/// The CPU time of ten slow URLs.
pub const TEN_CPU: &str = "10 URLs that answer after 100 ms, CPU";
/// The other way to fetch ten URLs with this service.
const USERS: &str = "this service, `GET /users/?ids=`";

const MANY: &str = "many URLs";
const MANY_CPU: &str = "many URLs, CPU";
const MANY_PEAK: &str = "many URLs, peak memory";

/// Milliseconds before a slow answer.
const DELAY: u64 = 100;

/// The group's description.
pub const GROUP: Group = Group {
    name: "urls",
    title: "Fetching URLs",
    about: include_str!("about/urls.md"),
    drawn: &[TEN, TEN_CPU, MANY, MANY_CPU, MANY_PEAK],
    run,
};

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let mut figures = Figures::new(GROUP.name);
    let rounds = bench.effort.rounds(5);
    let many = bench.effort.of(5_000, 500);
    for round in 1..=rounds {
        progress(GROUP.name, round, rounds);
        ten(bench, &mut figures)?;
        let url = format!("{}/json/{{n}}", bench.stage.upstream());
        add_many(&mut figures, THIS, job(bench, &url, many, Worker::Fresh)?);
        for method in ["httpx-bounded", "aiohttp"] {
            add_many(&mut figures, method, peer(bench, method, &url, many)?);
        }
    }
    Ok(figures.into_series())
}

fn ten(bench: &mut Bench, figures: &mut Figures) -> Result<()> {
    let url = format!("{}/json/{{n}}?delay_ms={DELAY}", bench.stage.upstream());
    let users = users(bench)?;
    let mut add = |side: &str, measured: &Measured| {
        figures.add(TEN, side, Unit::Seconds, measured.wall.as_secs_f64());
        figures.add(TEN_CPU, side, Unit::Seconds, measured.cpu.as_secs_f64());
    };
    add(THIS, &job(bench, &url, 10, Worker::Warm)?);
    add(USERS, &users);
    for method in ["requests", "httpx", "aiohttp"] {
        add(method, &peer(bench, method, &url, 10)?);
    }
    Ok(())
}

fn add_many(figures: &mut Figures, side: &str, measured: Measured) {
    figures.add(MANY, side, Unit::Seconds, measured.wall.as_secs_f64());
    figures.add(MANY_CPU, side, Unit::Seconds, measured.cpu.as_secs_f64());
    figures.add(MANY_PEAK, side, Unit::Bytes, measured.peak as f64);
}

/// Reads ten users that this service has no copies of, in one request. A request for ten other
/// users comes first, so that the process is as warm as the other sides' processes.
fn users(bench: &mut Bench) -> Result<Measured> {
    bench.stage.forget_users()?;
    let (mut function, _) = Function::start(&bench.stage.program("list_users")?)?;
    let ids = |first: u64| {
        let ids: Vec<String> = (first..first + 10).map(|id| id.to_string()).collect();
        format!("/users/?ids={}", ids.join(","))
    };
    let warm = bench.stage.event("GET", &ids(1), None)?.1;
    function.invoke(warm.as_bytes())?;
    function.settle()?;
    set_delay(bench, DELAY)?;
    let event = bench.stage.event("GET", &ids(11), None)?.1;
    let meter = Meter::start([function.pid()])?;
    let answer = function.invoke(event.as_bytes());
    set_delay(bench, 0)?;
    let answer = answer?;
    function.settle()?;
    let cpu = meter.read()?;
    let (_, users) = http_answer(&answer)?;
    let count = users.as_array().map_or(0, Vec::len);
    if count != 10 {
        return Err(Error::new(format!("the answer has not ten users: {users}")));
    }
    Ok(Measured {
        wall: answer.elapsed,
        cpu,
        peak: usage::peak(function.pid())?,
        count: 10,
    })
}

/// Sets the upstream's delay for requests without their own delay.
fn set_delay(bench: &Bench, delay: u64) -> Result<()> {
    let url = format!("{}/control", bench.stage.upstream());
    let body = json!({"delay_ms": delay}).to_string();
    ureq::post(url).send(body).context("cannot set a delay")?;
    Ok(())
}

/// Whether the worker has run such a task before.
#[derive(Clone, Copy, PartialEq)]
enum Worker {
    Fresh,
    Warm,
}

/// Fetches the URLs in one task of a worker.
fn job(bench: &mut Bench, url: &str, count: u64, state: Worker) -> Result<Measured> {
    let urls: Vec<String> = (1..=count)
        .map(|n| url.replace("{n}", &n.to_string()))
        .collect();
    let task = json!({"job": "fetch_urls", "input": {"urls": urls}});
    let (mut worker, _) = Function::start(&bench.stage.program("worker")?)?;
    if state == Worker::Warm {
        let before = bench.stage.submit("/tasks/", &task)?;
        bench.stage.run(&mut worker, &before)?;
    }
    let task = bench.stage.submit("/tasks/", &task)?;
    worker.settle()?;
    let meter = Meter::start([worker.pid()])?;
    let (answer, result) = bench.stage.run(&mut worker, &task)?;
    let cpu = meter.read()?;
    check(&result, count)?;
    Ok(Measured {
        wall: answer.elapsed,
        cpu,
        peak: usage::peak(worker.pid())?,
        count,
    })
}

fn check(result: &Value, count: u64) -> Result<()> {
    let reports = result["results"].as_array();
    let ok = reports
        .into_iter()
        .flatten()
        .filter(|report| report["status"] == 200);
    let ok = ok.count() as u64;
    if ok == count {
        return Ok(());
    }
    Err(Error::new(format!(
        "only {ok} of {count} URLs were fetched"
    )))
}

fn peer(bench: &Bench, method: &str, url: &str, count: u64) -> Result<Measured> {
    let number = count.to_string();
    let measured = bench
        .peers
        .measured(&["fetch_many.py", method, &number, url], "ok")?;
    if measured.count != count {
        let ok = measured.count;
        return Err(Error::new(format!(
            "{method} fetched only {ok} of {count} URLs"
        )));
    }
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_finds_failed_urls() {
        let result = json!({"results": [{"status": 200}, {"status": 500}, {"error": {}}]});
        assert!(check(&result, 1).is_ok() && check(&result, 3).is_err());
    }
}
