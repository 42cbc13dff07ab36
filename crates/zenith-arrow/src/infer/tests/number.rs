//! Which column numbers of several kinds get.

use super::*;

const INEXACT: i64 = (1 << 53) + 1;

fn decimal_kind(scale: u8) -> Kind {
    Kind::Decimal { scale }
}

#[test]
fn one_column_for_all_numbers() {
    let (int, long, double) = (Bson::Int32(1), Bson::Int64(2), Bson::Double(0.5));
    let inexact = || Bson::Int64(INEXACT);
    for (values, expected) in [
        (vec![int.clone()], Kind::Int64),
        (vec![int.clone(), long.clone()], Kind::Int64),
        // Integers and doubles: the column that holds all.
        (vec![long.clone(), double.clone(), Bson::Null], Kind::Double),
        (vec![int.clone(), Bson::Double(2.0)], Kind::Double),
        (vec![Bson::Int64(1 << 60), Bson::Int64(i64::MIN), Bson::Double(f64::NAN)], Kind::Double),
        (vec![inexact(), Bson::Double(1.0)], Kind::Int64),
        (vec![inexact(), Bson::Double(0.25)], decimal_kind(2 + 6)),
        (vec![inexact(), Bson::Double(1.0), Bson::Double(-0.0)], Kind::Double),
        (vec![inexact(), Bson::Double(f64::INFINITY)], Kind::Double),
        (vec![inexact(), inexact(), Bson::Double(f64::NAN)], Kind::Int64),
        // Decimals: with room on both sides.
        (vec![decimal("1.50")], decimal_kind(8)),
        (vec![decimal("1")], decimal_kind(6)),
        (vec![int.clone(), decimal("1.50"), double.clone()], decimal_kind(8)),
        (vec![decimal("1.123456"), decimal("1.5")], decimal_kind(12)),
        (vec![decimal("12345678901234567890123456789012.5")], decimal_kind(1 + 2)),
        (vec![decimal("1234567890123456789012345678901234")], decimal_kind(2)),
        (vec![decimal("0.1234567890123456789012345678901234")], decimal_kind(34 + 2)),
        (vec![decimal("9000000000000000000E+19"), decimal("1")], decimal_kind(0)),
        // Zeros at the end are digits up to the sixth.
        (vec![decimal("10.00")], decimal_kind(8)),
        (vec![decimal("1.5000000000000000000000")], decimal_kind(12)),
        // No decimal for all, but a double.
        (vec![decimal("1E-40"), decimal("123.5"), int.clone()], Kind::Double),
        (vec![decimal("1.5"), Bson::Double(f64::NAN), Bson::Double(1e300)], Kind::Double),
        // No column for all.
        (vec![decimal("12345678901234567890"), decimal("1E-30"), int.clone()], decimal_kind(0)),
        (vec![decimal("1.00000000000000001"), decimal("1E+50"), decimal("0.001")], decimal_kind(17)),
    ] {
        assert_eq!(kind_of(values.clone()), Some(expected), "{values:?}");
    }
}

#[test]
fn narrow_integers_and_exact_text() {
    let options =
        InferOptions { integers: Integers::Narrow, decimal: DecimalAs::Text, ..InferOptions::default() };
    for (values, expected) in [
        (vec![Bson::Int32(1)], Kind::Int32),
        (vec![Bson::Int32(1), Bson::Int64(1)], Kind::Int64),
        (vec![Bson::Int32(1), Bson::Double(1.0)], Kind::Double),
        (vec![decimal("1.5")], Kind::DecimalText),
        (vec![decimal("1.5"), decimal("2"), Bson::Int32(1)], Kind::DecimalText),
        (vec![decimal("1.5"), Bson::Double(0.5), Bson::Int32(1)], Kind::Double),
        (vec![decimal("2"), Bson::Int64(1), Bson::Int64(INEXACT)], Kind::Int64),
    ] {
        let documents: Vec<_> = values.iter().map(|value| doc! { "_id": 1, "v": value }).collect();
        assert_eq!(inferred(&documents, &options).schema.fields[1].kind, expected, "{values:?}");
    }
}

/// Many doubles beside integers that need a decimal: not all of them are examined.
#[test]
fn many_doubles_enter_a_decimal() {
    let money = |n: i32| Bson::Double(f64::from(n) / 100.0);
    let values = (0..20_000).map(money).chain([Bson::Int64(INEXACT)]);
    assert_eq!(kind_of(values), Some(decimal_kind(8)));
    // Where most of them do not fit, a double loses less.
    let tiny = (1..5_000).map(|n| Bson::Double(1e-40 * f64::from(n)));
    assert_eq!(kind_of(tiny.chain([Bson::Int64(INEXACT)])), Some(Kind::Double));
}

/// What does not fit the column of numbers is shown beside it, and never makes it text.
#[test]
fn numbers_stay_numbers() {
    let field = |values: &[Bson]| {
        let documents: Vec<_> = values.iter().map(|value| doc! { "_id": 1, "v": value }).collect();
        inferred(&documents, &InferOptions::default()).schema.fields.remove(1)
    };
    let wild = field(&[decimal("12345678901234567890"), decimal("1E-38"), decimal("1E+100")]);
    assert!(matches!(wild.kind, Kind::Decimal { .. }), "{wild:?}");
    assert_eq!(wild.twin.map(|twin| twin.usual), Some(crate::schema::TextType::Number));
    let list = field(&[bson::bson!([decimal("12345678901234567890"), decimal("1E-38"), decimal("1E+100")])]);
    assert!(
        matches!(&list.kind, Kind::Array(element) if matches!(**element, Kind::Decimal { .. })),
        "{list:?}"
    );
}
