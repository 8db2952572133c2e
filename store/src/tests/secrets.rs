//! Passwords stay out of messages.

use std::{error::Error, sync::Arc};

use tidemill_testkit::{ManualClock, Postgres, SeededChance};

use crate::{InProcess, Store, StoreError};

#[tokio::test]
async fn no_message_repeats_a_password() {
    const SECRET: &str = "hunter2-hunter2";
    let urls = [
        format!("postgres://bob:{SECRET}@127.0.0.1:1/nowhere"),
        format!("postgres://bob:{SECRET}@[::broken/nowhere"),
        format!("postgres://bob:{SECRET}@127.0.0.1:notaport/x"),
        format!("postgres://bob@127.0.0.1:1/nowhere?password={SECRET}"),
        format!("postgres://bob:{SECRET}@127.0.0.1:1/x?sslmode={SECRET}"),
        format!("mysql://bob:{SECRET}@127.0.0.1/x"),
        format!("bob:{SECRET}@127.0.0.1/x"),
    ];
    for url in urls {
        let (clock, chance) = (Arc::new(ManualClock::default()), Arc::new(SeededChance::new(1)));
        let opened = Store::open(&url, clock, chance, Arc::new(InProcess::new())).await;
        let error = opened.expect_err("nothing answers there");
        let mut told = format!("{error:?} {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            told.push_str(&format!("\n{cause} {cause:?}"));
            source = cause.source();
        }
        assert!(!told.contains(SECRET), "{told}");
        assert!(matches!(error, StoreError::Address { .. } | StoreError::Open { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn the_database_is_reached_by_tls_and_with_a_password() {
    let (server, files) = Postgres::start_guarded("s3cret").await.expect("a server");
    let address = |password: &str, options: &str| {
        format!("postgres://tidemill:{password}@localhost:{}/postgres?{options}", server.port())
    };
    let open = async |url: String| {
        let (clock, chance) = (Arc::new(ManualClock::default()), Arc::new(SeededChance::new(1)));
        Store::open_shared(&url, clock, chance, Arc::new(InProcess::new())).await
    };
    let trusting = format!("sslmode=verify-full&sslrootcert={}", files.authority.display());
    let store = open(address("s3cret", &trusting)).await.expect("it opens");
    assert!(store.leads().await, "its own sessions are let in too");
    store.resign().await;
    store.close().await;
    for url in
        [address("s3cret", "sslmode=disable"), address("wr0ng", &trusting), address("s3cret", "sslmode=verify-full")]
    {
        let error = open(url).await.expect_err("a stranger is let in");
        let told = format!("{error} {error:?}");
        assert!(!told.contains("s3cret") && !told.contains("wr0ng"), "{told}");
    }
}
