//! The name of the SQS queue of a Celery queue.

/// The end of the name of each FIFO queue.
pub const FIFO: &str = ".fifo";

/// The name of the queue in SQS: `prefix` (kombu's `queue_name_prefix`) and the name in Celery, with each
/// dot as a hyphen and all other ASCII punctuation but hyphens as underscores. The `.fifo` at the
/// end stays.
pub fn sqs_name(prefix: &str, queue: &str) -> String {
    let name = format!("{prefix}{queue}");
    match name.strip_suffix(FIFO) {
        Some(name) => allowed(name) + FIFO,
        None => allowed(&name),
    }
}

fn allowed(name: &str) -> String {
    let replace = |c: char| match c {
        '.' | '-' => '-',
        c if c.is_ascii_punctuation() => '_',
        c => c,
    };
    name.chars().map(replace).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected names are what kombu makes of these.
    #[test]
    fn punctuation_is_replaced_as_kombu_does() {
        assert_eq!(sqs_name("", "celery"), "celery");
        assert_eq!(sqs_name("", "my.queue_1"), "my-queue_1");
        assert_eq!(sqs_name("app-", "a.b:c/d-e"), "app-a-b_c_d-e");
        assert_eq!(sqs_name("", "orders.eu.fifo"), "orders-eu.fifo");
        assert_eq!(sqs_name("", ".fifo"), ".fifo");
        assert_eq!(sqs_name("", "fifo"), "fifo");
        assert_eq!(sqs_name("x.", "ü!"), "x-ü_");
    }
}
