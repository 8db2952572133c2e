//! The stories: each file one thing that a user is promised.

mod bad_input;
mod bucket;
mod cluster;
mod examples;
mod killed;
mod large;
mod models;
mod outside;
mod people;
mod readme;
mod requests;
mod triggers;
