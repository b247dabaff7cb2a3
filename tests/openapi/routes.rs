// `cargo xtask generate` writes this file.

#[path = "../../functions/cancel_task.rs"]
mod cancel_task;
#[path = "../../functions/create_item.rs"]
mod create_item;
#[path = "../../functions/create_task.rs"]
mod create_task;
#[path = "../../functions/create_user.rs"]
mod create_user;
#[path = "../../functions/delete_item.rs"]
mod delete_item;
#[path = "../../functions/delete_user.rs"]
mod delete_user;
#[path = "../../functions/fetch.rs"]
mod fetch;
#[path = "../../functions/list_items.rs"]
mod list_items;
#[path = "../../functions/list_jobs.rs"]
mod list_jobs;
#[path = "../../functions/list_tasks.rs"]
mod list_tasks;
#[path = "../../functions/list_users.rs"]
mod list_users;
#[path = "../../functions/process.rs"]
mod process;
#[path = "../../functions/read_item.rs"]
mod read_item;
#[path = "../../functions/read_task.rs"]
mod read_task;
#[path = "../../functions/read_user.rs"]
mod read_user;
#[path = "../../functions/report_progress.rs"]
mod report_progress;
#[path = "../../functions/result.rs"]
mod result;
#[path = "../../functions/retry_task.rs"]
mod retry_task;
#[path = "../../functions/root.rs"]
mod root;
#[path = "../../functions/schedule.rs"]
mod schedule;
#[path = "../../functions/schedule_action.rs"]
mod schedule_action;
#[path = "../../functions/schedule_next.rs"]
mod schedule_next;
#[path = "../../functions/schedules.rs"]
mod schedules;
#[path = "../../functions/stats.rs"]
mod stats;
#[path = "../../functions/update_item.rs"]
mod update_item;
#[path = "../../functions/update_user.rs"]
mod update_user;

use utoipa::OpenApi;

/// All routes, in the order in which FastAPI would have them.
#[derive(OpenApi)]
#[openapi(
    paths(
        root::root,
        list_items::list_items,
        create_item::create_item,
        read_item::read_item,
        update_item::update_item,
        delete_item::delete_item,
        list_users::list_users,
        create_user::create_user,
        read_user::read_user,
        update_user::update_user,
        delete_user::delete_user,
        fetch::fetch,
        process::process,
        result::result,
        list_tasks::list_tasks,
        create_task::create_task,
        read_task::read_task,
        cancel_task::cancel_task,
        retry_task::retry_task,
        report_progress::report_progress,
        list_jobs::list_jobs,
        stats::read_stats,
        schedules::list_schedules,
        schedules::create_schedule,
        schedule::read_schedule,
        schedule::replace_schedule,
        schedule::change_schedule,
        schedule::delete_schedule,
        schedule_action::act_on_schedule,
        schedule_next::next_times,
    ),
    components(schemas(crate::HTTPValidationError))
)]
pub struct Routes;
