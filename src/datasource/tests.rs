//! Answers as Prometheus's documentation writes them, and a server on loopback.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use tokio::sync::mpsc;

use super::query::read;
use super::*;
use crate::model::{HttpSettings, Timestamp};
use crate::release::gate::Answer;
use crate::release::{Datasource, Question};

#[test]
fn one_value_is_read_and_nothing_else_is_taken_for_one() {
    let vector = |points: &str| {
        format!(r#"{{"status":"success","data":{{"resultType":"vector","result":[{points}]}}}}"#)
    };
    let point =
        |value: &str| format!(r#"{{"metric":{{"a":"b"}},"value":[1435781451.781,"{value}"]}}"#);
    let value = |text: &str| read(text.as_bytes());
    assert_eq!(value(&vector(&point("17"))), Ok(Answer::Value(17.0)));
    assert_eq!(value(&vector(&point("+Inf"))), Ok(Answer::Value(f64::INFINITY)));
    assert_eq!(value(&vector("")), Ok(Answer::Nothing));
    assert_eq!(value(&vector(&[point("1"), point("2")].join(","))), Ok(Answer::Nothing));
    let scalar = r#"{"status":"success","data":{"resultType":"scalar","result":[1.5,"0.25"]}}"#;
    assert_eq!(value(scalar), Ok(Answer::Value(0.25)));
    let error = r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#;
    assert_eq!(value(error), Err("parse error".to_owned()));
    for wrong in
        ["", "<html>", "[]", &vector(&point("x")), &vector(r#"{"metric":{},"histogram":[1,{}]}"#)]
    {
        assert!(value(wrong).is_err(), "{wrong}");
    }
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert!(value(matrix).is_err());
}

#[tokio::test]
async fn each_expression_is_asked_at_the_end_of_the_block_and_what_fails_is_lost() {
    let asked = |body: String| async move {
        let form: BTreeMap<String, String> =
            form_urlencoded::parse(body.as_bytes()).into_owned().collect();
        assert_eq!(form["time"], "1700000000.500");
        match form["query"].as_str() {
            "good" => (
                axum::http::StatusCode::OK,
                r#"{"data":{"resultType":"scalar","result":[1,"4"]}}"#.to_owned(),
            ),
            _ => (axum::http::StatusCode::BAD_GATEWAY, "bad gateway".to_owned()),
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/prefix/api/v1/query", post(asked));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let datasource = Datasource {
        url: format!("http://{address}/prefix/"),
        timeout: Duration::from_secs(5),
        http: HttpSettings::default(),
    };
    let (questions, asks) = mpsc::channel(QUESTIONS_MAX);
    let (answers, mut said) = mpsc::channel(QUESTIONS_MAX);
    let _datasources =
        Datasources::spawn(BTreeMap::from([("next".to_owned(), datasource)]), asks, answers);
    let question = |release: &str| Question {
        release: release.to_owned(),
        block: 7,
        at: Timestamp::from_millis(1_700_000_000_500),
        exprs: vec!["good".to_owned(), "broken".to_owned()],
    };
    questions.send(question("unknown")).await.unwrap();
    questions.send(question("next")).await.unwrap();
    let (of, what) = said.recv().await.unwrap();
    assert_eq!((of.release.as_str(), of.block), ("next", 7));
    assert_eq!(what, [Answer::Value(4.0), Answer::Lost]);
}
