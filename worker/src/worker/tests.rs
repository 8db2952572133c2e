mod bed;
mod http;
mod kinds;
mod lists;
mod protocol;
mod secrets;
mod speed;
