//! A gateway in a process of its own, so that its memory is not that of other tests.

use std::io::{BufRead as _, BufReader, Lines, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use tidemill_llm_gateway::{GatewayConfig, Outside};
use tidemill_testkit::{ManualClock, SeededChance};

use crate::stage::{Asker, RealClock, Stage};

/// Dropped, it ends; it also ends with its standard input, and so with this process at the latest.
pub struct Apart {
    child: Child,
    pub asker: Asker,
    /// What it says on top must not break its pipe.
    _out: Lines<BufReader<ChildStdout>>,
}

impl Apart {
    pub fn start(config: &GatewayConfig) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this binary"))
            .args(["--ignored", "--exact", "apart::gateway", "--nocapture"])
            .env("GATE_CONFIG", serde_json::to_string(config).expect("JSON"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a process");
        let mut out = BufReader::new(child.stdout.take().expect("an output")).lines();
        let address = out.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, address) = line.split_once("address: ")?;
            address.parse().ok()
        });
        Self { child, asker: Asker::of(address.expect("it says where it is")), _out: out }
    }

    /// Resident memory in MiB.
    pub fn resident(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("Linux");
        let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
        pages * 4_096.0 / f64::from(1 << 20)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test of its own: the process of [`Apart`], with everything on that its configuration asks for.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a process that other tests start"]
async fn gateway() {
    let config = std::env::var("GATE_CONFIG").expect("it is started by other tests");
    let config: GatewayConfig = serde_json::from_str(&config).expect("a configuration");
    let chance = Arc::new(SeededChance::new(u64::from(std::process::id())));
    let outside = Outside::of(&config, Arc::new(RealClock), chance).expect("opens");
    let stage = Stage::with(config, outside, ManualClock::default()).await;
    println!("address: {}", stage.address);
    let end = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    let forget = async {
        loop {
            stage.records.0.lock().expect("sound").clear();
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        _ = end => {}
        () = forget => {}
    }
}
