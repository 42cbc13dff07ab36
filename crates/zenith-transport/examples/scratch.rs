//! scratch
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]
use arrow_array::*;
use arrow_schema::*;
use std::collections::HashMap;
use std::sync::Arc;
use zenith_transport::*;
type Result<T, E = TransportError> = std::result::Result<T, E>;

fn ext(f: Field, e: &str) -> Field {
    f.with_metadata(HashMap::from([("ARROW:extension:name".to_owned(), e.to_owned())]))
}

async fn json(sink: &HttpSink) {
    let deep = |n: usize| format!("{}1{}", "{\"a\":".repeat(n), "}".repeat(n));
    let deep_arr = |n: usize| format!("{{\"x\":{}1{}}}", "[".repeat(n), "]".repeat(n));
    let cases: Vec<String> = [
        r#"{"a":"2024-01-02"}"#,
        r#"{"a":"2024-01-02 03:04:05"}"#,
        r#"{"a":"2024-01-02T03:04:05.123Z"}"#,
        r#"{"a":"123"}"#,
        r#"{"a":"1.5"}"#,
        r#"{"a":"true"}"#,
        r#"{"a":9223372036854775807}"#,
        r#"{"a":-9223372036854775808}"#,
        r#"{"a":18446744073709551615}"#,
        r#"{"a":18446744073709551616}"#,
        r#"{"a":123456789012345678901234567890}"#,
        r#"{"a":1.0}"#,
        r#"{"a":1e300}"#,
        r#"{"a":0.1}"#,
        r#"{"a":-0.0}"#,
        r#"{"a":1.7976931348623157e308}"#,
        r#"{"a":5e-324}"#,
        r#"{"a":1e22}"#,
        r#"{}"#,
        r#"{"a":{}}"#,
        r#"{"a":{},"b":1}"#,
        r#"{"a":[]}"#,
        r#"{"a":null}"#,
        r#"{"a":null,"b":1}"#,
        r#"{"a":[null]}"#,
        r#"{"a":[1,null]}"#,
        r#"{"a":[1,"x"]}"#,
        r#"{"a":[1,1.5]}"#,
        r#"{"a":[1,"x",null,true,{"b":1},[1]]}"#,
        r#"{"a":["2024-01-02","x"]}"#,
        r#"{"a":["2024-01-02"]}"#,
        r#"{"a.b":1}"#,
        r#"{"a.b":1,"a":{"c":2}}"#,
        r#"{"a":{"b":1},"a.b":2}"#,
        r#"{"":1}"#,
        r#"{"a":{"":1}}"#,
        r#"{"":{"":1}}"#,
        r#"{".":1}"#,
        r#"{"a.":1}"#,
        r#"{".a":1}"#,
        r#"{"a":[{"b":1},{"b":2}]}"#,
        r#"{"a":[{"b":1},{"c":"x"}]}"#,
        r#"{"a":[{}]}"#,
        r#"{"a":[{"b":null}]}"#,
        r#"{"a":[[1],[2,3]]}"#,
        r#"{"a":[[]]}"#,
        r#"{"a":[{"b.c":1}]}"#,
        r#"{"a":[{"b":"2024-01-02"}]}"#,
        r#"{"a":[{"b":{}}]}"#,
        r#"{"a":[{"b":[]}]}"#,
        r#"{"a":{"b":null}}"#,
        r#"{"a":true}"#,
        r#"{"a":"\u0000x"}"#,
        r#"{"a":"é\n\"\\/"}"#,
        r#"{"$a":1}"#,
        r#"{"a`b":1}"#,
        r#"{"a b":1}"#,
        r#"{"a":1,"A":2}"#,
        r#"{"a%2Eb":1}"#,
        r#"{"a":1,"a":2}"#,
        r#"{"a":{"b":1},"a":3}"#,
        r#"{"a":1,"a":{"b":2}}"#,
        r#"[1]"#,
        r#"1"#,
        r#"null"#,
        r#""x""#,
        r#"{"_id":"x"}"#,
        r#"{"a":"192.168.0.1"}"#,
        r#"{"a":"00000000-0000-0000-0000-000000000000"}"#,
        r#"{"a":"inf"}"#,
        r#"{"a":"null"}"#,
        "",
    ]
    .iter()
    .map(|s| (*s).to_owned())
    .chain([deep(10), deep(50), deep(100), deep(200), deep_arr(10), deep_arr(30), deep_arr(100)])
    .collect();
    let cases: Vec<String> = if std::env::args().nth(2).is_some() {
        [
            r#"{"a":"2024-01-02"}"#,
            r#"{"a":"2024-01-02 03:04:05"}"#,
            r#"{"a":"2024-01-02 03:04:05.000"}"#,
            r#"{"a":"2024-01-02 03:04:05.1234567890123"}"#,
            r#"{"a":"2024-01-02 03:04:05.5"}"#,
            r#"{"a":"2024-1-2"}"#,
            r#"{"a":"2024/01/02"}"#,
            r#"{"a":"2024-01-02T03:04:05Z"}"#,
            r#"{"a":"2024-01-02T03:04:05"}"#,
            r#"{"a":"2024-01-02T03:04:05+02:00"}"#,
            r#"{"a":"2024-01-02T03:04:05.120000Z"}"#,
            r#"{"a":"20240102"}"#,
            r#"{"a":"1899-01-01"}"#,
            r#"{"a":"1969-12-31"}"#,
            r#"{"a":"0000-00-00"}"#,
            r#"{"a":"2024-02-31"}"#,
            r#"{"a":"2150-01-01"}"#,
            r#"{"a":"2299-12-31 23:59:59"}"#,
            r#"{"a":"9999-12-31"}"#,
            r#"{"a":"1970-01-01 00:00:00"}"#,
            r#"{"a":"2024-03-31 02:30:00"}"#,
            r#"{"a":"2024-01-02 "}"#,
            r#"{"a":" 2024-01-02"}"#,
            r#"{"a":"2024-01-02 3:4:5"}"#,
            r#"{"a":"2024-01-02 03:04"}"#,
            r#"{"a":"2024-01-02 24:00:00"}"#,
            r#"{"a":"2024-01-02 03:04:05 "}"#,
            r#"{"a":["2024-01-02","2024-01-02 03:04:05"]}"#,
            r#"{"a":["2024-01-02 03:04:05","2024-01-02 03:04:05.123"]}"#,
            r#"{"a":["2024-01-02",null]}"#,
            r#"{"a":[[ "2024-01-02"],["2024-01-02 03:04:05"]]}"#,
            r#"{"a":[1,2.5,9223372036854775807]}"#,
            r#"{"a":[1,18446744073709551615]}"#,
            r#"{"a":[-1,18446744073709551615]}"#,
            r#"{"a":[true,1]}"#,
            r#"{"a":[9007199254740993,0.5]}"#,
            r#"{"a.b":1}"#,
            r#"{"a":{"b":1},"a.b":2}"#,
            r#"{"a":[{"b":"2024-01-02"}]}"#,
            r#"{"a":12345678901234567890123}"#,
            r#"{"a":"12:30:00"}"#,
            r#"{"a":"2024"}"#,
            r#"{"a":"Jan 2, 2024"}"#,
            r#"{"a":"1700000000"}"#,
            r#"{"a":"2024-01-02 03:04:05.123456"}"#,
        ]
        .iter()
        .map(|s| (*s).to_owned())
        .collect()
    } else {
        cases
    };
    let variants: Vec<(&str, String)> = vec![
        ("default", String::new()),
        ("tuned", "input_format_try_infer_dates=0&input_format_try_infer_datetimes=0&json_type_escape_dots_in_keys=1".into()),
        ("tuned non-native", "input_format_try_infer_dates=0&input_format_try_infer_datetimes=0&json_type_escape_dots_in_keys=1&NN".into()),
        ("tuned input", "input_format_try_infer_dates=0&input_format_try_infer_datetimes=0&json_type_escape_dots_in_keys=1&IN".into()),
    ];
    for (label, extra) in variants {
        println!("=== {label} {extra}");
        for case in &cases {
            for native in ["1"] {
                sink.execute("DROP TABLE IF EXISTS j").await.unwrap();
                sink.execute("CREATE TABLE j (j JSON) ENGINE=MergeTree ORDER BY ()").await.unwrap();
                let batch = RecordBatch::try_new(
                    Arc::new(Schema::new(vec![Field::new("j", DataType::Utf8, false)])),
                    vec![Arc::new(StringArray::from(vec![case.as_str()]))],
                )
                .unwrap();
                let r = raw_insert(
                    &batch,
                    "j",
                    &format!(
                        "{extra}&input_format_arrow_use_native_reader={}",
                        if extra.contains("NN") { "0" } else { native }
                    ),
                )
                .await;
                let shown: String =
                    if case.len() > 60 { format!("{}...{}", &case[..25], case.len()) } else { case.clone() };
                match r {
                    Err(e) => println!("{shown}\n   ERR {}", e.chars().take(200).collect::<String>()),
                    Ok(()) => {
                        #[derive(serde::Deserialize)]
                        struct R {
                            v: String,
                            t: String,
                        }
                        let r = sink
                            .query_rows::<R>(
                                "SELECT toJSONString(j) v, toString(JSONAllPathsWithTypes(j)) t FROM j",
                            )
                            .await;
                        match r {
                            Ok(r) => {
                                let a: Result<serde_json::Value, _> = serde_json::from_str(case);
                                let b: Result<serde_json::Value, _> = serde_json::from_str(&r[0].v);
                                let same = a.is_ok() && b.is_ok() && a.unwrap() == b.unwrap();
                                println!(
                                    "{} {shown}\n      -> {}  {}",
                                    if same { "same" } else { "DIFF" },
                                    if r[0].v.len() > 80 {
                                        format!("{}...{}", &r[0].v[..30], r[0].v.len())
                                    } else {
                                        r[0].v.clone()
                                    },
                                    if r[0].t.len() > 100 { "..".to_owned() } else { r[0].t.clone() }
                                );
                            }
                            Err(e) => println!("{shown}\n   READ ERR {e}"),
                        }
                    }
                }
            }
        }
    }
}

async fn raw_insert(batch: &RecordBatch, table: &str, extra: &str) -> Result<(), String> {
    let mut e = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    e.write(batch).unwrap();
    let bytes = e.into_inner().unwrap();
    std::fs::write("/tmp/zt/body.bin", &bytes).unwrap();
    let out = tokio::process::Command::new("curl").args(["-sS", "--data-binary", "@/tmp/zt/body.bin", &format!("http://127.0.0.1:18123/?database=d&async_insert=0&wait_end_of_query=1&query=INSERT+INTO+{table}+{}FORMAT+ArrowStream&{}", if extra.contains("&IN") { "SELECT+CAST(j,%27JSON%27)+FROM+input(%27j+String%27)+" } else { "" }, extra.replace("&NN", "").replace("&IN", ""))]).output().await.unwrap();
    let s = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    if s.is_empty() { Ok(()) } else { Err(s) }
}

async fn types(sink: &HttpSink) {
    let utc = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
    let uuid: [u8; 16] =
        [0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff];
    let st = StructArray::from(vec![
        (
            Arc::new(Field::new("a", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(1), None])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("b c", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![None, Some("x")])) as ArrayRef,
        ),
    ]);
    let mut lb = builder::ListBuilder::new(builder::StringBuilder::new());
    lb.values().append_value("p");
    lb.values().append_null();
    lb.append(true);
    lb.append(true);
    let list = lb.finish();
    let dict: DictionaryArray<types::Int32Type> = vec![Some("lo"), None].into_iter().collect();
    let dict8: DictionaryArray<types::UInt8Type> = vec![Some("lo"), Some("hi")].into_iter().collect();
    let cols: Vec<(Field, ArrayRef)> = vec![
        (Field::new("utf8", DataType::Utf8, true), Arc::new(StringArray::from(vec![Some("é"), None]))),
        (
            Field::new("bin", DataType::Binary, true),
            Arc::new(BinaryArray::from(vec![Some(&[0xff_u8, 0][..]), None])),
        ),
        (Field::new("i32", DataType::Int32, true), Arc::new(Int32Array::from(vec![Some(-5), None]))),
        (Field::new("i64", DataType::Int64, true), Arc::new(Int64Array::from(vec![Some(i64::MIN), None]))),
        (Field::new("u64", DataType::UInt64, true), Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        (
            Field::new("f64", DataType::Float64, true),
            Arc::new(Float64Array::from(vec![Some(f64::NAN), None])),
        ),
        (Field::new("b", DataType::Boolean, true), Arc::new(BooleanArray::from(vec![Some(true), None]))),
        (
            Field::new("dec", DataType::Decimal128(38, 4), true),
            Arc::new(
                Decimal128Array::from(vec![Some(-123_456_i128), None])
                    .with_precision_and_scale(38, 4)
                    .unwrap(),
            ),
        ),
        (
            Field::new("dec38", DataType::Decimal128(38, 38), true),
            Arc::new(
                Decimal128Array::from(vec![
                    Some(-99_999_999_999_999_999_999_999_999_999_999_999_999_i128),
                    None,
                ])
                .with_precision_and_scale(38, 38)
                .unwrap(),
            ),
        ),
        (
            Field::new("ts", utc, true),
            Arc::new(
                TimestampMillisecondArray::from(vec![Some(-2_208_988_800_000), None]).with_timezone("UTC"),
            ),
        ),
        (
            ext(Field::new("uuid", DataType::FixedSizeBinary(16), true), "arrow.uuid"),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(vec![Some(uuid), None].into_iter(), 16)
                    .unwrap(),
            ),
        ),
        (
            Field::new("fs12", DataType::FixedSizeBinary(12), true),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    vec![Some([1_u8; 12]), None].into_iter(),
                    12,
                )
                .unwrap(),
            ),
        ),
        (
            Field::new("fs16", DataType::FixedSizeBinary(16), true),
            Arc::new(
                FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                    vec![Some([2_u8; 16]), None].into_iter(),
                    16,
                )
                .unwrap(),
            ),
        ),
        (
            ext(Field::new("json", DataType::Utf8, false), "arrow.json"),
            Arc::new(StringArray::from(vec!["{\"a\":1}", "{}"])),
        ),
        (Field::new("st", st.data_type().clone(), false), Arc::new(st)),
        (Field::new("li", list.data_type().clone(), false), Arc::new(list)),
        (Field::new("dict", dict.data_type().clone(), true), Arc::new(dict)),
        (Field::new("dict8", dict8.data_type().clone(), false), Arc::new(dict8)),
    ];
    for (f, a) in cols {
        let name = f.name().clone();
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![f])), vec![a]).unwrap();
        sink.drop_table("ty").await.unwrap();
        let def = TableDefinition::new("ty", batch.schema());
        if let Err(e) = sink.create(&def).await {
            println!("{name}: CREATE {e}");
            continue;
        }
        let info = sink.describe("ty").await.unwrap().unwrap();
        let want = ddl::column_type(batch.schema_ref().field(0), ddl::Dialect::default()).unwrap();
        match sink.write(Insert { table: "ty".into(), batch: batch.clone(), token: "t".into() }).await {
            Err(e) => println!("{name}: WRITE {e}"),
            Ok(d) => {
                #[derive(serde::Deserialize)]
                struct R {
                    v: Option<String>,
                }
                let r = sink.query_rows::<R>(&format!("SELECT toString(`{name}`) v FROM ty")).await;
                let r = match r {
                    Ok(r) => format!("{:?}", r.iter().map(|r| r.v.clone()).collect::<Vec<_>>()),
                    Err(e) => e.to_string().chars().take(150).collect(),
                };
                let back = sink.read("ty").await;
                println!(
                    "{name}: {} same={} written={:?} values {r}; back {}",
                    info.columns[0].data_type,
                    ddl::same_type(&want, &info.columns[0].data_type),
                    d.rows_written,
                    match back {
                        Ok(b) => format!(
                            "{:?} equal={}",
                            b[0].schema().field(0).data_type(),
                            b[0].column(0).as_ref() == batch.column(0).as_ref()
                        ),
                        Err(e) => e.to_string(),
                    }
                );
            }
        }
    }
}

async fn tuples(sink: &HttpSink) {
    for depth in [32_usize, 48, 58, 59, 60, 61, 62, 63, 64, 100] {
        let mut f = Field::new("leaf", DataType::Int32, true);
        let mut a: ArrayRef = Arc::new(Int32Array::from(vec![Some(7)]));
        for level in 0..depth {
            let st = StructArray::from(vec![(Arc::new(f.clone()), a)]);
            f = Field::new(format!("l{level}"), st.data_type().clone(), false);
            a = Arc::new(st);
        }
        one(sink, &format!("tuple depth {depth}"), f, a).await;
        let mut f = Field::new("item", DataType::Int32, true);
        let mut a: ArrayRef = Arc::new(Int32Array::from(vec![Some(7)]));
        for _ in 0..depth {
            let l = ListArray::new(
                Arc::new(f.clone()),
                arrow_buffer::OffsetBuffer::new(vec![0, 1].into()),
                a,
                None,
            );
            f = Field::new("item", l.data_type().clone(), false);
            a = Arc::new(l);
        }
        one(sink, &format!("array depth {depth}"), f.with_name("c"), a).await;
        let mut f = Field::new("leaf", DataType::Int32, true);
        let mut a: ArrayRef = Arc::new(Int32Array::from(vec![Some(7)]));
        for level in 0..depth / 2 {
            let st = StructArray::from(vec![(Arc::new(f.clone()), a)]);
            let l = ListArray::new(
                Arc::new(Field::new("item", st.data_type().clone(), false)),
                arrow_buffer::OffsetBuffer::new(vec![0, 1].into()),
                Arc::new(st),
                None,
            );
            f = Field::new(format!("l{level}"), l.data_type().clone(), false);
            a = Arc::new(l);
        }
        if depth > 1 {
            one(sink, &format!("array(tuple) depth {depth}"), f, a).await;
        }
    }
    if std::env::args().nth(2).is_some() {
        return;
    }
    for n in [
        "a`b",
        "a.b",
        "a'b",
        "a\"b",
        "$a",
        "a\\b",
        "a b",
        "é",
        "1a",
        "a\nb",
        "a\0b",
        "",
        "null",
        "distinct",
        "all",
        "select",
        "a%b",
        "\u{1F600}",
        "Nullable",
        "x\u{7f}",
        "size0",
        "nested.a.b",
        "tuple",
        "1",
        "2",
        "\u{1}",
        "a\tb",
    ] {
        let st = StructArray::from(vec![
            (
                Arc::new(Field::new(n, DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef,
            ),
            (
                Arc::new(Field::new("zz", DataType::Utf8, true)),
                Arc::new(StringArray::from(vec![Some("z")])) as ArrayRef,
            ),
        ]);
        one(sink, &format!("element {n:?}"), Field::new("c", st.data_type().clone(), false), Arc::new(st))
            .await;
        one(
            sink,
            &format!("column {n:?}"),
            Field::new(n, DataType::Int32, true),
            Arc::new(Int32Array::from(vec![Some(7)])),
        )
        .await;
    }
    // case
    let st = StructArray::from(vec![
        (
            Arc::new(Field::new("a", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("A", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("z")])) as ArrayRef,
        ),
    ]);
    one(sink, "case", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    let st = StructArray::from(vec![
        (
            Arc::new(Field::new("1", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("2", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("z")])) as ArrayRef,
        ),
    ]);
    one(sink, "1,2", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    let st = StructArray::from(vec![
        (
            Arc::new(Field::new("2", DataType::Int32, true)),
            Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef,
        ),
        (
            Arc::new(Field::new("1", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("z")])) as ArrayRef,
        ),
    ]);
    one(sink, "2,1", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    let st = StructArray::new_empty_fields(1, None);
    one(sink, "empty tuple", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    let inner = StructArray::new_empty_fields(1, None);
    let st = StructArray::from(vec![
        (Arc::new(Field::new("e", inner.data_type().clone(), false)), Arc::new(inner) as ArrayRef),
        (
            Arc::new(Field::new("A", DataType::Utf8, true)),
            Arc::new(StringArray::from(vec![Some("z")])) as ArrayRef,
        ),
    ]);
    one(sink, "inner empty tuple", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    let st = StructArray::new_empty_fields(1, None);
    let l = ListArray::new(
        Arc::new(Field::new("item", st.data_type().clone(), false)),
        arrow_buffer::OffsetBuffer::new(vec![0, 1].into()),
        Arc::new(st),
        None,
    );
    one(sink, "array of empty tuple", Field::new("c", l.data_type().clone(), false), Arc::new(l)).await;
    let many: Vec<(FieldRef, ArrayRef)> = (0..2000)
        .map(|i| {
            (
                Arc::new(Field::new(format!("f{i}"), DataType::Int32, true)),
                Arc::new(Int32Array::from(vec![Some(7)])) as ArrayRef,
            )
        })
        .collect();
    let st = StructArray::from(many.clone());
    one(sink, "tuple of 2000", Field::new("c", st.data_type().clone(), false), Arc::new(st)).await;
    // null struct with nullable leaves
    let st = StructArray::new(
        vec![Field::new("a", DataType::Int32, true)].into(),
        vec![Arc::new(Int32Array::from(vec![Some(1), Some(2)]))],
        Some(vec![true, false].into()),
    );
    one(sink, "null struct", Field::new("c", st.data_type().clone(), true), Arc::new(st)).await;
    let st = StructArray::new(
        vec![Field::new("a", DataType::Int32, true)].into(),
        vec![Arc::new(Int32Array::from(vec![Some(1), None]))],
        None,
    );
    one(
        sink,
        "nullable field struct without nulls",
        Field::new("c", st.data_type().clone(), true),
        Arc::new(st),
    )
    .await;
    let mut lb = builder::ListBuilder::new(builder::StringBuilder::new());
    lb.values().append_value("p");
    lb.append(true);
    lb.append(false);
    let l = lb.finish();
    one(sink, "null list", Field::new("c", l.data_type().clone(), true), Arc::new(l)).await;
    one(
        sink,
        "null json",
        ext(Field::new("c", DataType::Utf8, true), "arrow.json"),
        Arc::new(StringArray::from(vec![Some("{\"a\":1}"), None])),
    )
    .await;
    one(
        sink,
        "zero rows",
        Field::new("c", DataType::Utf8, true),
        Arc::new(StringArray::from(Vec::<&str>::new())),
    )
    .await;
    let t0 = std::time::Instant::now();
    let (fs, as_): (Vec<_>, Vec<_>) = many.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fs)), as_).unwrap();
    sink.drop_table("ty").await.unwrap();
    let c = sink.create(&TableDefinition::new("ty", batch.schema())).await;
    let w = sink.write(Insert { table: "ty".into(), batch, token: "t".into() }).await;
    println!("2000 columns: {c:?} {w:?} {:?}", t0.elapsed());
}

async fn one(sink: &HttpSink, label: &str, f: Field, a: ArrayRef) {
    let t = std::time::Instant::now();
    one_(sink, label, f, a).await;
    println!("   took {:?}", t.elapsed());
}
async fn one_(sink: &HttpSink, label: &str, f: Field, a: ArrayRef) {
    let schema = Arc::new(Schema::new(vec![f]));
    let batch = RecordBatch::try_new(schema, vec![a]).unwrap();
    let _ = sink.drop_table("ty").await;
    if let Err(e) = sink.create(&TableDefinition::new("ty", batch.schema())).await {
        println!("{label}: CREATE {}", e.to_string().chars().take(300).collect::<String>());
        return;
    }
    let info = sink.describe("ty").await.unwrap().unwrap();
    let want = ddl::column_type(batch.schema_ref().field(0), ddl::Dialect::default()).unwrap();
    let same = ddl::same_type(&want, &info.columns[0].data_type)
        && info.columns[0].name == *batch.schema_ref().field(0).name();
    match sink.write(Insert { table: "ty".into(), batch: batch.clone(), token: "t".into() }).await {
        Err(e) => {
            println!("{label}: WRITE {} (same={same})", e.to_string().chars().take(300).collect::<String>())
        }
        Ok(_) => {
            #[derive(serde::Deserialize)]
            struct R {
                v: Option<String>,
            }
            let r = sink.query_rows::<R>("SELECT toString(tuple(*)) v FROM ty").await;
            let v = match r {
                Ok(r) => format!("{:?}", r.iter().map(|r| r.v.clone()).collect::<Vec<_>>()),
                Err(e) => e.to_string(),
            };
            let back = sink.read("ty").await;
            println!(
                "{label}: ok sametype={same} {} -> {} {}",
                info.columns[0].data_type.chars().take(60).collect::<String>(),
                v.chars().take(60).collect::<String>(),
                match back {
                    Ok(b) => format!(
                        "back equal={}",
                        b.first().is_some_and(|b| b.column(0).as_ref() == batch.column(0).as_ref())
                    ),
                    Err(e) =>
                        format!("READ {e}: {:?}", std::error::Error::source(&e).map(ToString::to_string)),
                }
            );
        }
    }
}

#[tokio::main]
async fn main() {
    let sink =
        HttpSink::new(Target::parse("http://127.0.0.1:18123/d").unwrap(), None, HttpOptions::default())
            .unwrap();
    println!("{:?}", sink.preflight(&Preflight::default()).await);
    match std::env::args().nth(1).as_deref() {
        Some("json") => json(&sink).await,
        Some("types") => types(&sink).await,
        Some("tuples") => tuples(&sink).await,
        _ => {}
    }
}
