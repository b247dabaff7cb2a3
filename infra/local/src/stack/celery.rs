//! What a stack tells of its Celery application.

use super::Stack;
use crate::celery::settings::Settings;
use crate::celery::{self, Bodies, Prepared};
use crate::process;

impl Stack {
    /// The settings of a Celery application that submits tasks to this stack.
    #[must_use]
    pub fn celery_settings(&self) -> Settings {
        let port = self.ports.aws;
        match self.application() {
            Some(application) => {
                Settings::new(port, &application.queues, application.found.own_results)
            }
            None => Settings::new(port, &[celery::Queue::new(celery::QUEUE, port)], false),
        }
    }

    /// The Celery application whose bodies run in this stack.
    #[must_use]
    pub fn application(&self) -> Option<&Prepared> {
        self.bodies.as_ref().map(Bodies::application)
    }

    /// The ids of the processes that run the application's bodies; empty before the first body.
    #[must_use]
    pub fn body_pids(&self) -> Vec<u32> {
        process::descendants_with(
            self.emulator.process_id(),
            "AWS_LAMBDA_FUNCTION_NAME",
            celery::NAME,
        )
    }
}
