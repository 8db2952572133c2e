use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;
use tidemill_llm_gateway::{Gateway, GatewayConfig, Outside, Server, keys};

use super::{AT_ONCE, LATER};
use crate::Outcome;
use crate::ambient::Ambient;

/// The key of the benchmark's caller; its hash is in the configuration, as in life.
pub const KEY: &str = "tmk_benchmark";

/// The gateway as a process: everything on that a customer would have on.
pub async fn serve(upstream: SocketAddr) -> Outcome<()> {
    let limit = json!([{"per": "1m", "requests": 1_000_000_000_u64, "tokens": 1_000_000_000_000_u64, "money": 1_000_000}, {"requests": 1_000_000_000_000_u64, "tokens": 1_000_000_000_000_000_u64, "money": 1_000_000_000}]);
    let config: GatewayConfig = serde_json::from_value(json!({
        "server": {"listen": "127.0.0.1:0"},
        "keys": {"bench": {"hash": keys::hash(KEY), "tenant": "acme"}},
        "limits": {"key": limit},
        "providers": {"up": {"kind": "compatible", "url": format!("http://{upstream}/v1")}},
        "deployments": {
            AT_ONCE: {"provider": "up", "model": AT_ONCE},
            LATER: {"provider": "up", "model": LATER},
        },
        "prices": [{"model": AT_ONCE, "input": 0.15, "output": 0.6}, {"model": LATER, "input": 0.15, "output": 0.6}],
    }))?;
    let ambient = Arc::new(Ambient::default());
    let outside = Outside::of(&config, ambient.clone(), ambient)?;
    let server = Server::bind(Gateway::new(config, outside)?)?;
    println!("{}", server.address());
    server.run(std::future::pending()).await?;
    Ok(())
}
