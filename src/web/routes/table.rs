// `cargo xtask generate` writes this file.

/// Each path with the methods of its routes, as FastAPI has them: a slash at the end included,
/// and the routes of a path in their order.
pub(super) const ROUTES: &[(&str, &[&str])] = &[
    ("/", &["GET"]),
    ("/items/", &["GET", "POST"]),
    ("/items/{item_id}", &["GET", "PUT", "DELETE"]),
    ("/users/", &["GET", "POST"]),
    ("/users/{user_id}", &["GET", "PUT", "DELETE"]),
    ("/fetch/", &["GET"]),
    ("/process/", &["POST"]),
    ("/result/{task_id}", &["GET"]),
    ("/tasks/", &["GET", "POST"]),
    ("/tasks/{task_id}", &["GET", "DELETE"]),
    ("/tasks/{task_id}/retry", &["POST"]),
    ("/jobs/", &["GET"]),
    ("/openapi.json", &["GET, HEAD"]),
    ("/docs", &["GET, HEAD"]),
    ("/redoc", &["GET, HEAD"]),
];
