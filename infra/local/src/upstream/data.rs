//! The demo upstream's data: deterministic, and as irregular as real files.

use serde_json::{Map, Value, json};

const FIRST: [&str; 10] = [
    "Ada", "Björn", "Chidi", "Dolores", "Émile", "Fatima", "Grace", "Hiro", "Inés", "Jonas",
];
const LAST: [&str; 8] = [
    "Okafor", "Lindgren", "Moreau", "Sato", "Vega", "Hopper", "O'Neill", "Weiß",
];
const CITIES: [&str; 6] = ["Lagos", "Malmö", "Lyon", "Osaka", "Sevilla", "New York, NY"];

/// How many records one piece of a streamed file has.
const PER_PIECE: u64 = 200;

/// A pseudo-random number for each `n` and each `salt`. Each use has its own salt.
fn mixed(n: u64, salt: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
    x = (x ^ (x >> 32)).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    x ^ (x >> 32)
}

fn pick<'a>(from: &[&'a str], n: u64, salt: u64) -> &'a str {
    let index = mixed(n, salt) % from.len() as u64;
    usize::try_from(index)
        .ok()
        .and_then(|index| from.get(index))
        .copied()
        .unwrap_or_default()
}

fn full_name(n: u64) -> String {
    format!("{} {}", pick(&FIRST, n, 1), pick(&LAST, n, 2))
}

/// The user with this id.
pub fn user(id: u64) -> Value {
    json!({"id": id, "name": full_name(id), "email": format!("user{id}@example.com")})
}

/// A small document that contains its number.
pub fn document(n: u64) -> Value {
    json!({"id": n, "square": n.wrapping_mul(n), "city": pick(&CITIES, n, 3), "even": n.is_multiple_of(2)})
}

/// One record. Some fields are missing, null, or of another type than usual.
fn record(n: u64) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("id".to_owned(), json!(n));
    fields.insert("name".to_owned(), json!(full_name(n)));
    let age = 18 + mixed(n, 4) % 70;
    match mixed(n, 5) % 20 {
        0 => {}
        1 => drop(fields.insert("age".to_owned(), Value::Null)),
        2 => drop(fields.insert("age".to_owned(), json!(age.to_string()))),
        _ => drop(fields.insert("age".to_owned(), json!(age))),
    }
    if !mixed(n, 6).is_multiple_of(10) {
        fields.insert("city".to_owned(), json!(pick(&CITIES, n, 7)));
    }
    // Cents as a fraction of the unit: sums of such fractions are inexact in binary.
    let cents = mixed(n, 8) % 1_000_000;
    let balance: Value = format!("{}.{:02}", cents / 100, cents % 100)
        .parse::<f64>()
        .map_or(Value::Null, |balance| json!(balance));
    fields.insert("balance".to_owned(), balance);
    fields.insert("active".to_owned(), json!(!mixed(n, 9).is_multiple_of(3)));
    fields
}

/// Records as JSON Lines, in pieces.
pub fn json_lines(records: u64) -> impl Iterator<Item = Vec<u8>> + Send {
    pieces(records, |n, piece| {
        piece.extend(Value::Object(record(n)).to_string().bytes());
        piece.push(b'\n');
    })
}

/// Records as CSV with a header line, in pieces.
pub fn csv(records: u64) -> impl Iterator<Item = Vec<u8>> + Send {
    let head = b"id,name,age,city,balance,active\n".to_vec();
    let rows = pieces(records, |n, piece| {
        let record = record(n);
        let columns = ["id", "name", "age", "city", "balance", "active"];
        let cells: Vec<String> = columns.iter().map(|name| cell(record.get(*name))).collect();
        piece.extend(cells.join(",").bytes());
        piece.push(b'\n');
    });
    std::iter::once(head).chain(rows)
}

fn pieces(
    records: u64,
    write: impl Fn(u64, &mut Vec<u8>) + Send,
) -> impl Iterator<Item = Vec<u8>> + Send {
    (0..records.div_ceil(PER_PIECE)).map(move |number| {
        let first = number * PER_PIECE + 1;
        let last = (first + PER_PIECE - 1).min(records);
        let mut piece = Vec::with_capacity(32 * 1024);
        (first..=last).for_each(|n| write(n, &mut piece));
        piece
    })
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) if text.contains([',', '"', '\n']) => {
            format!("\"{}\"", text.replace('"', "\"\""))
        }
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}
