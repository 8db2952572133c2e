//! Functions that stand in for DataFusion's, or that it keeps behind a feature: checked arithmetic and sums,
//! the session's moment, points in time in microseconds, rounding and the usual mathematics.

mod checked;
mod math;
mod rounding;
mod sum;
mod time;

use std::sync::Arc;

use datafusion::{
    execution::{FunctionRegistry, SessionState},
    logical_expr::{AggregateUDF, ScalarUDF},
};
use tidemill_dag::time::Timestamp;

pub(crate) use checked::{Checked, Operation, original};

/// What `now()` means from here on.
pub(crate) fn set_moment(state: &mut SessionState, now: Timestamp) {
    drop(state.register_udf(Arc::new(ScalarUDF::new_from_impl(time::Now::new(now)))));
}

/// Registers all of them over the built-in ones, but the moment.
pub(crate) fn register(state: &mut SessionState) {
    let mut scalars = Vec::new();
    if let Ok(inner) = state.udf("to_timestamp_micros") {
        scalars.push(ScalarUDF::new_from_impl(time::ToTimestamp::new(inner)));
    }
    scalars.extend(rounding::all());
    scalars.extend(math::all());
    for function in scalars {
        // Registering replaces; the old function comes back and is not needed.
        drop(state.register_udf(Arc::new(function)));
    }
    drop(state.register_udaf(Arc::new(AggregateUDF::new_from_impl(sum::CheckedSum::new()))));
}
