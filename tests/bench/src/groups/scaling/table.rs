//! The cost of operations on tasks while the table grows.

use local_stack::process::interrupted;
use local_stack::{Error, Result};

use super::rows::Rows;
use crate::groups::{Bench, Effort, Figures, Group, THIS};
use crate::queue::{self, BATCH};
use crate::report::format;
use crate::runtime::{Answer, Function};
use crate::series::{Series, Unit};
use crate::stage::{Stage, http_answer};
use crate::usage::Meter;

/// The figures of a growing table.
pub const GROUP: Group = Group {
    name: "table",
    title: "A growing table",
    about: include_str!("../about/table.md"),
    drawn: &[CPU, LATENCY],
    run,
};

const CPU: &str = "CPU time for 1,000 invocations";
const LATENCY: &str = "latency, median";
const DATABASE: &str = "CPU time of the embedded database in it";
const CALLS: &str = "AWS calls for an invocation";

/// An operation on the table.
#[derive(Debug, Clone, Copy)]
struct Operation {
    /// The operation's name in the report.
    name: &'static str,
    function: &'static str,
    ask: Ask,
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    /// The same request each time, with the cursor of the middle of the list for `{middle}`.
    Same(&'static str),
    /// A request for a random task, with its id for `{id}`.
    Each(&'static str),
    /// A batch of new tasks.
    Batch,
}

const OPERATIONS: [Operation; 6] = [
    Operation {
        name: "list_tasks, newest",
        function: "list_tasks",
        ask: Ask::Same("/tasks/?limit=10"),
    },
    Operation {
        name: "list_tasks, middle",
        function: "list_tasks",
        ask: Ask::Same("/tasks/?limit=10&cursor={middle}"),
    },
    Operation {
        name: "list_tasks, cancelled",
        function: "list_tasks",
        ask: Ask::Same("/tasks/?limit=10&state=cancelled"),
    },
    Operation {
        name: "read_task",
        function: "read_task",
        ask: Ask::Each("/tasks/{id}"),
    },
    Operation {
        name: "result",
        function: "result",
        ask: Ask::Each("/result/{id}"),
    },
    Operation {
        name: "worker",
        function: "worker",
        ask: Ask::Batch,
    },
];

/// The state of the measurement.
struct Measuring {
    stage: Stage,
    rows: Rows,
    middle: String,
    turn: u64,
    effort: Effort,
}

fn run(bench: &mut Bench) -> Result<Vec<Series>> {
    let effort = bench.effort;
    let mut figures = Figures::new(GROUP.name);
    // Its own stage, so that other groups do not measure with so many rows.
    let mut measuring = Measuring::start(bench.stage.another()?, effort)?;
    let mut functions = functions(&measuring.stage)?;
    let mut is_warm = false;
    for power in effort.of(3..=6, 3..=4) {
        let size = 10_u64.pow(power);
        let database = measuring.stage.endpoint().database();
        measuring.rows.fill(database, size)?;
        if !is_warm {
            // The first invocations open connections and are not counted.
            measuring.round(&mut functions, size, &mut Figures::new(GROUP.name))?;
            is_warm = true;
        }
        for _ in 0..effort.rounds(3) {
            measuring.round(&mut functions, size, &mut figures)?;
        }
    }
    let mut series = figures.into_series();
    // The figures of one operation are in adjacent rows.
    series.sort_by_key(|series| place(&series.subject));
    Ok(series)
}

/// The position of a figure's operation in the list of operations.
fn place(subject: &str) -> Option<usize> {
    let is_of = |operation: &Operation| subject.starts_with(operation.name);
    OPERATIONS.iter().position(is_of)
}

/// Starts a process for each operation.
fn functions(stage: &Stage) -> Result<Vec<Function>> {
    let start = |operation: &Operation| {
        let program = stage.program(operation.function)?;
        Function::start(&program).map(|(function, _)| function)
    };
    OPERATIONS.iter().map(start).collect()
}

impl Measuring {
    fn start(mut stage: Stage, effort: Effort) -> Result<Measuring> {
        let mut rows = Rows::new(&mut stage)?;
        // The two real tasks are newer than all others, and ten more rows are the newer half of
        // twenty.
        rows.fill(stage.endpoint().database(), 20)?;
        let (name, event) = stage.event("GET", "/tasks/?limit=12", None)?;
        let (mut function, _) = Function::start(&stage.program(&name)?)?;
        let answer = function.invoke(event.as_bytes())?;
        let middle = cursor(&String::from_utf8_lossy(&answer.body));
        Ok(Measuring {
            middle: middle.ok_or_else(|| Error::new("a list has no next page"))?,
            stage,
            rows,
            turn: 0,
            effort,
        })
    }

    /// Measures one round of all operations.
    fn round(
        &mut self,
        functions: &mut [Function],
        size: u64,
        figures: &mut Figures,
    ) -> Result<()> {
        let mut operations = OPERATIONS.iter().zip(functions);
        operations
            .try_for_each(|(operation, function)| self.measure(operation, function, size, figures))
    }

    /// Measures one round of an operation.
    fn measure(
        &mut self,
        operation: &Operation,
        function: &mut Function,
        size: u64,
        figures: &mut Figures,
    ) -> Result<()> {
        let events = self.events(operation.ask)?;
        let count = events.len() as f64;
        let tally = self.stage.endpoint().tally();
        let meter = Meter::start([function.pid()])?;
        let mut latencies = Series::new(GROUP.name, LATENCY, THIS, Unit::Seconds);
        for event in &events {
            let answer = invoke(operation.ask, function, event)?;
            latencies.samples.push(answer.elapsed.as_secs_f64());
        }
        function.settle()?;
        let cpu = meter.read()?.as_secs_f64() / count;
        let calls = self.stage.endpoint().tally().since(&tally);
        let database = calls.database().as_secs_f64() / count;
        let subject = format!("{}, {}", operation.name, format::number(size as f64));
        for (what, unit, sample) in [
            (CPU, Unit::CpuPerThousand, cpu * 1_000.0),
            (LATENCY, Unit::Seconds, latencies.median()),
            (DATABASE, Unit::Seconds, database),
            (CALLS, Unit::Count, calls.calls() as f64 / count),
        ] {
            figures.add_of(&subject, what, THIS, unit, sample);
        }
        Ok(())
    }

    /// The events of one round of an operation, created before the round starts.
    fn events(&mut self, ask: Ask) -> Result<Vec<String>> {
        let (reads, batches) = (self.effort.of(300, 50), self.effort.of(20, 5));
        match ask {
            Ask::Same(target) => {
                let event = self.request(&target.replace("{middle}", &self.middle))?;
                Ok(vec![event; reads])
            }
            Ask::Each(target) => {
                let each = (0..reads).map(|_| {
                    self.turn += 1;
                    self.request(&target.replace("{id}", &self.rows.some_id(self.turn)))
                });
                each.collect()
            }
            Ask::Batch => {
                let batches = (0..batches).map(|_| self.stage.fresh_messages(BATCH));
                batches.map(|records| Ok(queue::event(&records?))).collect()
            }
        }
    }

    fn request(&self, target: &str) -> Result<String> {
        let event = self.stage.event("GET", target, None);
        event.map(|(_, event)| event)
    }
}

/// Invokes a function, and checks that the answer is no error and no truncated list.
fn invoke(ask: Ask, function: &mut Function, event: &str) -> Result<Answer> {
    if interrupted() {
        return Err(Error::new("stopped"));
    }
    let answer = function.invoke(event.as_bytes())?;
    let is_right = match ask {
        Ask::Batch => queue::is_done(&answer.body),
        Ask::Each(_) => http_answer(&answer)?.0 == 200,
        Ask::Same(_) => http_answer(&answer)?
            .1
            .as_array()
            .is_some_and(|list| list.len() == 10),
    };
    match is_right {
        true => Ok(answer),
        false => {
            let text = String::from_utf8_lossy(&answer.body);
            Err(Error::new(format!("a function answered {text}")))
        }
    }
}

/// The cursor in the link to the next page.
fn cursor(answer: &str) -> Option<String> {
    let (_, rest) = answer.split_once("cursor=")?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_'))?;
    Some(rest[..end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operation_s_name_is_the_prefix_of_another() {
        for (at, operation) in OPERATIONS.iter().enumerate() {
            assert_eq!(place(&format!("{}, 1,000", operation.name)), Some(at));
        }
    }

    #[test]
    fn a_cursor_is_read_from_a_link() {
        let link = r#"<https://api.example.com/tasks/?limit=12&cursor=aB-_9>; rel=\"next\""#;
        assert_eq!(cursor(link).as_deref(), Some("aB-_9"));
        assert_eq!(cursor("[]"), None);
    }
}
