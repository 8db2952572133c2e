//! Typed columns from JSON values, nested ones too: for JSON lines, and for lists and structs in CSV fields.

use std::{collections::HashMap, sync::Arc};

use arrow::{
    array::{ArrayRef, ListArray, MapArray, NullBufferBuilder, RecordBatch, RecordBatchOptions, StructArray},
    buffer::OffsetBuffer,
    datatypes::{DataType, FieldRef, Fields, SchemaRef},
};

use super::{
    cells::{self, Cells},
    fault::{Fault, Wrong},
    json::{Reader, Shape, each_line},
};

/// Builds a column of any type from JSON values.
pub struct Nested(Node);

impl Nested {
    /// None for types without a JSON form.
    pub fn new(data_type: &DataType) -> Option<Self> {
        Node::new(data_type).map(Self)
    }

    /// A row without a value.
    pub fn null(&mut self) {
        self.0.null();
    }

    /// A row's value as one JSON text.
    pub fn json(&mut self, text: &str) -> Result<(), Fault> {
        let mut reader = Reader::new(text, 0);
        self.0.value(&mut reader)?;
        reader.end()
    }

    /// The column so far.
    pub fn finish(&mut self) -> ArrayRef {
        self.0.finish()
    }
}

enum Node {
    Leaf {
        cells: Box<dyn Cells>,
        expected: String,
    },
    List {
        field: FieldRef,
        item: Box<Node>,
        offsets: Vec<i32>,
        valid: NullBufferBuilder,
        length: i32,
    },
    Struct {
        members: Members,
        valid: NullBufferBuilder,
    },
    Map {
        entries: FieldRef,
        key: Box<Node>,
        value: Box<Node>,
        offsets: Vec<i32>,
        valid: NullBufferBuilder,
        length: i32,
    },
}

impl Node {
    fn new(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::List(field) => Self::List {
                field: Arc::clone(field),
                item: Box::new(Self::new(field.data_type())?),
                offsets: vec![0],
                valid: NullBufferBuilder::new(1024),
                length: 0,
            },
            DataType::Struct(fields) => {
                Self::Struct { members: Members::new(fields)?, valid: NullBufferBuilder::new(1024) }
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(pair) = entries.data_type() else { return None };
                Self::Map {
                    entries: Arc::clone(entries),
                    key: Box::new(Self::new(pair.first()?.data_type())?),
                    value: Box::new(Self::new(pair.get(1)?.data_type())?),
                    offsets: vec![0],
                    valid: NullBufferBuilder::new(1024),
                    length: 0,
                }
            }
            flat => Self::Leaf { cells: cells::cells(flat, 1024)?, expected: cells::expectation(flat) },
        })
    }

    fn null(&mut self) {
        match self {
            Self::Leaf { cells, .. } => cells.null(),
            Self::List { offsets, valid, length, .. } | Self::Map { offsets, valid, length, .. } => {
                offsets.push(*length);
                valid.append_null();
            }
            Self::Struct { members, valid } => {
                members.nodes.iter_mut().for_each(Self::null);
                valid.append_null();
            }
        }
    }

    fn value(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let shape = reader.shape()?;
        if shape == Shape::Null {
            reader.bare()?;
            self.null();
            return Ok(());
        }
        let at = reader.at();
        match (self, shape) {
            (Self::Leaf { cells, expected }, _) => leaf(cells.as_mut(), expected, shape, reader),
            (Self::List { item, offsets, valid, length, .. }, Shape::List) => {
                reader.list(&mut |reader| {
                    *length += 1;
                    item.value(reader)
                })?;
                offsets.push(*length);
                valid.append_non_null();
                Ok(())
            }
            (Self::Struct { members, valid }, Shape::Object) => {
                members.object(reader)?;
                valid.append_non_null();
                Ok(())
            }
            (Self::Map { key, value, offsets, valid, length, .. }, Shape::Object) => {
                reader.object(&mut |reader, name| {
                    *length += 1;
                    key.plain(&name, reader.at())?;
                    value.value(reader)
                })?;
                offsets.push(*length);
                valid.append_non_null();
                Ok(())
            }
            (Self::List { .. }, _) => Err(misfit(at, reader.raw()?, "a list")),
            (Self::Struct { .. } | Self::Map { .. }, _) => Err(misfit(at, reader.raw()?, "an object")),
        }
    }

    /// A text that is no JSON value itself: a map's key.
    fn plain(&mut self, text: &str, at: usize) -> Result<(), Fault> {
        match self {
            Self::Leaf { cells, expected } => {
                if cells.text(text) {
                    Ok(())
                } else {
                    Err(misfit(at, text, expected))
                }
            }
            Self::List { .. } | Self::Struct { .. } | Self::Map { .. } => Err(misfit(at, text, "a plain key")),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Leaf { cells, .. } => cells.finish(),
            Self::List { field, item, offsets, valid, length } => {
                *length = 0;
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                Arc::new(ListArray::new(Arc::clone(field), offsets, item.finish(), valid.finish()))
            }
            Self::Struct { members, valid } => Arc::new(StructArray::new(
                members.fields.clone(),
                members.nodes.iter_mut().map(Self::finish).collect(),
                valid.finish(),
            )),
            Self::Map { entries, key, value, offsets, valid, length } => {
                *length = 0;
                let DataType::Struct(pair) = entries.data_type() else { unreachable!("checked when it was made") };
                let offsets = OffsetBuffer::new(std::mem::replace(offsets, vec![0]).into());
                let pairs = StructArray::new(pair.clone(), vec![key.finish(), value.finish()], None);
                Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, valid.finish(), false))
            }
        }
    }
}

fn leaf(cells: &mut dyn Cells, expected: &str, shape: Shape, reader: &mut Reader<'_>) -> Result<(), Fault> {
    let at = reader.at();
    let fits = match shape {
        Shape::Text => cells.text(&reader.string()?),
        Shape::Null | Shape::Bare => cells.text(reader.bare()?),
        // A column of texts keeps what it cannot look into, as it stands there.
        Shape::List | Shape::Object => cells.takes_any_text() && cells.text(reader.raw()?),
    };
    if fits {
        return Ok(());
    }
    Err(misfit(at, Reader::new(reader.text(), at).raw()?, expected))
}

fn misfit(at: usize, text: &str, expected: &str) -> Fault {
    let what = Wrong::Value { column: String::new(), text: text.to_owned(), expected: expected.to_owned() };
    Fault { at, what }
}

/// The members of an object as columns.
struct Members {
    fields: Fields,
    nodes: Vec<Node>,
    names: Names,
    /// For each node, the count of objects at which it last got a value.
    filled: Vec<u64>,
    objects: u64,
}

/// Keys and where their values go; a key that is known but not wanted goes nowhere.
struct Names {
    order: Vec<(String, Option<usize>)>,
    places: HashMap<String, usize>,
}

impl Names {
    fn new(order: Vec<(String, Option<usize>)>) -> Self {
        let places = order.iter().enumerate().map(|(at, (name, _))| (name.clone(), at)).collect();
        Self { order, places }
    }

    /// Objects of one file mostly have their keys in the same order, so the key after the last one is tried first.
    fn find(&self, key: &str, next: &mut usize) -> Option<Option<usize>> {
        let at = match self.order.get(*next) {
            Some((name, _)) if name == key => *next,
            _ => *self.places.get(key)?,
        };
        *next = at + 1;
        Some(self.order[at].1)
    }
}

impl Members {
    fn new(fields: &Fields) -> Option<Self> {
        let order = fields.iter().enumerate().map(|(at, field)| (field.name().clone(), Some(at))).collect();
        Self::with_names(fields, Names::new(order))
    }

    fn with_names(fields: &Fields, names: Names) -> Option<Self> {
        let nodes = fields.iter().map(|field| Node::new(field.data_type())).collect::<Option<Vec<_>>>()?;
        Some(Self { fields: fields.clone(), filled: vec![0; nodes.len()], nodes, names, objects: 0 })
    }

    fn object(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        self.objects += 1;
        let Self { fields, nodes, names, filled, objects } = self;
        let mut next = 0;
        reader.object(&mut |reader, key| {
            let at = reader.at();
            let Some(place) = names.find(&key, &mut next) else {
                return Err(Fault { at, what: Wrong::Key(key.into_owned()) });
            };
            let Some(place) = place else { return reader.raw().map(drop) };
            if filled[place] == *objects {
                return Err(Fault::syntax(at, format!("the key `{key}` stands twice in one object")));
            }
            filled[place] = *objects;
            nodes[place].value(reader).map_err(|fault| within(fields[place].name(), fault))
        })?;
        for (node, &filled) in nodes.iter_mut().zip(filled.iter()) {
            if filled != *objects {
                node.null();
            }
        }
        Ok(())
    }
}

/// Puts the name of the column that is being read before that of its part.
fn within(name: &str, fault: Fault) -> Fault {
    let what = match fault.what {
        Wrong::Value { column, text, expected } if column.is_empty() => {
            Wrong::Value { column: name.to_owned(), text, expected }
        }
        Wrong::Value { column, text, expected } => Wrong::Value { column: format!("{name}.{column}"), text, expected },
        Wrong::Key(key) => Wrong::Key(format!("{name}.{key}")),
        other @ (Wrong::Fields { .. } | Wrong::Syntax(_)) => other,
    };
    Fault { at: fault.at, what }
}

/// Typed columns from pieces of a JSON lines file.
pub struct Parser {
    schema: SchemaRef,
    members: Members,
}

impl Parser {
    /// The wanted columns are `schema`; `known` names all that a row may have.
    pub fn new(schema: SchemaRef, known: &Fields) -> Option<Self> {
        let place = |field: &FieldRef| (field.name().clone(), schema.index_of(field.name()).ok());
        let names = Names::new(known.iter().map(place).collect());
        let members = Members::with_names(schema.fields(), names)?;
        Some(Self { schema, members })
    }

    /// The rows of a piece of text; every line is one, blank ones are none.
    pub fn parse(&mut self, text: &str) -> Result<RecordBatch, Fault> {
        let mut rows = 0;
        each_line(text, |reader| {
            rows += 1;
            self.members.object(reader)
        })?;
        let arrays = self.members.nodes.iter_mut().map(Node::finish).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options)
            .map_err(|error| Fault::syntax(0, error.to_string()))
    }
}
