//! The LLM gateway, as a library and as a server: one request in any of two protocols, one typed answer or one
//! typed error, whatever the provider does.
//!
//! A call goes through fixed steps, each a module: the front protocol reads it ([`front`]), the key names who
//! asks ([`keys`]), personal data is masked ([`hooks::Privacy`]), the cache may answer ([`hooks::Cache`]), rules
//! choose deployments ([`route`]), the ledger reserves ([`limits`]), a provider is called ([`providers`]) under
//! breaker, bulkhead and deadline ([`resilience`]), the answer is checked ([`validate`]), the reservation is
//! settled, and a record of use goes to whoever keeps them ([`usage`]).
//!
//! To add a provider: a folder in `providers/` with the same four files, a line in `config::ProviderKind` and `providers::of`,
//! and its name in `KINDS` of `tests/it/dialects.rs`.

pub mod answer;
mod attempt;
pub mod cache;
mod call;
pub mod caller;
pub mod config;
pub mod embed;
pub mod error;
pub mod front;
mod gateway;
pub mod guard;
pub mod hooks;
pub mod keys;
pub mod limits;
mod masks;
pub mod prices;
pub mod privacy;
pub mod providers;
pub mod request;
pub mod resilience;
pub mod route;
pub mod secret;
mod server;
mod stream;
mod table;
pub mod tokens;
mod upstream;
pub mod usage;
pub mod validate;
pub mod wire;

pub use answer::{Answer, Finish};
pub use call::Facts;
pub use caller::Caller;
pub use config::GatewayConfig;
pub use error::GatewayError;
pub use gateway::{Explained, Explanation, Gateway, Outside, Status};
pub use request::{Format, Message, Part, Request, Role, Tool, ToolChoice};
pub use server::Server;
pub use stream::AnswerStream;
pub use usage::Usage;
