//! The faults of calls, and the seeded choice between them.

use std::time::Duration;

use fastrand::Rng;

/// A fault of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The call is refused with a throttling error.
    Throttled,
    /// The call is refused, because a transaction is changing the row. A call that changes no row is
    /// throttled instead.
    Conflict,
    /// The answer is 500; the call is not forwarded.
    Failed,
    /// The answer is 503; the call is not forwarded.
    Unavailable,
    /// The connection is closed; the call is not forwarded.
    Reset,
    /// The call is forwarded, and the connection is closed without the answer.
    LostAnswer,
    /// The call is forwarded, and the connection is closed within the answer.
    HalfAnswer,
    /// No answer until after the caller's time-out; the call is not forwarded.
    Silence,
    /// The call is forwarded, and the answer comes after the caller's time-out.
    LateAnswer,
    /// The call is forwarded, and the answer is late, but within the time-out.
    Delayed,
    /// The call is forwarded twice; the caller gets the first answer.
    Repeated,
    /// The call is forwarded twice; the caller gets the second answer.
    RepeatedLast,
}

impl Fault {
    /// All faults, in the order of the report.
    pub const ALL: [Fault; 12] = [
        Fault::Throttled,
        Fault::Conflict,
        Fault::Failed,
        Fault::Unavailable,
        Fault::Reset,
        Fault::LostAnswer,
        Fault::HalfAnswer,
        Fault::Silence,
        Fault::LateAnswer,
        Fault::Delayed,
        Fault::Repeated,
        Fault::RepeatedLast,
    ];

    /// Whether the endpoints get the call.
    pub fn forwards(self) -> bool {
        use Fault::*;
        !matches!(
            self,
            Throttled | Conflict | Failed | Unavailable | Reset | Silence
        )
    }

    /// Whether the caller may not learn that the call was done.
    pub fn hides(self) -> bool {
        use Fault::*;
        matches!(self, LostAnswer | HalfAnswer | LateAnswer | RepeatedLast)
    }

    /// The fault's name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Throttled => "throttled",
            Fault::Conflict => "conflict",
            Fault::Failed => "500",
            Fault::Unavailable => "503",
            Fault::Reset => "reset before",
            Fault::LostAnswer => "answer lost",
            Fault::HalfAnswer => "half an answer",
            Fault::Silence => "silence",
            Fault::LateAnswer => "answer too late",
            Fault::Delayed => "delayed",
            Fault::Repeated => "repeated, first",
            Fault::RepeatedLast => "repeated, last",
        }
    }
}

/// Longer than a function's time-out for one try of a call (`ATTEMPT_TIMEOUT` in `src/aws.rs`, 5
/// s).
pub const TOO_LONG: Duration = Duration::from_millis(5_500);

/// The frequency of each fault in 10,000 calls. Faults that wait are rare, because they cost real
/// time.
const WEATHER: [(Fault, u32); 12] = [
    (Fault::Throttled, 200),
    (Fault::Conflict, 150),
    (Fault::Failed, 100),
    (Fault::Unavailable, 100),
    (Fault::Reset, 150),
    (Fault::LostAnswer, 250),
    (Fault::HalfAnswer, 100),
    (Fault::Silence, 4),
    (Fault::LateAnswer, 4),
    (Fault::Delayed, 200),
    (Fault::Repeated, 150),
    (Fault::RepeatedLast, 150),
];

/// The weight of each fault for a doomed call.
const DOOM: [(Fault, u32); 8] = [
    (Fault::Throttled, 1_500),
    (Fault::Conflict, 500),
    (Fault::Failed, 1_500),
    (Fault::Unavailable, 1_500),
    (Fault::Reset, 1_500),
    (Fault::LostAnswer, 2_500),
    (Fault::HalfAnswer, 980),
    (Fault::LateAnswer, 20),
];

/// One first try of a call in `DOOMED_IN` is doomed.
const DOOMED_IN: u32 = 100;

/// Whether the call with this number is doomed, so that all its retries fail too. The SDK's own
/// retries hide single faults; doomed calls reach the program.
pub fn is_doomed(seed: u64, operation: &str, number: u64) -> bool {
    random(seed, operation, number, "doom").u32(..DOOMED_IN) == 0
}

/// The fault of the call with this number of an operation; the same for the same seed.
pub fn decide(seed: u64, operation: &str, number: u64, is_doomed: bool) -> Option<Fault> {
    let odds: &[(Fault, u32)] = if is_doomed { &DOOM } else { &WEATHER };
    let mut dice = random(seed, operation, number, "call").u32(..10_000);
    for (fault, share) in odds {
        match dice.checked_sub(*share) {
            None => return Some(*fault),
            Some(rest) => dice = rest,
        }
    }
    None
}

/// The delay of the answer to a delayed call.
pub fn delay(seed: u64, operation: &str, number: u64) -> Duration {
    Duration::from_millis(random(seed, operation, number, "delay").u64(50..1_500))
}

/// A random number generator for one purpose of a call's number.
pub fn random(seed: u64, name: &str, number: u64, what: &str) -> Rng {
    // FNV-1a, whose result does not depend on the compiler's version.
    let bytes = name.bytes().chain(what.bytes());
    let hash = bytes
        .chain(number.to_le_bytes())
        .chain(seed.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
    Rng::with_seed(hash)
}
