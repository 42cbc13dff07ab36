//! A schema made for looking keys up.

use std::collections::HashMap;

use crate::{Field, Kind};

/// The columns of one level of a document.
pub(super) struct Node {
    pub(super) keys: Vec<Box<[u8]>>,
    pub(super) shapes: Vec<Shape>,
    by_key: HashMap<Box<[u8]>, usize>,
}

pub(super) enum Shape {
    Leaf(Kind),
    Json,
    Document(Node),
    Array(Box<Shape>),
}

impl Node {
    pub(super) fn new(fields: &[Field]) -> Node {
        Node {
            keys: fields.iter().map(|field| field.name.as_bytes().into()).collect(),
            shapes: fields.iter().map(|field| Shape::new(&field.kind)).collect(),
            by_key: fields.iter().enumerate().map(|(i, field)| (field.name.as_bytes().into(), i)).collect(),
        }
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        self.by_key.get(key).copied()
    }
}

impl Shape {
    fn new(kind: &Kind) -> Shape {
        match kind {
            Kind::Document(fields) => Shape::Document(Node::new(fields)),
            Kind::Array(element) => Shape::Array(Box::new(Shape::new(element))),
            Kind::Json => Shape::Json,
            leaf => Shape::Leaf(leaf.clone()),
        }
    }

    /// As [`Kind::holds_array`].
    pub(super) fn holds_array(&self) -> bool {
        match self {
            Shape::Array(_) => true,
            Shape::Document(node) => node.shapes.iter().any(Shape::holds_array),
            Shape::Leaf(_) | Shape::Json => false,
        }
    }
}
