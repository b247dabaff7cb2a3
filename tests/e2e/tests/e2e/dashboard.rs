//! The operator's page in a real browser, if one is installed.

use std::path::PathBuf;
use std::time::Duration;

use local_stack::project;
use serde_json::{Value, json};

use crate::service::Service;
use crate::webdriver::Browser;

/// The width of a small telephone.
const NARROW: u32 = 360;

/// A number that a browser's own numbers would round.
const LARGE: &str = "12345678901234567890";

/// The dashboard with this view, in a new browser.
fn start(service: &Service, view: &str) -> Option<Browser> {
    let browser = Browser::start()?;
    browser.resize(1280, 860);
    open(&browser, service, view);
    Some(browser)
}

/// Loads a view anew.
fn open(browser: &Browser, service: &Service, view: &str) {
    browser.open("about:blank");
    browser.open(&format!("{}/dashboard#/{view}", service.url()));
}

/// Asserts that axe-core finds nothing to object to. Skipped unless `docs/TESTING.md`'s command has brought
/// axe-core into the target folder.
fn is_accessible(browser: &Browser, view: &str) {
    let Ok(axe) = std::fs::read_to_string(axe()) else {
        println!("skipped: axe-core is not in {}", axe().display());
        return;
    };
    browser.script(&axe, &[]);
    let found = browser.later(
        "const done = arguments[0];\
         axe.run(document, {resultTypes: ['violations']}).then((result) => done(result.violations.map(\
         (one) => [one.id, one.nodes.map((node) => node.html)])), (error) => done([String(error)]));",
    );
    assert_eq!(found, json!([]), "{view}: {found:#}");
}

fn axe() -> PathBuf {
    project::target().join("axe/package/axe.min.js")
}

/// A task that fails at once.
fn failing(service: &Service) -> String {
    let source = json!({"source_url": "http://169.254.169.254/x.csv"});
    let id = service.submit(&json!({"job": "process_data", "input": source}));
    service.until_state(&id, "failed");
    id
}

pub fn shows_every_page(service: &Service) {
    let done = service.submit(&json!({"job": "process_data", "input": {"values": [1, 2, 3]}}));
    service.until_state(&done, "completed");
    let failed = failing(service);
    let waiting = json!({"job": "process_data", "input": {}, "options": {"countdown": 800}});
    service.submit(&waiting);
    let schedule = json!({
        "name": "dashboard-nightly", "job": "process_data", "input": {"values": [1, 2]},
        "rule": {"crontab": {"minute": "30", "hour": "2"}}, "timezone": "Europe/Berlin",
    });
    assert_eq!(
        service.post("/schedules/", &schedule.to_string()).status,
        201
    );
    let Some(browser) = start(service, "overview") else {
        return;
    };
    let pages = [
        ("overview", "overview", ".tiles"),
        ("tasks", "tasks", "tbody tr"),
        ("task", &format!("tasks/{done}"), ".json"),
        ("failed-task", &format!("tasks/{failed}"), ".error-panel"),
        ("schedules", "schedules", "tbody tr"),
        ("schedule", "schedules/dashboard-nightly", ".times li"),
        ("new-schedule", "new-schedule", "form.schedule"),
        ("jobs", "jobs", "tbody tr"),
        ("job", "jobs/process_data", "form.submit"),
        ("dead-letters", "letters", ".empty, tbody tr"),
    ];
    for (name, view, element) in pages {
        for (width, scheme) in [
            (1280, "light"),
            (1280, "dark"),
            (NARROW, "light"),
            (NARROW, "dark"),
        ] {
            browser.resize(width, 860);
            browser.prefer(scheme);
            open(&browser, service, view);
            browser.text(element);
            let fits = "return document.documentElement.scrollWidth <= innerWidth";
            browser.until_true(&format!("{view} fits {width} pixels"), fits);
            is_accessible(&browser, view);
            browser.keep_screenshot(&format!("dashboard-{name}-{width}-{scheme}.png"));
        }
        browser.asks_only(&service.url());
        browser.has_no_errors();
    }
    let deleted = service.delete("/schedules/dashboard-nightly");
    assert_eq!(deleted.status, 204);
}

pub fn submits_a_task_by_its_form_and_shows_its_end(service: &Service) {
    let Some(browser) = start(service, "jobs/process_data") else {
        return;
    };
    // The form of the schema: a file by its URL.
    let slow = service.upstream("/data/people.csv?delay_ms=1500");
    browser.fill(".choice .object input", &slow);
    browser.click("form.submit button[type=submit]");
    browser.until_text("h1", "running");
    browser.until_text("h1", "completed");
    assert!(browser.text(".output .json").contains("\"records\""));
    assert!(browser.text(".input .json").contains(&slow));
    // The alternative: JSON, in which a large number and HTML stay what they are.
    open(&browser, service, "jobs/process_data");
    browser.click(".form-or-json .segments button:nth-child(2)");
    let html = "<img src=x onerror=alert(1)><script>alert(2)</script>";
    let input = json!({"text": html}).to_string();
    let input = format!("{},\"large\":{LARGE}}}", input.trim_end_matches('}'));
    browser.fill(".form-or-json textarea", &input);
    browser.click("form.submit button[type=submit]");
    browser.until_text("h1", "completed");
    let shown = browser.text(".output .json");
    assert!(shown.contains(html) && shown.contains(LARGE), "{shown}");
    assert_eq!(
        browser.script(
            "return document.querySelectorAll('main img, main script').length",
            &[]
        ),
        0
    );
    browser.has_no_errors();
}

pub fn shows_new_tasks_live_and_pauses(service: &Service) {
    let Some(browser) = start(service, "tasks") else {
        return;
    };
    browser.text(".bulk-bar, .empty");
    let row = |id: &str| format!("return document.querySelector('a[href*=\"{id}\"]') !== null");
    let first = service.submit(&json!({"job": "process_data", "input": {}}));
    browser.until_true("a new task appears", &row(&first));
    browser.click("button.live");
    let paused = browser.script("return performance.now()", &[]);
    let second = service.submit(&json!({"job": "process_data", "input": {}}));
    service.until_state(&second, "completed");
    // Longer than the time between two updates: only time shows that none comes.
    std::thread::sleep(Duration::from_secs(4));
    let asked = "return performance.getEntriesByType('resource')\
                 .filter((entry) => entry.startTime > arguments[0]).length";
    assert_eq!(browser.script(asked, &[paused]), 0);
    browser.click("button.live");
    browser.until_true("the updates go on", &row(&second));
    browser.has_no_errors();
}

pub fn cancels_and_retries_a_task(service: &Service) {
    let task =
        json!({"job": "process_data", "input": {"values": [1]}, "options": {"countdown": 600}});
    let id = service.submit(&task);
    let Some(browser) = start(service, &format!("tasks/{id}")) else {
        return;
    };
    browser.until_text("h1", "scheduled");
    browser.click(".head .danger");
    browser.click("dialog footer .danger");
    browser.until_text("h1", "cancelled");
    assert_eq!(service.task(&id)["state"], "cancelled");
    browser.click(".head .actions button");
    browser.until_text("h1", "completed");
    assert_eq!(service.task(&id)["run"], 2);
    browser.has_no_errors();
}

pub fn retries_all_that_match_a_link_s_filters(service: &Service) {
    let since = jiff::Timestamp::now();
    let failed: Vec<String> = (0..3).map(|_| failing(service)).collect();
    let filters = format!("tasks?state=failed&job=process_data&created_after={since}");
    let Some(browser) = start(service, &filters) else {
        return;
    };
    let rows = "return document.querySelectorAll('tbody tr').length";
    browser.until_true("three tasks match", &format!("{rows} === 3"));
    assert!(browser.text(".tags").contains("process_data"));
    browser.click(".bulk-bar button");
    browser.until_text("dialog .count", "3 tasks");
    browser.keep_screenshot("dashboard-bulk.png");
    browser.click("dialog footer .primary");
    browser.until_text("dialog .done", "3 tasks retried");
    for id in failed {
        service.eventually("the task runs again", || {
            (service.task(&id)["run"] == 2).then_some(())
        });
    }
    browser.click("dialog footer .primary");
    browser.has_no_errors();
}

pub fn is_used_with_the_keyboard_alone(service: &Service) {
    let task = json!({"job": "process_data", "input": {}, "options": {"countdown": 700}});
    let id = service.submit(&task);
    let Some(browser) = start(service, "overview") else {
        return;
    };
    browser.text("h1");
    browser.press("?");
    browser.until_text("dialog h2", "Keys");
    browser.press(Browser::ESCAPE);
    browser.until_true(
        "the dialog closes",
        "return document.querySelector('dialog') === null",
    );
    browser.press("gt");
    browser.text("tbody tr");
    // The newest task is the first.
    let focused = "return document.activeElement.matches(arguments[0])";
    browser.press("j");
    let link = format!("a.row-link[href$=\"{id}\"]");
    assert_eq!(browser.script(focused, &[json!(link)]), true);
    let outline = "return getComputedStyle(document.activeElement).outlineStyle";
    assert_eq!(browser.script(outline, &[]), "solid");
    browser.press(Browser::ENTER);
    browser.until_text("h1", "scheduled");
    browser.press("c");
    // The focus stays inside of the dialog.
    browser.until_true(
        "the dialog has the focus",
        "return document.activeElement.closest('dialog') !== null",
    );
    for _ in 0..5 {
        browser.press(Browser::TAB);
        let inside = "return document.activeElement === document.body || document.activeElement.closest('dialog') !== null";
        assert_eq!(browser.script(inside, &[]), true);
    }
    browser.script(
        "document.querySelector('dialog footer .danger').focus()",
        &[],
    );
    browser.press(Browser::ENTER);
    browser.until_text("h1", "cancelled");
    // A task is found by its id.
    browser.press("/");
    browser.press(&id);
    browser.press(Browser::ENTER);
    browser.until_text(".ids", &id);
    browser.has_no_errors();
}

pub fn recovers_from_a_lost_network(service: &Service) {
    let Some(browser) = start(service, "tasks") else {
        return;
    };
    browser.text(".bulk-bar, .empty");
    browser.go_offline(true);
    browser.until_text(".failure", "No answer");
    browser.until_text("button.live", "No answer");
    browser.go_offline(false);
    // The page may have tried again by itself meanwhile.
    let again = "document.querySelector('.failure button')?.click()";
    browser.script(again, &[]);
    browser.until_true(
        "the failure is gone",
        "return document.querySelector('.failure') === null",
    );
    // A task that does not exist is said to be unknown.
    open(
        &browser,
        service,
        "tasks/00000000-0000-4000-8000-000000000000",
    );
    browser.until_text(".failure", "Task not found");
}

/// With keys: the page asks, refuses a wrong key, and offers a reader no action.
pub fn asks_for_a_key_and_shows_what_the_key_allows(service: &Service) {
    let Some(browser) = start(service, "tasks") else {
        return;
    };
    is_accessible(&browser, "the question for a key");
    browser.fill("#key", "as_0000000000000000_wrong");
    browser.press(Browser::ENTER);
    browser.until_text("form .error", "Invalid authentication credentials");
    let reads = service.new_key("reader", "read");
    browser.fill("#key", &reads);
    browser.press(Browser::ENTER);
    browser.until_text(".tools", "read only");
    assert_eq!(
        browser.script("return document.querySelector('.bulk-bar')", &[]),
        Value::Null
    );
    let kept = "return [sessionStorage.length, Object.values(localStorage).join()]";
    let kept = browser.script(kept, &[]);
    assert!(!kept[1].as_str().unwrap().contains(&reads), "{kept}");
    browser.keep_screenshot("dashboard-read-only.png");
    // The owner of another key sees the own tasks alone.
    browser.click("button[aria-label='Forget the key']");
    let own = service.new_key("owner", "read,write");
    browser.fill("#key", &own);
    browser.press(Browser::ENTER);
    browser.until_text("main", "No task matches");
}
