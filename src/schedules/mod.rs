//! Schedules: recurring rules that submit tasks, one for each of their times.
//!
//! [`rule`] computes the times at which a schedule fires, and [`plan`] decides which of them are handed out
//! when. [`store`] is the table of schedules. [`client`] has the operations on schedules. [`hand_out`] makes
//! tasks of times that are due soon, and [`ticker`] does so for all schedules, once a minute.
//!
//! A time is handed out in three steps, each safe to repeat:
//!
//! 1. One conditional write of the row claims the time: the row's next time moves on, and the claimed time is
//!    noted in the row. From here on no other write of the row can change what was claimed.
//! 2. The task is submitted. Its id is made of the schedule and the time, so another submission of the same
//!    time changes nothing.
//! 3. One more write takes the note out of the row.
//!
//! After a crash between the steps the row is still due: the next tick finds the note and goes on with step
//! 2. So a time is neither lost nor run twice, whatever stops a ticker, however many tickers there are, and
//! whoever edits the schedule in between.

pub mod client;
pub mod hand_out;
pub mod plan;
pub mod rule;
pub mod schedule;
pub mod store;
#[cfg(test)]
mod tests;
pub mod ticker;
mod work;

pub use schedule::{Definition, Missed, Overlap, Schedule};
pub use work::{CeleryWork, JobOptions, JobWork, Work};
