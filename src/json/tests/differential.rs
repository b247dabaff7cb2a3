//! Compares this module with Python's `json` on the same texts.

use fastrand::Rng;

use super::python;
use crate::json::{ParseError, parse};

/// A Python script that answers each line of hexadecimal bytes with one line.
const SCRIPT: &str = r#"
import json, sys
def answer(raw):
    try:
        value = json.loads(raw)
    except json.JSONDecodeError as error:
        return f"syntax {error.pos} {error.msg}".encode()
    except Exception:
        return b"unreadable"
    options = dict(ensure_ascii=False, separators=(",", ":"))
    try:
        text = json.dumps(value, **options).encode()
    except UnicodeEncodeError:
        return b"surrogate"
    try:
        json.dumps(value, allow_nan=False, **options)
        return b"ok " + text
    except ValueError:
        return b"not finite " + text
for line in sys.stdin:
    sys.stdout.buffer.write(answer(bytes.fromhex(line)) + b"\n")
"#;

fn answer(raw: &[u8]) -> String {
    match parse(raw) {
        Err(ParseError::Syntax { message, position }) => format!("syntax {position} {message}"),
        Err(ParseError::Unreadable { .. }) => "unreadable".to_owned(),
        Err(ParseError::LoneSurrogate) => "surrogate".to_owned(),
        Ok(value) => match value.to_text() {
            Ok(text) => format!("ok {text}"),
            Err(_) => format!("not finite {value}"),
        },
    }
}

fn compare(texts: &[Vec<u8>]) {
    let input = texts
        .iter()
        .map(|text| hex::encode(text) + "\n")
        .collect::<String>();
    let Some(output) = python::run(SCRIPT, input.into_bytes()) else {
        return;
    };
    let output = String::from_utf8(output).expect("UTF-8");
    let lines: Vec<&str> = output.split_terminator('\n').collect();
    assert_eq!(lines.len(), texts.len());
    for (text, expected) in texts.iter().zip(lines) {
        let shown = String::from_utf8_lossy(&text[..text.len().min(200)]);
        assert_eq!(
            answer(text),
            expected,
            "{shown:?} {:?}",
            &text[..text.len().min(40)]
        );
    }
}

/// Well-formed, odd and broken texts, also the start of the mutations.
#[rustfmt::skip]
const TEXTS: &[&str] = &[
    "", " ", "\n\t\r ", "\u{a0}1", "null", " null ", "nul", "nulll", "Null", "None", "true", "tru", "false", "falsee",
    "NaN", "Na", "nan", "-NaN", "Infinity", "-Infinity", "Infinit", "-Infinit", "+Infinity", "-I", "[NaN,-Infinity]",
    "0", "-0", "00", "01", "-01", "+1", "-", "--1", "1.", "1.e5", ".5", "-.5", "1.0", "-0.0", "0.0", "1e5", "1E5", "1e+5",
    "1e-5", "1e", "1e+", "1e-", "1e+x", "1.5e", "1.5e3", "1.5E-03", "1e16", "1e15", "123456789012345680.0", "1e22", "1e-4",
    "0.0001", "0.00001", "1e-07", "1e308", "1e309", "-1e309", "5e-324", "1e-400", "-1e-400", "2.2250738585072014e-308",
    "1.7976931348623157e308", "1.7976931348623159e308", "9007199254740993", "9007199254740993.0", "9223372036854775807",
    "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "999999999999999999", "9999999999999999999",
    "18446744073709551616", "-100000000000000000000000000000000000000000000000000000", "0x10", "1_000", "1 2", "1,", "1]",
    "0.1", "0.30000000000000004", "100", "123456.789", "5.684341886080802e-14", "3.14159", "-2.5", "1e1", "12e0",
    "\"\"", "\"a\"", "\"", "\"a", "\"a\\", "\"a\\\"", "\"\\x\"", "\"\\\"", "\"\\\"\"", "\"\\/\"", "/", "\"/\"", "\"\\b\\f\\n\\r\\t\"",
    "\"\\u\"", "\"\\u1\"", "\"\\u12\"", "\"\\u123\"", "\"\\u1234\"", "\"\\u1234", "\"\\u12345\"", "\"\\u00e9\"", "\"\\u00E9\"",
    "\"\\u0000\"", "\"\\u001f\\u007f\\u0080\"", "\"\\u000b\"", "\"\\uD83D\\uDE00\"", "\"\\ud83d\\ude00\\ud83d\"", "\"\\ud83d\"",
    "\"\\ude00\\ud83d\"", "{\"a\":\"\\ud800\",\"a\":1}", "{\"\\ud800\":1,\"b\":[]}", "\"\\ud83dx\"", "\"\\ud83d\\n\"", "\"\\ud83d\\u0041\"", "\"\\ud83d\\ud83d\\ude00\"", "\"\\ud83d\\u12\"",
    "\"\\ud83d\\u12x4\"", "\"\\ud83d\\ude00", "\"\\ud83d\\ude0", "\"\\ud83d\\", "\"\\ud83d\\u", "\"\\ug000\"", "\"\\u 123\"",
    "\"\\u+123\"", "\"\\u12é4\"", "\"\\u123é", "\"é\\q\"", "\"日本語 \\u65e5\" x", "\"😀😀\" ,", "\"a\nb\"", "\"a\tb\"", "\"a\u{1f}\"",
    "\"\u{7f}\u{80}\u{2028}\"", "\"\0\"", "\0", "'a'", "\"a\"\"b\"", "\"long enough for several words of eight \\\\ bytes\"",
    "\"long enough for several words of eight bytes, é, 日本, and no end", "\"12345678\n\"", "\"1234567é\\n12345678\\u00e9\"",
    "[]", "[ ]", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1 2]", "[1}", "[1,2", "[1 ,2 ]", "[[]", "[[],[]]", "[]]",
    "[\"a\"", "[\"a", "[nul]", "[1, ", "[ 1 , 2 , 3 ]", "[true,false,null]", "[-]", "[1.]", "[1e]", "[01]",
    "{}", "{ }", "{", "}", "{1:2}", "{a:1}", "{'a':1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1", "{\"a\":1,", "{\"a\":1,}",
    "{,}", "{\"a\":1 \"b\":2}", "{\"a\":1,\"a\":2}", "{\"b\":1,\"a\":2,\"b\":{\"c\":[]}}", "{\"a\":1]", "{\"a\"", "{\"a", "{\"a\":",
    "{\"a\": ", "{\"a\" : 1 , \"b\" : 2 }", "{\"é\":1,x}", "{\"😀\" 1}", "{\"\":0}", "{\"a\":{\"b\":{\"c\":1}}}", "{null:1}",
    "{\"a\":1}}", "{\"a\":1} x", "{\"a\":nan}", "{\"a\":\"b\nc\"}", "{\"a\\u0062\":1,\"ab\":2}", "{\"a\n\":1}", "{\"a\":tru}",
    "[{\"id\":1,\"tags\":[\"x\",\"y\"],\"at\":{\"lat\":1.5,\"lon\":-0.25}},{\"id\":2,\"tags\":[],\"at\":null}]",
    "{\"name\":\"Ada\",\"age\":36,\"mail\":\"ada@example.com\",\"score\":99.5,\"ok\":true,\"none\":null}",
    "\u{feff}", "\u{feff}{}", "\u{feff}\u{feff}1", "1\u{feff}", "\u{2028}1", "[1\u{2028}]", "//c\n1", "[1]/**/", "\u{1f}", "a", "é",
];

fn table() -> Vec<Vec<u8>> {
    TEXTS.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn the_table() {
    compare(&table());
}

#[test]
fn sizes_and_depths() {
    let nines = |n| "9".repeat(n);
    let mut texts = vec![
        nines(4300),
        nines(4301),
        format!("-{}", nines(4300)),
        nines(6000),
    ];
    texts.extend([
        format!("[{}", nines(4301)),
        format!("{}.0", nines(5000)),
        nines(400) + "e-350",
    ]);
    texts.extend([
        format!("[1 {}]", nines(5000)),
        format!("0.{}", nines(5000)),
        nines(19),
    ]);
    for n in [1, 500, 900, 2_000, 100_000] {
        texts.extend([
            "[".repeat(n) + &"]".repeat(n),
            "[".repeat(n),
            "{\"a\":".repeat(n),
        ]);
    }
    compare(
        &texts
            .into_iter()
            .map(String::into_bytes)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn encodings() {
    let mut texts = Vec::new();
    for text in [
        "{}",
        "1",
        "12",
        "\"é😀\"",
        "[1 2]",
        "{\"é😀\":1,}",
        "",
        "null",
        "\"\\ud800\"",
    ] {
        let with_mark = format!("\u{feff}{text}");
        for text in [text, &with_mark] {
            texts.push(text.as_bytes().to_vec());
            texts.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            texts.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
            texts.push(
                text.chars()
                    .flat_map(|c| u32::from(c).to_le_bytes())
                    .collect(),
            );
            texts.push(
                text.chars()
                    .flat_map(|c| u32::from(c).to_be_bytes())
                    .collect(),
            );
        }
    }
    let cut: Vec<_> = texts
        .iter()
        .filter_map(|text| Some(text.split_last()?.1.to_vec()))
        .collect();
    texts.extend(cut);
    texts.extend(ODD_BYTES.map(<[u8]>::to_vec));
    compare(&texts);
}

/// Broken UTF-8, lone surrogates, and cut or odd UTF-16 and UTF-32.
#[rustfmt::skip]
const ODD_BYTES: [&[u8]; 22] = [
    b"\xff", b"\"\xff\"", b"\xc3", b"\"\xc3\x28\"", b"\xed\xa0\x80", b"\"\xed\xa0\x80\"", b"\"\xed\xa0\"",
    b"\"\xed\xa0\x80\xed\xb0\x80\" x", b"\"\xed\xbf\xbf\" \xff", b"{\"\xed\xa0\x80\" 1}", b"\"\xf4\x90\x80\x80\"",
    b"\"\xc0\xaf\"", b"[1, \xff", b"\0", b"\0\0", b"\0\0\0", b"1\0", b"\xff\xfe\"\0\0\xd8\"\0",
    b"\xff\xfe\"\0\0\xd8\"\0,\0", b"\xff\xfe\0\0\"\0\0\0\0\xd8\0\0\"\0\0\0", b"\xff\xfe\0\0\"\0\0\0\0\0\x11\0",
    b"\0\"\xd8\0\xdc\0\0\"",
];

/// The pieces of mutations.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\\ud83d", "\\ude00", "0", "1", "-", ".", "e", "E", "+", " ", "\n",
    "é", "😀", "null", "NaN", "Infinity", "\"a\"", "\"a\":", "\0", "x", "9999999999999999999",
];

fn mutate(random: &mut Rng, text: &mut Vec<u8>, pool: &[Vec<u8>]) {
    let at = random.usize(..text.len() + 1);
    let end = (at + random.usize(..4)).min(text.len());
    match random.usize(..6) {
        0 => drop(text.drain(at..end)),
        1 => text.truncate(at),
        2 => drop(text.splice(at..end, pool[random.usize(..pool.len())].iter().copied())),
        _ => drop(text.splice(at..end, PIECES[random.usize(..PIECES.len())].bytes())),
    }
}

#[test]
fn mutated_texts() {
    let pool = table();
    let mut random = Rng::with_seed(0x9E37_79B9_7F4A_7C15);
    let mut texts = Vec::new();
    for _ in 0..12_000 {
        let mut text = pool[random.usize(..pool.len())].clone();
        for _ in 0..=random.usize(..3) {
            mutate(&mut random, &mut text, &pool);
        }
        texts.push(text);
    }
    compare(&texts);
}

/// Doubles of every magnitude, from random bits and from decimal texts.
#[test]
fn numbers() {
    let mut random = Rng::with_seed(0xD1B5_4A32_D192_ED03);
    let mut texts: Vec<String> = (-1074..=1023)
        .map(|n| format!("{:e}", 2_f64.powi(n)))
        .collect();
    texts.extend((-330..=310).map(|n| format!("1e{n}")));
    for _ in 0..6_000 {
        let bits = f64::from_bits(random.u64(..));
        if bits.is_finite() {
            texts.push(format!("{bits:e}"));
        }
        // Products of small powers of two and five can lie halfway between two texts.
        let tied = (random.u64(..) >> 11) as f64 / 2_f64.powi(random.usize(..40) as i32);
        texts.push(format!("{:e}", tied * 5_f64.powi(random.usize(..8) as i32)));
        let (a, b) = (
            random.u64(..) >> random.usize(..60),
            random.usize(..1_000_000),
        );
        texts.push(format!("{a}.{b}"));
        texts.push(format!("{a}{b}{}", random.u64(..) >> random.usize(..60)));
        texts.push(format!("{b}.{a}e{}", random.usize(..40) as i64 - 20));
    }
    compare(
        &texts
            .into_iter()
            .map(String::into_bytes)
            .collect::<Vec<_>>(),
    );
}
