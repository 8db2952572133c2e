use std::collections::VecDeque;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// What a receiver heard: the headers, in lower case, and the body.
#[derive(Debug, Clone)]
struct Heard {
    head: String,
    body: String,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        line.unwrap_or_else(|| panic!("no {name} in {}", self.head))
    }
}

/// A receiver that answers as planned, then with 200.
struct Receiver {
    address: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Receiver {
    async fn start(answers: &[u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}/hook?token=t0ken", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let answers = Arc::new(Mutex::new(answers.iter().copied().collect::<VecDeque<_>>()));
        let all = heard.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let next = answers.lock().expect("no panic").pop_front().unwrap_or(200);
                if let Some(one) = serve(stream, next).await {
                    all.lock().expect("no panic").push(one);
                }
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().expect("no panic").clone()
    }

    fn hook(&self, bed: &Bed, events: &[&str], attempts: u32) -> Arc<Webhook> {
        let config = WebhookConfig {
            name: "ops".to_owned(),
            url: self.address.clone(),
            secret: "s3cret".to_owned(),
            events: events.iter().map(|it| (*it).to_owned()).collect(),
            attempts,
            timeout: Duration::from_secs(5),
        };
        Arc::new(Webhook::new(config, Arc::new(bed.clock.clone())).expect("a webhook"))
    }
}

async fn serve(mut stream: TcpStream, status: u16) -> Option<Heard> {
    let mut text = Vec::new();
    loop {
        let mut some = [0; 4_096];
        let read = stream.read(&mut some).await.ok()?;
        text.extend_from_slice(&some[..read]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let Some((head, body)) = all.split_once("\r\n\r\n") else { continue };
        let head = head.to_lowercase();
        let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.trim().parse().ok()?;
        if body.len() < length {
            continue;
        }
        let heard = Heard { head, body: body.to_owned() };
        let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.ok()?;
        return Some(heard);
    }
}

#[tokio::test]
async fn what_is_asked_for_is_told_with_a_signature() {
    let bed = Bed::new().await;
    let receiver = Receiver::start(&[]).await;
    let relay = bed.relay(receiver.hook(&bed, &["run.*"], 3));
    relay.look().await.expect("a look");
    let run = bed.run().await;
    assert_eq!(relay.drain().await.expect("a look"), Looked::Idle);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 2, "the run's two changes, not the task's: {heard:?}");
    let last: serde_json::Value = serde_json::from_str(&heard[1].body).expect("JSON");
    assert_eq!((last["type"].as_str(), last["run"].as_str()), (Some("run.succeeded"), Some(run.to_string().as_str())));
    assert_eq!(heard[1].header("tidemill-event"), last["id"]);
    let given = heard[1].header("tidemill-signature");
    let moment = given.strip_prefix("t=").and_then(|it| it.split(',').next()).and_then(|it| it.parse().ok());
    assert_eq!(given, signature("s3cret", moment.expect("a moment"), &heard[1].body));
    assert_ne!(given, signature("other", moment.expect("a moment"), &heard[1].body));
}

#[tokio::test]
async fn a_receiver_that_fails_is_told_again_and_in_the_end_no_more() {
    let bed = Bed::new().await;
    let receiver = Receiver::start(&[500, 200, 503, 503, 503]).await;
    let relay = bed.relay(receiver.hook(&bed, &["run.*"], 3));
    relay.look().await.expect("a look");
    bed.run().await;
    let mut looked = Vec::new();
    for _ in 0..12 {
        looked.push(relay.look().await.expect("a look"));
        bed.clock.advance(Duration::from_secs(400));
    }
    let failed = looked.iter().filter(|it| matches!(it, Looked::Failed(_))).count();
    assert_eq!((failed, looked.iter().filter(|it| **it == Looked::Lost).count()), (3, 1), "{looked:?}");
    let lost = bed.store.lost_deliveries(None, 10).await.expect("a list");
    assert_eq!((lost.len(), lost[0].sink.as_str(), lost[0].attempts), (1, "webhook/ops", 3));
    assert!(lost[0].problem.contains("503") && lost[0].body.contains("run.succeeded"));
    assert!(!lost[0].problem.contains("t0ken"), "{}", lost[0].problem);
    let after = receiver.heard().len();
    bed.run().await;
    bed.clock.advance(Duration::from_secs(60));
    relay.drain().await.expect("a look");
    assert_eq!(receiver.heard().len(), after + 2, "it goes on behind the lost one");
}

#[tokio::test]
async fn addresses_that_are_none_are_refused() {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::default());
    for url in ["", "ftp://x/y", "ops.example/hook"] {
        let config = WebhookConfig {
            name: "ops".to_owned(),
            url: url.to_owned(),
            secret: "s3cret-word".to_owned(),
            events: Vec::new(),
            attempts: 1,
            timeout: Duration::from_secs(1),
        };
        assert!(!format!("{config:?}").contains("s3cret-word"));
        assert!(Webhook::new(config, clock.clone()).is_err(), "{url}");
    }
}
