//! `sum` that neither wraps around nor depends on the order of its parts: whole numbers and decimals are added up
//! in 128 bits and must fit their type only at the end.

use std::{collections::HashSet, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Int64Array, UInt64Array},
    datatypes::{DECIMAL128_MAX_PRECISION, DataType, Decimal128Type, Field, FieldRef, Int64Type, UInt64Type},
};
use datafusion::{
    common::{Result, ScalarValue, exec_datafusion_err, exec_err},
    functions_aggregate::sum::Sum,
    logical_expr::{
        Accumulator, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, SetMonotonicity, Signature,
        function::{AccumulatorArgs, StateFieldsArgs},
    },
};

/// Stands in for DataFusion's `sum` and leaves floating-point numbers and durations to it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CheckedSum {
    inner: Sum,
}

impl CheckedSum {
    pub(crate) fn new() -> Self {
        Self { inner: Sum::new() }
    }
}

fn is_ours(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int64 | DataType::UInt64 | DataType::Decimal128(..))
}

/// The type of intermediate sums: all digits, the same scale.
fn wide(result: &DataType) -> DataType {
    let scale = if let DataType::Decimal128(_, scale) = result { *scale } else { 0 };
    DataType::Decimal128(DECIMAL128_MAX_PRECISION, scale)
}

impl AggregateUDFImpl for CheckedSum {
    fn name(&self) -> &'static str {
        "sum"
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        let result = args.return_field.data_type();
        match (is_ours(result), args.is_distinct) {
            (false, _) => self.inner.accumulator(args),
            (true, true) => Ok(Box::new(DistinctTotal { result: result.clone(), values: HashSet::new() })),
            (true, false) => Ok(Box::new(Total { result: result.clone(), sum: 0, count: 0 })),
        }
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        if is_ours(args.return_field.data_type()) && !args.is_distinct {
            self.accumulator(args)
        } else {
            self.inner.create_sliding_accumulator(args)
        }
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let result = args.return_field.data_type().clone();
        let name = format!("{}[sum]", args.name);
        match (is_ours(&result), args.is_distinct) {
            (false, _) => self.inner.state_fields(args),
            (true, true) => {
                Ok(vec![Arc::new(Field::new_list(name, Field::new_list_field(wide(&result), true), false))])
            }
            (true, false) => Ok(vec![Arc::new(Field::new(name, wide(&result), true))]),
        }
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        if is_ours(args.return_field.data_type()) {
            !args.is_distinct
        } else {
            self.inner.groups_accumulator_supported(args)
        }
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        let result = args.return_field.data_type();
        if is_ours(result) {
            Ok(Box::new(GroupTotals { result: result.clone(), sums: Vec::new(), seen: Vec::new() }))
        } else {
            self.inner.create_groups_accumulator(args)
        }
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.set_monotonicity(data_type)
    }
}

/// Calls `each` with the position and value of everything that is not NULL.
fn for_each(values: &dyn Array, mut each: impl FnMut(usize, i128) -> Result<()>) -> Result<()> {
    macro_rules! walk {
        ($kind:ty) => {{
            let array = values.as_primitive::<$kind>();
            if array.null_count() == 0 {
                array.values().iter().enumerate().try_for_each(|(at, value)| each(at, i128::from(*value)))
            } else {
                let some = array.iter().enumerate();
                some.filter_map(|(at, value)| value.map(|value| (at, value)))
                    .try_for_each(|(at, value)| each(at, i128::from(value)))
            }
        }};
    }
    match values.data_type() {
        DataType::Int64 => walk!(Int64Type),
        DataType::UInt64 => walk!(UInt64Type),
        DataType::Decimal128(..) => walk!(Decimal128Type),
        other => exec_err!("sum cannot add up {other}"),
    }
}

fn overflow() -> datafusion::common::DataFusionError {
    exec_datafusion_err!("overflow: a sum has more than 38 digits")
}

fn add(sum: &mut i128, value: i128) -> Result<()> {
    *sum = sum.checked_add(value).ok_or_else(overflow)?;
    Ok(())
}

/// Sums as the result's type, or an error where one does not fit.
fn finish(sums: Vec<Option<i128>>, result: &DataType) -> Result<ArrayRef> {
    let too_large = |sum: i128| exec_datafusion_err!("overflow: sum {sum} does not fit {result}");
    match result {
        DataType::Int64 => {
            let fit = |sum: i128| i64::try_from(sum).map_err(|_| too_large(sum));
            let sums = sums.into_iter().map(|sum| sum.map(fit).transpose()).collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(Int64Array::from(sums)))
        }
        DataType::UInt64 => {
            let fit = |sum: i128| u64::try_from(sum).map_err(|_| too_large(sum));
            let sums = sums.into_iter().map(|sum| sum.map(fit).transpose()).collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(UInt64Array::from(sums)))
        }
        DataType::Decimal128(precision, _) => {
            let limit = 10_i128.pow(u32::from(*precision));
            if let Some(sum) = sums.iter().flatten().find(|sum| sum.checked_abs().is_none_or(|size| size >= limit)) {
                return Err(too_large(*sum));
            }
            Ok(Arc::new(Decimal128Array::from(sums).with_data_type(result.clone())))
        }
        other => exec_err!("sum cannot give {other}"),
    }
}

fn wide_array(sums: Vec<Option<i128>>, result: &DataType) -> ArrayRef {
    Arc::new(Decimal128Array::from(sums).with_data_type(wide(result)))
}

#[derive(Debug)]
struct Total {
    result: DataType,
    sum: i128,
    count: u64,
}

impl Total {
    fn some(&self) -> Option<i128> {
        (self.count > 0).then_some(self.sum)
    }
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(values[0].as_ref(), |_, value| {
            self.count += 1;
            add(&mut self.sum, value)
        })
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(values[0].as_ref(), |_, value| {
            self.count = self.count.saturating_sub(1);
            self.sum = self.sum.checked_sub(value).ok_or_else(overflow)?;
            Ok(())
        })
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::try_from_array(&wide_array(vec![self.some()], &self.result), 0)?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        ScalarValue::try_from_array(&finish(vec![self.some()], &self.result)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }
}

/// `sum(DISTINCT …)`.
#[derive(Debug)]
struct DistinctTotal {
    result: DataType,
    values: HashSet<i128>,
}

impl Accumulator for DistinctTotal {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for_each(values[0].as_ref(), |_, value| {
            self.values.insert(value);
            Ok(())
        })
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for list in states[0].as_list::<i32>().iter().flatten() {
            self.update_batch(&[list])?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let values = wide_array(self.values.iter().copied().map(Some).collect(), &self.result);
        let offsets = arrow::buffer::OffsetBuffer::from_lengths([values.len()]);
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Ok(vec![ScalarValue::List(Arc::new(arrow::array::ListArray::new(field, offsets, values, None)))])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let mut sum = 0;
        self.values.iter().try_for_each(|value| add(&mut sum, *value))?;
        let some = (!self.values.is_empty()).then_some(sum);
        ScalarValue::try_from_array(&finish(vec![some], &self.result)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.values.capacity() * size_of::<i128>()
    }
}

/// One sum per group.
struct GroupTotals {
    result: DataType,
    sums: Vec<i128>,
    seen: Vec<bool>,
}

impl GroupTotals {
    fn take(&mut self, emit_to: EmitTo) -> Vec<Option<i128>> {
        let sums = emit_to.take_needed(&mut self.sums);
        let seen = emit_to.take_needed(&mut self.seen);
        sums.into_iter().zip(seen).map(|(sum, seen)| seen.then_some(sum)).collect()
    }
}

impl GroupsAccumulator for GroupTotals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.sums.resize(total_num_groups, 0);
        self.seen.resize(total_num_groups, false);
        for_each(values[0].as_ref(), |at, value| {
            if opt_filter.is_some_and(|filter| filter.is_null(at) || !filter.value(at)) {
                return Ok(());
            }
            let group = group_indices[at];
            self.seen[group] = true;
            add(&mut self.sums[group], value)
        })
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], total_num_groups: usize) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let sums = self.take(emit_to);
        finish(sums, &self.result)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        let sums = self.take(emit_to);
        Ok(vec![wide_array(sums, &self.result)])
    }

    fn convert_to_state(&self, values: &[ArrayRef], opt_filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let mut sums = vec![None; values[0].len()];
        for_each(values[0].as_ref(), |at, value| {
            if opt_filter.is_none_or(|filter| filter.is_valid(at) && filter.value(at)) {
                sums[at] = Some(value);
            }
            Ok(())
        })?;
        Ok(vec![wide_array(sums, &self.result)])
    }

    fn size(&self) -> usize {
        self.sums.capacity() * size_of::<i128>() + self.seen.capacity()
    }
}
