//! A schema made for looking keys up.

use std::collections::HashMap;

use crate::schema::{Blank, TextType};
use crate::{Field, Kind};

/// The columns of one level of a document.
pub(super) struct Node {
    pub(super) places: Vec<Place>,
    by_key: HashMap<Box<[u8]>, usize>,
}

/// A key and its column.
pub(super) struct Place {
    pub(super) key: Box<[u8]>,
    pub(super) shape: Shape,
    /// What the column means where it shows nothing.
    pub(super) blank: Blank,
    /// The type of the texts of the column's twin, if it has one.
    pub(super) twin: Option<TextType>,
}

pub(super) enum Shape {
    Leaf(Kind),
    Json,
    Text(TextType),
    Document(Node),
    Array(Box<Shape>),
}

impl Node {
    pub(super) fn new(fields: &[Field]) -> Node {
        let place = |field: &Field| Place {
            key: field.name.as_bytes().into(),
            shape: Shape::new(&field.kind),
            blank: field.blank,
            twin: field.twin.as_ref().map(|twin| twin.usual),
        };
        Node {
            places: fields.iter().map(place).collect(),
            by_key: fields.iter().enumerate().map(|(i, field)| (field.name.as_bytes().into(), i)).collect(),
        }
    }

    /// The number of a key's place; the one guessed is looked at first.
    pub(super) fn find(&self, key: &[u8], guess: usize) -> Option<usize> {
        if self.places.get(guess).is_some_and(|place| *place.key == *key) {
            return Some(guess);
        }
        self.by_key.get(key).copied()
    }
}

impl Shape {
    fn new(kind: &Kind) -> Shape {
        match kind {
            Kind::Document(fields) => Shape::Document(Node::new(fields)),
            Kind::Array(element) => Shape::Array(Box::new(Shape::new(element))),
            Kind::Json => Shape::Json,
            Kind::Text { usual } => Shape::Text(*usual),
            leaf => Shape::Leaf(leaf.clone()),
        }
    }
}
