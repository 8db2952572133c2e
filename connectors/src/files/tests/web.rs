//! Files behind http.

use std::collections::HashMap;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server with fixed answers by path; it says its address.
async fn serve(answers: HashMap<&'static str, Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let mut request = vec![0; 4096];
            let read = peer.read(&mut request).await.unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..read]).into_owned();
            let path = text.split(' ').nth(1).unwrap_or("/").to_owned();
            let not_found = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_vec();
            let answer = match answers.get(path.as_str()) {
                Some(answer) if answer.is_empty() => {
                    // Says nothing and keeps the line open.
                    tokio::spawn(async move {
                        let _kept = peer;
                        std::future::pending::<()>().await;
                    });
                    continue;
                }
                Some(answer) => answer,
                None => &not_found,
            };
            let _ = peer.write_all(answer).await;
            let _ = peer.shutdown().await;
        }
    });
    address
}

fn ok(body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\netag: \"1\"\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

async fn connected(answers: HashMap<&'static str, Vec<u8>>, path: &str) -> (Place, Arc<dyn Connection>) {
    let address = serve(answers).await;
    let place = Place::new();
    let connection = place.connect_with(json!({
        "path": address,
        "transfer": {"idle_timeout": "200ms", "max_bytes": 1000, "max_redirects": 2},
        "tables": {"t": {"path": path}},
    }));
    (place, connection)
}

#[tokio::test]
async fn a_file_behind_http_is_read_like_any_other() {
    let answers = HashMap::from([
        ("/a/t.csv", ok(b"a,b\n1,x\n")),
        ("/moved", b"HTTP/1.1 302 Found\r\nlocation: /a/t.csv\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ]);
    let (_place, connection) = connected(answers.clone(), "a/t.csv").await;
    assert_eq!(connection.tables().await.expect("tables"), ["t"]);
    assert_eq!(columns(&*connection, "t").await.expect("columns"), "a: int64, b: utf8");
    assert!(shown(&*connection, "t").await.expect("rows").contains("| 1 | x |"));
    let address = serve(answers).await;
    let moved = Place::new();
    let moved = moved.connect_with(json!({"path": address, "tables": {"t": {"path": "moved", "format": "csv"}}}));
    assert!(shown(&*moved, "t").await.expect("rows").contains("| 1 | x |"));
}

#[tokio::test]
async fn what_goes_wrong_on_the_way_has_a_code() {
    let mut cut = ok(b"a,b\n1,x\n");
    cut.truncate(cut.len() - 3);
    let answers = HashMap::from([
        ("/cut.csv", cut),
        ("/large.csv", ok(&[b'a'; 2_000])),
        ("/silent.csv", Vec::new()),
        ("/round.csv", b"HTTP/1.1 302 Found\r\nlocation: /round.csv\r\ncontent-length: 0\r\n\r\n".to_vec()),
        ("/broken.csv", b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n".to_vec()),
    ]);
    for (path, code, retry) in [
        ("none.csv", "TM0612", false),
        ("broken.csv", "TM0612", true),
        ("cut.csv", "TM0613", true),
        ("silent.csv", "TM0614", true),
        ("large.csv", "TM0615", false),
        ("round.csv", "TM0616", false),
    ] {
        let (_place, connection) = connected(answers.clone(), path).await;
        let error = failure(&*connection, "t").await;
        assert_eq!((error.code(), error.retryable()), (code, retry), "{path}: {}", error.chain());
    }
}

#[tokio::test]
async fn nothing_is_loaded_to_a_web_server() {
    let (_place, connection) = connected(HashMap::new(), "t.csv").await;
    let found = connection.find_load("t", &crate::LoadId("x".into())).await;
    assert!(matches!(found, Err(ConnectorError::Mode { .. })), "{found:?}");
}
