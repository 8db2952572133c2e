//! The gateway against real servers: local upstreams that answer, misbehave and die on purpose, a real Redis, and the
//! official Python clients.

mod apart;
mod bad_answers;
mod budgets;
mod chaos;
mod clients;
mod dialects;
mod hooks;
mod kept;
mod keys;
mod real_model;
mod routes;
mod stage;
mod streams;
mod upstream;
