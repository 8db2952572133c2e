//! Room `suite`.
