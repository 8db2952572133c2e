mod bed;
mod http;
mod kinds;
mod lists;
mod others;
mod protocol;
mod secrets;
mod speed;
