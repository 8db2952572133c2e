//! Who may ask, and what leaks.

use serde_json::json;
use tidemill_llm_gateway::{Gateway, GatewayError, Outside, Server, keys};
use tidemill_testkit::{ManualClock, SeededChance};

use crate::stage::{Stage, config, question};
use crate::upstream::{Upstream, well_behaved};

#[tokio::test(flavor = "multi_thread")]
async fn only_known_keys_ask_and_only_for_what_they_may() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let chance = SeededChance::new(3);
    let ((all, all_hash), (one, one_hash)) = (keys::make(&chance), keys::make(&chance));
    let more = json!({
        "keys": {
            "all": {"hash": all_hash, "tenant": "acme"},
            "one": {"hash": one_hash, "tenant": "acme", "user": "ann", "models": ["n"]},
        },
        "deployments": {"n": {"provider": "up", "model": "m-2"}},
    });
    let stage = Stage::before(&upstream.url(), more).await;
    let ask = async |headers: &[(&str, &str)], model: &str| {
        stage.send("POST", "/v1/chat/completions", headers, question(json!({"model": model})).to_string()).await
    };
    for headers in [&[][..], &[("authorization", "Bearer wrong")], &[("x-api-key", "")], &[("authorization", &all)]] {
        let response = ask(headers, "m").await;
        assert_eq!((response.status, response.code().as_str()), (401, "TM1103"));
    }
    assert_eq!(ask(&[("authorization", &format!("Bearer {all}"))], "m").await.status, 200);
    assert_eq!(ask(&[("x-api-key", &all)], "m").await.status, 200);
    let refused = ask(&[("x-api-key", &one)], "m").await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "TM1104"));
    // The key names its user; a header cannot.
    assert_eq!(ask(&[("x-api-key", &one), ("x-tidemill-user", "bob")], "n").await.status, 200);
    let listed = stage.send("GET", "/v1/models", &[("x-api-key", &one)], "").await;
    assert_eq!(listed.json()["data"].as_array().map(Vec::len), Some(1), "{}", listed.text());
    let records = stage.records.0.lock().expect("sound");
    assert_eq!(records.last().and_then(|record| record.caller.user.as_deref()), Some("ann"));
    // Keys are nowhere: neither in records nor in the configuration that is printed, nor do they go to providers.
    let printed = format!("{:?} {}", records, serde_json::to_string(stage.gateway.config()).expect("JSON"));
    let sent = format!("{:?}", upstream.seen.lock().expect("sound"));
    for key in [&all, &one] {
        assert!(!printed.contains(key.as_str()) && !sent.contains(key.as_str()));
    }
}

#[test]
fn it_does_not_start_open_to_the_world_nor_with_keys_written_out() {
    let start = |more| {
        let outside =
            Outside::plain(std::sync::Arc::new(ManualClock::default()), std::sync::Arc::new(SeededChance::new(1)));
        Gateway::new(config("http://127.0.0.1:9", more), outside).and_then(Server::bind).map(drop)
    };
    let open = start(json!({"server": {"listen": "0.0.0.0:0"}})).expect_err("refused");
    assert!(matches!(open, GatewayError::OpenToWorld { .. }) && open.code() == "TM1126", "{open}");
    let (_, hash) = keys::make(&SeededChance::new(1));
    start(json!({"server": {"listen": "0.0.0.0:0"}, "keys": {"k": {"hash": hash, "tenant": "t"}}})).expect("it starts");
    for (more, path) in [
        (json!({"providers": {"up": {"keys": [{"key": "sk-live-abc"}]}}}), "providers.up.keys.0.key"),
        (json!({"providers": {"up": {"url": "ftp://x"}}}), "providers.up.url"),
        (json!({"providers": {"up": {"kind": "azure", "url": null}}}), "providers.up.url"),
        (json!({"deployments": {"m": {"provider": "nobody"}}}), "deployments.m.provider"),
        (json!({"routes": {"auto": {"use": [{"deployment": "x"}]}}}), "routes.auto.use"),
        (json!({"keys": {"k": {"hash": "abc", "tenant": "t"}}}), "keys.k.hash"),
        (json!({"tenants": {"t": {"tier": "gold"}}}), "tenants.t.tier"),
        (json!({"ledger": {"redis": "http://x"}}), "ledger.redis"),
        (json!({"timeouts": {"total": "0s"}}), "timeouts.total"),
    ] {
        let error = start(more).expect_err("refused");
        assert!(error.code() == "TM1127" && error.to_string().contains(path), "{error}");
        assert!(!error.to_string().contains("sk-live"), "{error}");
    }
    let missing = start(json!({"providers": {"up": {"keys": [{"key": "${env:TIDEMILL_TEST_NOT_SET}"}]}}}));
    assert_eq!(missing.expect_err("refused").code(), "TM1128");
}

/// A page of another site in a browser on this machine can send requests here, and must get nothing.
#[tokio::test(flavor = "multi_thread")]
async fn without_keys_other_sites_are_not_answered() {
    let upstream = Upstream::start(|seen| well_behaved(&seen)).await;
    let stage = Stage::before(&upstream.url(), json!({})).await;
    let body = question(json!({})).to_string();
    for headers in [[("origin", "https://evil.example")], [("host", "evil.example")], [("origin", "null")]] {
        let response = stage.send("POST", "/v1/chat/completions", &headers, body.clone()).await;
        assert_eq!((response.status, response.code().as_str()), (403, "TM1104"), "{headers:?}");
    }
    assert_eq!(upstream.calls(), 0);
    let response = stage.send("POST", "/v1/chat/completions", &[("origin", "http://localhost:3000")], body).await;
    assert_eq!(response.status, 200);
}

/// What docs/gateway.md shows can be used as it stands.
#[test]
fn the_examples_are_configurations() {
    let page = include_str!("../../../docs/gateway.md");
    let page = page.split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("an example");
    for example in [page, include_str!("../../../examples/gateway/tidemill.yaml")] {
        let (mut value, _) = tidemill_dag::read::document(example).expect("YAML");
        let config: tidemill_llm_gateway::GatewayConfig =
            serde_json::from_value(value["gateway"].take()).expect("settings");
        tidemill_llm_gateway::config::check(&config).expect("no contradiction");
        assert_eq!(config.routes["auto"].rules.len(), 2);
    }
}
