//! The documentation's pages in a real browser, if one is installed.

use serde_json::Value;

use crate::service::Service;
use crate::webdriver::Browser;

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
