//! Passwords stay out of messages.

use std::{error::Error, sync::Arc};

use tidemill_testkit::{ManualClock, SeededChance};

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
