//! How cost grows: with more workers, and with more tasks in the table.

mod rows;
pub(crate) mod table;
pub(crate) mod workers;
