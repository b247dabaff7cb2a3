// `cargo xtask generate` writes this file.

/// The functions with routes for callers, in the order of the variable `FUNCTIONS` in the
/// template.
pub(super) const FUNCTIONS: &[&str] = &[
    "list_items",
    "create_item",
    "read_item",
    "update_item",
    "delete_item",
    "list_users",
    "create_user",
    "read_user",
    "update_user",
    "delete_user",
    "fetch",
    "process",
    "result",
    "list_tasks",
    "create_task",
    "read_task",
    "cancel_task",
    "retry_task",
    "list_jobs",
];

/// The path, the methods and the function of each route. The paths are FastAPI's: a slash at the
/// end included. The routes of a path are in their order.
pub(super) const ROUTES: &[(&str, &str, &str)] = &[
    ("/", "GET", "root"),
    ("/items/", "GET", "list_items"),
    ("/items/", "POST", "create_item"),
    ("/items/{item_id}", "GET", "read_item"),
    ("/items/{item_id}", "PUT", "update_item"),
    ("/items/{item_id}", "DELETE", "delete_item"),
    ("/users/", "GET", "list_users"),
    ("/users/", "POST", "create_user"),
    ("/users/{user_id}", "GET", "read_user"),
    ("/users/{user_id}", "PUT", "update_user"),
    ("/users/{user_id}", "DELETE", "delete_user"),
    ("/fetch/", "GET", "fetch"),
    ("/process/", "POST", "process"),
    ("/result/{task_id}", "GET", "result"),
    ("/tasks/", "GET", "list_tasks"),
    ("/tasks/", "POST", "create_task"),
    ("/tasks/{task_id}", "GET", "read_task"),
    ("/tasks/{task_id}", "DELETE", "cancel_task"),
    ("/tasks/{task_id}/retry", "POST", "retry_task"),
    ("/tasks/{task_id}/progress", "POST", "report_progress"),
    ("/jobs/", "GET", "list_jobs"),
    ("/openapi.json", "GET, HEAD", "openapi"),
    ("/docs", "GET, HEAD", "docs"),
    ("/redoc", "GET, HEAD", "redoc"),
];
