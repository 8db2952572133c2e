//! `tidemill gateway`: a key is made, the server asks for it, and nothing starts open to the world.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use serde_json::Value;

use crate::place::Place;

fn get(address: &str, path: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nx-api-key: {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    text
}

#[test]
fn a_key_opens_the_gateway_and_nothing_else_does() {
    let place = Place::empty();
    let made = place.run(&["gateway", "key", "nightly", "--tenant", "acme", "--json"]).exits(0).json();
    let (key, hash) = (made["key"].as_str().expect("a key"), made["hash"].as_str().expect("a hash"));
    place.write(
        "tidemill.yaml",
        &format!(
            "gateway:\n  keys:\n    nightly: {{hash: \"{hash}\", tenant: acme}}\n  providers:\n    local: {{kind: compatible, url: \"http://127.0.0.1:9/v1\"}}\n  deployments:\n    small: {{provider: local, model: any}}\n"
        ),
    );
    let mut server = place.start(&["gateway", "--listen", "127.0.0.1:0", "--json"]);
    let hello: Value = serde_json::from_str(&server.first_line()).expect("JSON");
    let address = hello["url"].as_str().expect("a URL").trim_start_matches("http://");
    assert!(get(address, "/v1/models", key).contains("\"small\""));
    let refused = get(address, "/v1/models", "tmk_other");
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("TM1103"), "{refused}");
    server.signal(libc::SIGTERM);
    server.end().exits(0);
    assert!(!place.run(&["config", "print"]).exits(0).stdout.contains(key));
}

#[test]
fn it_does_not_start_open_to_the_world() {
    let place = Place::empty();
    place.run(&["gateway", "--listen", "0.0.0.0:0"]).exits(2).says("TM1126").says("tidemill gateway key");
    place.write("tidemill.yaml", "gateway:\n  routes:\n    auto: {use: [{deployment: nothing}]}\n");
    place.run(&["gateway"]).exits(2).says("TM1127").says("gateway.routes.auto.use");
    place.write("tidemill.yaml", "gateway:\n  sever: {}\n");
    place.run(&["gateway"]).exits(2).says("did you mean `server`?");
}
