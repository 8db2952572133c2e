//! Whether a delivery comes from who it says.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use tidemill_dag::codes::tm12;
use tidemill_dag::hook::{Claim, Headers, claim};
use tidemill_dag::spec::Webhook;
use tidemill_dag::time::Timestamp;

use super::secret::{self, Secret};

/// Whether a delivery is genuine.
pub(super) enum Recognised {
    Genuine,
    /// It is not, or that cannot be told.
    Not {
        code: &'static str,
        reason: String,
    },
}

/// Compares what a delivery claims with every secret of its webhook. Without a webhook the same is computed over the
/// same bytes for nothing, so that time does not tell one from the other.
pub(super) async fn recognise(hook: Option<&Webhook>, headers: &Headers, body: &[u8], now: Timestamp) -> Recognised {
    let refused = |reason: String| Recognised::Not { code: tm12::NOT_RECOGNISED, reason };
    let claimed = match hook {
        Some(hook) => claim(hook, headers, body, now),
        None => Ok(Claim { signed: body.to_vec(), signatures: vec![vec![0; 32]] }),
    };
    let claim = match claimed {
        Ok(claim) => claim,
        Err(why) => {
            // As much work as for one that is looked at.
            let _ = fits(&nobodys(), &Claim { signed: body.to_vec(), signatures: vec![vec![0; 32]] });
            return refused(why.to_string());
        }
    };
    let (mut secrets, unread) = match hook {
        Some(hook) => secret::all(hook).await,
        None => (Vec::new(), Vec::new()),
    };
    let none = secrets.is_empty();
    if none {
        secrets.push(nobodys());
    }
    let genuine = secrets.iter().fold(Choice::from(0), |any, secret| any | fits(secret, &claim));
    match (none, bool::from(genuine)) {
        (false, true) => Recognised::Genuine,
        (false, false) => refused("its signature does not fit".to_owned()),
        (true, _) => Recognised::Not { code: tm12::HOOK_SECRET, reason: unread.join("; ") },
    }
}

fn nobodys() -> Secret {
    Secret::new("\0".repeat(32))
}

/// Whether one of the signatures is over the text, by this secret; the time does not depend on where they differ.
fn fits(secret: &Secret, claim: &Claim) -> Choice {
    let right = signature(secret, &claim.signed);
    claim.signatures.iter().fold(Choice::from(0), |any, written| any | written.ct_eq(&right))
}

/// HMAC with SHA-256.
pub(super) fn signature(secret: &Secret, signed: &[u8]) -> Vec<u8> {
    // Keys of any length are allowed, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes()) else { return Vec::new() };
    mac.update(signed);
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The examples that GitHub's and Slack's own manuals give.
    #[test]
    fn the_examples_of_the_manuals_come_out() {
        let slack = "v0:1531420618:token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow\
                     &channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner\
                     &command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2F\
                     T1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
                     &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        for (secret, signed, expected) in [
            (
                "It's a Secret to Everybody",
                "Hello, World!",
                "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
            ),
            (
                "8f742231b10e8888abcd99yyyzzz85a5",
                slack,
                "a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
            ),
        ] {
            let secret = Secret::new(secret);
            let right = signature(&secret, signed.as_bytes());
            assert_eq!(hex(&right), expected);
            let claim = |signatures| Claim { signed: signed.as_bytes().to_vec(), signatures };
            assert!(bool::from(fits(&secret, &claim(vec![vec![0; 32], right.clone()]))), "any of several");
            assert!(!bool::from(fits(&secret, &claim(vec![right[..31].to_vec()]))), "not a part of it");
            assert!(!bool::from(fits(&secret, &claim(vec![]))));
            assert!(!bool::from(fits(&Secret::new("other"), &claim(vec![right]))));
        }
    }
}
