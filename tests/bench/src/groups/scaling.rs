//! How the cost grows with the number of workers, and with the number of tasks in the table.

mod rows;
pub(crate) mod table;
pub(crate) mod workers;
