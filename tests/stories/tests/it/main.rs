//! The stories: each file one thing that a user is promised.

mod examples;
mod killed;
mod readme;
mod requests;
