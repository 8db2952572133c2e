//! The LLM gateway, as a library and as a server: one request in any of two protocols, one typed answer or one
//! typed error, whatever the provider does.
//!
//! A call goes through fixed steps, each a module: the front protocol reads it ([`front`]), the key names who
//! asks ([`keys`]), personal data is masked ([`hooks::Privacy`]), the cache may answer ([`hooks::Cache`]), rules
//! choose deployments ([`route`]), the ledger reserves ([`limits`]), a provider is called ([`providers`]) under
//! breaker, bulkhead and deadline ([`resilience`]), the answer is checked ([`validate`]), the reservation is
//! settled, and a record of use goes to whoever keeps them ([`usage`]).
//!
//! To add a provider: a folder in `providers/` with the same four files, a line in `providers::Kind`, and a row in
//! the table of `tests/it/providers.rs`.

pub mod answer;
pub mod cache;
pub mod caller;
pub mod config;
pub mod embed;
pub mod error;
pub mod guard;
pub mod hooks;
pub mod privacy;
pub mod request;
pub mod secret;
pub mod tokens;
pub mod usage;
pub mod wire;

pub use answer::{Answer, Finish};
pub use caller::Caller;
pub use config::GatewayConfig;
pub use error::GatewayError;
pub use request::{Format, Message, Part, Request, Role, Tool, ToolChoice};
pub use usage::Usage;
