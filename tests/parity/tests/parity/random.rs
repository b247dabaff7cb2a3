//! Makes random requests that are almost valid, and shrinks requests with different answers.

use crate::wire::Request;

/// A xorshift generator. A seed gives the same requests on every machine.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        // Mixes the seed, so that 0 and adjacent seeds work too.
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        for _ in 0..8 {
            random.next();
        }
        random
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or(0) % bound.max(1)
    }

    /// True once in `n` times.
    fn once_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Valid requests, to start from.
const STARTS: &[(&str, &str)] = &[
    ("GET", "/"),
    ("GET", "/items/"),
    ("GET", "/items"),
    ("POST", "/items/"),
    ("POST", "/items/"),
    ("POST", "/items"),
    ("GET", "/items/{item}"),
    ("GET", "/items/5"),
    ("PUT", "/items/{item}"),
    ("PUT", "/items/5"),
    ("DELETE", "/items/{item}"),
    ("GET", "/users/"),
    ("POST", "/users/"),
    ("POST", "/users"),
    ("GET", "/users/{user}"),
    ("PUT", "/users/{user}"),
    ("DELETE", "/users/{user}"),
    ("GET", "/fetch/"),
    ("POST", "/process/"),
    ("POST", "/process/"),
    ("GET", "/result/x"),
    ("GET", "/nope/5"),
];

#[rustfmt::skip]
const METHODS: &[&str] = &["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LOCK"];

/// Pieces for paths and for the values of queries.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "/", "//", "%2F", "%20", "+", "-", "_", ".", ".0", "0", "5", "1_0", "00", "e3", "x", "true", "%C3%A4", "%ff", "%E2%82",
    "%00", "%09", "%22", "%5C", "%23", "%26", "%3D", "%7B", "%D9%A3", "%F0%9F%98%80", ";", ",", ":", "@", "'", "(", "*", "!",
    "~", "$", "|", "^", "%2B", "%2E", "%35", "99999999999999999999",
];

const NAMES: &[&str] = &["limit", "q", "ids", "url", "LIMIT", "", "x"];

#[rustfmt::skip]
const CONTENT_TYPES: &[&str] = &[
    "application/json; charset=utf-8", "application/vnd.api+json", "Application/JSON", "text/plain", "application/x-www-form-urlencoded",
    "application/jsonx", "application/octet-stream", "text/json", "application/xml",
];

/// Pieces for bodies.
#[rustfmt::skip]
const FRAGMENTS: &[&[u8]] = &[
    b"{", b"}", b"[", b"]", b",", b":", b"\"", b"\\", b"\\u", b"\\ud83d", b"\\ude00", b"\\u00e9", b"\\n", b"\\x", b"0", b"1", b"-", b".",
    b"e", b"E5", b"+", b" ", b"\n", b"\xc3\xa9", b"\xf0\x9f\x98\x80", b"null", b"NaN", b"Infinity", b"true", b"\"a\"", b"\"a\":", b"\0", b"x",
    b"9999999999999999999", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"//",
];

#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "\"\"", "\"a\"", "\"name\"", "\"\\u00e9\"", "\"\\ud83d\\ude00\"", "\"é😀日本\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"a b\"", "\"\u{7f}\u{2028}\"",
    "\"<&>'\"", "\"1.0\"", "\"\\u0000\"", "\"null\"",
];

#[rustfmt::skip]
const SCALARS: &[&str] = &[
    "null", "true", "false", "0", "-0", "1", "-1", "1.0", "-0.0", "1e5", "1E-7", "1e16", "123456789012345678901234567890", "0.1", "5e-324",
    "2.50", "1e22", "9007199254740993", "123456.789e3", "1.5e300", "1e-5", "100000000000000000.0",
];

/// Makes a random request.
pub fn request(random: &mut Random) -> Request {
    let (method, path) = random.pick(STARTS);
    let mut request = Request::new(
        if random.once_in(12) {
            random.pick(METHODS)
        } else {
            method
        },
        path,
    );
    if random.once_in(4) {
        for _ in 0..=random.below(3) {
            mutate_text(random, &mut request.target);
        }
    }
    query(random, &mut request.target);
    if matches!(request.method.as_str(), "POST" | "PUT") || random.once_in(30) {
        let body = body(random, request.target.starts_with("/users"));
        let content_type = match random.below(10) {
            0 => None,
            1 => Some(random.pick(CONTENT_TYPES)),
            _ => Some("application/json"),
        };
        request = request.with(content_type, &body);
    }
    request
}

/// Changes a path behind its first slash. Leaves out escapes that API Gateway decodes twice and wrong
/// escapes, which the table contains.
fn mutate_text(random: &mut Random, text: &mut String) {
    let positions: Vec<usize> = (1..=text.len())
        .filter(|at| !inside_a_unit(text, *at))
        .collect();
    let at = random.pick(&positions);
    let next = positions
        .iter()
        .copied()
        .find(|next| *next > at)
        .unwrap_or(at);
    match random.below(4) {
        0 => text.replace_range(at..next, ""),
        1 => {
            let again = text[at..next].to_owned();
            text.insert_str(at, &again);
        }
        2 => text.replace_range(at..next, random.pick(PIECES)),
        _ => text.insert_str(at, random.pick(PIECES)),
    }
}

/// Whether a position is inside an escape or a placeholder.
fn inside_a_unit(text: &str, at: usize) -> bool {
    let before = &text[..at];
    let escape = before.rfind('%').is_some_and(|percent| at - percent < 3);
    let placeholder = before.rfind('{') > before.rfind('}');
    escape || placeholder
}

fn query(random: &mut Random, target: &mut String) {
    let count = [0, 0, 0, 1, 1, 2, 3];
    for number in 0..random.pick(&count) {
        target.push(if number == 0 { '?' } else { '&' });
        let name = random.pick(NAMES);
        target.push_str(name);
        if random.once_in(8) {
            continue;
        }
        target.push('=');
        for _ in 0..random.below(3) {
            target.push_str(random.pick(PIECES));
        }
    }
}

fn body(random: &mut Random, user: bool) -> Vec<u8> {
    let mut text = String::new();
    match random.below(12) {
        0 => value(random, 0, &mut text),
        _ if user && !random.once_in(6) => {
            object(random, 0, &["\"name\":\"a\"", "\"email\":\"é\""], &mut text)
        }
        _ if user => object(random, 0, &["\"name\":1", "\"email\":null"], &mut text),
        _ => object(random, 0, &[], &mut text),
    }
    let mut body = encoded(random, &text);
    if random.once_in(2) {
        for _ in 0..=random.below(3) {
            mutate_bytes(random, &mut body);
        }
    }
    body
}

fn value(random: &mut Random, depth: usize, out: &mut String) {
    match random.below(if depth < 5 { 7 } else { 5 }) {
        0 | 1 => out.push_str(random.pick(TEXTS)),
        2..=4 => out.push_str(random.pick(SCALARS)),
        5 => object(random, depth + 1, &[], out),
        _ => {
            out.push('[');
            for number in 0..random.below(4) {
                if number > 0 {
                    out.push(',');
                }
                value(random, depth + 1, out);
            }
            out.push(']');
        }
    }
}

/// An object of random members and of most of the `given` members.
fn object(random: &mut Random, depth: usize, given: &[&str], out: &mut String) {
    let mut members: Vec<String> = Vec::new();
    for _ in 0..random.below(4) {
        let mut member = format!("{}{}", random.pick(TEXTS), random.pick(&[":", ": ", " :"]));
        value(random, depth + 1, &mut member);
        members.push(member);
    }
    for member in given {
        if !random.once_in(8) {
            members.insert(random.below(members.len() + 1), (*member).to_owned());
        }
    }
    let separator = random.pick(&[",", ", ", ",\n "]);
    out.push_str(&format!("{{{}}}", members.join(separator)));
}

fn encoded(random: &mut Random, text: &str) -> Vec<u8> {
    let mark = if random.once_in(2) { "\u{feff}" } else { "" };
    let marked = format!("{mark}{text}");
    match random.below(40) {
        0 => marked.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        2 => marked
            .chars()
            .flat_map(|c| u32::from(c).to_le_bytes())
            .collect(),
        3 => marked.into_bytes(),
        _ => text.as_bytes().to_vec(),
    }
}

fn mutate_bytes(random: &mut Random, body: &mut Vec<u8>) {
    let at = random.below(body.len() + 1);
    let end = (at + random.below(4)).min(body.len());
    match random.below(5) {
        0 => drop(body.drain(at..end)),
        1 if random.once_in(3) => body.truncate(at),
        2 => {
            let again = body[at..end].to_vec();
            drop(body.splice(at..at, again));
        }
        3 => drop(body.splice(at..end, random.pick(FRAGMENTS).iter().copied())),
        _ => drop(body.splice(at..at, random.pick(FRAGMENTS).iter().copied())),
    }
}

/// The smallest request for which `differs` holds: removes part after part while `differs` holds.
pub fn shrink(request: &Request, mut differs: impl FnMut(&Request) -> bool) -> Request {
    let mut best = request.clone();
    loop {
        let smaller = candidates(&best).find(|candidate| differs(candidate));
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// The requests with one part less, the larger parts first.
fn candidates(request: &Request) -> impl Iterator<Item = Request> {
    let base = request.clone();
    let without_type = base.content_type.is_some().then(|| Request {
        content_type: None,
        ..base.clone()
    });
    let bodies = pieces(base.body.len(), 0).map({
        let base = base.clone();
        move |(at, length)| {
            let mut smaller = base.clone();
            smaller.body.drain(at..at + length);
            smaller
        }
    });
    let targets = pieces(base.target.len(), 1).filter_map(move |(at, length)| {
        let whole = !inside_a_unit(&base.target, at) && !inside_a_unit(&base.target, at + length);
        let mut smaller = base.clone();
        smaller.target.replace_range(at..at + length, "");
        whole.then_some(smaller)
    });
    without_type.into_iter().chain(bodies).chain(targets)
}

/// The positions and lengths of all halves, quarters, … of `length` from `from` on.
fn pieces(length: usize, from: usize) -> impl Iterator<Item = (usize, usize)> {
    let halves = std::iter::successors(Some(length.saturating_sub(from)), |size| Some(size / 2));
    halves.take_while(|size| *size > 0).flat_map(move |size| {
        (from..=length - size)
            .step_by(size)
            .map(move |at| (at, size))
    })
}
