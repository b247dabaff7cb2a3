//! What may happen to a call, and the seeded decision of what does.

use std::time::Duration;

use fastrand::Rng;

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Refused, because there are too many.
    Throttled,
    /// 500, not passed on.
    Failed,
    /// 503, not passed on.
    Unavailable,
    /// The connection ends before the call is passed on.
    Reset,
    /// Passed on, and the connection ends in place of the answer.
    LostAnswer,
    /// Passed on, and the connection ends within the answer.
    HalfAnswer,
    /// Not answered for longer than the caller waits, and not passed on.
    Silence,
    /// Passed on, and answered after the caller has given up.
    LateAnswer,
    /// Passed on, and answered late, but in time.
    Delayed,
    /// Passed on twice; the first answer goes back.
    Repeated,
    /// Passed on twice; the second answer goes back.
    RepeatedLast,
}

impl Fault {
    /// All that may happen, in the order of the report.
    pub const ALL: [Fault; 11] = [
        Fault::Throttled,
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

    /// Its name in the report.
    pub fn name(self) -> &'static str {
        match self {
            Fault::Throttled => "throttled",
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

/// Longer than a function waits for one try of a call (`ATTEMPT_TIMEOUT` in `src/app.rs`, 5 s).
pub const TOO_LONG: Duration = Duration::from_millis(5_500);

/// How often each happens, in 10,000 calls. The waits are rare, since they cost real time.
const WEATHER: [(Fault, u32); 11] = [
    (Fault::Throttled, 200),
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

/// How often each happens to a doomed call.
const DOOM: [(Fault, u32); 7] = [
    (Fault::Throttled, 2_000),
    (Fault::Failed, 1_500),
    (Fault::Unavailable, 1_500),
    (Fault::Reset, 1_500),
    (Fault::LostAnswer, 2_500),
    (Fault::HalfAnswer, 980),
    (Fault::LateAnswer, 20),
];

/// One in how many first tries of a call is doomed.
const DOOMED_IN: u32 = 100;

/// Whether the call of this number is doomed: every further try of it fails too. Single faults are
/// mended by the SDK's own retries; these reach the program.
pub fn is_doomed(seed: u64, operation: &str, number: u64) -> bool {
    random(seed, operation, number, "doom").u32(..DOOMED_IN) == 0
}

/// What happens to the call of this number of an operation: the same for the same seed.
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

/// How long the answer to a delayed call is held back.
pub fn delay(seed: u64, operation: &str, number: u64) -> Duration {
    Duration::from_millis(random(seed, operation, number, "delay").u64(50..1_500))
}

/// A generator for one use of a number.
pub fn random(seed: u64, name: &str, number: u64, what: &str) -> Rng {
    // FNV-1a, so that it is the same with every compiler.
    let bytes = name.bytes().chain(what.bytes());
    let hash = bytes
        .chain(number.to_le_bytes())
        .chain(seed.to_le_bytes())
        .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3)
        });
    Rng::with_seed(hash)
}
