//! The columns that a reload will make.

/// One column of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnPlan {
    /// Its name.
    pub name: String,
    /// The type of the values in the collection, in words.
    pub bson_type: String,
    /// Its type in the target.
    pub target_type: String,
    /// The share of the sample that has the field, 0 to 1.
    pub present: f64,
}
