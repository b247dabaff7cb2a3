//! Benchmarks of code without I/O: `cargo bench -p bench --bench pure`, optionally with `-- WORD`
//! for the benchmarks whose names contain the word.
//!
//! `cargo xtask bench` measures whole functions; these benchmarks show how much of that time each
//! part takes.

fn main() {
    divan::main();
}

/// Requests: from an event's bytes to checked values, and from an error to a 422.
mod requests {
    use async_service::jobs::CATALOG;
    use async_service::remote::bodies::Bodies;
    use async_service::web::request;
    use async_service::web::submission::Submission;
    use async_service::web::user::new_user;
    use async_service::web::{Body, Extract, HttpError, Request, Response, all};
    use aws_lambda_events::apigw::ApiGatewayV2httpRequest;
    use divan::{Bencher, black_box};
    use serde_json::json;

    /// A time, in milliseconds since the Unix epoch.
    const NOW: u64 = 1_767_225_600_000;

    /// API Gateway's event for `GET /items/{item_id}` or for a `POST`.
    fn event(method: &str, path: &str, query: &str, body: Option<&str>) -> Vec<u8> {
        let event = json!({
            "version": "2.0",
            "routeKey": format!("{method} {path}"),
            "rawPath": path,
            "rawQueryString": query,
            "headers": {
                "accept": "application/json",
                "content-type": "application/json",
                "host": "api.example.com",
                "user-agent": "client/1.0",
                "x-amzn-trace-id": "Root=1-65f1b2c3-0123456789abcdef01234567",
                "x-forwarded-for": "192.0.2.1",
                "x-forwarded-port": "443",
                "x-forwarded-proto": "https",
            },
            "pathParameters": {"item_id": "42"},
            "requestContext": {
                "accountId": "000000000000",
                "apiId": "a1b2c3d4e5",
                "authorizer": {"lambda": {"caller": "ada", "scopes": "read write"}},
                "domainName": "api.example.com",
                "domainPrefix": "api",
                "http": {
                    "method": method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": "192.0.2.1",
                    "userAgent": "client/1.0",
                },
                "requestId": "Abcdefghijklmno=",
                "routeKey": format!("{method} {path}"),
                "stage": "$default",
                "time": "01/Jan/2026:00:00:00 +0000",
                "timeEpoch": NOW,
            },
            "body": body,
            "isBase64Encoded": false,
        });
        event.to_string().into_bytes()
    }

    fn parse(event: &[u8], route: &'static str) -> Request {
        let event: ApiGatewayV2httpRequest = serde_json::from_slice(event).expect("an event");
        request::from_event(event, route)
    }

    fn post(body: &str) -> Request {
        parse(&event("POST", "/", "", Some(body)), "/")
    }

    /// Parses an event's bytes into a request.
    #[divan::bench]
    fn from_event(bencher: Bencher) {
        let event = event("GET", "/items/42", "q=lamp&limit=10", None);
        bencher.bench(|| parse(black_box(&event), "/items/{item_id}"));
    }

    /// The parameters of `GET /items/{item_id}?q=`.
    #[divan::bench]
    fn parameters(bencher: Bencher) {
        let event = event("GET", "/items/42", "q=lamp&limit=10", None);
        let request = parse(&event, "/items/{item_id}");
        let read = |request: &Request| {
            let parts = (request.path_int("item_id"), request.query_optional("q"));
            all(parts).expect("valid parameters")
        };
        bencher.bench(|| read(black_box(&request)));
    }

    /// The body of `POST /users/`.
    #[divan::bench]
    fn user(bencher: Bencher) {
        let request = post(r#"{"name":"Ada","email":"ada@example.com","roles":["a","b"]}"#);
        bencher.bench(|| all((new_user(black_box(&request)),)).expect("a user"));
    }

    /// The body of `POST /tasks/`, with options.
    #[divan::bench]
    fn submission(bencher: Bencher) {
        let request = post(
            r#"{"job":"process_data","input":{"values":[1,2,3]},
                "options":{"countdown":5,"max_retries":2,"time_limit":60,"priority":"high"}}"#,
        );
        let read =
            |request: &Request| all((Submission::read(request, CATALOG, &Bodies::default(), NOW),));
        bencher.bench(|| read(black_box(&request)).expect("a submission"));
    }

    /// The 422 for parameters that are not numbers.
    #[divan::bench]
    fn wrong_parameters(bencher: Bencher) {
        let event = event("GET", "/items/foo", "limit=many&skip=1.5", None);
        let request = parse(&event, "/items/{id}");
        let read = |request: &Request| {
            let (skip, limit) = (request.query_int("skip", 0), request.query_int("limit", 10));
            refusal(all((
                request.path_int("id"),
                skip,
                limit,
                request.query_required("q"),
            )))
        };
        bencher.bench(|| read(black_box(&request)));
    }

    /// The 422 for a submission whose job, options and input are all wrong.
    #[divan::bench]
    fn wrong_submission(bencher: Bencher) {
        let request = post(
            r#"{"job":"no_such_job","input":[1,2,3],
                "options":{"countdown":-5,"max_retries":"two","time_limit":0,"priority":"urgent"}}"#,
        );
        let read = |request: &Request| {
            refusal(all((Submission::read(
                request,
                CATALOG,
                &Bodies::default(),
                NOW,
            ),)))
        };
        bencher.bench(|| read(black_box(&request)));
    }

    /// The answer to a caller.
    fn refusal<T>(read: Result<T, HttpError>) -> Response<Body> {
        let refused = read.err().expect("a wrong request");
        let answer = Response::from(refused);
        assert_eq!(answer.status(), 422);
        answer
    }
}

/// A task's message, and the state function of tasks.
mod tasks {
    use async_service::tasks::state::{Event, State, next};
    use async_service::tasks::task::{Options, Priority, Task};
    use async_service::tasks::wire;
    use divan::{Bencher, black_box};
    use serde_json::value::RawValue;
    use uuid::Uuid;

    /// A task with an input of about this many bytes.
    fn task(bytes: usize) -> Task {
        let values: Vec<usize> = (1..).take(bytes / 4).collect();
        let input = serde_json::json!({"values": values}).to_string();
        let input = RawValue::from_string(input).expect("JSON");
        let options = Options {
            max_retries: Some(2),
            time_limit: Some(60),
            priority: Priority::High,
            ..Options::default()
        };
        Task::new(Uuid::from_u128(7), "process_data", input, 1_767_225_600_000)
            .with_options(options)
    }

    /// Encodes a task as a message.
    #[divan::bench(args = [16, 16_384])]
    fn encode(bencher: Bencher, bytes: usize) {
        let task = task(bytes);
        bencher.bench(|| wire::encode(black_box(&task)).expect("a message"));
    }

    /// Decodes a task from a message.
    #[divan::bench(args = [16, 16_384])]
    fn decode(bencher: Bencher, bytes: usize) {
        let message = wire::encode(&task(bytes)).expect("a message");
        bencher.bench(|| wire::decode(black_box(&message), 1_767_225_600_000).expect("a task"));
    }

    /// Each event in each state and without a record: 144 transitions.
    #[divan::bench]
    fn all_edges() -> usize {
        let states = State::ALL.into_iter().map(Some).chain([None]);
        let edges = states.flat_map(|state| Event::ALL.map(|event| (state, event)));
        let allowed = |(state, event)| next(black_box(state), black_box(event)).is_ok();
        edges.filter(|edge| allowed(*edge)).count()
    }
}

/// The statistics of `process_data`.
mod profile {
    use std::fmt::Write as _;

    use async_service::profile::Profiler;
    use async_service::profile::records::{Claims, Format, Record, Records};
    use divan::counter::{BytesCount, ItemsCount};
    use divan::{Bencher, black_box};

    /// The number of records in a file.
    const RECORDS: usize = 1_000;

    fn csv() -> Vec<u8> {
        let mut text = "id,name,country,score,note\n".to_owned();
        for number in 0..RECORDS {
            let (country, score) = (number % 20, number as f64 / 8.0);
            let _ = writeln!(text, "{number},Name {number},C{country},{score},\"a, b\"");
        }
        text.into_bytes()
    }

    fn json_lines() -> Vec<u8> {
        let mut text = String::new();
        for number in 0..RECORDS {
            let (country, score) = (number % 20, number as f64 / 8.0);
            let _ = writeln!(
                text,
                r#"{{"id":{number},"name":"Name {number}","at":{{"country":"C{country}"}},"scores":[{score},1]}}"#
            );
        }
        text.into_bytes()
    }

    /// Calls `each` with each record of a file.
    fn read(format: Format, file: &[u8], mut each: impl FnMut(Record<'_>)) {
        let mut count = 0;
        let format = Some(format);
        let mut reader = Records::new(Claims {
            format,
            ..Claims::default()
        });
        let mut counted = |record: Record<'_>| {
            count += 1;
            each(record);
        };
        reader.feed(file, &mut counted).expect("a file");
        reader.finish(&mut counted).expect("a file");
        assert_eq!(count, RECORDS);
    }

    /// Reads the records of a CSV file.
    #[divan::bench]
    fn read_csv(bencher: Bencher) {
        let file = csv();
        let bencher = bencher.counter(BytesCount::of_slice(&file));
        bencher.bench(|| {
            read(Format::Csv, black_box(&file), |record| {
                black_box(record);
            })
        });
    }

    /// Reads the records of a JSON Lines file.
    #[divan::bench]
    fn read_json_lines(bencher: Bencher) {
        let file = json_lines();
        let bencher = bencher.counter(BytesCount::of_slice(&file));
        bencher.bench(|| {
            read(Format::JsonLines, black_box(&file), |record| {
                black_box(record);
            });
        });
    }

    fn counted(format: Format, file: &[u8]) -> Profiler {
        let mut profiler = Profiler::new();
        read(format, file, |record| profiler.record(record));
        profiler
    }

    /// Reads the records of a CSV file and adds them to the statistics.
    #[divan::bench]
    fn count_flat_records(bencher: Bencher) {
        let file = csv();
        let bencher = bencher.counter(ItemsCount::new(RECORDS));
        bencher.bench(|| counted(Format::Csv, black_box(&file)));
    }

    /// Reads records with nested objects and lists, and adds them to the statistics.
    #[divan::bench]
    fn count_nested_records(bencher: Bencher) {
        let file = json_lines();
        let bencher = bencher.counter(ItemsCount::new(RECORDS));
        bencher.bench(|| counted(Format::JsonLines, black_box(&file)));
    }

    /// Writes the statistics as the profile's JSON.
    #[divan::bench]
    fn finish(bencher: Bencher) {
        let profiler = counted(Format::JsonLines, &json_lines());
        let bencher = bencher.with_inputs(|| profiler.clone());
        let write = |profile| serde_json::to_string(&profile).expect("a profile");
        bencher.bench_values(|profiler| write(profiler.finish()));
    }
}

/// JSON as Python reads and writes it, compared with `serde_json` with preserved order of keys.
mod json {
    use async_service::json;
    use divan::counter::BytesCount;
    use divan::{Bencher, black_box};
    use serde_json::{Value, json};

    /// The numbers of small objects in a list.
    const SIZES: [usize; 2] = [1, 1_000];

    fn text(objects: usize) -> String {
        let object = |number: usize| {
            json!({
                "id": number,
                "name": format!("Lämp {number}"),
                "price": number as f64 / 8.0,
                "tags": ["a", "b\n"],
                "size": {"w": 1, "h": null, "ok": true},
            })
        };
        let objects: Vec<Value> = (0..objects).map(object).collect();
        Value::from(objects).to_string()
    }

    /// Parses a text with this project's parser.
    #[divan::bench(args = SIZES)]
    fn parse(bencher: Bencher, objects: usize) {
        let text = text(objects);
        let bencher = bencher.counter(BytesCount::of_str(&text));
        bencher.bench(|| json::parse(black_box(text.as_bytes())).expect("JSON"));
    }

    /// Parses a text with `serde_json`.
    #[divan::bench(args = SIZES)]
    fn parse_by_serde_json(bencher: Bencher, objects: usize) {
        let text = text(objects);
        let bencher = bencher.counter(BytesCount::of_str(&text));
        let read = |text: &[u8]| serde_json::from_slice::<Value>(text).expect("JSON");
        bencher.bench(|| read(black_box(text.as_bytes())));
    }

    /// Writes a value with this project's writer.
    #[divan::bench(args = SIZES)]
    fn write(bencher: Bencher, objects: usize) {
        let text = text(objects);
        let value = json::parse(text.as_bytes()).expect("JSON");
        let bencher = bencher.counter(BytesCount::of_str(&text));
        bencher.bench(|| black_box(&value).to_text().expect("finite numbers"));
    }

    /// Writes a value with `serde_json`.
    #[divan::bench(args = SIZES)]
    fn write_by_serde_json(bencher: Bencher, objects: usize) {
        let text = text(objects);
        let value: Value = serde_json::from_str(&text).expect("JSON");
        let bencher = bencher.counter(BytesCount::of_str(&text));
        bencher.bench(|| serde_json::to_string(black_box(&value)).expect("JSON"));
    }
}
