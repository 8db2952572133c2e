//! The stories: each file one thing that a user is promised.

mod bad_input;
mod bucket;
mod cluster;
mod examples;
mod full_disk;
mod killed;
mod large;
mod late;
mod models;
mod openapi;
mod outside;
mod parts;
mod people;
mod readme;
mod requests;
mod triggers;
