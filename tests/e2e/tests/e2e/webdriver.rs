//! Chromium, controlled over WebDriver (on Debian, the packages `chromium` and `chromium-driver`).

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local_stack::project;
use serde_json::{Value, json};
use ureq::Agent;

/// The longest wait for the browser.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one open window.
pub struct Browser {
    driver: Child,
    agent: Agent,
    session: String,
}

impl Browser {
    /// Starts a browser. `None` without chromedriver, or with CI set.
    pub fn start() -> Option<Browser> {
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

    pub fn open(&self, url: &str) {
        self.ask("/url", json!({"url": url}));
    }

    /// Clicks an element as soon as it is clickable.
    pub fn click(&self, selector: &str) {
        self.until(&format!("a click on {selector}"), || {
            let element = self.find(selector)?;
            let clicked = self.try_ask(&format!("/element/{element}/click"), json!({}));
            clicked.ok().map(drop)
        });
    }

    /// The text of an element, as soon as the element has a text.
    pub fn text(&self, selector: &str) -> String {
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
    pub fn show(&self, selector: &str) {
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
    pub fn has_no_errors(&self) {
        let entries = self.ask("/se/log", json!({"type": "browser"}));
        let severe = |entry: &&Value| entry["level"] == "SEVERE";
        let errors: Vec<&Value> = entries.as_array().unwrap().iter().filter(severe).collect();
        assert!(errors.is_empty(), "{errors:#?}");
    }

    pub fn keep_screenshot(&self, name: &str) {
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

    /// The value of a script, whose `arguments` are `args`.
    pub fn script(&self, script: &str, args: &[Value]) -> Value {
        self.ask("/execute/sync", json!({"script": script, "args": args}))
    }

    /// The value of a script that calls its last argument with the value.
    pub fn later(&self, script: &str) -> Value {
        self.ask("/execute/async", json!({"script": script, "args": []}))
    }

    /// Waits until a script's value is true.
    #[track_caller]
    pub fn until_true(&self, what: &str, script: &str) {
        self.until(what, || (self.script(script, &[]) == true).then_some(()));
    }

    /// Waits until an element's text contains a text.
    #[track_caller]
    pub fn until_text(&self, selector: &str, expected: &str) {
        self.until(&format!("{expected} in {selector}"), || {
            let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
            let text = self.script(script, &[selector.into()]);
            text.as_str()?.contains(expected).then_some(())
        });
    }

    /// Writes into a field, in place of what is there.
    pub fn fill(&self, selector: &str, text: &str) {
        self.click(selector);
        let script = "document.querySelector(arguments[0]).value = ''";
        self.script(script, &[selector.into()]);
        self.press(text);
    }

    /// Presses keys one after the other. [`Browser::ENTER`] and its like are special keys.
    pub fn press(&self, keys: &str) {
        let key = |kind: &str, key: char| json!({"type": kind, "value": key.to_string()});
        let presses = keys.chars();
        let presses = presses.flat_map(|one| [key("keyDown", one), key("keyUp", one)]);
        let presses: Vec<Value> = presses.collect();
        let keyboard = json!({"type": "key", "id": "keyboard", "actions": presses});
        self.ask("/actions", json!({"actions": [keyboard]}));
    }

    /// The key Enter.
    pub const ENTER: &str = "\u{e007}";
    /// The key Tab.
    pub const TAB: &str = "\u{e004}";
    /// The key Escape.
    pub const ESCAPE: &str = "\u{e00c}";

    /// Sets the size of the window's content. A narrow window is a telephone's.
    pub fn resize(&self, width: u32, height: u32) {
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500,
        });
        self.tool("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Lets the system prefer dark or light colours.
    pub fn prefer(&self, scheme: &str) {
        let feature = json!({"name": "prefers-color-scheme", "value": scheme});
        self.tool(
            "Emulation.setEmulatedMedia",
            &json!({"features": [feature]}),
        );
    }

    /// Cuts the network, or connects it again.
    pub fn go_offline(&self, is_offline: bool) {
        self.tool("Network.enable", &json!({}));
        let conditions = json!({
            "offline": is_offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1,
        });
        self.tool("Network.emulateNetworkConditions", &conditions);
    }

    /// Calls a command of Chromium's developer tools.
    fn tool(&self, command: &str, parameters: &Value) {
        let wanted = json!({"cmd": command, "params": parameters});
        self.ask("/goog/cdp/execute", wanted);
    }

    /// Asserts that every request of the page went to the service.
    pub fn asks_only(&self, url: &str) {
        let script = "return performance.getEntries().map((entry) => entry.name)\
                      .filter((name) => /^[a-z]+:/.test(name))";
        let names = self.script(script, &[]);
        let names = names.as_array().unwrap();
        assert!(!names.is_empty());
        for name in names.iter().filter_map(Value::as_str) {
            assert!(name.starts_with(url), "{name}");
        }
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
    pub fn until<T>(&self, what: &str, attempt: impl Fn() -> Option<T>) -> T {
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
