//! The name of the SQS queue of a Celery queue, and the URLs of SQS queues.

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

/// Whether two URLs are those of one queue: the same path, which has the account and the name, and no two
/// different regions.
pub fn is_same_queue(one: &str, other: &str) -> bool {
    let parts = |url: &'_ str| -> Option<(String, String)> {
        let (_, rest) = url.split_once("://")?;
        let (host, path) = rest.split_once('/')?;
        Some((host.to_owned(), path.trim_matches('/').to_owned()))
    };
    match (parts(one), parts(other)) {
        _ if one == other => true,
        (Some((host, path)), Some((other_host, other_path))) => {
            let regions = [region(&host), region(&other_host)];
            let is_same_region = match regions {
                [Some(one), Some(other)] => one == other,
                _ => true,
            };
            path == other_path && is_same_region
        }
        _ => false,
    }
}

/// The region of a host of SQS, such as `sqs.eu-west-1.amazonaws.com` or the older
/// `eu-west-1.queue.amazonaws.com`; `None` for another host.
fn region(host: &str) -> Option<&str> {
    let is_aws = host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn");
    let mut parts = host.split('.').filter(|_| is_aws);
    let mut again = parts.clone();
    match parts.find(|part| part.starts_with("sqs")) {
        Some(_) => parts.next(),
        None => match again.next()? {
            "queue" => Some("us-east-1"),
            region => Some(region),
        },
    }
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

    #[test]
    fn a_queue_is_known_by_any_of_its_urls() {
        let url = "https://sqs.eu-west-1.amazonaws.com/1/celery";
        for same in [
            url,
            "https://sqs.eu-west-1.amazonaws.com/1/celery/",
            "https://eu-west-1.queue.amazonaws.com/1/celery",
            "https://vpce-1.sqs.eu-west-1.vpce.amazonaws.com/1/celery",
            "http://localhost:4566/1/celery",
        ] {
            assert!(is_same_queue(url, same), "{same}");
        }
        for other in [
            "https://sqs.eu-west-1.amazonaws.com/2/celery",
            "https://sqs.eu-west-1.amazonaws.com/1/celery2",
            "https://sqs.us-east-1.amazonaws.com/1/celery",
            "https://queue.amazonaws.com/1/celery",
            "celery",
            "",
        ] {
            assert!(!is_same_queue(url, other), "{other}");
        }
    }
}
