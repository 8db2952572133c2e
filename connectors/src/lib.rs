//! Room `connectors`.
