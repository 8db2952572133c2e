//! The product's API before a site, and somebody who sends it signed webhooks.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tidemill_api::{Access, Api, Health, Settings, Workbench, definitions};
use tidemill_dag::{
    id::RunId,
    time::{Clock, Timestamp},
};
use tidemill_engine::{Engine, EngineConfig};
use tidemill_store::blobs::{Blobs, Folder};
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{Outcome, ambient::Ambient, site::Site};

/// What sender and receiver know.
const SECRET: &str = "only for this benchmark";

/// A served API with one pipeline of two no-op tasks, which a webhook starts.
pub struct Front {
    url: String,
    client: reqwest::Client,
    ambient: Arc<Ambient>,
    stopping: CancellationToken,
    server: JoinHandle<std::io::Result<()>>,
}

/// A webhook that was told.
pub struct Told {
    pub sent: Timestamp,
    pub answered: Duration,
    pub run: RunId,
}

impl Front {
    pub async fn open(site: &Site, folder: &Path) -> Outcome<Self> {
        let workbench = Arc::new(workbench(folder)?);
        apply(site, &workbench, folder).await?;
        let blobs: Arc<dyn Blobs> = Arc::new(Folder::open(folder.join("blobs")).await?);
        let (clock, stopping) = (site.store.clock(), CancellationToken::new());
        let api = Api {
            store: site.store.clone(),
            workbench,
            health: Arc::new(Health::new(&site.store, &blobs, &clock)),
            blobs,
            clock,
            chance: site.ambient.clone(),
            bell: Arc::new(Notify::new()),
            settings: Settings { access: Access::Tokens, requests_per_minute: u32::MAX, ..Settings::default() },
            stopping: stopping.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hooks/two/sender", listener.local_addr()?);
        let server = tokio::spawn(tidemill_api::serve(listener, api, axum::Router::new()));
        Ok(Self { url, client: reqwest::Client::new(), ambient: site.ambient.clone(), stopping, server })
    }

    /// Tells one event.
    pub async fn tell(&self, event: &str) -> Outcome<Told> {
        told(&self.client, &self.url, &self.ambient, event.to_owned()).await
    }

    /// Tells new events at a steady rate; none waits for the answer to another.
    pub async fn tell_steadily(&self, per_minute: u32, length: Duration) -> Outcome<Vec<Told>> {
        let mut telling = JoinSet::new();
        let every = Duration::from_secs(60) / per_minute;
        let count = u32::try_from(length.as_millis() / every.as_millis().max(1))?.min(per_minute);
        let begun = Instant::now();
        for n in 0..count {
            tokio::time::sleep((every * n).saturating_sub(begun.elapsed())).await;
            let (client, url, ambient) = (self.client.clone(), self.url.clone(), self.ambient.clone());
            telling.spawn(async move { told(&client, &url, &ambient, format!("event-{n}")).await });
        }
        let mut all = Vec::new();
        while let Some(one) = telling.join_next().await {
            all.push(one??);
        }
        Ok(all)
    }

    pub async fn close(self) -> Outcome<()> {
        self.stopping.cancel();
        Ok(self.server.await??)
    }
}

fn workbench(folder: &Path) -> Outcome<Workbench> {
    Ok(Workbench {
        connections: Default::default(),
        calendars: Default::default(),
        pools: None,
        defaults: Default::default(),
        engine: Engine::new(EngineConfig::new(folder.join("front-spill")))?,
    })
}

async fn apply(site: &Site, workbench: &Workbench, folder: &Path) -> Outcome<()> {
    let secret = folder.join("secret");
    std::fs::write(&secret, SECRET)?;
    let text = format!(
        "pipeline: two\nconcurrency: {{max_runs: 1000, on_overlap: allow}}\ntriggers:\n  - {{name: sender, webhook: {{preset: generic, \
         secret: '${{file:{}}}', key: {{payload: /id}}}}}}\ntasks:\n  a: {{wait: {{for: 0s}}}}\n  b: {{wait: {{for: 0s}}, needs: [a]}}\n",
        secret.display()
    );
    let told = |found: Vec<tidemill_dag::diagnostic::Diagnostic>| {
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let checked = workbench.check(text.as_bytes()).await.map_err(told)?;
    definitions::apply(&site.store, &checked, json!({"from": "benchmark"})).await?;
    Ok(())
}

async fn told(client: &reqwest::Client, url: &str, ambient: &Ambient, event: String) -> Outcome<Told> {
    let body = json!({ "id": event }).to_string();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(body.as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let (sent, begun) = (ambient.now(), Instant::now());
    let request = client.post(url).header("x-signature", signature).header("content-type", "application/json");
    let answer = request.body(body).send().await?;
    let (status, answered) = (answer.status(), begun.elapsed());
    let said: Value = serde_json::from_slice(&answer.bytes().await?)?;
    let run = said["run"].as_str().and_then(|run| run.parse().ok());
    let run = run.ok_or_else(|| format!("a webhook was answered with {status}: {said}"))?;
    Ok(Told { sent, answered, run })
}
