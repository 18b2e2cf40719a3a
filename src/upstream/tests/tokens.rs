//! Tokens from a server that answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::super::{TokenError, Tokens};
use crate::model::{OAuth2, SecretSource, TlsSettings};

/// Gives tokens `t1`, `t2` and so on, or the answers that were put before them.
struct Giver {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
    answers: Arc<Mutex<VecDeque<(u16, String)>>>,
}

impl Giver {
    async fn open(life: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<(u16, String)>>> = Arc::default();
        let giver = Self { url, heard: Arc::clone(&heard), answers: Arc::clone(&answers) };
        tokio::spawn(async move {
            let mut given = 0;
            while let Ok((stream, _)) = listener.accept().await {
                let put = answers.lock().unwrap().pop_front();
                let (status, body) = put.unwrap_or_else(|| {
                    given += 1;
                    let token = format!(r#""access_token":"t{given}","token_type":"bearer""#);
                    (200, format!(r#"{{{token},"expires_in":{life}}}"#))
                });
                let text = answer(stream, status, &body).await;
                heard.lock().unwrap().push(text);
            }
        });
        giver
    }

    fn put(&self, status: u16, body: &str) {
        self.answers.lock().unwrap().push_back((status, body.to_owned()));
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn tokens(&self) -> Arc<Tokens> {
        Tokens::shared(&OAuth2 {
            client_id: "s6BhdRkqt3".to_owned(),
            client_secret: SecretSource::File(secret("7Fjfp0ZBr1KtDRbnfVdmIw")),
            scopes: vec!["models".to_owned()],
            token_url: self.url.clone(),
            endpoint_params: Vec::new(),
            proxy_url: None,
            tls: TlsSettings::default(),
        })
    }
}

fn secret(text: &str) -> std::path::PathBuf {
    let path =
        std::env::temp_dir().join(format!("bellwether-oauth2-{}-{text}", std::process::id()));
    std::fs::write(&path, text).unwrap();
    path
}

async fn answer(mut stream: TcpStream, status: u16, body: &str) -> String {
    let mut text = String::new();
    let is_whole = |text: &str| {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        (body.len() >= length.parse().ok()?).then_some(())
    };
    while is_whole(&text).is_none() {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await.unwrap();
        assert!(count > 0, "{text}");
        text.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }
    let length = body.len();
    let said = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(said.as_bytes()).await.unwrap();
    text
}

async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn all_who_have_the_same_settings_share_one_token() {
    let giver = Giver::open("3600").await;
    let (one, other) = (giver.tokens(), giver.tokens());
    let both = tokio::join!(one.header(), other.header());
    assert_eq!(
        (both.0.unwrap(), both.1.unwrap()),
        ("Bearer t1".parse().unwrap(), "Bearer t1".parse().unwrap())
    );
    let heard = giver.heard();
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("POST /token HTTP/1.1\r\n"), "{heard:?}");
    // RFC 6749, section 2.3.1.
    let basic = "authorization: Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3\r\n";
    assert!(heard[0].contains(basic), "{heard:?}");
    assert!(heard[0].contains("content-type: application/x-www-form-urlencoded\r\n"), "{heard:?}");
    assert!(heard[0].ends_with("\r\n\r\ngrant_type=client_credentials&scope=models"), "{heard:?}");
}

#[tokio::test]
async fn a_token_is_renewed_beside_those_who_use_it() {
    let giver = Giver::open("1000").await;
    let tokens = giver.tokens();
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    pass(899 * SECOND).await;
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    assert_eq!(giver.heard().len(), 1);
    // Its last tenth: the first who comes has the old one, and nobody waits.
    pass(2 * SECOND).await;
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    while tokens.header().await.unwrap() == "Bearer t1" {
        tokio::task::yield_now().await;
    }
    assert_eq!(tokens.header().await.unwrap(), "Bearer t2");
    assert_eq!(giver.heard().len(), 2);
    // One that has ended is used by nobody.
    pass(991 * SECOND).await;
    assert_eq!(tokens.header().await.unwrap(), "Bearer t3");
}

#[tokio::test]
async fn the_old_token_serves_while_the_server_is_away() {
    let giver = Giver::open("1000").await;
    let tokens = giver.tokens();
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    pass(950 * SECOND).await;
    giver.put(503, "");
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    while giver.heard().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    // Once that has ended there is none, for as long as a failure is told, and then the next.
    pass(50 * SECOND).await;
    let next = match tokens.header().await {
        Err(TokenError::Refused { status: 503, .. }) => {
            pass(6 * SECOND).await;
            tokens.header().await
        }
        other => other,
    };
    assert_eq!(next.unwrap(), "Bearer t2");
}

#[tokio::test]
async fn a_server_that_takes_the_form_alone_is_asked_by_the_form() {
    let giver = Giver::open("10").await;
    giver.put(401, r#"{"error":"invalid_client"}"#);
    let tokens = giver.tokens();
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
    pass(11 * SECOND).await;
    assert_eq!(tokens.header().await.unwrap(), "Bearer t2");
    let heard = giver.heard();
    let form = "client_id=s6BhdRkqt3&client_secret=7Fjfp0ZBr1KtDRbnfVdmIw&scope=models";
    let shown: Vec<(bool, bool)> = heard
        .iter()
        .map(|text| (text.contains("authorization: Basic"), text.ends_with(form)))
        .collect();
    assert_eq!(shown, [(true, false), (false, true), (false, true)], "it is remembered");
}

#[tokio::test]
async fn a_failure_is_told_at_once_for_a_while_and_names_no_secret() {
    let giver = Giver::open("10").await;
    let said = r#"{"error":"invalid_client","error_description":"wrong: 7Fjfp0ZBr1KtDRbnfVdmIw"}"#;
    giver.put(401, said);
    giver.put(401, said);
    let tokens = giver.tokens();
    let error = tokens.header().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("`{}` refuses a token with status 401: invalid_client: wrong: ***", giver.url)
    );
    assert!(matches!(tokens.header().await, Err(TokenError::Refused { status: 401, .. })));
    assert_eq!(giver.heard().len(), 2, "nobody was asked");
    pass(6 * SECOND).await;
    assert_eq!(tokens.header().await.unwrap(), "Bearer t1");
}

#[tokio::test]
async fn what_is_no_token_and_a_server_that_is_not_there_are_told_apart() {
    let giver = Giver::open("10").await;
    giver.put(200, "<html>");
    let error = giver.tokens().header().await.unwrap_err().to_string();
    assert!(error.ends_with("holds no token that a header can carry"), "{error}");
    let nobody = Giver { url: "http://127.0.0.1:1/token".to_owned(), ..giver };
    let error = nobody.tokens().header().await.unwrap_err().to_string();
    assert!(error.starts_with("`http://127.0.0.1:1/token` gives no token: "), "{error}");
    assert!(!error.contains("7Fjfp0ZBr1KtDRbnfVdmIw"), "{error}");
}

#[tokio::test]
async fn whoever_has_no_more_time_leaves_the_token_to_the_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tokens = Giver {
        url: format!("http://{}/token", listener.local_addr().unwrap()),
        heard: Arc::default(),
        answers: Arc::default(),
    }
    .tokens();
    let hurried = tokio::spawn({
        let tokens = Arc::clone(&tokens);
        async move { tokens.header().await }
    });
    let (stream, _) = listener.accept().await.unwrap();
    hurried.abort();
    assert!(hurried.await.unwrap_err().is_cancelled());
    let given = r#"{"access_token":"t1","token_type":"bearer","expires_in":3600}"#;
    let (header, _heard) = tokio::join!(tokens.header(), answer(stream, 200, given));
    assert_eq!(header.unwrap(), "Bearer t1", "nobody asks a second time");
}
