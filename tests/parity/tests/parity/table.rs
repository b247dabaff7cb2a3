//! The table of requests: the rules of FastAPI, Pydantic, Starlette and Python's `json`, each in many forms.

use crate::wire::Request;

const JSON: Option<&str> = Some("application/json");

/// A request of the table.
pub struct Case {
    pub request: Request,
    /// Whether to wait for the end of the request's task.
    pub when_ended: bool,
}

/// All requests of the table, in the order of sending. `upstream` is the base URL for `/fetch/`.
pub fn cases(upstream: &str) -> Vec<Case> {
    let groups = [
        item_lifecycle(),
        user_lifecycle(),
        integers(),
        queries(),
        paths(),
        methods(),
        json_errors(),
        json_values(),
        encodings(),
        content_types(),
        users(),
        limits(),
        fetches(upstream),
    ];
    let requests = groups.into_iter().flatten();
    let case = |request| Case {
        request,
        when_ended: false,
    };
    requests.map(case).chain(tasks()).collect()
}

fn get(target: &str) -> Request {
    Request::new("GET", target)
}

fn post(target: &str, body: &[u8]) -> Request {
    Request::new("POST", target).with(JSON, body)
}

fn put(target: &str, body: &[u8]) -> Request {
    Request::new("PUT", target).with(JSON, body)
}

/// Items from creation to deletion.
fn item_lifecycle() -> Vec<Request> {
    vec![
        get("/"),
        get("/items/"),
        get("/users/"),
        post("/items/", br#"{"name":"Foo","price":1.0}"#),
        post("/items", br#"{"name":"Bar"}"#),
        get("/items/{item}"),
        get("/items/{item}/?q=x"),
        put("/items/{item}", br#"{"b":[],"a":1e5}"#),
        put("/items/{item}/", b"{}"),
        get("/items/?limit=1"),
        get("/items?limit=2"),
        Request::new("DELETE", "/items/{item}"),
        Request::new("DELETE", "/items/{item}"),
        put("/items/{item}", b"{}"),
        get("/items/{item}"),
        get("/items/"),
    ]
}

/// Users from creation to deletion, and ids that were never issued.
fn user_lifecycle() -> Vec<Request> {
    let mut requests = vec![
        post("/users/", br#"{"name":"Ada","email":"ada@example.com"}"#),
        post(
            "/users",
            br#"{"email":"b@example.com","x":[1.0],"name":"Bob","id":7}"#,
        ),
        get("/users/{user}"),
        get("/users/{user}/"),
        get("/users/?limit=1"),
        get("/users/?ids={user}"),
        get("/users/?ids=1,{user},{user}"),
        get("/users/?ids=5&ids={user}"),
        put(
            "/users/{user}",
            br#"{"email":"e","name":"Eve","z":null,"a":0}"#,
        ),
        get("/users/"),
        Request::new("DELETE", "/users/{user}"),
        Request::new("DELETE", "/users/{user}"),
        get("/users/{user}"),
    ];
    requests.extend(["/items/0", "/users/0", "/items/99", "/users/-1"].map(get));
    requests
}

/// Pydantic's integers, in paths and queries.
#[rustfmt::skip]
fn integers() -> Vec<Request> {
    let texts = [
        "foo", "1.5", "1e3", "true", "007", "+5", "-5", "-0", "1_000", "%205%20", "1.0", "-1.000",
        "1.", "1.00", ".0", "1__0", "_1", "1_", "1_0.0", "1.0_0", "+-5", "--5", "0x1", "%D9%A3",
        "5%00", "%00", "%095", "1,0", "-", "%2B5", "00_1", "0_1", "-_1", "1e0", "5%C2%A0",
        "%E2%80%835", "9007199254740993", "9223372036854775808", "-9223372036854775809", "NaN",
        "Infinity", "None", "%F0%9F%98%80", "%22", "%5C", "5;6", "5:6", "5@", "~5", "'5'", "(5)", "*",
    ];
    let mut requests: Vec<Request> = texts.iter().map(|text| get(&format!("/items/{text}"))).collect();
    requests.extend(texts[..24].iter().map(|text| get(&format!("/users/?limit={text}"))));
    requests.extend(texts[..6].iter().map(|text| get(&format!("/users/{text}"))));
    for (digit, count) in [("9", 30), ("9", 4300), ("9", 4301), ("0", 5000)] {
        requests.push(get(&format!("/items/{}", digit.repeat(count))));
        requests.push(get(&format!("/items/?limit={}", digit.repeat(count))));
    }
    requests.push(get(&format!("/items/-{}", "9".repeat(4300))));
    requests.push(get(&format!("/items/{}_1", "0".repeat(4301))));
    for (before, after) in [
        ("-", ""), ("%2B", ""), ("%20", ""), ("", "%20"), ("0", ""), ("1_", ""), ("", "_1"), ("", ".0"),
        ("", "."), ("", "a"), ("-", "e5"), ("%20", "a"),
    ] {
        let long = format!("{before}{}{after}", "9".repeat(4301));
        requests.push(get(&format!("/items/{long}")));
        requests.push(get(&format!("/users/?ids=1,{long}")));
    }
    requests
}

/// Repeated, empty and odd parameters, and several wrong parameters at once.
#[rustfmt::skip]
fn queries() -> Vec<Request> {
    [
        "/items/5?q=", "/items/5?q", "/items/5?q=1&q=2", "/items/5?q=a+b%20c%2B", "/items/5?q=%ff",
        "/items/5?q=%C3%A4%E2%82%AC%F0%9F%98%80", "/items/5?q=%ED%A0%80", "/items/5?q=%00%1f%7f",
        "/items/5?q=a%26b%3Dc", "/items/5?q=a;b&c", "/items/5?q=%22%5C%2F", "/items/5?q=%2",
        "/items/5?q=%zz", "/items/5?q=a=b=c", "/items/5?&&q=1&", "/items/5??q=1", "/items/5?Q=1",
        "/items/5?%71=1", "/items/5?q[]=1", "/items/5?q=1#x", "/items/5?", "/items/5?q=%E2%80%A8",
        "/items/foo?q=1", "/users/?limit=", "/users/?limit", "/users/?limit=1&limit=x",
        "/users/?limit=x&limit=1", "/users/?limit=+5", "/users/?limit=-1", "/users/?limit=0",
        "/users/?limit=x&ids=y", "/users/?ids=", "/users/?ids", "/users/?ids=1,x,,2", "/users/?ids=,",
        "/users/?ids=1&ids=", "/users/?ids=1.0,+2,%203", "/items/?limit=1e3", "/items/?limit=%D9%A3",
        "/fetch/", "/fetch", "/fetch/?URL=x", "/fetch/?url", "/fetch/?u=1&ur=2",
    ]
    .map(get)
    .into_iter()
    .chain([101, 102].map(|count| get(&format!("/users/?ids={}", vec!["7"; count].join(",")))))
    .collect()
}

/// Slashes and escapes.
#[rustfmt::skip]
fn paths() -> Vec<Request> {
    [
        "/nope", "/items/1/2", "/itemsx", "/items/5/", "/items/5//", "/items//", "//items", "//items/",
        "//", "///", "/items//5", "/result", "/result/", "/result//", "/result/x/", "/users/x/",
        "/users//", "/process", "/process/", "/process//", "/fetch//", "/Items/", "/items/%2F",
        "/items/a%2Fb", "/items/5%2F", "/items/5%2f%2F", "/items%2F5", "/items%2F", "/%69tems/", "%2F",
        "/items/%2E%2E", "/items/.", "/items/../users/", "/items/%20", "/items/%C3%A4/", "/items/a%20b/",
        "/items/a%22b/?q=%22", "/items/a%5Cb/", "/items/%ff", "/items/%E2%82", "/items/5/?q=a%20b&x=%C3%A4",
        "/items/5/?", "/items/5/?q={}|^`\"<>", "/items/%25", "/items/%2535", "/items/%252F", "/items/%3F",
        "/items/5%3Fq=1", "/items/%", "/items/%zz", "/items/%2", "/items/%0A", "/items/5%0A", "/%0A",
        "/items/%7B%7D", "/items/a;b=c/", "/items/[1]/", "/items/a|b/", "/items/'a'/", "/nope%3F/",
        "/users/%e4%b8%96", "/docs/nope", "/.well-known/x", "/favicon.ico", "/items/%23/", "/result/a%20b",
        "/result/%C3%A4", "/result/not-a-uuid", "/result/6F9619FF-8B86-D011-B42D-00CF4FC964FF",
    ]
    .map(|target| get(if target == "%2F" { "/%2F" } else { target }))
    .into()
}

/// Every method at every path.
#[rustfmt::skip]
fn methods() -> Vec<Request> {
    let paths = [
        "/", "/items/", "/items", "/items/5", "/items/5/", "/items/x", "/users/", "/users", "/users/5",
        "/users/5/", "/fetch/", "/fetch", "/process/", "/process", "/result/x", "/result/x/", "/nope",
        "/items/a%20b/?q=1",
    ];
    let methods = ["HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"];
    let mut requests = Vec::new();
    for path in paths {
        requests.extend(methods.map(|method| Request::new(method, path)));
    }
    requests.push(put("/process/", b"{}"));
    requests.push(put("/items/", b"{"));
    requests.push(post("/items/5", b"{}"));
    requests
}

/// Bodies that are not JSON, or not an object.
#[rustfmt::skip]
fn json_errors() -> Vec<Request> {
    let bodies: [&[u8]; 76] = [
        b"", b"{", b"}", b"[", b"{\"a\":", b"{\"a\"", b"{\"a", b"{\"a\":1,}", b"{'a':1}", b"{a:1}", b"{,}",
        b"[1]", b"null", b"\"x\"", b"3", b"1.0", b"-0.0", b"1e5", b"true", b"x", b"{\"a\":1} x", b"{\"a\":1}}",
        b"{\"a\":\"\n\"}", b"{\"a\":\"\\x\"}", b"{\"a\":\"\\u12\"}", b"{\"a\":\"\\u12G4\"}", b"{\"a\":\"b", b"[1,]",
        b"[1,,2]", b"{\"a\" 1}", b"{\"a\":1 \"b\":2}", b"{\"a\":1,", b"{\"a\":1,\"b\"}", b" ", b"\n{\"a\":\n x}",
        b"nul", b"nulll", b"-", b"--1", b"+1", b"01", b"1.", b".5", b"1e", b"1e+", b"0x10", b"1_000", b"[1 2]",
        b"[1}", b"{\"a\":[1,2}", b"tru", b"True", b"None", b"undefined", b"{\"\xc3\xa9\":x}", b"{\"\xf0\x9f\x98\x80\" 1}",
        b"\"\\ud83d\\ude00\" x", b"{\"a\":{\"b\":[1,2}", b"//x\n{}", b"{}/**/", b"{}\0", b"\x0b{}", b"{\"a\":1}\n\n", b"\t{}",
        b"[[[[", b"]", b":", b",", b"\"", b"{\"a\":1,\"a\"", b"{\"a\":\"\\\"}", b"[\"a\",\"b\" \"c\"]", b"{1:2}", b"{null:1}",
        b"[{\"id\":1},{\"id\":2}]", b"a=1&b=2",
    ];
    let mut requests: Vec<Request> = bodies.iter().map(|body| post("/process/", body)).collect();
    requests.extend(bodies[..20].iter().map(|body| put("/items/foo", body)));
    requests.extend(bodies[..16].iter().map(|body| post("/users/", body)));
    requests
}

/// JSON values that are echoed in Python's form.
#[rustfmt::skip]
fn json_values() -> Vec<Request> {
    let bodies: [&[u8]; 45] = [
        br#"{"b":1.0,"a":[1e5,-0.0,0.1,5e-324,1e22,1e16,1e15,123456789.123],"b":2}"#,
        br#"{"a":1e-5,"b":0.0001,"c":1E+3,"d":1.5e300,"e":-1e-7,"f":100,"g":2.50}"#,
        br#"{"a":12345678901234567890123,"b":-0,"c":0,"d":9007199254740993,"e":9223372036854775808}"#,
        br#"{"a":"\u00e9\ud83d\ude00\u0000\u001f\u007f\u2028\/\"\\\b\f\n\r\t"}"#, b"{\"\xc3\xa9\":\"\xe6\x97\xa5 \xf0\x9f\x98\x80\"}",
        br#"{"":0,"a\u0062":1,"ab":2}"#, br#"{ "z" : [ ] , "y" : { } , "x" : [ null , true , false ] }"#,
        br#"{"a":{"b":{"c":[{"d":[[]]}]}},"e":"</script>&'"}"#, br#"{"__proto__":1,"constructor":{},"$ref":"x"}"#,
        br#"{"a":1,"b":2,"a":{"c":3},"b":null}"#, br#"{"item_id":3,"id":4,"detail":"x"}"#, b"\xef\xbb\xbf{}", b"\xef\xbb\xbf{\"a\":x}",
        br#"{"a":NaN}"#, br#"{"a":[Infinity,-Infinity]}"#, br#"{"a":1e999}"#, br#"{"a":-1e400,"b":1}"#, b"NaN", b"[NaN]", b"[-Infinity]",
        br#"{"a":nan}"#, br#"{"a":-NaN}"#, br#"{"a":"\ud800"}"#, br#"{"a":"\udc00\ud800"}"#, br#"{"\ud800":1}"#, br#"["\ud800"]"#, br#"{"a":"\ud800","a":1}"#,
        br#""\ud83d""#, br#"{"a":"\ud83dx","b":NaN}"#, b"{\"a\":\"\xed\xa0\x80\"}", b"{\"a\":\"\xff\"}", b"\xff", b"{\"a\":\"\xc3\"}", b"\xc3\x28",
        b"{\"a\":\"\xf4\x90\x80\x80\"}", b"{\"a\":\"\xc0\xaf\"}", br#"{"a":1.7976931348623157e308,"b":2.2250738585072014e-308}"#,
        br#"{"a":0.30000000000000004,"b":5.684341886080802e-14,"c":1e1}"#, br#"{"a":"<","b":"\u003c","c":"\uFEFF","d":"\ufffe"}"#,
        br#"{"a":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}"#, br#"{"a":"\u0041\u00df\u0130"}"#, br#"{"a":" \t "}"#, br#"{"a":1} "#,
        br#"{"a":"\ud83d\ude00","b":"\uD83D\uDE00"}"#, b"{\"a\":\"\x7f\xc2\x80\"}",
    ];
    let mut requests: Vec<Request> = bodies.iter().map(|body| post("/items/", body)).collect();
    requests.extend(bodies.iter().map(|body| post("/process/", body)));
    requests.extend(bodies[13..32].iter().map(|body| put("/items/foo", body)));
    requests.push(get("/items/?limit=1000"));
    requests
}

/// Bodies in UTF-16 and UTF-32, which Python's decoder detects.
#[rustfmt::skip]
fn encodings() -> Vec<Request> {
    let mut bodies: Vec<Vec<u8>> = Vec::new();
    for text in ["{}", "{\"é😀\":[1.0,\"ä\"]}", "{\"é😀\":1,}", "1", "[\"😀\"] x"] {
        for text in [text.to_owned(), format!("\u{feff}{text}")] {
            bodies.push(text.encode_utf16().flat_map(u16::to_le_bytes).collect());
            bodies.push(text.encode_utf16().flat_map(u16::to_be_bytes).collect());
            bodies.push(text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect());
            bodies.push(text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect());
        }
    }
    let odd: [&[u8]; 9] = [
        b"\0", b"\0\0", b"{\0}", b"{\0}\0\0", b"\xff\xfe{\0}", b"\xff\xfe{\0}\0", b"\xfe\xff\0{\0}", b"\0{\0\"\xd8\0\0\"\0:\x001\0}",
        b"\xff\xfe\0\0{\0\0\0}\0\0\0",
    ];
    bodies.extend(odd.map(<[u8]>::to_vec));
    bodies.iter().map(|body| post("/items/", body)).collect()
}

/// Content types of JSON and of other texts.
#[rustfmt::skip]
fn content_types() -> Vec<Request> {
    let types = [
        "text/plain", "application/json; charset=utf-8", "application/json;charset=latin-1", "application/vnd.x+json",
        "application/JSON", "APPLICATION/json", "application/problem+JSON;x=y", "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x", "application", "application/", "application/json;", "application/json ;x",
        "application/jsonx", "application/x-json", "application/x/y+json", "application/+json", "application/xml", "text/json",
        "json", "/json", ";", "application/json, text/plain", "\"application/json\"", "application /json", "application/ json",
        "image/png", "application/octet-stream", "application/json+x", "application/json;application/json", "*/*",
    ];
    let mut requests = Vec::new();
    for content_type in types.map(Some).into_iter().chain([None, Some("")]) {
        let request = Request::new("POST", "/process/");
        requests.push(request.clone().with(content_type, br#"{"a":1}"#));
        requests.push(request.with(content_type, b""));
        requests.push(Request::new("PUT", "/items/foo").with(content_type, b"{\"\xc3\xa9\":\"\\\""));
    }
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/xml")] {
        for body in [&b"\xff\xfe"[..], b"\xed\xa0\x80", b"\xef\xbb\xbfx", b"\0\x1f\x7f", b"a=\xc3\xa4", b"[NaN]"] {
            requests.push(Request::new("POST", "/items/").with(content_type, body));
        }
        requests.push(Request::new("POST", "/users/").with(content_type, b"{}"));
    }
    requests
}

/// Users, which are a Pydantic model.
#[rustfmt::skip]
fn users() -> Vec<Request> {
    let bodies: [&[u8]; 28] = [
        b"{}", br#"{"name":"a"}"#, br#"{"email":"a"}"#, br#"{"name":1,"email":null}"#, br#"{"name":["a"],"email":{"b":1}}"#,
        br#"{"name":1.0,"email":true}"#, br#"{"email":1}"#, br#"{"name":"","email":""}"#, br#"{"Name":"a","EMAIL":"b"}"#,
        br#"{"name":"a","email":"b","id":"x"}"#, br#"{"x":{"y":[1e5]},"name":"a","email":"b","name":"c"}"#, b"[]",
        br#"[{"name":"a","email":"b"}]"#, b"null", br#""name""#, b"5", br#"{"name":NaN,"email":"b"}"#, br#"{"name":"\ud800","email":"b"}"#,
        br#"{"name":"a","email":"b","x":NaN}"#, br#"{"name":"a","email":"b","x":"\ud800"}"#, br#"{"name":"a","x":1e16,"x":-0.0}"#,
        br#"{"name":0,"email":"b","x":"\ud800"}"#, br#"{"":{"\ude00":0},"email":"","name":0}"#, br#"{"name":"a","x":"\ud800"}"#,
        br#"{"name":"\ufffd","email":0,"x":"\ud800"}"#, br#"{"name":5,"email":"b","x":NaN}"#, br#"{"name":0,"email":"\ud800"}"#,
        br#"{"model_config":1,"name":"a","email":"b","__class__":2,"self":3}"#,
    ];
    let mut requests: Vec<Request> = bodies.iter().map(|body| post("/users/", body)).collect();
    requests.push(post("/users/", br#"{"name":"kept","email":"k"}"#));
    requests.extend(bodies.iter().map(|body| put("/users/{user}", body)));
    requests.extend(bodies[..6].iter().map(|body| put("/users/foo", body)));
    requests.push(get("/users/?limit=100"));
    requests
}

/// Large bodies: many digits, deep nesting, long texts.
fn limits() -> Vec<Request> {
    let mut requests = Vec::new();
    for digits in [4300, 4301] {
        let digits = "9".repeat(digits);
        requests.push(post("/items/", format!(r#"{{"a":{digits}}}"#).as_bytes()));
        requests.push(post(
            "/process/",
            format!(r#"{{"a":-{digits}}}"#).as_bytes(),
        ));
        requests.push(post(
            "/process/",
            format!(r#"{{"a":{digits}.5}}"#).as_bytes(),
        ));
    }
    for depth in [100, 900, 1_100, 100_000] {
        let nested = format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        requests.push(post("/process/", nested.as_bytes()));
        let objects = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        requests.push(post("/process/", objects.as_bytes()));
        requests.push(post("/process/", "[".repeat(depth).as_bytes()));
    }
    requests.push(post("/items/", b"{}"));
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(900), "]".repeat(900));
    requests.push(put("/items/{item}", deep.as_bytes()));
    requests.push(put("/items/{item}", b"{}"));
    let long = |length| format!(r#"{{"text":"{}"}}"#, "x".repeat(length));
    requests.push(put("/items/{item}", long(300_000).as_bytes()));
    requests.push(put("/items/{item}", long(500_000).as_bytes()));
    requests.push(put("/items/{item}", b"{}"));
    requests.push(post("/process/", long(2_000_000).as_bytes()));
    requests
}

fn fetches(upstream: &str) -> Vec<Request> {
    let upstream = upstream.replace(':', "%3A");
    ["/json/7", "/status/503", "/data/people.csv", "/nope"]
        .iter()
        .map(|path| format!("{upstream}{path}"))
        .chain(
            [
                "",
                "x",
                "ftp://a",
                "http://127.0.0.1:1/",
                "http://[::1",
                "//x",
                "file:///nope",
            ]
            .map(str::to_owned),
        )
        .map(|url| get(&format!("/fetch/?url={url}")))
        .collect()
}

/// A task from its submission to its end.
fn tasks() -> Vec<Case> {
    let case = |request, when_ended| Case {
        request,
        when_ended,
    };
    let failing = br#"{"source_url":"http://10.0.0.1/x.csv"}"#;
    vec![
        case(post("/process/", br#"{"values":[1,2,3]}"#), false),
        case(get("/result/{task}"), true),
        case(get("/result/{task}/"), true),
        case(post("/process", br#"{"a":[NaN,"\ud800"]}"#), false),
        case(get("/result/{task}"), true),
        case(post("/process/", failing), false),
        case(get("/result/{task}"), true),
        case(get("/result/00000000-0000-4000-8000-000000000000"), false),
    ]
}
