//! A shop that tells of its orders by signed webhooks; written in another language, as a stranger would.

use std::process::{Command, Stdio};

use serde_json::Value;

/// What the shop and the project know.
pub const SECRET: &str = "the-shop-and-we-know-it";

/// Signs as the shop does, and tells the same event many times at once; prints how it was answered.
const SENDER: &str = r#"
import collections, hashlib, hmac, json, sys, time, urllib.error, urllib.request
from concurrent.futures import ThreadPoolExecutor
url, secret, event, times = sys.argv[1], sys.argv[2].encode(), sys.argv[3], int(sys.argv[4])
body = json.dumps({"id": event, "kind": "order", "order": {"id": 17, "status": "paid"}}).encode()
def tell(_):
    at = str(int(time.time())).encode()
    signature = hmac.new(secret, at + b"." + body, hashlib.sha256).hexdigest()
    headers = {"X-Shop-Time": at.decode(), "X-Shop-Signature": signature, "Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, json.load(answer).get("run")
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["code"]
with ThreadPoolExecutor(20) as pool:
    counts = collections.Counter(pool.map(tell, range(times)))
print(json.dumps([[status, what, count] for (status, what), count in counts.items()]))
"#;

/// Tells one event, signed with `secret`, so many times; each different answer with its status, and how often it came.
pub fn tell(url: &str, secret: &str, event: &str, times: u32) -> Vec<Value> {
    let said = Command::new("python3")
        .args(["-c", SENDER, url, secret, event, &times.to_string()])
        .stderr(Stdio::inherit())
        .output()
        .expect("python3 is there");
    assert!(said.status.success());
    serde_json::from_slice(&said.stdout).expect("JSON")
}
