//! What tests of every room need: real servers on private places, a clock that stands still, chance that repeats.

mod clickhouse;
mod disk;
mod fakes;
mod kafka;
mod postgres;
mod process;
mod python;
mod redis;
mod s3;
mod tls;

pub use clickhouse::ClickHouseServer;
pub use disk::SmallDisk;
pub use fakes::{ManualClock, SeededChance};
pub use kafka::KafkaServer;
pub use postgres::{Durability, Postgres, PostgresError};
pub use python::test_python;
pub use redis::{Redis, RedisError, RedisOptions, Sentinel};
pub use s3::{Conditions, S3Fault, S3Server, Storm};
pub use tls::Certificates;
