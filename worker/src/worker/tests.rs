mod bed;
mod http;
mod kinds;
mod protocol;
mod secrets;
mod speed;
