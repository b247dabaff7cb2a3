//! `GET /dashboard`: the operator's page. `GET /dashboard/{file}`: the files of the page.

use async_service::auth::AuthMode;
use async_service::web::docs::Page;
use async_service::web::{Access, Body, HttpError, Request, Response};
use async_service::{App, Error};

const ROUTE: &str = "/dashboard/{file}";

const PAGE: Page = Page {
    title: "Dashboard",
    path: "/dashboard",
    element: "dashboard",
    files: &[docs_ui::DASHBOARD_CSS, docs_ui::DASHBOARD_JS],
    // The page makes no HTML of texts, and the browser enforces this.
    policy: "style-src 'self'; img-src data:; require-trusted-types-for 'script'; trusted-types 'none'",
};

/// What the page knows from the start, as attributes of its element.
type Data = Vec<(&'static str, String)>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let app = App::from_env()?;
    let config = app.config();
    // How the page asks for a key or a token.
    let auth = match config.auth_mode().parse()?.unwrap_or_default() {
        AuthMode::ApiKey | AuthMode::CachedApiKey => "key",
        AuthMode::Jwt => "token",
        AuthMode::Off => "none",
    };
    let mut data = vec![("auth", auth.to_owned())];
    // Where the lines of a task are.
    if let (Some(group), Ok(region)) = (config.log_group(), config.aws_region()) {
        data.extend([("log-group", group.to_owned()), ("region", region)]);
    }
    // The page asks for the key itself, so its files are open to everybody.
    app.serve_to(Access::Everybody, ROUTE, data, dashboard)
        .await
}

async fn dashboard(data: &Data, request: Request) -> Result<Response<Body>, HttpError> {
    let data: Vec<(&str, &str)> = data.iter().map(|(name, text)| (*name, &**text)).collect();
    PAGE.serve_with(&request, &data)
}
