//! The documentation's pages in a real browser, if one is installed: Chromium, controlled over
//! WebDriver (on Debian, the packages `chromium` and `chromium-driver`).

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_stack::project;
use serde_json::{Value, json};
use ureq::Agent;

use crate::service::Service;

/// The longest wait for the browser.
const PATIENCE: Duration = Duration::from_secs(60);

pub fn docs_submit_a_task(service: &Service) {
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&format!("{}/docs", service.url()));
    let operation = "#operations-tasks-process_process__post";
    browser.click(&format!("{operation} .opblock-summary-control"));
    browser.click(&format!("{operation} .try-out__btn"));
    browser.click(&format!("{operation} .execute"));
    let answered = format!("{operation} .live-responses-table .microlight");
    let answer: Value = serde_json::from_str(&browser.text(&answered)).unwrap();
    browser.show(&answered);
    browser.keep_screenshot("docs.png");
    let task_id = answer["task_id"].as_str().unwrap();
    assert_eq!(service.result(task_id)["status"], "completed");
    browser.has_no_errors();
}

pub fn redoc_shows_the_routes(service: &Service) {
    let Some(browser) = Browser::start() else {
        return;
    };
    browser.open(&format!("{}/redoc", service.url()));
    let operation = "[data-section-id='tag/tasks/operation/process_process__post'] h2";
    assert_eq!(browser.text(operation).trim(), "Process");
    browser.keep_screenshot("redoc.png");
    browser.has_no_errors();
}

/// A browser with one open window.
struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
}

impl Browser {
    /// Starts a browser. `None` without chromedriver, or with CI set.
    fn start() -> Option<Browser> {
        if std::env::var_os("CI").is_some() {
            println!("skipped: no browser is started where CI is set");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
        let port = port.unwrap().port();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(driver) = driver else {
            println!("skipped: chromedriver is not installed");
            return None;
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build();
        let mut browser = Browser {
            driver,
            agent: agent.into(),
            session: format!("http://127.0.0.1:{port}"),
        };
        browser.until("the driver answers", || {
            let status = browser.agent.get(format!("{}/status", browser.session));
            status.call().ok().map(drop)
        });
        let session = browser.ask("/session", capabilities());
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("http://127.0.0.1:{port}/session/{id}");
        Some(browser)
    }

    fn open(&self, url: &str) {
        self.ask("/url", json!({"url": url}));
    }

    /// Clicks an element as soon as it is clickable.
    fn click(&self, selector: &str) {
        self.until(&format!("a click on {selector}"), || {
            let element = self.find(selector)?;
            let clicked = self.try_ask(&format!("/element/{element}/click"), json!({}));
            clicked.ok().map(drop)
        });
    }

    /// The text of an element, as soon as the element has a text.
    fn text(&self, selector: &str) -> String {
        self.until(&format!("the text of {selector}"), || {
            let element = self.find(selector)?;
            let script = json!({
                "script": "return arguments[0].innerText",
                "args": [{"element-6066-11e4-a52e-4f735466cecf": element}],
            });
            let text = self.try_ask("/execute/sync", script).ok()?;
            text.as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned)
        })
    }

    /// Scrolls to an element.
    fn show(&self, selector: &str) {
        let script = json!({
            "script": "document.querySelector(arguments[0]).scrollIntoView({block: 'center'})",
            "args": [selector],
        });
        self.ask("/execute/sync", script);
    }

    fn find(&self, selector: &str) -> Option<String> {
        let wanted = json!({"using": "css selector", "value": selector});
        let found = self.try_ask("/element", wanted).ok()?;
        let id = found.as_object()?.values().next()?;
        id.as_str().map(str::to_owned)
    }

    /// Asserts that the page has logged no refused, missing or failed request.
    fn has_no_errors(&self) {
        let entries = self.ask("/se/log", json!({"type": "browser"}));
        let severe = |entry: &&Value| entry["level"] == "SEVERE";
        let errors: Vec<&Value> = entries.as_array().unwrap().iter().filter(severe).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    fn keep_screenshot(&self, name: &str) {
        let answer = self
            .agent
            .get(format!("{}/screenshot", self.session))
            .call();
        let answer = answer.unwrap().body_mut().read_to_string().unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let image = STANDARD.decode(answer["value"].as_str().unwrap()).unwrap();
        let path = screenshots().join(name);
        std::fs::write(&path, image).unwrap();
        println!("the screenshot is {}", path.display());
    }

    fn ask(&self, path: &str, wanted: Value) -> Value {
        self.try_ask(path, wanted)
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    fn try_ask(&self, path: &str, wanted: Value) -> Result<Value, String> {
        let url = format!("{}{path}", self.session);
        let sent = self.agent.post(url).send(wanted.to_string());
        let mut answer = sent.map_err(|error| error.to_string())?;
        let text = answer.body_mut().read_to_string();
        let text = text.map_err(|error| error.to_string())?;
        let mut value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match answer.status().is_success() {
            true => Ok(value["value"].take()),
            false => Err(text),
        }
    }

    #[track_caller]
    fn until<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = attempt() {
                return found;
            }
            if started.elapsed() > PATIENCE {
                self.keep_screenshot("failed.png");
                panic!("timed out: {what}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Deleting the session closes the browser; killing the driver would leave the browser open.
        let _ = self.agent.delete(&self.session).call();
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// Headless, and without access to any host but this one.
fn capabilities() -> Value {
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        "--window-size=1280,1600",
    ];
    json!({"capabilities": {"alwaysMatch": {
        "browserName": "chrome",
        "goog:chromeOptions": {"args": arguments},
        "goog:loggingPrefs": {"browser": "ALL"},
    }}})
}

fn screenshots() -> PathBuf {
    let folder = project::target().join("e2e-browser");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}
