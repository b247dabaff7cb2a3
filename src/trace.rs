//! The trace that a piece of work belongs to, as in W3C Trace Context (level 1).
//!
//! This service records no spans and takes no sampling decision: it hands the trace on. Each hop (a request,
//! an attempt of a task) has a span id of its own, which is derived from names: work that is repeated after a
//! crash has the same span id again.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The header with the ids of the trace and of the span that called.
pub const TRACEPARENT: &str = "traceparent";
/// The header with the data of tracing systems.
pub const TRACESTATE: &str = "tracestate";

/// The longest `tracestate` that is handed on, in bytes: the least that the standard asks for.
const MAX_STATE: usize = 512;
/// The most members of a `tracestate`, by the standard.
const MAX_MEMBERS: usize = 32;
/// The bytes of a `traceparent` of version 00.
const LENGTH: usize = 55;
/// The flag of a trace that is recorded; version 00 has no other flag.
const SAMPLED: u8 = 1;

/// The namespace of derived span ids (a random UUID).
const SPANS: Uuid = Uuid::from_u128(0x62b7_0f1d_8f5e_4b0a_a3c4_19d2_77e6_b05c);

/// A trace, and the span in it that the work belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Headers", into = "Headers")]
pub struct Trace {
    id: u128,
    span: u64,
    is_sampled: bool,
    state: Option<String>,
}

/// A trace as the values of the standard's headers.
#[derive(Serialize, Deserialize)]
struct Headers {
    traceparent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tracestate: Option<String>,
}

/// A text that is no `traceparent`.
#[derive(Debug, thiserror::Error)]
#[error("the traceparent is not valid")]
pub struct NotATrace;

impl TryFrom<Headers> for Trace {
    type Error = NotATrace;

    fn try_from(headers: Headers) -> Result<Trace, NotATrace> {
        Trace::new(&headers.traceparent, headers.tracestate.as_deref()).ok_or(NotATrace)
    }
}

impl From<Trace> for Headers {
    fn from(trace: Trace) -> Headers {
        Headers {
            traceparent: trace.traceparent(),
            tracestate: trace.state,
        }
    }
}

impl Trace {
    /// The trace of the two headers; `None` for a `traceparent` that the standard has receivers ignore. A
    /// `tracestate` that is too long or not printable is left out.
    pub fn new(traceparent: &str, tracestate: Option<&str>) -> Option<Trace> {
        let text = traceparent.as_bytes();
        let version = hex(text.get(..2)?)?;
        let has_known_length = match version {
            0 => text.len() == LENGTH,
            0xff => false,
            // A later version may have more parts.
            _ => text.len() == LENGTH || text.get(LENGTH) == Some(&b'-'),
        };
        let are_parts = [2, 35, 52].iter().all(|at| text.get(*at) == Some(&b'-'));
        if !has_known_length || !are_parts {
            return None;
        }
        let flags = hex(&text[53..LENGTH])?;
        let trace = Trace {
            id: hex(&text[3..35])?,
            span: u64::try_from(hex(&text[36..52])?).ok()?,
            is_sampled: flags & u128::from(SAMPLED) != 0,
            state: tracestate
                .filter(|state| is_state(state))
                .map(str::to_owned),
        };
        (trace.id != 0 && trace.span != 0).then_some(trace)
    }

    /// The trace of X-Ray's header, in which the span is the segment of the running function. `None` unless
    /// the trace is sampled: X-Ray keeps nothing of any other, so that the id would lead nowhere.
    pub fn of_xray(header: &str) -> Option<Trace> {
        let field = |name| {
            let mut fields = header.split(';').map(str::trim);
            fields.find_map(|field| field.strip_prefix(name))
        };
        let [root, parent, sampled] = ["Root=1-", "Parent=", "Sampled="].map(field);
        let (time, rest) = root?.split_once('-')?;
        if sampled != Some("1") || time.len() != 8 || rest.len() != 24 {
            return None;
        }
        let id = format!("{time}{rest}").to_ascii_lowercase();
        let trace = Trace::new(&format!("00-{id}-{:016x}-01", span(&id)), None)?;
        let parent = parent.filter(|parent| parent.len() == 16);
        let parent = parent.and_then(|parent| u64::from_str_radix(parent, 16).ok());
        Some(Trace {
            span: parent.filter(|parent| *parent != 0).unwrap_or(trace.span),
            ..trace
        })
    }

    /// The same trace for a hop with this name, which has a span of its own. The same name gives the same
    /// span.
    pub fn within(&self, name: &str) -> Trace {
        Trace {
            span: span(&format!("{:032x}{:016x}/{name}", self.id, self.span)),
            ..self.clone()
        }
    }

    /// The id of the trace: 32 hexadecimal digits.
    pub fn id(&self) -> String {
        format!("{:032x}", self.id)
    }

    /// The id of the span: 16 hexadecimal digits.
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// The value of the header `traceparent`.
    pub fn traceparent(&self) -> String {
        let flags = if self.is_sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.id, self.span)
    }

    /// The value of the header `tracestate`.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

/// The span with this name; never 0, which stands for no span.
fn span(name: &str) -> u64 {
    let (first, _) = Uuid::new_v5(&SPANS, name.as_bytes()).as_u64_pair();
    first.max(1)
}

/// The number of digits in lower case; at most 32 digits.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

fn is_state(state: &str) -> bool {
    let is_printable = |byte: u8| matches!(byte, b' '..=b'~' | b'\t');
    let has_members = state.bytes().any(|byte| byte == b'=');
    has_members
        && state.len() <= MAX_STATE
        && state.split(',').count() <= MAX_MEMBERS
        && state.bytes().all(is_printable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_trace_comes_back_as_it_was() {
        let trace = Trace::new(PARENT, Some("vendor=1, other=a b")).unwrap();
        assert_eq!(trace.traceparent(), PARENT);
        assert_eq!(trace.tracestate(), Some("vendor=1, other=a b"));
        assert_eq!(trace.id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(trace.span_id(), "00f067aa0ba902b7");
        let json = serde_json::to_string(&trace).unwrap();
        assert_eq!(serde_json::from_str::<Trace>(&json).unwrap(), trace);
        let short = Trace::new(PARENT, None).unwrap();
        let json = serde_json::to_string(&short).unwrap();
        assert_eq!(json, format!(r#"{{"traceparent":"{PARENT}"}}"#));
    }

    #[test]
    fn what_the_standard_has_ignored_is_ignored() {
        let id = "4bf92f3577b34da6a3ce929d0e0e4736";
        for wrong in [
            String::new(),
            "0".to_owned(),
            "ä".repeat(40),
            PARENT.to_ascii_uppercase(),
            PARENT.replace("00-4", "ff-4"),
            format!("{PARENT}-"),
            format!("{PARENT}-00"),
            format!("{PARENT},{PARENT}"),
            format!(" {PARENT}"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{id}-{}-01", "0".repeat(16)),
            format!("00-{id}-00f067aa0ba902b7-1"),
            format!("00-{id}-00f067aa0ba902b7-0x"),
            format!("01-{id}-00f067aa0ba902b7-01.more"),
            format!("00-{id}_00f067aa0ba902b7-01"),
        ] {
            assert_eq!(Trace::new(&wrong, None), None, "{wrong}");
            let json = serde_json::json!({"traceparent": wrong});
            assert!(serde_json::from_value::<Trace>(json).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for later in [
            PARENT.replace("00-4", "01-4"),
            format!("{}-what-ever", PARENT.replace("00-4", "cc-4")),
        ] {
            assert_eq!(Trace::new(&later, None).unwrap().traceparent(), PARENT);
        }
    }

    #[test]
    fn only_the_known_flag_is_handed_on() {
        for (flags, handed_on) in [("00", "00"), ("01", "01"), ("fe", "00"), ("ff", "01")] {
            let given = format!("{}{flags}", &PARENT[..53]);
            let trace = Trace::new(&given, None).unwrap();
            assert_eq!(trace.traceparent()[53..], *handed_on, "{flags}");
        }
    }

    #[test]
    fn a_state_that_is_too_long_or_not_printable_is_left_out() {
        let long = format!("a={}", "1".repeat(511));
        let many = vec!["a=1"; 33].join(",");
        for state in ["", " ", "a", "a=ä", "a=\u{7f}", &long, &many] {
            let trace = Trace::new(PARENT, Some(state)).unwrap();
            assert_eq!(trace.tracestate(), None, "{state}");
        }
        let longest = &long[..512];
        let trace = Trace::new(PARENT, Some(longest)).unwrap();
        assert_eq!(trace.tracestate(), Some(longest));
    }

    #[test]
    fn every_hop_has_a_span_of_its_own() {
        let trace = Trace::new(PARENT, Some("a=1")).unwrap();
        let (one, other) = (trace.within("a/1/1"), trace.within("a/1/2"));
        assert_eq!(one, trace.within("a/1/1"));
        assert_eq!((one.id(), one.tracestate()), (trace.id(), Some("a=1")));
        let spans = [&trace, &one, &other, &one.within("a/1/1")].map(Trace::span_id);
        let different: std::collections::HashSet<_> = spans.iter().collect();
        assert_eq!(different.len(), 4);
        assert!(one.traceparent().ends_with("-01"));
    }

    #[test]
    fn a_sampled_trace_of_x_ray_has_the_same_ids() {
        let header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        let trace = Trace::of_xray(header).unwrap();
        let expected = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";
        assert_eq!(trace.traceparent(), expected);
        let ordered = "Sampled=1; Lineage=a:1; Root=1-5759E988-BD862E3FE1BE46A994272793";
        let without_parent = Trace::of_xray(ordered).unwrap();
        assert_eq!(without_parent.id(), trace.id());
        for none in [
            "",
            "Root=1-5759e988-bd862e3fe1be46a994272793",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=0",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Sampled=1",
            "Root=1-5759e988-bd862e3fe1be46a99427279;Sampled=1",
            "Root=1-5759e98x-bd862e3fe1be46a994272793;Sampled=1",
            "Root=1-00000000-000000000000000000000000;Sampled=1",
        ] {
            assert_eq!(Trace::of_xray(none), None, "{none}");
        }
    }
}
