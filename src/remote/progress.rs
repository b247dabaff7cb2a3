//! The links with which a body reports the progress of its task.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use ring::hmac;
use subtle::ConstantTimeEq;

use crate::tasks::id::TaskId;

/// What the key of the tokens is derived from beside the secret.
const PURPOSE: &[u8] = b"progress of tasks";

/// The bytes of run and attempt in a token.
const NUMBERS: usize = 8;
/// The bytes of the keyed hash in a token.
const TAG: usize = 16;

/// Makes and reads the tokens of reports. A token is good for one attempt of one task: it names run and
/// attempt, with a keyed hash of the task's id and these.
#[derive(Debug, Clone)]
pub struct ProgressTokens(hmac::Key);

/// The attempt that a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reporter {
    /// The number of the run.
    pub run: u32,
    /// The number of the attempt.
    pub attempt: u32,
}

impl ProgressTokens {
    /// Tokens that only holders of `secret` can make.
    pub fn new(secret: &str) -> ProgressTokens {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let key = hmac::sign(&secret, PURPOSE);
        ProgressTokens(hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()))
    }

    /// The token of an attempt.
    pub fn make(&self, id: &TaskId, reporter: Reporter) -> String {
        let mut bytes = reporter.bytes().to_vec();
        bytes.extend_from_slice(&self.tag(id, &reporter.bytes()));
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The attempt that a token is good for; `None` for a token of another task or another maker.
    pub fn read(&self, id: &TaskId, token: &str) -> Option<Reporter> {
        let bytes: [u8; NUMBERS + TAG] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (numbers, tag) = bytes.split_first_chunk::<NUMBERS>()?;
        let is_ours = bool::from(self.tag(id, numbers).ct_eq(tag));
        is_ours.then(|| Reporter::of(*numbers))
    }

    fn tag(&self, id: &TaskId, numbers: &[u8; NUMBERS]) -> [u8; TAG] {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(numbers);
        context.update(id.as_str().as_bytes());
        let mut tag = [0; TAG];
        tag.copy_from_slice(&context.sign().as_ref()[..TAG]);
        tag
    }
}

impl Reporter {
    fn bytes(self) -> [u8; NUMBERS] {
        let numbers = (u64::from(self.run) << 32) | u64::from(self.attempt);
        numbers.to_be_bytes()
    }

    fn of(bytes: [u8; NUMBERS]) -> Reporter {
        let [a, b, c, d, e, f, g, h] = bytes;
        Reporter {
            run: u32::from_be_bytes([a, b, c, d]),
            attempt: u32::from_be_bytes([e, f, g, h]),
        }
    }
}

/// The links of the API at one address.
#[derive(Debug, Clone)]
pub struct ProgressLinks {
    base: String,
    tokens: ProgressTokens,
}

impl ProgressLinks {
    /// Links below the URL of the API, such as `https://api.example.com/v1`.
    pub fn new(base: &str, tokens: ProgressTokens) -> ProgressLinks {
        ProgressLinks {
            base: base.trim_end_matches('/').to_owned(),
            tokens,
        }
    }

    /// The URL that takes the reports of an attempt.
    pub fn of(&self, id: &TaskId, reporter: Reporter) -> String {
        let token = self.tokens.make(id, reporter);
        let id = utf8_percent_encode(id.as_str(), NON_ALPHANUMERIC);
        format!("{}/tasks/{id}/progress?token={token}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_attempt_alone() {
        let tokens = ProgressTokens::new("secret");
        let (id, other) = (TaskId::parse("a/b").unwrap(), TaskId::parse("c").unwrap());
        let reporter = Reporter {
            run: 2,
            attempt: 70_000,
        };
        let token = tokens.make(&id, reporter);
        assert_eq!(tokens.read(&id, &token), Some(reporter));
        assert_eq!(tokens.read(&other, &token), None);
        assert_eq!(ProgressTokens::new("other").read(&id, &token), None);
        for at in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(tokens.read(&id, &forged), None, "{forged}");
        }
        let links = ProgressLinks::new("https://x.example/v1/", tokens);
        let expected = format!("https://x.example/v1/tasks/a%2Fb/progress?token={token}");
        assert_eq!(links.of(&id, reporter), expected);
    }
}
