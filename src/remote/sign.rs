//! Signatures of requests, as Standard Webhooks 1.0.0 has them.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ring::hmac;

/// The headers of a signed request.
const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The prefix of a secret.
const PREFIX: &str = "whsec_";

/// The characters that an id cannot have in a header.
const NOT_IN_HEADERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// The secrets that sign requests; a request has a signature of each, so that a secret can be replaced
/// without a time in which neither side knows the other's.
#[derive(Clone, Default)]
pub struct Secrets(Vec<hmac::Key>);

/// A secret that is not `whsec_` and base64.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret {0} is not whsec_ and at least 16 bytes in base64")]
pub struct BadSecret(usize);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

impl FromStr for Secrets {
    type Err = BadSecret;

    /// Reads secrets that are joined by commas.
    fn from_str(text: &str) -> Result<Secrets, BadSecret> {
        let secrets = text.split(',').map(str::trim).enumerate();
        let secrets = secrets.filter(|(_, secret)| !secret.is_empty());
        let keys = secrets.map(|(at, secret)| key(secret).ok_or(BadSecret(at + 1)));
        keys.collect::<Result<_, _>>().map(Secrets)
    }
}

fn key(secret: &str) -> Option<hmac::Key> {
    let bytes = STANDARD.decode(secret.strip_prefix(PREFIX)?).ok()?;
    (bytes.len() >= 16).then(|| hmac::Key::new(hmac::HMAC_SHA256, &bytes))
}

impl Secrets {
    /// Adds the headers of a request with this id, made at this time in seconds since the Unix epoch. Without
    /// secrets there is no signature.
    pub fn sign(&self, headers: &mut HeaderMap, id: &str, seconds: u64, body: &[u8]) {
        let id = utf8_percent_encode(id, NOT_IN_HEADERS).to_string();
        let signatures: Vec<String> = self
            .0
            .iter()
            .map(|key| {
                let mut context = hmac::Context::with_key(key);
                context.update(format!("{id}.{seconds}.").as_bytes());
                context.update(body);
                format!("v1,{}", STANDARD.encode(context.sign()))
            })
            .collect();
        let values = [
            (ID, id),
            (TIMESTAMP, seconds.to_string()),
            (SIGNATURE, signatures.join(" ")),
        ];
        for (name, value) in values.into_iter().filter(|(_, value)| !value.is_empty()) {
            // All characters are visible ASCII.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(secrets: &str, id: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let secrets: Secrets = secrets.parse().unwrap();
        secrets.sign(&mut headers, id, 1_614_265_330, br#"{"test": 2432232314}"#);
        headers
    }

    /// The example of the reference implementations of Standard Webhooks.
    #[test]
    fn a_signature_is_that_of_the_reference() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let headers = signed(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek");
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(headers["webhook-signature"], expected);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
        let both = signed(
            &format!("{secret}, whsec_{}", STANDARD.encode([7; 24])),
            "a",
        );
        let both = both["webhook-signature"].to_str().unwrap();
        assert_eq!(both.split(' ').count(), 2);
    }

    #[test]
    fn any_id_fits_a_header() {
        let headers = signed("", "a b\n%ü.1.1");
        assert_eq!(headers["webhook-id"], "a%20b%0A%25%C3%BC.1.1");
        assert!(!headers.contains_key("webhook-signature"));
    }

    #[test]
    fn a_wrong_secret_is_refused_without_its_text() {
        let error = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,whsec_short".parse::<Secrets>();
        assert_eq!(error.unwrap_err(), BadSecret(2));
        assert!(
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
                .parse::<Secrets>()
                .is_err()
        );
    }
}
