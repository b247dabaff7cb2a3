use local_stack::gateway::Slash;

use super::*;

fn parse_words(words: &str) -> Result<Command> {
    parse(words.split_whitespace().map(OsString::from))
}

#[test]
fn run_takes_its_options() {
    let command = parse_words("run --port 8000 --data rows --release --delay=40").unwrap();
    let Command::Run(options) = command else {
        panic!("not run")
    };
    assert_eq!(
        (options.http_port, options.aws_port),
        (8000, stack::AWS_PORT)
    );
    assert!(options.release && options.reload);
    assert_eq!(options.delay, Duration::from_millis(40));
    assert!(options.data.unwrap().is_absolute());
}

#[test]
fn run_takes_allowed_hosts_and_three_ways_of_slashes() {
    let words = "run --allow-host localhost:8000 --allow-host=[::1]:80 --slash bare";
    let Command::Run(options) = parse_words(words).unwrap() else {
        panic!("not run")
    };
    assert_eq!(options.allow_hosts, ["localhost:8000", "[::1]:80"]);
    assert_eq!(options.slash, Slash::Bare);
    let Command::Run(options) = parse_words("run").unwrap() else {
        panic!("not run")
    };
    assert_eq!(options.slash, Slash::Match);
    for server in [
        "localhost",
        "http://localhost:80",
        ":80",
        "localhost:",
        "localhost:0",
        "localhost:65536",
        "a,b:80",
        "*:80",
        "::1:80",
        "[::1:80",
        "[]:80",
        "a:+80",
        "localhost:80/",
    ] {
        let error = parse_words(&format!("run --allow-host {server}")).unwrap_err();
        assert!(error.to_string().contains("HOST:PORT"), "{server}: {error}");
    }
}

#[test]
fn run_takes_a_celery_application() {
    let words =
        "run --celery shop --celery-app shop.celery:app --celery-queues low,high --celery-beat";
    let Command::Run(options) = parse_words(words).unwrap() else {
        panic!("not run")
    };
    let application = options.celery.unwrap();
    assert!(application.folder.is_absolute() && application.folder.ends_with("shop"));
    assert_eq!(application.app.as_deref(), Some("shop.celery:app"));
    assert!(application.beat);
    assert_eq!(application.queues, ["low", "high"]);
    assert_eq!(options.concurrency, 12);
    let error = parse_words("run --celery-app shop").unwrap_err();
    assert!(error.to_string().contains("--celery DIR"));
    let Command::Run(options) = parse_words("run").unwrap() else {
        panic!("not run")
    };
    assert_eq!((options.celery, options.concurrency), (None, 4));
}

#[test]
fn deploy_takes_its_options() {
    let words = "deploy --local --aws-port 0 --upstream-port=9101 --release \
                 --parameter AuthMode=none --slash default";
    let Command::Deploy(options) = parse_words(words).unwrap() else {
        panic!("not deploy")
    };
    assert_eq!((options.aws_port, options.upstream_port), (0, 9101));
    assert!(options.release && options.progress);
    assert_eq!(options.slash, Slash::Default);
    let mode = ("AuthMode".to_owned(), "none".to_owned());
    assert_eq!(options.parameters, [mode]);
}

#[test]
fn keys_takes_a_place_and_passes_other_arguments_on() {
    let local = "http://127.0.0.1:9001";
    for (words, place, rest) in [
        ("keys list", Place::default(), "list"),
        ("keys list --local", Place::default(), "list"),
        (
            "keys --stack=x revoke 5",
            Place::Account("x".to_owned()),
            "revoke 5",
        ),
        (
            &format!("keys create --name a --endpoint {local} --scopes read"),
            Place::Local(local.to_owned()),
            "create --name a --scopes read",
        ),
    ] {
        let Command::Keys(found, words) = parse_words(words).unwrap() else {
            panic!("not keys")
        };
        assert_eq!((found, words.join(" ")), (place, rest.to_owned()));
    }
    assert!(parse_words("keys list --stack").is_err());
}

#[test]
fn smoke_takes_its_options() {
    let words = "smoke --url https://x.example/prod/ --key as_1_2 --origin=https://a.example";
    let Command::Smoke(options) = parse_words(words).unwrap() else {
        panic!("not smoke")
    };
    assert_eq!(options.url, "https://x.example/prod/");
    assert_eq!(options.key.as_deref(), Some("as_1_2"));
    assert_eq!(options.origin.as_deref(), Some("https://a.example"));
}

#[test]
fn faults_take_their_options() {
    let Command::Faults(options) = parse_words("faults --seed 7 --tasks=50").unwrap() else {
        panic!("not faults")
    };
    assert_eq!((options.seed, options.tasks), (Some(7), 50));
}

#[test]
fn bench_takes_its_options() {
    let words = "bench --quick --only start,urls --rounds=3";
    let Command::Bench(options) = parse_words(words).unwrap() else {
        panic!("not bench")
    };
    assert_eq!(options.only.as_deref(), Some("start,urls"));
    assert!(options.quick && options.rounds == Some(3));
}

#[test]
fn test_generate_and_help_are_parsed() {
    let quick = parse_words("test --quick").unwrap();
    assert!(matches!(quick, Command::Test(TestOptions { quick: true })));
    assert!(matches!(
        parse_words("generate").unwrap(),
        Command::Generate
    ));
    for words in ["", "help", "--help", "run -h"] {
        assert!(
            matches!(parse_words(words).unwrap(), Command::Help),
            "{words}"
        );
    }
}

#[test]
fn errors_are_one_line_that_points_to_help() {
    for words in [
        "walk",
        "run --port x",
        "run --port",
        "run 5",
        "test --fast",
        "--x",
        "run --port 70000",
        "run --concurrency 0",
        "run --slash both",
        "deploy",
        "deploy --local --data rows",
        "deploy --local --parameter AuthMode",
        "smoke --key as_1_2",
        "faults --seed x",
        "bench --rounds 0",
        "bench --only",
    ] {
        let error = parse_words(words).unwrap_err().to_string();
        assert!(error.ends_with("(see `cargo xtask help`)"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
