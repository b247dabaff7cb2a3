//! The input, and files from a server.

use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::json;

fn source(input: &str) -> Option<Result<(String, Claims), String>> {
    let input = json::parse(input.as_bytes()).unwrap();
    let found = source_of(input.as_object().unwrap())?;
    let owned = found.map(|(url, claims)| (url.to_owned(), claims));
    Some(owned.map_err(|error| error.to_string()))
}

#[test]
fn only_an_object_of_a_source_is_a_source() {
    for data in [
        r#"{"source_url":5}"#,
        r#"{"source_url":"x","other":1}"#,
        "{}",
    ] {
        assert!(source(data).is_none(), "{data}");
    }
}

#[test]
fn a_source_may_be_described() {
    let said = source(
        r#"{"source_url":"x","format":"tsv","encoding":"latin1","delimiter":";","decimal":",","nulls":["-"]}"#,
    );
    let (url, claims) = said.unwrap().unwrap();
    assert_eq!((url.as_str(), claims.format), ("x", Some(Format::Tsv)));
    assert_eq!(claims.encoding.as_deref(), Some("latin1"));
    assert_eq!((claims.delimiter, claims.decimal), (Some(b';'), Some(b',')));
    assert_eq!(claims.nulls, Some(vec!["-".to_owned()]));
    let nothing = r#"{"source_url":"x","format":null,"encoding":null,"delimiter":null,"decimal":null,"nulls":null}"#;
    let (_, claims) = source(nothing).unwrap().unwrap();
    assert!(claims.format.is_none() && claims.delimiter.is_none() && claims.nulls.is_none());
    for wrong in [
        r#""format":"xml""#,
        r#""format":5"#,
        r#""encoding":"klingon""#,
        r#""delimiter":"""#,
        r#""delimiter":";;""#,
        r#""delimiter":"\"""#,
        r#""delimiter":"\n""#,
        r#""delimiter":"é""#,
        r#""decimal":"x""#,
        r#""nulls":"NA""#,
        r#""nulls":[1]"#,
    ] {
        let input = format!(r#"{{"source_url":"x",{wrong}}}"#);
        assert!(source(&input).unwrap().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn a_posted_object_is_profiled() {
    let fetcher = Fetcher::public(Default::default(), Default::default());
    let context = TaskContext::detached(uuid::Uuid::nil().into());
    let input = json::parse(br#"{"values":[1,2,3]}"#).unwrap();
    let output = ProcessData::new(fetcher)
        .run(Input(input), &context)
        .await
        .unwrap();
    assert_eq!(
        output.profile.field("values[]").map(|field| field.count),
        Some(3)
    );
    assert!(
        serde_json::to_string(&output)
            .unwrap()
            .starts_with(r#"{"records":"#)
    );
}

/// What the job makes of a file that a server sends with these headers.
async fn profiled(path: &str, headers: &str, file: &[u8], more: &str) -> Result<Json, JobError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let host = format!("127.0.0.1:{}", listener.local_addr().unwrap().port());
    let length = file.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\n{headers}connection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let answer = [head.as_bytes(), file].concat();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        // The first packet has one byte of the file.
        let (first, rest) = answer.split_at(answer.len() - length + length.min(1));
        stream.write_all(first).await.unwrap();
        stream.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        // Who refuses a file may leave before its end.
        let _ = stream.write_all(rest).await;
    });
    let fetcher = Fetcher::public(Default::default(), host.parse().unwrap());
    let context = TaskContext::detached(uuid::Uuid::nil().into());
    let input = format!(r#"{{"source_url":"http://{host}{path}"{more}}}"#);
    let input = Input(json::parse(input.as_bytes()).unwrap());
    let output = ProcessData::new(fetcher).run(input, &context).await;
    server.await.unwrap();
    output.map(|output| json::parse(&serde_json::to_vec(&output).unwrap()).unwrap())
}

fn at<'j>(output: &'j Json, path: &[&str]) -> &'j Json {
    let found = path.iter().try_fold(output, |value, key| value.get(key));
    found.unwrap_or_else(|| panic!("{path:?} in {output}"))
}

#[tokio::test]
async fn headers_and_input_say_how_a_file_is_read() {
    let latin = b"nr,stadt\n1,K\xF6ln\n2,Bonn\n3,L\xFCbeck\n";
    let declared = "content-type: text/csv; charset=iso-8859-1\r\n";
    let output = profiled("/x", declared, latin, "").await.unwrap();
    assert_eq!(at(&output, &["records"]).as_i64(), Some(3));
    let last = at(&output, &["fields", "stadt", "max_text"]);
    assert_eq!(last.as_str(), Some("Lübeck"));
    let encoding = at(&output, &["source", "encoding"]);
    assert_eq!(encoding.as_str(), Some("windows-1252"));
    let input = r#","encoding":"windows-1251","format":"csv""#;
    let output = profiled("/x", "", latin, input).await.unwrap();
    let last = at(&output, &["fields", "stadt", "max_text"]);
    assert_eq!(last.as_str(), Some("Lьbeck"));
    let marked = "\u{feff}id;name\n1;a\n".as_bytes();
    let binary = "content-type: application/octet-stream\r\n";
    let output = profiled("/export.csv?id=1", binary, marked, "")
        .await
        .unwrap();
    assert_eq!(at(&output, &["source", "delimiter"]).as_str(), Some(";"));
    assert_eq!(at(&output, &["fields", "id", "count"]).as_i64(), Some(1));
    let output = profiled("/x.csv", binary, b"id,name\n", "").await.unwrap();
    assert_eq!(at(&output, &["fields", "name", "count"]).as_i64(), Some(0));
}

#[tokio::test]
async fn a_compressed_file_is_read() {
    // As `gzip` packs `id,amount\n1,10\n2,20\n3,30\n`.
    const ORDERS: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\x02\x03\xcbL\xd1I\xcc\xcd/\xcd+\xe12\xd414\xe0\
        2\xd212\xe02\xd616\xe0\x02\0}\xd4\xdb#\x19\0\0\0";
    let binary = "content-type: application/octet-stream\r\n";
    let output = profiled("/orders.csv.gz", binary, ORDERS, "")
        .await
        .unwrap();
    let compression = at(&output, &["source", "compression"]);
    assert_eq!(compression.as_str(), Some("gzip"));
    let mean = at(&output, &["fields", "amount", "mean"]);
    assert_eq!(mean.as_f64(), Some(20.0));
    assert_eq!(at(&output, &["source", "bytes"]).as_i64(), Some(45));
}

#[tokio::test]
async fn what_cannot_be_read_fails_with_its_reason() {
    let page = b"<!DOCTYPE html>\n<html lang=\"en\">\n<p>Please sign in</p>\n</html>\n";
    let html = "content-type: text/html\r\n";
    let csv = "content-type: text/csv\r\n";
    let open = [&b"a,b\n1,\"x\n"[..], &b"2,y\n".repeat(50_000)].concat();
    let utf8 = "content-type: text/csv; charset=utf-8\r\n";
    let cases: [(&str, &[u8], &str, &str); 5] = [
        (html, page, "UnknownFormat", "HTML"),
        (csv, page, "UnknownFormat", "HTML"),
        (csv, &open, "BadTable", "line 2"),
        (utf8, b"\xF6,b\n1,2\n", "BadEncoding", "line 1"),
        (csv, b"a\n1,2\n", "BadTable", "line 2"),
    ];
    for (headers, file, kind, words) in cases {
        let error = profiled("/x.csv", headers, file, "").await.err().unwrap();
        assert_eq!(error.kind(), kind, "{}", error.message());
        assert!(error.message().contains(words), "{}", error.message());
    }
}
