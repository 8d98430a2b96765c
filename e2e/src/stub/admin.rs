//! The admin API's side of the stub: what a gateway asks for to start and to open topics.

use super::topics::{LEDGER, Partitioned, Topics, locked};
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

/// Status, headers and body.
struct Answer(u16, Vec<(&'static str, String)>, Option<Value>);

/// Serves the requests of one connection until the client closes it.
pub(super) fn serve(stream: &TcpStream, topics: &Topics) -> Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return Ok(());
        }
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            if name.eq_ignore_ascii_case("content-length") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split(' ');
        let (method, path) = (words.next(), words.next());
        let method = method.context("a method")?;
        let path = path.and_then(|path| path.strip_prefix("/admin/v2/"));
        let path = path.and_then(|path| path.split('?').next());
        let answer = answer(method, path.context("a path")?, &body, topics)?;
        write(stream, method, &answer)?;
    }
}

fn write(mut stream: &TcpStream, method: &str, answer: &Answer) -> Result<()> {
    let Answer(status, headers, body) = answer;
    let body = body.as_ref().map_or_else(String::new, Value::to_string);
    let mut text = format!("HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    if *status != 204 {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text += "\r\n";
    if method != "HEAD" {
        text += &body;
    }
    Ok(stream.write_all(text.as_bytes())?)
}

fn ok(body: Value) -> Answer {
    Answer(200, Vec::new(), Some(body))
}

fn done() -> Answer {
    Answer(204, Vec::new(), None)
}

fn unknown(what: &str) -> Answer {
    Answer(404, Vec::new(), Some(json!({ "reason": what })))
}

fn answer(method: &str, path: &str, body: &[u8], topics: &Topics) -> Result<Answer> {
    let parts: Vec<&str> = path.split('/').collect();
    Ok(match (method, parts.as_slice()) {
        ("GET", ["clusters"]) => ok(json!(["stub"])),
        ("GET", ["brokers", "configuration", "runtime"]) => ok(json!({
            "brokerEntryMetadataInterceptors":
                "org.apache.pulsar.common.intercept.AppendIndexMetadataInterceptor",
            "exposingBrokerEntryMetadataToClientEnabled": "true",
            "brokerDeleteInactiveTopicsEnabled": "false",
        })),
        ("GET", ["namespaces", _, _]) => ok(json!({})),
        ("PUT", ["namespaces", ..]) => done(),
        ("GET", ["namespaces", _, _, "retention"]) => {
            ok(json!({ "retentionTimeInMinutes": -1, "retentionSizeInMB": -1 }))
        }
        ("GET", ["persistent", tenant, namespace]) => {
            ok(json!(topics.all(&format!("{tenant}/{namespace}"))))
        }
        ("GET", ["persistent", tenant, namespace, "partitioned"]) => ok(json!(
            topics.all_partitioned(&format!("{tenant}/{namespace}"))
        )),
        (method, ["persistent", tenant, namespace, local, rest @ ..]) => {
            let name = format!("persistent://{tenant}/{namespace}/{local}");
            of_topic(method, &name, rest, body, topics)?
        }
        _ => unknown(path),
    })
}

fn of_topic(
    method: &str,
    name: &str,
    rest: &[&str],
    body: &[u8],
    topics: &Topics,
) -> Result<Answer> {
    Ok(match (method, rest) {
        ("GET", ["partitions"]) => match topics.partitioned(name) {
            Some(metadata) => ok(serde_json::to_value(metadata)?),
            None => ok(json!({ "partitions": 0 })),
        },
        ("PUT", ["partitions"]) if topics.partitioned(name).is_some() => {
            Answer(409, Vec::new(), Some(json!({ "reason": "exists" })))
        }
        ("PUT", ["partitions"]) => {
            topics.set_partitioned(name, serde_json::from_slice(body)?);
            done()
        }
        ("POST", ["partitions"]) => {
            let metadata = topics.partitioned(name).context("grown while unknown")?;
            let partitions = serde_json::from_slice(body)?;
            topics.set_partitioned(
                name,
                Partitioned {
                    partitions,
                    ..metadata
                },
            );
            done()
        }
        ("DELETE", ["partitions"]) => match topics.remove_partitioned(name) {
            Some(_) => done(),
            None => unknown(name),
        },
        ("PUT", []) => {
            drop(topics.log(name));
            done()
        }
        ("GET", ["properties"]) => ok(json!({})),
        ("PUT", ["properties"]) => done(),
        ("GET", ["internalStats"]) => ok(stats(name, topics)),
        ("HEAD", ["ledger", _, "entry", number]) => {
            let log = topics.log(name);
            let log = locked(&log);
            let number = number.parse()?;
            let Some((index, messages)) = log.facts(number) else {
                return Ok(unknown("no such entry"));
            };
            let mut headers = vec![
                ("X-Pulsar-Broker-Entry-METADATA-index", index.to_string()),
                ("X-Pulsar-num-batch-message", messages.to_string()),
            ];
            if log.is_marker(number) {
                headers.push(("X-Pulsar-marker-type", "90".to_owned()));
            }
            Answer(200, headers, None)
        }
        _ => unknown(name),
    })
}

/// The ledgers as they are told of a topic: entries of the ledger being written count 0.
fn stats(name: &str, topics: &Topics) -> Value {
    let log = topics.log(name);
    let next = locked(&log).next_entry();
    let last = i128::from(next) - 1;
    json!({
        "ledgers": [{ "ledgerId": LEDGER, "entries": 0 }],
        "lastConfirmedEntry": format!("{LEDGER}:{last}"),
        "properties": {},
        "totalSize": 0,
    })
}
