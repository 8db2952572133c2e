//! Telemetry: Prometheus exposition and the writer of run, task and queue records.
