//! How cost grows: with more workers, and with more tasks in the table.

mod rows;
pub mod table;
pub mod workers;

/// So many of something, such as `10,000 tasks`.
fn words(count: u64, of: &str) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    let plural = if count == 1 { "" } else { "s" };
    format!("{} {of}{plural}", groups.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(words(1, "worker"), "1 worker");
        assert_eq!(words(1_000_000, "task"), "1,000,000 tasks");
        assert_eq!(words(12_345, "task"), "12,345 tasks");
    }
}
